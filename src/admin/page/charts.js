// Charts.

const WIDTH = 300;
const HEIGHT = 72;

// An empty chart, and below it its axis and the highest value.
function chart(from) {
  const marks = [make("span", {}, from), make("span", { "data-part": "peak" }), make("span", {}, "now")];
  const scale = make("div", { class: "scale", "aria-hidden": "true" }, ...marks);
  const box = { class: "chart", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  return [draw("svg", { ...box, "data-part": "chart" }), scale];
}

function paint(node, words, peak, shapes) {
  say(part(node, "peak"), `peak ${peak}`);
  const svg = part(node, "chart");
  svg.setAttribute("aria-label", words);
  svg.replaceChildren(draw("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), ...shapes);
}

const high = (value, top) => HEIGHT - (HEIGHT * Math.min(value, top)) / top;
const across = (at, span) => WIDTH - (WIDTH * (latest().at - at)) / span;

// A bar for each value, which is of the time up to `at`.
function bars(points, every, span, top, name) {
  const width = (WIDTH * every) / span;
  return points.map(({ at, value }) => {
    const y = high(value, top);
    return draw("rect", { class: name, x: across(at, span) - width, y, width: width * 0.8, height: HEIGHT - y });
  });
}

function level(value, top, name) {
  const y = high(value, top);
  return draw("line", { class: name, x1: 0, x2: WIDTH, y1: y, y2: y });
}

// A line over time, filled below.
function trace(points, top) {
  if (points.length === 0) return [];
  const path = points.map(({ at, value }) => `${across(at, LOOK_BACK).toFixed(1)},${high(value, top).toFixed(1)}`);
  const [first, last] = [points[0], points.at(-1)].map(({ at }) => across(at, LOOK_BACK));
  const below = `${last.toFixed(1)},${HEIGHT} ${first.toFixed(1)},${HEIGHT}`;
  return [
    draw("polygon", { class: "area", points: `${path.join(" ")} ${below}` }),
    draw("polyline", { class: "trace", points: path.join(" ") }),
  ];
}

const peakOf = (values) => Math.max(0, ...values);
const topOf = (values, least) => Math.max(least, ...values) * 1.1;
