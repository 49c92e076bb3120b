// What was found beside what was wanted, with the difference marked.

import { difference } from "./difference.js";
import { el } from "./dom.js";

/** Return both as a list of two; null where there is neither. */
export function comparison({ found, wanted }) {
  if (found === undefined && wanted === undefined) return null;
  const differing = found !== undefined && wanted !== undefined ? difference(found, wanted) : null;
  return el("dl", { class: "comparison" }, row("found", found, differing), row("wanted", wanted, differing));
}

function row(name, text, differing) {
  if (text === undefined) return null;
  const marked =
    differing === null
      ? text || "(empty)"
      : [differing.before, differing[name] && el("mark", {}, differing[name]), differing.after];
  return [el("dt", {}, name), el("dd", { class: `wire ${name}` }, marked)];
}
