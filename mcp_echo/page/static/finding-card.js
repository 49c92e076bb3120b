// One finding: what is wrong, found and wanted with the difference marked, what to do, and where to read it.

import { comparison } from "./comparison.js";
import { el, fill, levelLabel, outside } from "./dom.js";
import { times } from "./format.js";

class FindingCard extends HTMLElement {
  /**
   * @param {object} finding - As in a report.
   * @param {number} exchange - The number of the exchange that it is shown at.
   */
  show(finding, exchange) {
    const { id, level, confidence, summary, advice, rule = {}, resolved, evidence = [] } = finding;
    const own = evidence.filter((each) => each.exchange === exchange).at(-1) ?? evidence.at(-1);
    this.className = level;
    fill(
      this,
      el(
        "div",
        { class: "finding-head" },
        levelLabel(level, id, "h3"),
        often(finding),
        resolved && levelLabel("held", "held since"),
        confidence === "likely" && el("span", { class: "soft" }, "likely"),
      ),
      el("p", {}, summary),
      own && comparison(own),
      advice && el("p", {}, advice),
      source(rule),
    );
  }
}

function often({ count, first, last }) {
  if (!(count > 1)) return null;
  return el("span", { class: "soft", title: `${first} to ${last}` }, times(count));
}

function source({ title, url, keyword }) {
  if (!title && !url) return null;
  const words = keyword ? `${title} (${keyword})` : title;
  return el("p", {}, url ? outside(url, words) : words);
}

customElements.define("finding-card", FindingCard);
