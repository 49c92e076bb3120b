// Keeps the report at what has come: soon after something came, and from time to time for what never comes.

import { read } from "./api.js";

const SOON_MS = 200;
/** What never comes is found when its deadline is over. */
const EVERY_MS = 5000;
const SELDOM_MS = 60000;
const QUIET_SECONDS = 200;

export class Reports {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.timer = 0;
    this.asking = false;
    this.again = false;
  }

  /** Ask soon: once for whatever comes meanwhile, and never twice at a time. */
  ask(after = SOON_MS) {
    if (this.asking) {
      this.again = true;
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), after);
  }

  async read() {
    const { state } = this.store;
    if (state.paused || state.live === "ended") return;
    this.asking = true;
    this.again = false;
    try {
      this.store.set({ report: await read("report") });
    } catch {
      // The stream of events says what is the matter.
    }
    this.asking = false;
    const quiet = Date.now() / 1000 - (state.records.exchanges.at(-1)?.at ?? 0) > QUIET_SECONDS;
    if (this.again) this.ask();
    else this.ask(quiet ? SELDOM_MS : EVERY_MS);
  }
}
