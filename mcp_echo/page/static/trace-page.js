// The page of a trace: puts the parts together, and keeps them at what has come.

import { read, serverUrl } from "./api.js";
import { el, fill } from "./dom.js";
import { askForFault } from "./fault-dialog.js";
import { Faults } from "./faults.js";
import { first } from "./findings.js";
import { filterOf } from "./filter.js";
import { counted } from "./format.js";
import { named } from "./fragment.js";
import { Incoming } from "./incoming.js";
import { Live } from "./live.js";
import { noticeOf, windowTitle } from "./notices.js";
import { listenFor } from "./page-keys.js";
import { layout, partsOf } from "./page-parts.js";
import { Records } from "./records.js";
import { Reports } from "./reports.js";
import { Store } from "./store.js";

class TracePage extends HTMLElement {
  async connectedCallback() {
    const selected = named(location.hash)?.exchange ?? null;
    this.store = new Store({
      place: null,
      report: null,
      records: new Records(),
      filter: "",
      selected,
      picked: selected !== null,
      whole: false,
      live: "connecting",
      why: "",
      paused: false,
      waiting: 0,
      heard: 0,
      dropped: 0,
      leftOut: 0,
      slide: false,
      compare: null,
      faults: null,
    });
    this.faults = new Faults(this.store);
    try {
      this.begin(await read("./"));
    } catch (error) {
      fill(
        this,
        el(
          "main",
          { class: "plain" },
          el("h1", {}, "There is nothing at this address."),
          el("p", { class: "reason" }, error.message),
        ),
      );
    }
  }

  begin(place) {
    this.url = place.mcpPath ? `${serverUrl(place.publicUrl, "../../")}${place.mcpPath}` : null;
    const share = place.sharePath?.slice("v/".length, -1) ?? location.pathname.split("/").at(-2);
    this.store.set({ place: { ...place, share } });
    this.build(place);
    this.store.subscribe((state, changed) => this.draw(state, changed));
    this.reports = new Reports(this.store);
    this.incoming = new Incoming(this.store, () => this.reports.ask());
    this.live = new Live({
      records: (records) => this.incoming.take(records),
      beat: (beat) => this.incoming.beat(beat),
      state: (live, why = "") => this.store.set({ live, why }),
    });
    this.live.start();
    this.reports.ask(0);
    this.faults.read();
    setInterval(() => this.store.touch("clock"), 1000);
    addEventListener("hashchange", () => this.go());
    listenFor(this);
    if (named(location.hash)?.compare !== undefined) this.go();
  }

  build(place) {
    Object.assign(this, partsOf(this));
    fill(this, ...layout(this));
    this.head.fragment = () => this.fragment();
    this.head.arm = () => this.arm();
    this.head.show(place, this.url);
  }

  // What comes.

  togglePause() {
    const paused = !this.store.state.paused;
    fill(this.pause, paused ? "go on" : "pause");
    this.pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      this.incoming.pause();
      return;
    }
    if (this.incoming.goOn()) this.live.restart();
    this.reports.ask(0);
  }

  // What is chosen.

  /** Go where the address says. */
  go() {
    const asked = named(location.hash);
    if (asked?.exchange !== undefined) {
      this.store.set({ compare: null });
      this.choose(asked.exchange, true);
    } else if (asked !== null || location.hash === "") this.store.set({ compare: asked });
  }

  /** Return the end of an address that is passed on: what is shown, and never the id of another trace. */
  fragment() {
    if (this.store.state.compare) return this.compare.fragment;
    return named(location.hash)?.exchange === undefined ? "" : location.hash;
  }

  /** Choose an exchange; with `reveal`, scroll to it. */
  choose(number, reveal = false) {
    if (!this.store.state.records.byNumber.has(number)) return;
    this.store.set({ selected: number, picked: true });
    history.replaceState(null, "", `#${number}`);
    if (!reveal) return;
    if (this.store.state.filter && !this.shown().some((each) => each.number === number)) this.clearFilter();
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        this.list.reveal(number);
        const lit = this.view.querySelector("finding-card") ?? this.view;
        if (matchMedia("(max-width: 960px)").matches) lit.scrollIntoView({ block: "nearest" });
      }),
    );
  }

  whole(whole) {
    const before = document.activeElement;
    this.store.set({ whole });
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        // Who has gone elsewhere in the meantime is not taken back.
        if (![before, document.body].includes(document.activeElement)) return;
        (whole ? this.view.querySelector("button") : this.list)?.focus();
      }),
    );
  }

  clearFilter() {
    this.filter.value = "";
    this.store.set({ filter: "" });
  }

  /** Ask for a fault, and arm it. */
  arm() {
    const { faults, records } = this.store.state;
    askForFault(faults, records.named(), async (wish) => {
      await this.faults.arm(wish);
      requestAnimationFrame(() => this.panel.scrollIntoView({ block: "nearest" }));
    });
  }

  skip(event) {
    event.preventDefault();
    (this.store.state.compare ? this.compare : this.verdict).querySelector("h1").focus();
  }

  escape(event) {
    if (this.store.state.compare) location.hash = "";
    else if (event.target === this.filter) {
      this.clearFilter();
      this.list.focus();
    } else if (this.store.state.whole) this.whole(false);
    else this.list.focus();
  }

  // What is shown.

  shown() {
    const { records, filter, report } = this.store.state;
    const levels = new Map((report?.findings ?? []).map(({ id, level }) => [id, level]));
    const fits = filterOf(filter, levels);
    return fits === null ? records.exchanges : records.exchanges.filter(fits);
  }

  draw(state, changed) {
    const { report, records } = state;
    const isEmpty = report !== null && report.exchanges === 0 && records.exchanges.length === 0;
    this.drawCompare(state, changed);
    this.head.takesFaults = state.faults !== null && state.compare === null;
    this.panel.show(state, this.faults);
    if (changed.has("report")) this.faults.follow(state);
    this.verdict.show(state);
    this.drawNotice(state);
    this.waiting.hidden = !isEmpty;
    this.head.classList.toggle("bare-head", isEmpty);
    this.columns.hidden = isEmpty || report === null;
    if (isEmpty) this.waiting.show(state.place, this.url);
    if (report === null || isEmpty) return;
    this.selectByItself(state);
    this.columns.classList.toggle("whole", state.whole);
    if (["records", "report", "filter", "selected"].some((name) => changed.has(name)))
      this.drawList(state, changed);
    this.flow.show(report, records);
    this.view.show(records.byNumber.get(state.selected) ?? null, state);
    this.streams.show(records, Date.now() / 1000);
    this.drawTitle(state);
  }

  drawList(state, changed) {
    if (changed.has("selected") && changed.size === 2 && changed.has("picked")) {
      this.list.mark();
      return;
    }
    const shown = this.shown();
    const all = state.records.exchanges.length;
    this.list.show(state, shown, state.slide && changed.has("records"));
    state.slide = false;
    fill(
      this.count,
      state.filter
        ? `${shown.length.toLocaleString("en-US")} of ${counted(all, "exchange")}`
        : counted(all, "exchange"),
    );
    fill(
      this.dropped,
      state.dropped > 0 ? `${state.dropped.toLocaleString("en-US")} older dropped` : "none dropped",
    );
  }

  /** Until somebody chooses: show what the verdict is about, or else the newest exchange. */
  selectByItself(state) {
    const { records } = state;
    if (state.picked && records.byNumber.has(state.selected)) return;
    const worst = first(state.report)
      ?.evidence?.map(({ exchange }) => exchange)
      .findLast((number) => records.byNumber.has(number));
    state.selected = worst ?? records.exchanges.at(-1)?.number ?? null;
  }

  drawCompare(state, changed) {
    if (!changed.has("compare")) {
      if (state.compare && changed.has("records")) this.compare.came();
      return;
    }
    const wasOpen = !this.compare.hidden;
    const isOpen = state.compare !== null;
    this.own.hidden = isOpen;
    this.compare.hidden = !isOpen;
    this.compare.show(state.compare, { place: state.place, url: this.url, records: state.records });
    if (isOpen === wasOpen) return;
    scrollTo(0, 0);
    (isOpen ? this.compare.querySelector("h1") : this.list).focus();
  }

  drawNotice(state) {
    const text = noticeOf(state);
    this.notice.hidden = text === "";
    if (this.notice.textContent !== text) fill(this.notice, text);
  }

  drawTitle(state) {
    const title = windowTitle(state);
    if (document.title !== title) document.title = title;
  }
}

customElements.define("trace-page", TracePage);
