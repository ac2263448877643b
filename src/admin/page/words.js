// Numbers in words.

const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);
const smallest = (rates) => Math.min(...Object.values(rates));
const percent = (ratio) => `${Math.round(ratio * 100)} %`;
const plain = (number) => number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });
const time = (at) => new Date(at).toLocaleTimeString("en", { hourCycle: "h23" });
const without = (counts, names) => Object.fromEntries(Object.entries(counts).filter(([name]) => !names.has(name)));

function counted(counts) {
  const each = Object.entries(counts).map(([name, count]) => `${name} ${plain(count)}`);
  return each.join(", ");
}

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1) return `${plain(seconds * 1000)} ms`;
  if (seconds < 120) return `${plain(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
