/* The page from values: h() describes a tree, patch() makes the document equal to it.
   Rule: nodes that stay are kept (so are focus, selection and scroll); text is only ever set as text. */

const SVG = "http://www.w3.org/2000/svg";

/** Describe an element. Attributes: `on` {event: function}, `key`, `props` {value, checked, ...} or plain attributes. */
export function h(tag, attributes, ...children) {
  const flat = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  const given = attributes ?? {};
  return { tag, attributes: given, key: given.key, children: flat.map((c) => (typeof c === "object" ? c : String(c))) };
}

/** Make the children of `parent` equal to `wanted`. */
export function patch(parent, wanted) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.vKey !== undefined) keyed.set(node.vKey, node);
  const staying = new Set(wanted.map((next) => next.key));
  let at = parent.firstChild;
  for (const next of wanted) {
    while (at && at.vKey !== undefined && !staying.has(at.vKey)) at = drop(at); // so that the rest need not move
    const kept = next.key === undefined ? fitting(at, next) : keyed.get(next.key);
    const node = kept && matches(kept, next) ? kept : make(next, parent);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
    update(node, next);
  }
  while (at) at = drop(at);
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function fitting(node, next) {
  return node && node.vKey === undefined && matches(node, next) ? node : null;
}

function matches(node, next) {
  if (typeof next === "string") return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE && node.localName === next.tag.toLowerCase();
}

function make(next, parent) {
  if (typeof next === "string") return document.createTextNode(next);
  const drawn = next.tag === "svg" || parent.namespaceURI === SVG;
  const node = drawn ? document.createElementNS(SVG, next.tag) : document.createElement(next.tag);
  node.vKey = next.key;
  return node;
}

function update(node, next) {
  if (typeof next === "string") {
    if (node.data !== next) node.data = next;
    return;
  }
  const { key: _key, on = {}, props = {}, ...attributes } = next.attributes;
  for (const name of node.getAttributeNames()) {
    if (absent(attributes[name]) && name !== "open") node.removeAttribute(name); // open: the user's, or showModal's
  }
  for (const [name, value] of Object.entries(attributes)) {
    const text = value === true ? "" : String(value);
    if (!absent(value) && node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
  listen(node, on);
  patch(node, next.children);
  for (const [name, value] of Object.entries(props)) if (node[name] !== value) node[name] = value;
}

function absent(value) {
  return value === undefined || value === null || value === false;
}

function listen(node, on) {
  const known = (node.vOn ??= {});
  for (const name of Object.keys(on)) {
    if (!(name in known)) node.addEventListener(name, (event) => node.vOn[name]?.(event));
  }
  node.vOn = { ...Object.fromEntries(Object.keys(known).map((name) => [name, null])), ...on };
}
