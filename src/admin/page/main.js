// The whole.

let announced = "";

function showVerdict(level, headline, found) {
  $("verdict").className = `verdict ${level}`;
  say($("headline"), headline);
  list($("findings"), found, ({ what }) => what,
    ({ what }) => make("li", {}, make("strong", {}, what), " ", make("span")),
    (node, { more }) => say(node.lastChild, more));
  document.title = `${headline} – face liveness gateway`;
  // Figures change all the time; only a change of the verdict is worth interrupting a listener.
  const news = [headline, ...found.map(({ what }) => what)].join(" ");
  if (announced !== news) say($("announcement"), news);
  announced = news;
}

// Refusals are told in the reader's own time.
const ZONE = new Intl.DateTimeFormat("en", { timeZoneName: "short" })
  .formatToParts()
  .find(({ type }) => type === "timeZoneName").value;

const HEADLINES = { bad: "Trouble", warn: "Needs attention", ok: "All is well" };

function render() {
  const { status } = latest();
  const found = findings(status);
  const verdict = found[0]?.level ?? "ok";
  const idle = verdict === "ok" && status.regions.every(({ quota }) => quota.permits === 0);
  showVerdict(verdict, idle ? "All is well; no session has been asked for yet" : HEADLINES[verdict], found);
  say($("freshness"), `As of ${time(Date.now())} (${ZONE}); asks again every ${EVERY / 1000} s.`);
  showTiles(status);
  list($("regions"), status.regions, ({ region }) => region, buildRegion, updateRegion);
  showCallers(status.callers);
  showReasons(status.refusals);
  showMethods(status.calls.by_method);
  showRefusals(status.last_refusals);
  showReplica(status);
  $("content").hidden = false;
}

let lostAt = null;

function renderLost(error) {
  lostAt ??= Date.now();
  const shown = latest() ? "What is below is from before. " : "";
  const what = `No answer since ${time(lostAt)} (${error.message}).`;
  const more = `${shown}It may have stopped, or the way to this port is broken (a port-forward, say).`;
  showVerdict("bad", "Cannot reach the gateway", [{ what, more }]);
  say($("freshness"), latest() ? "Out of date." : "Nothing is known yet.");
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return answer;
}

async function refresh() {
  try {
    const answer = await ask("status");
    remember(await answer.json());
    lostAt = null;
  } catch (error) {
    renderLost(error);
    return;
  }
  render();
}

// One question at a time, and none while nobody looks.
let asking = false;

async function watch() {
  if (asking) return;
  asking = true;
  while (!document.hidden) {
    await refresh();
    await new Promise((done) => setTimeout(done, EVERY));
  }
  asking = false;
}

async function showConfig() {
  if (!$("config").open) return;
  try {
    const answer = await ask("config");
    say($("config-text"), await answer.text());
  } catch (error) {
    say($("config-text"), `Cannot read the configuration: ${error.message}`);
  }
}

$("config").addEventListener("toggle", showConfig);
document.addEventListener("visibilitychange", watch);
watch();
