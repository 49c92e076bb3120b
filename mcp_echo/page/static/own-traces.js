// The traces that were made in this browser: kept in its local storage, and nowhere else.

import { read } from "./api.js";
import { el, fill } from "./dom.js";

const KEPT = "mcp-echo-traces";
const MOST = 50;

/** Return the traces that were made here, the newest first. */
export function ownTraces() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each) => /^[\w-]{32}$/.test(each?.trace)) : [];
  } catch {
    return [];
  }
}

/** Keep a trace that was made, and return what is kept of it. */
export function keepOwn({ trace, label, expires, shareUrl = "" }) {
  const others = ownTraces().filter((each) => each.trace !== trace);
  const share = shareUrl.match(/\/v\/([\w-]{32})\//)?.[1];
  const own = { trace, share, label, expires, made: new Date().toISOString() };
  write([own, ...others]);
  return own;
}

/** Keep a trace no more. */
export function forgetOwn(trace) {
  write(ownTraces().filter((each) => each.trace !== trace));
}

function write(traces) {
  localStorage.setItem(KEPT, JSON.stringify(traces.slice(0, MOST)));
}

class OwnTraces extends HTMLElement {
  connectedCallback() {
    this.draw();
  }

  draw() {
    const traces = ownTraces();
    const list = el(
      "ul",
      {},
      traces.map((each) => this.row(each)),
    );
    const none = el("p", { class: "soft" }, "None yet. A trace that you make here is listed here.");
    fill(this, traces.length > 0 ? list : none);
  }

  row(own) {
    const state = el("span", { class: "soft" }, "…");
    const link = el("a", { href: `t/${own.trace}/` }, own.label || "without a label");
    const forget = el(
      "button",
      {
        type: "button",
        class: "bare",
        "aria-label": `Forget ${own.label || "this trace"}`,
        onclick: () => this.forget(own),
      },
      "forget",
    );
    read(`t/${own.trace}/report`).then(
      (report) => fill(state, report.exchanges === 1 ? "1 exchange" : `${report.exchanges} exchanges`),
      (error) => fill(state, error.status === 404 ? "ended" : "not reachable"),
    );
    return el(
      "li",
      {},
      el("div", {}, link, el("time", { class: "soft", datetime: own.made }, madeAt(own.made))),
      state,
      forget,
    );
  }

  forget(own) {
    forgetOwn(own.trace);
    this.draw();
    (this.querySelector("a") ?? document.querySelector("main")).focus();
  }
}

/** Return when a trace was made, for people. */
export function madeAt(text) {
  const time = new Date(text);
  return Number.isNaN(time.valueOf())
    ? ""
    : time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

customElements.define("own-traces", OwnTraces);
