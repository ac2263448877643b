// Sections.

function card(title, from) {
  const figure = [make("span", { "data-part": "figure" }), " ", make("small", { "data-part": "unit" })];
  const note = make("p", { class: "muted", "data-part": "note" });
  const heading = [make("h3", {}, title), make("p", { class: "figure" }, ...figure)];
  return make("section", { class: "card" }, ...heading, note, ...chart(from));
}

function show(node, figure, unit, note) {
  say(part(node, "figure"), figure);
  say(part(node, "unit"), unit);
  say(part(node, "note"), note);
}

const PARTS = [
  ["Rate against the quota", "60 s ago", showRate],
  ["Queue", "2 min ago", showQueue],
  ["AWS latency", "2 min ago", showLatency],
  ["AWS errors", "2 min ago", showErrors],
];

function buildRegion({ region }) {
  const title = `region-${region}`;
  const cards = make("div", { class: "cards regional" }, ...PARTS.map(([name, from]) => card(name, from)));
  return make("section", { "aria-labelledby": title }, make("h2", { id: title }), cards);
}

function updateRegion(node, of) {
  const first = latest().status.regions[0] === of && latest().status.regions.length > 1;
  say(node.firstChild, first ? `${of.region} (default)` : of.region);
  PARTS.forEach(([, , update], place) => update(node.lastChild.children[place], of));
}

function showRate(node, { quota }) {
  const { permits_per_second: now, permits_by_second: seconds } = quota;
  const bounds = Object.entries(quota.configured_per_second).sort(([, one], [, other]) => one - other);
  const bounded = bounds.length > 0;
  const [bound, configured] = bounds[0] ?? [];
  const effective = smallest(quota.effective_per_second);
  const top = topOf(seconds, bounded ? configured : 1);
  const share = effective > 0 ? `${percent(now / effective)} used` : "paused";
  const slower = effective < configured ? `, ${plain(effective)} in force (solid line)` : "";
  const kept = quota.store === null ? "" : ` Shared store: ${quota.store}.`;
  const by = bound === "creates" ? "creates a second" : "concurrent sessions";
  const note = (bounded ? `${share}${slower}; bounded by ${by} (dashed line).` : "No quota is configured.") + kept;
  show(node, plain(now), bounded ? `of ${plain(configured)} permits a second` : "permits a second", note);
  const words = `Permits in each of the last ${seconds.length} seconds: at most ${peakOf(seconds)}. ${note}`;
  const points = seconds.map((value, place) => ({ at: latest().at - (seconds.length - 1 - place) * 1000, value }));
  const lines = bounded ? [level(configured, top, "limit")] : [];
  if (effective < configured) lines.push(level(effective, top, "used"));
  paint(node, words, plain(peakOf(seconds)), [...bars(points, 1000, MINUTE, top, "bar"), ...lines]);
}

function showQueue(node, { region, quota, queue }) {
  const points = seen.map((sample) => ({ at: sample.at, value: regionOf(sample, region)?.queue.depth ?? 0 }));
  const peak = peakOf(points.map(({ value }) => value));
  const waits = inTime(quota.wait, "Nothing has waited");
  show(node, plain(queue.depth), `of ${plain(queue.limit)} places taken`, waits);
  const words = `Calls waiting for quota: now ${queue.depth}, at most ${peak} in the last two minutes. ${waits}`;
  paint(node, words, plain(peak), trace(points, topOf([peak], 1)));
}

function showLatency(node, { region, upstream }) {
  const latency = (sample) => regionOf(sample, region)?.upstream.latency.since_start ?? NO_VALUES;
  const points = steps((earlier, sample) => meanBetween(latency(earlier), latency(sample)));
  const note = inTime(upstream.latency, "No attempt has been made");
  show(node, duration(upstream.latency.last_minute.mean_seconds), "mean, last minute", note);
  const values = points.map(({ value }) => value);
  const peak = duration(values.length > 0 ? peakOf(values) : null);
  const words = `Mean latency of attempts at AWS: at most ${peak} in the last two minutes. ${note}`;
  paint(node, words, peak, trace(points, topOf(values, 0.01)));
}

const NO_VALUES = { count: 0, mean_seconds: null };

// How long it takes of late, if there is something to tell, else how long it took.
function inTime({ last_minute: late, since_start: all }, nothing) {
  const part = ({ p50_seconds: p50, p95_seconds: p95, p99_seconds: p99 }) =>
    `half at most ${duration(p50)}, 95 % ${duration(p95)}, 99 % ${duration(p99)}`;
  if (all.count === 0) return `${nothing}.`;
  if (late.count === 0) return `${nothing} in the last minute. Since the start: ${part(all)}.`;
  return `In the last minute: ${part(late)}.`;
}

// The mean of what came to a distribution between two answers; null if nothing did.
function meanBetween(then, now) {
  const attempts = now.count - then.count;
  return attempts > 0 ? (now.mean_seconds * now.count - then.mean_seconds * then.count) / attempts : null;
}

function showErrors(node, { region, upstream }) {
  const failed = (sample) => failures(regionOf(sample, region)?.upstream.attempts ?? {});
  const points = steps((earlier, sample) => sum(failed(sample)) - sum(failed(earlier)));
  const late = rises(failed, MINUTE);
  const [all, ill, again] = [upstream.attempts, failures(upstream.attempts), upstream.retries].map(sum);
  const ratio = `Since the start ${plain(ill)} of ${plain(all)} attempts; ${plain(again)} retried.`;
  const since = all > 0 ? ratio : "No attempt has been made.";
  show(node, plain(sum(late)), `failed ${watched(MINUTE)}`, sum(late) > 0 ? `${counted(late)}. ${since}` : since);
  const values = points.map(({ value }) => value);
  const words = `Attempts at AWS that failed: ${sum(late)} ${watched(MINUTE)}. ${since}`;
  paint(node, words, plain(peakOf(values)), bars(points, EVERY, LOOK_BACK, topOf(values, 1), "trouble"));
}

function showTiles({ calls, refusals, regions, ledger }) {
  const repeats = (ledger.hit ?? 0) + (ledger.joined ?? 0);
  const tiles = [
    ["Calls a second", rate(({ status }) => status.calls.by_status)],
    ["In flight", plain(calls.in_flight)],
    ["Refused last minute", refusedInWords(sum(refusedOfLate()))],
    ["Refused since the start", plain(sum(refusals))],
    ["Sessions made", plain(regions.reduce((all, { sessions }) => all + sessions, 0))],
    ["Repeats recognised", plain(repeats)],
  ];
  list($("tiles"), tiles, ([title]) => title,
    ([title]) => make("li", { class: "card" }, make("h3", {}, title), make("p", { class: "figure" })),
    (node, [, figure]) => say(node.lastChild, figure));
}

function refusedInWords(count) {
  const more = count >= REMEMBERED && latest().at - before(MINUTE).at < MINUTE;
  return more ? `${plain(count)}+` : plain(count);
}

function row(name) {
  // Long names may be broken where that can be read.
  const parts = name.split(/(?<=[_./])/).flatMap((part) => [part, make("wbr")]);
  const number = () => make("td", { class: "number" });
  return make("tr", {}, make("th", { scope: "row", class: "name" }, ...parts), number(), number());
}

function table(id, items, keyOf, build, update) {
  $(id).hidden = items.length === 0;
  $(`no-${id}`).hidden = items.length > 0;
  list($(id).tBodies[0], items, keyOf, build, update);
}

function showCallers(callers) {
  const permits = ({ status }) => Object.fromEntries(status.callers.map(({ caller, permits }) => [caller, permits]));
  const active = callers.filter(({ permits }) => permits > 0).sort((one, other) => other.permits - one.permits);
  const build = ({ caller }) => {
    const node = row(caller === "_OTHER" ? "all others" : caller);
    node.cells[2].append(make("span"), make("div", { class: "share" }, make("div", { class: "part" })));
    return node;
  };
  table("callers", active, ({ caller }) => caller, build, (node, { caller, share }) => {
    say(node.cells[1], rate((sample) => ({ [caller]: permits(sample)[caller] ?? 0 })));
    say(node.cells[2].firstChild, percent(share));
    node.cells[2].lastChild.firstChild.style.width = `${share * 100}%`;
  });
}

function showMethods(methods) {
  const ended = (sample, name) => sample.status.calls.by_method.find(({ method }) => method === name)?.by_status ?? {};
  const called = methods.filter(({ by_status }) => sum(by_status) > 0);
  called.sort((one, other) => sum(other.by_status) - sum(one.by_status));
  const build = ({ method }) => {
    const node = row(method === "_OTHER" ? "all others" : method);
    node.cells[0].append(make("p", { class: "muted words" }));
    return node;
  };
  table("methods", called, ({ method }) => method, build, (node, { method, by_status: statuses, in_flight, latency }) => {
    const running = in_flight > 0 ? `; ${plain(in_flight)} in flight` : "";
    say(node.cells[0].lastChild, counted(statuses) + running);
    say(node.cells[1], rate((sample) => ended(sample, method)));
    say(node.cells[2], duration(latency.last_minute.p95_seconds));
  });
}

function showReasons(refusals) {
  const late = refusedOfLate();
  const reasons = Object.entries(refusals).filter(([, count]) => count > 0);
  reasons.sort(([, few], [, many]) => many - few);
  table("reasons", reasons, ([reason]) => reason, ([reason]) => row(reason), (node, [reason, count]) => {
    say(node.cells[1], refusedInWords(late[reason] ?? 0));
    say(node.cells[2], plain(count));
  });
}

function showRefusals(refusals) {
  $("no-refusals").hidden = refusals.length > 0;
  const groups = new Map(refusals.map(({ reason }) => reason).sort().map((reason) => [reason, []]));
  for (const refusal of refusals) groups.get(refusal.reason).push(refusal);
  const build = () => {
    const title = make("h3", {}, make("span", { class: "name" }), " ", make("span"));
    const details = make("details", {}, make("summary"), make("ul", { class: "calls muted" }));
    return make("li", { class: "card" }, title, make("p"), make("p", { class: "muted" }), details);
  };
  list($("refusals"), [...groups], ([reason]) => reason, build, (node, [reason, group]) => {
    const [title, remedy, when, details] = node.children;
    say(title.firstChild, reason);
    say(title.lastChild, group[0].code);
    say(remedy, group[0].remedy ?? "See the log of the gateway.");
    say(when, `Last at ${time(group[0].at)}; ${group.length} of the last ${refusals.length} refusals.`);
    say(details.firstChild, `Calls refused with ${reason}: ${group.length}`);
    details.lastChild.replaceChildren(...group.map(oneRefusal));
  });
}

function oneRefusal({ at, method, retry_after_seconds: retry, request_id: id }) {
  const again = retry === null ? "no retry" : `retry after ${duration(retry)}`;
  const request = make("span", {}, id === null ? "no request id" : `x-request-id ${id}`);
  return make("li", {}, make("span", {}, time(at)), make("span", {}, method), make("span", {}, again), request);
}

const missing = ({ required }) => (required ? "NOT READY: " : "missing, not required: ");

function showReplica(status) {
  say($("version"), status.version);
  const started = status.started_at.replace("T", " ").replace(/\.\d+Z$/, " UTC");
  say($("started"), `${started}, ${duration(Math.max(1, status.uptime_seconds))} ago`);
  say($("digest"), status.config_digest);
  list($("checks"), status.checks, ({ name }) => name,
    ({ name }) => make("li", {}, make("span", { class: "name" }, name), " ", make("span")),
    (node, check) => say(node.lastChild, `${check.ready ? "" : missing(check)}${check.reason}`));
}
