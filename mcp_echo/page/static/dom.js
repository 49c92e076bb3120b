// Elements from plain values. Text becomes text nodes and nothing else: there is no way from here to HTML.

/**
 * Make an element.
 *
 * @param {string} tag - Its name.
 * @param {object} [given] - Attributes; `on…` are listeners, `data` is a dataset, null and false are left out.
 * @param {...(Node|string|number|null|undefined|false|Array)} children - What is in it.
 */
export function el(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** Put children in the place of those that an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((each) => each !== null && each !== undefined && each !== false)
    .map((each) => (each instanceof Node ? each : document.createTextNode(String(each))));
}

/** Return a link to another site; plain text where the address is none that may be followed. */
export function outside(url, text) {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !["https:", "http:"].includes(parsed.protocol)) return el("span", {}, text);
  return el("a", { href: parsed.href, target: "_blank", rel: "noopener noreferrer" }, text, "\u00a0↗");
}

/** The label of an exchange that was hit by a fault: a sign of its own, and words. */
export function faultLabel({ fault, order }, words = fault) {
  const about =
    order === undefined ? `Hit by the fault ${fault}` : `Hit by the fault ${fault}, order ${order}`;
  return el(
    "span",
    { class: "tag fault", title: about },
    el("span", { class: "sign", "aria-hidden": "true" }),
    el("span", { class: "word" }, words === fault && el("span", { class: "unseen" }, "fault "), words),
  );
}

/** The label of a level: a sign that differs in form, and a word. */
export function levelLabel(level, word, tag = "span", given = {}) {
  return el(
    tag,
    { ...given, class: `level ${level}` },
    el("span", { class: "sign", "aria-hidden": "true" }),
    el("span", { class: "word" }, word),
  );
}
