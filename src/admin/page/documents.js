// Documents.

const $ = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function draw(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function say(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

// Gives `parent` one child for each item, made once for its key: what has the focus or is open stays.
function list(parent, items, keyOf, build, update) {
  const keys = new Set(items.map(keyOf));
  const present = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  for (const [key, node] of present) if (!keys.has(key)) node.remove();
  let next = parent.firstElementChild;
  for (const item of items) {
    const node = present.get(keyOf(item)) ?? build(item);
    node.dataset.key = keyOf(item);
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
    update(node, item);
  }
}

// A child by its role in what `build` made.
const part = (node, role) => node.querySelector(`[data-part="${role}"]`);
