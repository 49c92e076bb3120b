// The parts of a trace's page, and where they stand.

import "./compare-view.js";
import "./exchange-list.js";
import "./exchange-view.js";
import "./faults-panel.js";
import "./flow-line.js";
import "./page-head.js";
import "./stream-bars.js";
import "./verdict-head.js";
import "./waiting-state.js";
import { showKeys } from "./dialogs.js";
import { el } from "./dom.js";

/** Return the parts of a page by their names; what is done with them, the page does. */
export function partsOf(page) {
  const flow = card("flow-line", "Flow", { hidden: true, onpicked: () => page.store.touch("report") });
  flow.onchosen = (number) => page.choose(number, true);
  const filter = el("input", {
    type: "search",
    id: "filter",
    "aria-label": "Filter",
    placeholder: "Filter: level:error method:tools/call status:401",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => page.store.set({ filter: filter.value }),
  });
  return {
    head: el("page-head", { class: "top", role: "banner" }),
    verdict: el("verdict-head", { onchosen: ({ detail }) => page.choose(detail, true) }),
    notice: el("p", { class: "note", role: "status", hidden: true }),
    waiting: el("waiting-state"),
    flow,
    panel: card("faults-panel", "Faults", { hidden: true }),
    filter,
    count: el("span", { class: "soft count" }),
    list: el("exchange-list", { onchosen: ({ detail }) => page.choose(detail) }),
    dropped: el("span", {}),
    pause: el("button", { type: "button", class: "bare", onclick: () => page.togglePause() }, "pause"),
    view: card("exchange-view", "Exchange", {
      onopened: () => page.whole(true),
      onclosed: () => page.whole(false),
    }),
    streams: card("stream-bars", "Event streams", { hidden: true }),
    compare: el("compare-view", { hidden: true }),
  };
}

function card(tag, label, given) {
  return el(tag, { class: "card", role: "region", "aria-label": label, ...given });
}

/** Put the parts of a page where they stand, and return what the page has in it. */
export function layout(page) {
  const { verdict, notice, waiting, flow, panel, streams } = page;
  page.columns = el("div", { class: "columns" }, exchanges(page), page.view);
  page.own = el("div", { class: "own" }, verdict, notice, waiting, flow, panel, page.columns, streams);
  const skip = { class: "skip button", href: "#verdict", onclick: (event) => page.skip(event) };
  return [
    el("a", skip, "Skip to the verdict"),
    page.head,
    el("main", { class: "width" }, page.own, page.compare),
  ];
}

function exchanges({ filter, count, list, dropped, pause }) {
  const search = el(
    "div",
    { class: "filter", role: "search" },
    filter,
    el("kbd", { "aria-hidden": "true" }, "/"),
    count,
  );
  const keys = el("button", { type: "button", class: "bare", onclick: showKeys }, "keys");
  const foot = el("div", { class: "foot soft" }, el("span", {}, "newest first"), dropped, pause, keys);
  return el("section", { class: "card exchanges", "aria-label": "Exchanges" }, search, list, foot);
}
