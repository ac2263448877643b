// What it means.

// Attempts that end so are not AWS's failures: made, or the caller's doing.
const NOT_FAILED = new Set(["made", "cancelled", "invalid_parameter"]);

// What callers are refused for by their own doing.
const CALLERS_OWN = new Set([
  "CALLER_RATE", "INVALID_REQUEST", "POLICY", "REGION_NOT_SERVED", "SESSION_EXPIRING", "TOKEN_REUSED",
  "UNAUTHENTICATED", "UNIMPLEMENTED", "UPSTREAM_INVALID_PARAMETER",
]);

// One thing that whoever is on call should know, "bad" or "warn". `what` has no figures: a change of
// it is announced.
const finding = (level, what, more) => ({ level, what, more });

// Everything, the worst first.
function findings(status) {
  const found = status.regions.flatMap((of) => [ofStore(of), ofRate(of), ofUse(of), ofQueue(of), ofUpstream(of)]);
  found.push(ofReadiness(status), ofRefusals());
  const levels = ["bad", "warn"];
  const rank = ({ level }) => levels.indexOf(level);
  return found.filter(Boolean).sort((one, other) => rank(one) - rank(other));
}

function ofReadiness({ ready, checks }) {
  if (ready) return null;
  const missing = checks.filter((check) => check.required && !check.ready).map(({ name, reason }) => `${name}: ${reason}`);
  return finding("bad", "Not ready.", `Load balancers send no calls. ${missing.join("; ")}.`);
}

function ofRefusals() {
  const late = without(refusedOfLate(), CALLERS_OWN);
  if (late.INTERNAL) return finding("bad", "Calls end in INTERNAL.", "The gateway has a defect; its log has the details.");
  const more = `In the last minute: ${counted(late)}. See the last refusals below, and what to do.`;
  return sum(late) > 0 && finding("warn", "Calls are refused.", more);
}

const isLost = ({ store }) => store !== null && store !== "shared";

function ofStore({ region, quota }) {
  return isLost(quota) && finding("warn", `${region}: the shared quota store is lost.`,
    "This replica keeps to its share of the quota, and returns by itself. See whether Redis runs and can be reached.");
}

function ofRate({ region, quota }) {
  const configured = smallest(quota.configured_per_second);
  const effective = smallest(quota.effective_per_second);
  if (effective === 0) return finding("bad", `${region}: paused, as AWS asked.`, "Calls wait; the pause ends by itself.");
  return effective < configured && !isLost(quota) && finding("warn", `${region}: slowed down, because AWS throttles.`,
    `${plain(effective)} of ${plain(configured)} permits a second are in force. AWS admits less than is configured, ` +
    "others use the account's quota too, or AWS is short of capacity.");
}

function ofUse({ region, quota }) {
  const denied = sum(rises((sample) => regionOf(sample, region)?.quota.denials, MINUTE));
  const used = quota.permits_per_second / smallest(quota.effective_per_second);
  if (denied > 0) {
    return finding("bad", `${region}: the quota is used up.`,
      `${plain(denied)} attempts got no permit ${watched(MINUTE)}. See below which caller uses it; ask AWS for more ` +
      "quota, or give callers a rate in [[callers]].");
  }
  return used >= 0.9 && used < Infinity && finding("warn", `${region}: the quota is nearly used up.`,
    `${percent(used)} are used. With more calls they wait, then are refused.`);
}

function ofQueue({ region, queue }) {
  return queue.limit > 0 && queue.depth >= 0.8 * queue.limit && finding("warn", `${region}: the queue is nearly full.`,
    "Calls that find it full are refused at once (quota.queue).");
}

function ofUpstream({ region }) {
  const ended = rises((sample) => regionOf(sample, region)?.upstream.attempts, MINUTE);
  const failed = failures(ended);
  const part = sum(failed) / sum(ended);
  if (failed.credentials || failed.access_denied) {
    return finding("bad", `${region}: AWS refuses the gateway.`,
      `Attempts ${watched(MINUTE)}: ${counted(failed)}. Renew its credentials, or allow its role what it needs; see ` +
      "the last refusals.");
  }
  return sum(failed) >= 3 && part > 0.1 && finding("bad", `${region}: attempts at AWS fail.`,
    `${percent(part)} ${watched(MINUTE)}: ${counted(failed)}. See the last refusals, and the AWS Health Dashboard.`);
}

const failures = (ended) => without(ended, NOT_FAILED);
