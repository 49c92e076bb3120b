// Two traces, side by side: what the way through a gateway does to requests.

import "./compare-choice.js";
import "./compare-empty.js";
import "./pair-view.js";
import { readText } from "./api.js";
import { Comparing, otherTrace } from "./comparing.js";
import { copyButton } from "./copy-field.js";
import { el, fill, levelLabel, outside } from "./dom.js";
import { counted, titleOf } from "./format.js";
import { counts, headline, source, words } from "./compare-words.js";
import { comparing } from "./fragment.js";
import { differencesOf, wordOf } from "./side-by-side.js";

const ASK = "Compare with another trace";
const ABOUT =
  "Send the same requests to two traces: to this one directly, to the other through your gateway. " +
  "What the way drops, adds, changes, doubles or moves is shown line by line.";

class CompareView extends HTMLElement {
  connectedCallback() {
    this.comparing = new Comparing({
      compared: (comparison) => this.compared(comparison),
      failed: (error) => this.failed(error),
    });
    this.heading = el("h1", { tabindex: "-1" });
    this.about = el("div", { class: "ways" });
    this.body = el("div", { class: "compare-body" });
    fill(this, el("div", { class: "compare-head" }, this.heading, this.about), this.body);
  }

  /**
   * Show a comparison, or ask for the trace to compare with.
   *
   * @param {{compare: string, pair: number|null}|null} asked - What the fragment names; null closes the view.
   * @param {object} page - `place`, `url`, and `records` of this trace.
   */
  async show(asked, page) {
    this.page = page;
    const isOther = asked?.compare !== this.asked?.compare;
    this.asked = asked;
    if (asked === null || asked.compare === "") {
      this.comparing.stop();
      this.other = null;
      if (asked !== null && isOther) this.ask();
    } else if (asked.compare === this.other?.share) {
      this.drawPairs();
      this.reveal();
    } else await this.open(asked);
  }

  async open(asked) {
    fill(this.heading, "Comparing …");
    fill(this.about);
    fill(this.body);
    try {
      const other = await otherTrace({ kind: null, key: asked.compare });
      if (asked !== this.asked) return;
      this.other = other;
      this.comparison = null;
      // An id opens a trace; what stands in the address, and may be passed on, is the key that only reads.
      if (other.share !== asked.compare) {
        history.replaceState(null, "", comparing(other.share, asked.pair));
        this.asked = { ...asked, compare: other.share };
      }
      this.comparing.start(other.share);
    } catch (error) {
      if (asked === this.asked) this.failed(error);
    }
  }

  /** Something has come to this trace. */
  came() {
    if (this.comparison && this.other) this.drawPairs();
    this.comparing.ask();
  }

  /** The end of the address of what is shown, by a key that only reads. */
  get fragment() {
    return comparing(this.other?.share, this.other ? this.asked.pair : null);
  }

  ask(message = null) {
    const choice = el("compare-choice");
    fill(this.heading, ASK);
    fill(this.about, el("p", { class: "soft" }, ABOUT), el("div", { class: "choices" }, this.back()));
    fill(this.body, choice);
    choice.show(this.page.place);
    if (message !== null) choice.say(message);
  }

  failed(error) {
    if (error.status === undefined && this.comparison) return;
    this.other = null;
    this.ask(error.message.replace(/^[\w ]+: /, (prefix) => (prefix === "Not found: " ? "" : prefix)));
  }

  compared(comparison) {
    const isFirst = !this.comparison;
    this.comparison = comparison;
    fill(this.heading, headline(comparison));
    fill(this.about, ...this.ways());
    if (comparison.compared === 0) {
      this.drawEmpty(comparison);
      return;
    }
    if (isFirst || !this.list?.isConnected) this.build();
    this.draw();
  }

  drawEmpty(comparison) {
    if (this.empty?.isConnected !== true) {
      this.empty = el("compare-empty");
      fill(this.body, this.empty);
      this.empty.show(this.page, this.other);
    }
    this.empty.count(comparison);
  }

  // Which traces, and what can be done.

  ways() {
    const { place } = this.page;
    const { compared, differences } = this.comparison;
    const open = `../../${this.other.trace ? `t/${this.other.trace}` : `v/${this.other.share}`}/`;
    return [
      el(
        "p",
        { class: "soft" },
        "Directly: ",
        el("b", {}, place.label || "this trace"),
        el("span", { class: "way" }, "through the gateway: "),
        el("a", { href: open }, this.other.label || "the other trace"),
        differences.length > 0 && ` · ${counts(differences)}`,
      ),
      el(
        "div",
        { class: "choices" },
        el("a", { class: "button", href: `${open}${comparing(place.share)}` }, "Swap"),
        el("a", { class: "button", href: "#compare" }, "Another trace"),
        compared > 0 &&
          copyButton(() => readText(`compare?with=${this.other.share}&format=text`), "Copy as text"),
        this.back(),
      ),
    ];
  }

  back() {
    return el("a", { class: "button", href: "#" }, "Back to the trace");
  }

  // What differs.

  build() {
    this.differences = el("ol", { class: "card differences", "aria-label": "What the way changes" });
    this.list = el("ol", { class: "pairs", "aria-label": "Requests" });
    this.pair = el("pair-view");
    this.alone = el("div", { class: "soft alone" });
    const requests = el(
      "section",
      { class: "card requests", "aria-label": "Requests" },
      this.list,
      this.alone,
    );
    const shown = el(
      "section",
      { class: "card", role: "region", "aria-label": "Request, side by side" },
      this.pair,
    );
    fill(this.body, this.differences, el("div", { class: "compared" }, requests, shown));
  }

  draw() {
    const { differences, cut, onlyDirect, onlyVia } = this.comparison;
    this.differences.hidden = differences.length === 0;
    fill(
      this.differences,
      differences.map((each) => this.difference(each)),
      cut > 0 && el("li", { class: "soft" }, `${counted(cut, "more difference")} not named here.`),
    );
    fill(
      this.alone,
      onlyDirect.length > 0 && el("p", {}, "Came directly alone: ", numbers(onlyDirect, "")),
      onlyVia.length > 0 &&
        el("p", {}, "Came through the gateway alone: ", numbers(onlyVia, `../../v/${this.other.share}/`)),
    );
    this.drawPairs();
  }

  difference(each) {
    const [{ direct }] = each.evidence;
    return el(
      "li",
      { class: each.level },
      levelLabel(each.level, wordOf(each.id)),
      el(
        "div",
        {},
        el("p", {}, each.summary),
        el("p", { class: "soft" }, each.advice, " ", outside(each.url, source(each))),
      ),
      el("a", { href: comparing(this.other.share, direct) }, counted(each.count, "request")),
    );
  }

  drawPairs() {
    if (!this.comparison?.compared) return;
    const { pairs } = this.comparison;
    const chosen = this.chosen();
    const held = this.list.contains(document.activeElement) && document.activeElement.getAttribute("href");
    fill(
      this.list,
      pairs.map((pair) => el("li", {}, this.row(pair, pair === chosen))),
      this.comparison.compared > pairs.length &&
        el(
          "li",
          { class: "soft" },
          `${counted(this.comparison.compared - pairs.length, "more request")} not listed.`,
        ),
    );
    if (held) this.list.querySelector(`[href="${held}"]`)?.focus();
    this.drawPair(chosen);
  }

  row(pair, isChosen) {
    const found = differencesOf(pair, this.comparison);
    const exchange = this.page.records.byNumber.get(pair.direct);
    const title = exchange ? titleOf(exchange).filter(Boolean).join(" ") : `exchange ${pair.direct}`;
    return el(
      "a",
      { href: comparing(this.other.share, pair.direct), "aria-current": isChosen ? "true" : null },
      el("span", { class: "soft" }, pair.label === undefined ? "–" : pair.label),
      el("span", { class: "wire" }, title),
      found.length > 0
        ? levelLabel(found[0].level, words(found))
        : el("span", { class: "soft same" }, "arrived as it was sent"),
    );
  }

  /** Return the pair that the address names, or else the first with the worst difference. */
  chosen() {
    const { pairs, differences } = this.comparison;
    const worst = differences[0]?.evidence[0].direct;
    return (
      pairs.find(({ direct }) => direct === this.asked.pair) ??
      pairs.find(({ direct }) => direct === worst) ??
      pairs[0]
    );
  }

  async drawPair(pair) {
    const { pair: shown, comparison, other, page } = this;
    const direct = page.records.byNumber.get(pair.direct);
    const via = await this.comparing.exchange(pair.via).catch(() => undefined);
    if (other !== this.other || comparison !== this.comparison || pair !== this.chosen()) return;
    shown.show(pair, differencesOf(pair, comparison), { direct, via, path: `../../v/${other.share}/` });
  }

  /** Scroll to the lines of the chosen request, where they are out of sight. */
  reveal() {
    const card = this.pair?.parentElement;
    const { top, bottom } = card?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
    if (top > innerHeight * 0.6 || bottom < innerHeight * 0.2) card.scrollIntoView({ block: "start" });
  }

  /** Choose the request so many below the chosen one. */
  walk(steps) {
    if (!this.comparison?.compared || !this.other) return;
    const { pairs } = this.comparison;
    const next = pairs[Math.min(pairs.length - 1, Math.max(0, pairs.indexOf(this.chosen()) + steps))];
    location.replace(comparing(this.other.share, next.direct));
  }
}

function numbers(every, before) {
  const shown = every.slice(0, 20);
  const links = shown.map((number) => [el("a", { href: `${before}#${number}` }, `#${number}`), " "]);
  return [links, every.length > shown.length && `and ${every.length - shown.length} more`];
}

customElements.define("compare-view", CompareView);
