// What a client did as a line of steps; the one that never came is hollow, and the way to it broken.

import { el, fill } from "./dom.js";
import { ORDER, byId } from "./findings.js";
import { offset, times } from "./format.js";
import { tokenOfFlow } from "./token-checks.js";

const WORDS = { missing: "never came", skipped: "not needed", failed: "failed" };
const KINDS = { legacy: "Legacy", modern: "Modern", oauth: "OAuth" };
const STATES = { running: "under way", complete: "complete", stopped: "stopped", failed: "failed" };

class FlowLine extends HTMLElement {
  /** @param {(exchange: number) => void} chosen - Called with the exchange of a step. */
  set onchosen(chosen) {
    this.chosen = chosen;
  }

  /**
   * @param {object} report - Has the flows and the findings.
   * @param {import("./records.js").Records} records - What the exchanges came to.
   */
  show(report, records) {
    const flows = report?.flows ?? [];
    this.hidden = flows.length === 0;
    if (this.hidden) return;
    const drawn = JSON.stringify([flows, this.picked, report.findings.length, records.last]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const index = this.index(flows);
    const held = this.contains(document.activeElement) ? document.activeElement.dataset.step : undefined;
    fill(
      this,
      this.head(flows, index, report),
      this.steps(flows[index], report, records),
      flows[index].verdict && el("p", { class: "soft flow-verdict" }, flows[index].verdict),
      tokenOfFlow(flows[index], records),
    );
    if (held) this.querySelector(`[data-step="${CSS.escape(held)}"]`)?.focus();
  }

  /** Return which flow is shown: the one that was picked, else one that did not get through, else the newest. */
  index(flows) {
    if (this.picked < flows.length) return this.picked;
    const stuck = flows.findLastIndex(({ state }) => state === "stopped" || state === "failed");
    return stuck >= 0 ? stuck : flows.length - 1;
  }

  head(flows, index, report) {
    const flow = flows[index];
    const name = el(
      "h2",
      {},
      `${KINDS[flow.kind] ?? flow.kind} flow`,
      el("span", { class: "soft" }, ` · ${STATES[flow.state] ?? flow.state}${flow.likely ? " · likely" : ""}`),
    );
    if (flows.length < 2) return el("div", { class: "flow-head" }, name);
    const pick = el("select", {
      "aria-label": "Flow",
      onchange: (event) => this.pick(Number(event.target.value), report),
    });
    flows.forEach((each, place) =>
      pick.append(
        el("option", { value: place, selected: place === index }, called(each, place, flows.length)),
      ),
    );
    return el("div", { class: "flow-head" }, name, pick);
  }

  pick(index, report) {
    this.picked = index;
    this.dispatchEvent(new CustomEvent("picked", { detail: report }));
    this.querySelector("select")?.focus();
  }

  steps(flow, report, records) {
    const known = byId(report);
    const begun = Date.parse(flow.begun) / 1000;
    return el(
      "ol",
      { class: "steps" },
      flow.steps.map((step) => this.step(step, { begun, kind: flow.kind }, known, records)),
    );
  }

  step(step, { begun, kind }, known, records) {
    const level = levelOf(step, known, records);
    const open = step.exchanges?.find((number) => records.byNumber.has(number));
    const about = [
      step.at && `${offset(Date.parse(step.at) / 1000 - begun)} s`,
      WORDS[step.state],
      times(step.count),
      status(open, records),
      // The legs of OAuth come from the client, from a browser, or from the client's own server.
      kind === "oauth" && from(open, records),
    ];
    const inner = [
      el("span", { class: "dot", "aria-hidden": "true" }),
      el("span", { class: "step-name" }, step.step),
      el("span", { class: "soft step-about" }, about.filter(Boolean).join(" · ")),
      level && el("span", { class: "unseen" }, `, with a finding (${level})`),
    ];
    const shown =
      open === undefined
        ? el("span", { class: "step" }, inner)
        : el(
            "button",
            { type: "button", class: "step", data: { step: step.step }, onclick: () => this.chosen(open) },
            inner,
          );
    return el("li", { class: [step.state, level].filter(Boolean).join(" ") }, shown);
  }
}

function status(number, records) {
  const exchange = records.byNumber.get(number);
  return exchange?.status >= 400 ? exchange.status : null;
}

function from(number, records) {
  const exchange = records.byNumber.get(number);
  return exchange && records.pseudonym(exchange.address || exchange.peer);
}

/** Return the worst level of the findings of a step's exchanges. */
function levelOf({ exchanges = [] }, known, records) {
  const levels = exchanges
    .flatMap((number) => records.byNumber.get(number)?.findings ?? [])
    .map((id) => known.get(id)?.level)
    .filter((level) => level === "error" || level === "warning");
  return levels.sort((one, other) => ORDER[one] - ORDER[other])[0];
}

function called({ kind, state, client, session }, place, count) {
  const name = [client?.name ?? kind, session?.slice(0, 8)].filter(Boolean).join(" ");
  return `${place + 1} of ${count}: ${name}, ${STATES[state] ?? state}`;
}

customElements.define("flow-line", FlowLine);
