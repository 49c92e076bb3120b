// One request, as it came directly and as it came through the gateway, line beside line.

import { difference } from "./difference.js";
import { el, fill, levelLabel } from "./dom.js";
import { outcome, titleOf } from "./format.js";
import { rowsOf } from "./side-by-side.js";

const SIDES = ["directly", "through the gateway"];

class PairView extends HTMLElement {
  /**
   * @param {object} pair - As in a comparison.
   * @param {object[]} differences - Those of the pair.
   * @param {object} both
   * @param {object|undefined} both.direct - The exchange that came directly.
   * @param {object|undefined} both.via - The exchange that came through the gateway.
   * @param {string} both.path - Of the page of the other trace.
   */
  show(pair, differences, { direct, via, path }) {
    if (!direct || !via) {
      fill(this, el("p", { class: "soft aside" }, "One of the two traces keeps this request no more."));
      return;
    }
    const rows = rowsOf(differences, direct, via);
    fill(
      this,
      head(pair, direct),
      el(
        "div",
        { class: "sides", role: "table", "aria-label": "Lines in wire order" },
        el("div", { role: "rowgroup" }, titles(direct, via, path)),
        el("div", { role: "rowgroup" }, rows.map(line)),
      ),
    );
  }
}

function head({ label }, direct) {
  const about = label === undefined ? "matched by method and order" : `label ${label}`;
  return el(
    "div",
    { class: "exchange-head" },
    el("h2", { class: "wire" }, titleOf(direct).filter(Boolean).join(" ")),
    el("p", { class: "soft" }, about),
  );
}

function titles(direct, via, path) {
  const [here, there] = [direct, via].map((each, side) =>
    el(
      "span",
      { role: "columnheader", class: "soft" },
      el("a", { href: `${side === 0 ? "" : path}#${each.number}` }, `#${each.number}`),
      ` ${SIDES[side]} → ${outcome(each).status}`,
    ),
  );
  return el(
    "div",
    { role: "row", class: "side-row titles" },
    here,
    el("span", { role: "columnheader", class: "did" }, el("span", { class: "unseen" }, "what the way did")),
    there,
  );
}

function line(row) {
  const { word, level, note, elsewhere } = row;
  // A line that moved and changed as well is compared with its counterpart, wherever that stands.
  const ghost = elsewhere && word !== "moved" ? { ...elsewhere, ghost: true } : null;
  const [before, behind] = [row.before ?? ghost, row.behind ?? ghost];
  const marks = before && behind && word ? difference(valueOf(behind), valueOf(before)) : null;
  const classes = ["side-row", word && `lit ${level} ${word}`, !word && !note && "alike"].filter(Boolean);
  return el(
    "div",
    { role: "row", class: classes.join(" ") },
    side(before, marks && [marks.before, marks.wanted, marks.after], elsewhere, "directly"),
    el(
      "span",
      { role: "cell", class: "did" },
      word ? levelLabel(level, word) : note && el("span", { class: "soft" }, note),
    ),
    side(behind, marks && [marks.before, marks.found, marks.after], elsewhere, "gateway"),
  );
}

function side(part, marked, elsewhere, name) {
  if (part === null)
    return el(
      "span",
      { role: "cell", class: "side hollow soft" },
      elsewhere === undefined ? el("span", { class: "unseen" }, "nothing") : `line ${elsewhere.number}`,
    );
  const value = marked ? [marked[0], marked[1] && el("mark", {}, marked[1]), marked[2]] : valueOf(part);
  return el(
    "span",
    { role: "cell", class: part.ghost ? "side ghost" : "side" },
    el("span", { class: "number", "aria-hidden": "true" }, part.number),
    el("span", { class: "side-name soft" }, name),
    el(
      "code",
      { class: part.soft ? "soft" : null },
      part.name !== undefined && [el("span", { class: "name" }, part.name), part.known ? " " : ": "],
      value,
    ),
  );
}

function valueOf(part) {
  return part.name === undefined ? part.text : part.value;
}

customElements.define("pair-view", PairView);
