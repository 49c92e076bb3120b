// What the server says of two traces, kept at what has come to both.

import { read } from "./api.js";
import { ownTraces } from "./own-traces.js";

const EVERY_MS = 5000;
/** As long as nothing can be compared, somebody waits for it. */
const OFTEN_MS = 2000;
const SOON_MS = 400;

/**
 * Return what is known of the trace to compare with: `{share, label, trace}`, where the id is there for traces that
 * were made in this browser.
 *
 * @param {{kind: "t"|"v"|null, key: string}} asked - As `traceIn` returns it.
 */
export async function otherTrace({ kind, key }) {
  const own = ownTraces().find(({ trace, share }) => trace === key || share === key);
  const first = kind ?? (own?.trace === key ? "t" : "v");
  try {
    return known(first, key, await read(`../../${first}/${key}/`), own);
  } catch (error) {
    if (kind !== null || own || error.status !== 404) throw error;
    return known("t", key, await read(`../../t/${key}/`), own);
  }
}

function known(kind, key, place, own) {
  const share = kind === "v" ? key : place.sharePath.match(/[\w-]{32}/)[0];
  return { share, label: place.label ?? own?.label ?? "", trace: kind === "t" ? key : (own?.trace ?? null) };
}

export class Comparing {
  /**
   * @param {object} told
   * @param {(comparison: object) => void} told.compared - Whenever there is another one.
   * @param {(error: Error) => void} told.failed
   */
  constructor(told) {
    this.told = told;
    this.timer = 0;
    this.stop();
  }

  /** Compare with a trace, from now on. */
  start(share) {
    this.stop();
    this.share = share;
    this.read();
  }

  stop() {
    clearTimeout(this.timer);
    this.share = null;
    this.drawn = "";
    this.behind = new Map();
  }

  /** Compare again soon: something has come. */
  ask(after = SOON_MS) {
    clearTimeout(this.timer);
    if (this.share !== null) this.timer = setTimeout(() => this.read(), after);
  }

  async read() {
    const { share } = this;
    let again = EVERY_MS;
    try {
      const comparison = await read(`compare?with=${share}`);
      if (share !== this.share) return;
      const drawn = JSON.stringify(comparison);
      if (drawn !== this.drawn) this.told.compared(comparison);
      this.drawn = drawn;
      if (comparison.compared === 0) again = OFTEN_MS;
    } catch (error) {
      if (share !== this.share) return;
      this.told.failed(error);
      if (error.status === 404) return;
    }
    this.ask(again);
  }

  /** Return an exchange of the other trace; undefined where it keeps it no more. */
  async exchange(number) {
    if (!this.behind.has(number)) {
      const { exchanges } = await read(`../../v/${this.share}/exchanges?after=${number - 1}`);
      exchanges.forEach((each) => this.behind.set(each.number, each));
    }
    return this.behind.get(number);
  }
}
