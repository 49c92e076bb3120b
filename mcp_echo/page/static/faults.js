// The orders of a trace: read while there may be more to tell of them, armed and disarmed.

import { change, read } from "./api.js";
import { isOpen } from "./orders.js";

const SELDOM_MS = 30000;

export class Faults {
  /** @param {import("./store.js").Store} store - Its `faults` are null where the server takes no orders. */
  constructor(store) {
    this.store = store;
    this.asked = 0;
    this.reading = false;
  }

  /** Read the orders; where that is not possible, leave them as they are. */
  async read() {
    if (this.reading) return;
    this.reading = true;
    this.asked = performance.now();
    try {
      this.store.set({ faults: await read("faults") });
    } catch (error) {
      if (error.status === 404 && this.store.state.faults === null) this.asked = Infinity;
    }
    this.reading = false;
  }

  /** Read them again, where something may have come of them since. */
  follow({ faults, records }) {
    if (this.asked === Infinity) return;
    const hit = records.exchanges.at(-1)?.order;
    const isNew = hit !== undefined && !faults?.orders.some(({ number }) => number === hit);
    const isDue = performance.now() - this.asked > SELDOM_MS;
    if (isNew || isDue || faults?.orders.some(isOpen)) this.read();
  }

  /** Arm an order, or a plan: `{plan}`. */
  async arm(wish) {
    await change("POST", "faults", wish);
    await this.read();
  }

  /** Disarm all. */
  async disarm() {
    await change("DELETE", "faults");
    await this.read();
  }
}
