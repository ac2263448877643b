// What was seen.

// How often /status is asked, how long it may take, and how long the charts look back.
const EVERY = 2_000;
const PATIENCE = 5_000;
const MINUTE = 60_000;
const LOOK_BACK = 2 * MINUTE;

// What the last refusals hold at most: so many in a minute mean "or more".
const REMEMBERED = 50;

// Answers of one run of the gateway in the last minutes, the oldest first.
let seen = [];

function remember(status) {
  const restarted = seen.at(-1)?.status.started_at !== status.started_at;
  const at = performance.now();
  seen = restarted ? [] : seen.filter((sample) => at - sample.at <= LOOK_BACK);
  seen.push({ at, status });
}

const latest = () => seen.at(-1);
const regionOf = (sample, name) => sample.status.regions.find(({ region }) => region === name);

// The answer that was given `span` ago, or the oldest.
const before = (span) => seen.findLast(({ at }) => latest().at - at >= span) ?? seen[0];

// How long the charts have watched, up to `span`, in words.
function watched(span) {
  const ms = latest().at - before(span).at;
  if (ms < 1000) return "just now";
  return ms >= span ? "in the last minute" : `in the last ${Math.round(ms / 1000)} s`;
}

// By how much counts rose within `span`; what did not rise is left out.
function rises(counts, span) {
  const [then, now] = [counts(before(span)) ?? {}, counts(latest())];
  const risen = Object.entries(now).map(([name, count]) => [name, count - (then[name] ?? 0)]);
  return Object.fromEntries(risen.filter(([, by]) => by > 0));
}

// A second, over the last ten, in words.
function rate(counts) {
  const span = (latest().at - before(10_000).at) / 1000;
  return span > 0 ? plain(sum(rises(counts, 10_000)) / span) : "–";
}

// What `measure` makes of each answer and the one before it.
function steps(measure) {
  const made = seen.slice(1).map((sample, place) => {
    return { at: sample.at, value: measure(seen[place], sample) };
  });
  return made.filter(({ value }) => value !== null);
}

// The gateway's clock, which the refusals are told by.
const clock = ({ status }) => Date.parse(status.started_at) + status.uptime_seconds * 1000;

// Refusals by reason in the last minute: by the counters, and by the last refusals until the page
// has watched that long.
function refusedOfLate() {
  const now = latest();
  const listed = {};
  for (const { at, reason } of now.status.last_refusals) {
    if (clock(now) - Date.parse(at) <= MINUTE) listed[reason] = (listed[reason] ?? 0) + 1;
  }
  const risen = rises(({ status }) => status.refusals, MINUTE);
  const reasons = Object.keys({ ...listed, ...risen });
  return Object.fromEntries(reasons.map((reason) => [reason, Math.max(listed[reason] ?? 0, risen[reason] ?? 0)]));
}
