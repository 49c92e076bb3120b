// The exchanges, the newest first. Only the rows that can be seen are there, so that ten thousand cost no more
// than ten; a row's height depends only on whether it has findings and on the width of the screen.

import { el, faultLabel, fill, levelLabel } from "./dom.js";
import { ORDER, foundLater } from "./findings.js";
import { milliseconds, moment, offset, outcome, titleOf, who } from "./format.js";

const NARROW = matchMedia("(max-width: 720px)");
const ROW = 36;
const ROW_WITH_FINDINGS = 60;
/** Rows above and below what can be seen, so that a quick scroll shows no gap. */
const SPARE = 12;

const COLUMNS = ["#", "Time", "Request", "Status", "Findings", "Client", "ms"];

class ExchangeList extends HTMLElement {
  connectedCallback() {
    this.rows = new Map();
    this.offsets = [0];
    this.shown = [];
    this.fresh = new Set();
    this.canvas = el("div", { class: "canvas", role: "rowgroup" });
    this.box = el(
      "div",
      {
        class: "rows",
        role: "grid",
        tabindex: "0",
        "aria-label": "Exchanges, the newest first",
        "aria-colcount": COLUMNS.length,
        onscroll: () => this.soon(),
      },
      this.header(),
      this.canvas,
    );
    fill(this, this.box);
    NARROW.addEventListener("change", () => this.again());
    new ResizeObserver(() => this.soon()).observe(this.box);
  }

  header() {
    const cells = COLUMNS.map((name, index) =>
      el("span", { role: "columnheader", class: `c${index}` }, name),
    );
    return el(
      "div",
      { role: "rowgroup", class: "header" },
      el("div", { role: "row", class: "row", "aria-rowindex": 1 }, cells),
    );
  }

  /**
   * @param {object} state - Of the page.
   * @param {object[]} shown - The exchanges that the filter lets through, the oldest first.
   * @param {boolean} came - Whether some of them have just come, and are to slide in.
   */
  show(state, shown, came) {
    const { scrollTop } = this.box;
    const before = this.offsets.at(-1);
    const newest = this.shown[0]?.number ?? 0;
    this.state = state;
    this.later = foundLater(state.report);
    this.levels = new Map((state.report?.findings ?? []).map(({ id, level }) => [id, level]));
    this.shown = shown.toReversed();
    if (came)
      for (const { number } of this.shown)
        if (number > newest) this.fresh.add(number);
        else break;
    this.measure();
    // Who has scrolled down goes on reading the same rows.
    if (came && scrollTop > 0) this.box.scrollTop = scrollTop + this.offsets.at(-1) - before;
    this.draw(true);
  }

  again() {
    this.measure();
    this.draw(true);
  }

  measure() {
    const tall = NARROW.matches ? ROW_WITH_FINDINGS : ROW;
    let sum = 0;
    this.offsets = [0];
    for (const exchange of this.shown) {
      const isTall = tall > ROW && (exchange.fault || this.findings(exchange).length > 0);
      sum += isTall ? tall : ROW;
      this.offsets.push(sum);
    }
    this.canvas.style.height = `${sum}px`;
    const digits = String(this.shown[0]?.number ?? 0).length;
    this.box.style.setProperty("--numbers", `${Math.max(30, digits * 9 + 4)}px`);
    this.box.setAttribute("aria-rowcount", this.shown.length + 1);
  }

  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw(false);
    });
  }

  draw(anew) {
    const { scrollTop, clientHeight } = this.box;
    const from = Math.max(0, this.at(scrollTop) - SPARE);
    const to = Math.min(this.shown.length, this.at(scrollTop + clientHeight) + SPARE + 1);
    const wanted = new Map();
    for (let index = from; index < to; index += 1) wanted.set(this.shown[index].number, index);
    for (const [number, row] of this.rows) {
      if (wanted.has(number)) continue;
      row.remove();
      this.rows.delete(number);
    }
    for (const [number, index] of wanted) this.place(number, index, anew);
    this.mark();
  }

  place(number, index, anew) {
    let row = this.rows.get(number);
    if (row === undefined) {
      row = el("div", { role: "row", class: "row", id: `row-${number}`, onclick: () => this.choose(number) });
      this.rows.set(number, row);
      this.canvas.append(row);
      anew = true;
      if (this.fresh.delete(number)) row.classList.add("fresh");
    }
    row.style.top = `${this.offsets[index]}px`;
    row.style.height = `${this.offsets[index + 1] - this.offsets[index]}px`;
    if (anew) this.write(row, this.shown[index], index);
  }

  /** Write the cells of a row, unless they are as they should be. */
  write(row, exchange, index) {
    const { records } = this.state;
    const findings = this.findings(exchange);
    row.setAttribute("aria-rowindex", index + 2);
    const drawn = `${exchange.at} ${exchange.last} ${findings.join()} ${this.levels.size} ${NARROW.matches}`;
    if (row.dataset.drawn === drawn) return;
    row.dataset.drawn = drawn;
    const { status, kind, note } = outcome(exchange);
    const [where, what] = titleOf(exchange);
    const room = (NARROW.matches ? 2 : 1) - (exchange.fault ? 1 : 0);
    const labels = findings.slice(0, room).map((id) => levelLabel(this.levels.get(id) ?? "info", id));
    const more = findings.length - labels.length;
    if (exchange.fault) labels.unshift(faultLabel(exchange));
    const cells = [
      exchange.number,
      el("time", { title: moment(exchange.at) }, offset(exchange.at - records.begun)),
      [where && `${exchange.httpMethod} ${where} `, what && el("b", {}, what)],
      [status, note && el("span", { class: "rpc" }, ` ${note}`)],
      [labels, more > 0 && el("span", { class: "soft more" }, `+${more}`)],
      exchange.client ?? who(exchange),
      exchange.last === undefined
        ? exchange.left === undefined
          ? "open"
          : "left"
        : milliseconds(exchange.last),
    ];
    fill(
      row,
      cells.map((cell, column) =>
        el("span", { role: "gridcell", class: column === 3 ? `c3 ${kind}` : `c${column}` }, cell),
      ),
    );
  }

  findings(exchange) {
    const ids = [...new Set([...(exchange.findings ?? []), ...(this.later?.get(exchange.number) ?? [])])];
    return ids.sort(
      (one, other) => (ORDER[this.levels.get(one)] ?? 3) - (ORDER[this.levels.get(other)] ?? 3),
    );
  }

  mark() {
    for (const [number, row] of this.rows)
      row.setAttribute("aria-selected", String(number === this.state?.selected));
    const active = this.rows.has(this.state?.selected) ? `row-${this.state.selected}` : null;
    if (active) this.box.setAttribute("aria-activedescendant", active);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /** Return the index of the row at a height. */
  at(height) {
    let low = 0;
    let high = this.offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offsets[middle] <= height) low = middle;
      else high = middle - 1;
    }
    return Math.min(low, Math.max(0, this.shown.length - 1));
  }

  choose(number) {
    this.dispatchEvent(new CustomEvent("chosen", { detail: number }));
  }

  /** Choose the row so many below the chosen one; the first or last one at the ends. */
  walk(steps) {
    if (this.shown.length === 0) return;
    const at = this.shown.findIndex(({ number }) => number === this.state.selected);
    const next = at < 0 ? 0 : Math.min(this.shown.length - 1, Math.max(0, at + steps));
    this.choose(this.shown[next].number);
    this.reveal(this.shown[next].number);
  }

  /** Return how many rows a page has. */
  get page() {
    return Math.max(1, Math.floor(this.box.clientHeight / ROW) - 2);
  }

  /** Scroll as far as is needed for a row to be seen. */
  reveal(number) {
    const index = this.shown.findIndex((each) => each.number === number);
    if (index < 0) return;
    const head = this.box.firstElementChild.offsetHeight;
    const { scrollTop, clientHeight } = this.box;
    const [top, bottom] = [this.offsets[index], this.offsets[index + 1] + head];
    if (top < scrollTop) this.box.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.box.scrollTop = bottom - clientHeight;
    this.draw(false);
  }

  focus() {
    this.box.focus({ preventScroll: true });
  }
}

customElements.define("exchange-list", ExchangeList);
