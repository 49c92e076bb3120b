// What comes goes into the store; while the page is paused it waits.

import { Records } from "./records.js";

const MOST_WAITING = 2000;
/** What was there when the page was opened does not slide in, nor does a crowd. */
const SETTLED_MS = 1500;
const MOST_SLIDING = 50;

export class Incoming {
  /**
   * @param {import("./store.js").Store} store
   * @param {() => void} came - Called when records have been taken.
   */
  constructor(store, came) {
    this.store = store;
    this.came = came;
    this.held = [];
    this.waited = 0;
  }

  /** Take records, or hold them. */
  take(records) {
    const { state } = this.store;
    this.store.set({ heard: Date.now() / 1000 });
    if (state.paused) {
      this.waited += records.length;
      // Beyond that nothing is kept here: the server has them, and is asked again for all of them.
      this.held = this.waited > MOST_WAITING ? [] : [...this.held, ...records];
      this.store.set({ waiting: this.waited });
      return;
    }
    state.records.add(records);
    const slide = performance.now() > SETTLED_MS && records.length < MOST_SLIDING;
    this.store.set({ slide: state.slide || slide });
    this.store.touch("records");
    this.came();
  }

  /** Let go of what the server has let go of. */
  beat({ dropped, leftOut, oldest, newest }) {
    const { state } = this.store;
    this.store.set({ dropped, leftOut, heard: Date.now() / 1000 });
    // The server has begun anew, and so have the numbers.
    if (newest < state.records.last) {
      this.store.set({ records: new Records(), selected: null, picked: false });
    }
    if (!state.paused && oldest > 0 && state.records.dropBefore(oldest) > 0) this.store.touch("records");
  }

  /** Hold what comes from now on. */
  pause() {
    this.store.set({ paused: true, waiting: 0 });
  }

  /** Take what was held; return whether it was so much that the server has to be asked for it. */
  goOn() {
    this.store.set({ paused: false, waiting: 0 });
    const { held, waited } = this;
    this.held = [];
    this.waited = 0;
    if (held.length > 0) this.take(held);
    return waited > MOST_WAITING;
  }
}
