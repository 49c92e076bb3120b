// One exchange, whole: request and answer in wire order, timing, and a command that sends it again.

import "./finding-card.js";
import { readText } from "./api.js";
import { copyButton } from "./copy-field.js";
import { el, faultLabel, fill } from "./dom.js";
import { findingsOf } from "./findings.js";
import { bytes, clock, outcome, span } from "./format.js";
import { hitOf } from "./orders.js";
import { absent, answerLines, bodyNote, placeOf, requestLines } from "./lines.js";
import { tabbed } from "./tabs.js";
import { timing } from "./timing.js";
import { tokenView } from "./token-checks.js";

class ExchangeView extends HTMLElement {
  connectedCallback() {
    this.tab = 0;
  }

  /**
   * @param {object|null} exchange - The record; null for none.
   * @param {object} state - Of the page.
   */
  show(exchange, state) {
    const drawn =
      exchange &&
      JSON.stringify([
        exchange.number,
        exchange.last,
        findingsOf(exchange, state.report),
        state.whole,
        hitOf(exchange, state.faults)?.firing,
      ]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.hidden = exchange === null;
    if (exchange === null) return;
    this.exchange = exchange;
    const held =
      this.contains(document.activeElement) && document.activeElement.getAttribute("role") === "tab";
    const views = this.views(exchange, state);
    const shown = state.whole ? whole(views) : this.tabs(views);
    fill(this, this.head(exchange, state), shown);
    if (held) this.querySelector('[role="tab"][aria-selected="true"]')?.focus();
  }

  tabs(views) {
    const { row, panel } = tabbed("Exchange", views, this.tab, (index) => {
      this.tab = index;
    });
    panel.className = "panel";
    return [row, panel];
  }

  head(exchange, state) {
    const { number, at, connection, address, peer, proxied, joined, last, httpMethod, path } = exchange;
    const { status } = outcome(exchange);
    const from = state.records.pseudonym(address || peer);
    const about = [
      `#${number}`,
      clock(at, true),
      `connection ${connection ?? "?"}`,
      proxied ? `${from} by a proxy` : from,
      last !== undefined && span(last),
      joined !== undefined && `likely of this trace, by its ${joined}`,
    ];
    const close =
      state.whole &&
      el(
        "button",
        { type: "button", class: "bare", onclick: () => this.dispatchEvent(new CustomEvent("closed")) },
        "Back to the list",
      );
    const open =
      !state.whole &&
      el(
        "button",
        {
          type: "button",
          class: "bare wide-only",
          onclick: () => this.dispatchEvent(new CustomEvent("opened")),
        },
        "Side by side",
      );
    return el(
      "div",
      { class: "exchange-head" },
      el("h2", { class: "wire" }, `${httpMethod} ${path} → ${status}`),
      el("p", { class: "soft" }, about.filter(Boolean).join(" · ")),
      exchange.fault && hit(exchange, state.faults),
      open,
      close,
    );
  }

  views(exchange, state) {
    return [
      { name: "Request", show: () => [request(exchange, state)] },
      { name: "Answer", show: () => [answer(exchange)] },
      { name: "Timing", show: () => [timing(exchange, state)] },
      { name: "curl", show: () => [command(exchange, state)] },
      ...tokenView(exchange, state),
    ];
  }
}

/** Return by which fault an exchange was hit, and what the client did then. */
function hit(exchange, faults) {
  const known = hitOf(exchange, faults);
  return el(
    "div",
    { class: "hit" },
    faultLabel(
      exchange,
      `fault ${exchange.fault}${exchange.order === undefined ? "" : ` · order ${exchange.order}`}`,
    ),
    known?.firing.verdict && el("span", {}, known.firing.verdict),
  );
}

/** Return all views beside each other. */
function whole(views) {
  return el(
    "div",
    { class: "panels" },
    views.map(({ name, show }) => el("section", { "aria-label": name }, el("h3", {}, name), show())),
  );
}

function request(exchange, state) {
  const lines = requestLines(exchange);
  const findings = findingsOf(exchange, state.report);
  const placed = findings.map((finding) => ({ finding, at: placeOf(finding, exchange, lines) }));
  const rows = lines.map((line, index) => {
    const about = placed.filter(({ at }) => at === index).map(({ finding }) => finding);
    return [
      lineOf(line, line.known ? "" : index + 1, about[0]),
      ...about.map((finding) => card(finding, exchange)),
    ];
  });
  // What is known of a body that was not recorded stands below the word that it was not.
  const known = lines.filter((line) => line.known).length;
  rows.splice(rows.length - known, 0, el("p", { class: "soft aside" }, bodyNote(exchange), known > 0 && ":"));
  const ghosts = placed
    .filter(({ at }) => at === "absent")
    .flatMap(({ finding }) => [ghost(finding), card(finding, exchange)]);
  const others = placed.filter(({ at }) => at === null).map(({ finding }) => card(finding, exchange));
  return el("div", { class: "lines" }, rows, ghosts, others);
}

function answer(exchange) {
  if (exchange.status === undefined)
    return el(
      "p",
      { class: "soft aside" },
      exchange.left === undefined
        ? "Nothing has been answered."
        : `The client had left after ${span(exchange.left)}; nothing was answered.`,
    );
  const rows = answerLines(exchange).map((line, index) => lineOf(line, index + 1));
  const sent = exchange.streamed
    ? `an event stream, ${bytes(exchange.sent ?? 0)}${exchange.last === undefined ? " so far" : ""}`
    : exchange.sent
      ? `${bytes(exchange.sent)} of body`
      : "no body";
  const errors = (exchange.messages ?? []).filter(({ error }) => error !== undefined);
  return el(
    "div",
    { class: "lines" },
    rows,
    el(
      "p",
      { class: "soft aside" },
      [sent, exchange.first !== undefined && `the first after ${span(exchange.first)}`]
        .filter(Boolean)
        .join(", "),
    ),
    exchange.reason && el("p", { class: "aside" }, exchange.reason),
    errors.map(({ error, result, method }) =>
      el(
        "p",
        { class: "aside" },
        `${method ?? "A message"} got the JSON-RPC error `,
        el("code", {}, error),
        result?.message && `: ${result.message}`,
      ),
    ),
  );
}

function lineOf(line, number, finding) {
  const text =
    line.name === undefined
      ? line.text
      : [el("span", { class: "name" }, line.name), line.known ? " " : ": ", line.value];
  const classes = ["line", line.known && "known", finding && `lit ${finding.level}`]
    .filter(Boolean)
    .join(" ");
  return el(
    "div",
    { class: classes },
    el("span", { class: "number", "aria-hidden": "true" }, number),
    el("code", {}, text),
  );
}

function ghost(finding) {
  return el(
    "div",
    { class: `line ghost ${finding.level}` },
    el("span", { class: "number", "aria-hidden": "true" }, "–"),
    el("code", {}, absent(finding)),
    el("span", { class: "soft" }, "never came"),
  );
}

function card(finding, exchange) {
  const shown = el("finding-card");
  shown.show(finding, exchange.number);
  return shown;
}

/** Return the command; what is not recorded is a variable of the shell. */
function command(exchange, { place }) {
  const box = el("pre", { class: "command" }, "…");
  const button = copyButton(() => box.textContent, "Copy", { class: "bare" });
  const body = el(
    "p",
    { class: "soft", hidden: true },
    `The body was not recorded: put one into the file body-${exchange.number}.`,
  );
  readText(`curl?exchange=${exchange.number}`).then(
    (text) => {
      fill(box, variables(text, place), text);
      body.hidden = !text.includes("--data-binary @body-");
    },
    (error) => fill(box, error.message),
  );
  return el(
    "div",
    { class: "resend" },
    el("div", { class: "snippet-head" }, "for bash or zsh", button),
    box,
    body,
  );
}

/** Return assignments for the variables of a command; those that the page knows have their values. */
function variables(text, { trace, publicUrl }) {
  const known = { SERVER: publicUrl ?? location.origin, TRACE: trace, SESSION: null, TOKEN: null };
  const used = Object.entries(known).filter(([name]) => text.includes(`"$${name}"`));
  return (
    used.map(([name, value]) => `${name}=${value === null ? "…" : `'${value}'`}`).join(" ") +
    (used.length > 0 ? "\n" : "")
  );
}

customElements.define("exchange-view", ExchangeView);
