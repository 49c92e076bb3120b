// What is ordered of a trace, what it has hit, and what the client did then.

import { announce } from "./copy-field.js";
import { el, fill } from "./dom.js";
import { clock } from "./format.js";
import { groupsOf, isPending, optionsOf, reachOf, stateWord, summaryOf } from "./orders.js";

const FEW = 4;

class FaultsPanel extends HTMLElement {
  /**
   * @param {object} state - Of the page.
   * @param {import("./faults.js").Faults} does - Disarms them.
   */
  show({ faults, place, records }, does) {
    const orders = faults?.orders ?? [];
    this.hidden = orders.length === 0;
    const drawn = JSON.stringify([orders, this.all, this.error]);
    if (this.hidden || drawn === this.drawn) return;
    this.drawn = drawn;
    this.again = () => this.show({ faults, place, records }, does);
    const held = this.contains(document.activeElement) ? document.activeElement.dataset.held : undefined;
    const newest = groupsOf(orders).toReversed();
    const shown = this.all ? newest : newest.slice(0, FEW);
    const older = newest.length - shown.length;
    const more = { type: "button", class: "bare", onclick: () => this.showAll() };
    fill(
      this,
      this.head(orders, place, does),
      this.error && el("p", { class: "note error", role: "alert" }, this.error),
      el("ol", {}, shown.map(groupRow)),
      older > 0 && el("button", more, `${older} older`),
    );
    if (held) (this.querySelector(`[data-held="${held}"]`) ?? this.querySelector("h2")).focus();
  }

  head(orders, place, faults) {
    const mayDisarm = place.trace && orders.some(isPending);
    const does = { type: "button", data: { held: "disarm" }, onclick: () => this.disarm(faults) };
    return el(
      "div",
      { class: "faults-head" },
      el("h2", { tabindex: "-1" }, "Faults", el("span", { class: "soft" }, ` · ${summaryOf(orders)}`)),
      el("a", { href: "faults.md", data: { held: "report" } }, "Report"),
      mayDisarm && el("button", does, "Disarm all"),
    );
  }

  async disarm(faults) {
    this.error = null;
    try {
      await faults.disarm();
      announce("All faults are disarmed");
    } catch (error) {
      this.error = error.message;
    }
    this.again();
  }

  showAll() {
    this.all = true;
    this.again();
    this.querySelector("h2").focus();
  }
}

/** Return one order, or the orders of a drill. */
function groupRow({ plan, orders }) {
  return el(
    "li",
    { class: "group" },
    plan && el("h3", {}, "Drill ", el("span", { class: "wire" }, plan)),
    el("ol", {}, orders.map(orderRow)),
  );
}

function orderRow(order) {
  const { number, fault, fired, firings, times } = order;
  const about = [
    reachOf(order),
    fired > 0 && times > 1 && `fired ${fired} of ${times}`,
    order.state === "waiting" && "for the one before it",
    order.state === "armed" && order.expires && `until ${order.expires.slice(11, 19)} UTC`,
  ];
  return el(
    "li",
    { class: `order ${order.state}` },
    el("span", { class: "tag" }, stateWord(order)),
    el(
      "div",
      {},
      el(
        "p",
        { class: "order-head" },
        el(
          "span",
          {},
          el("span", { class: "soft" }, `${number}. `),
          el("b", { class: "wire" }, fault),
          " ",
          el("span", { class: "wire" }, optionsOf(order)),
        ),
        el("span", { class: "soft" }, about.filter(Boolean).join(" · ")),
      ),
      firings.length > 0 && el("ul", { class: "firings" }, firings.map(firingRow)),
    ),
  );
}

function firingRow({ at, exchange, outcome, verdict }) {
  const when = clock(Date.parse(at) / 1000);
  return el(
    "li",
    {},
    el(
      "span",
      { class: "soft" },
      exchange ? el("a", { href: `#${exchange}` }, `#${exchange}`) : "–",
      ` ${when}`,
    ),
    outcome && el("span", { class: "tag outcome" }, outcome.replaceAll("-", " ")),
    el("span", { class: "verdict-words" }, verdict ?? "What was hit is not over yet."),
  );
}

customElements.define("faults-panel", FaultsPanel);
