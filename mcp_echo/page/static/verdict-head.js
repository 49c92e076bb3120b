// The verdict, who it is about, the counts, and each finding as a label that leads to it.

import { el, fill, levelLabel } from "./dom.js";
import { ORDER, headline, levelWord } from "./findings.js";
import { clock, counted } from "./format.js";

const STATES = {
  connecting: "connecting",
  live: "live",
  lost: "connection lost, trying again",
  ended: "ended",
  paused: "paused",
};

class VerdictHead extends HTMLElement {
  connectedCallback() {
    this.title_ = el("h1", { id: "verdict", tabindex: "-1" });
    this.about = el("p", { class: "soft about" });
    this.live = el("p", { class: "live" });
    this.labels = el("ul", { class: "labels", "aria-label": "Findings" });
    const verdict = el("div", { class: "verdict", "aria-live": "polite" }, this.title_);
    fill(this, verdict, el("div", { class: "who" }, this.about, this.live), this.labels);
  }

  /** @param {object} state - Of the page. */
  show(state) {
    write(
      this.title_,
      state.live === "ended" && state.report === null ? "This trace has ended." : headline(state.report),
    );
    write(this.about, about(state.report));
    this.showLive(state);
    const findings = state.report?.findings ?? [];
    const drawn = JSON.stringify(findings.map(({ id, count, resolved }) => [id, count, resolved]));
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    fill(
      this.labels,
      findings
        .toSorted((one, other) => ORDER[one.level] - ORDER[other.level])
        .map((finding) => el("li", {}, this.label(finding))),
    );
    this.labels.hidden = findings.length === 0;
  }

  label(finding) {
    const { id, level, count, resolved, evidence = [] } = finding;
    const words = [id, count > 1 ? ` ×${count}` : "", resolved ? " · held since" : ""].join("");
    const last = evidence.at(-1)?.exchange;
    const about = `${levelWord(level)}: ${finding.summary}`;
    return levelLabel(level, words, "button", {
      type: "button",
      title: about,
      "aria-label": `${words}, ${about}`,
      onclick: () => this.dispatchEvent(new CustomEvent("chosen", { detail: last })),
    });
  }

  showLive({ live, paused, waiting, heard }) {
    const name = paused && live !== "ended" ? "paused" : live;
    const words = [
      STATES[name],
      name === "paused" ? waiting > 0 && `${waiting} waiting` : heard && `${clock(heard)} UTC`,
    ];
    this.live.dataset.state = name;
    write(this.live, words.filter(Boolean).join(" · "));
  }
}

function write(element, text) {
  if (element.textContent !== text) fill(element, text);
}

/** Return who it is and how much there is of what: `acme 2.1 · legacy 2025-11-25 · 1 error, 27 rules held`. */
function about(report) {
  if (report === null) return "";
  if (report.exchanges === 0)
    return "Point a client at the address of this trace. Each request is shown here as it comes.";
  const client = [report.client?.name, report.client?.version].filter(Boolean).join(" ");
  const levels = Object.keys(ORDER).map((level) => [
    level,
    report.findings.filter((each) => each.level === level).length,
  ]);
  const counts = levels
    .filter(([, count]) => count > 0)
    .map(([level, count]) => counted(count, levelWord(level)));
  const rules = [...counts, `${counted(report.held, "rule")} held`].join(", ");
  const unrecorded =
    report.unrecorded > 0 && `${report.unrecorded.toLocaleString("en-US")} more only counted`;
  return [
    client || "a client without a name",
    [report.era, report.revision].filter(Boolean).join(" "),
    counted(report.exchanges, "exchange"),
    rules,
    unrecorded,
  ]
    .filter(Boolean)
    .join(" · ");
}

customElements.define("verdict-head", VerdictHead);
