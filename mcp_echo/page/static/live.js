// Follows the events of a trace, and says how that goes: live, lost and trying again, or ended.

import { read } from "./api.js";

const KINDS = ["exchange", "stream", "session", "sent", "node", "probe"];
const AGAIN_MS = 5000;

export class Live {
  /**
   * @param {object} told
   * @param {(records: {kind: string, record: object}[]) => void} told.records - At most once a frame.
   * @param {(beat: object) => void} told.beat
   * @param {(state: "connecting"|"live"|"lost"|"ended", why?: string) => void} told.state
   */
  constructor(told) {
    this.told = told;
    this.came = [];
    this.timer = 0;
  }

  start() {
    this.told.state("connecting");
    this.source = new EventSource("events");
    this.source.onopen = () => this.told.state("live");
    this.source.onerror = () => this.failed();
    for (const kind of KINDS) this.source.addEventListener(kind, ({ data }) => this.take(kind, data));
    this.source.addEventListener("beat", ({ data }) => {
      this.flush();
      this.told.beat(JSON.parse(data));
    });
    this.source.addEventListener("end", () =>
      this.end("It was deleted, its time was over, or it made room for others."),
    );
  }

  /** Begin anew, with all that the server has. */
  restart() {
    this.source.close();
    this.start();
  }

  take(kind, data) {
    this.came.push({ kind, record: JSON.parse(data) });
    // A backfill brings thousands at once: they are passed on together.
    this.timer ||= setTimeout(() => this.flush(), 30);
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = 0;
    const came = this.came;
    this.came = [];
    if (came.length > 0) this.told.records(came);
  }

  async failed() {
    this.told.state("lost");
    // The browser tries again by itself after a connection that broke; not after an answer that is an error.
    if (this.source.readyState !== EventSource.CLOSED) return;
    try {
      await read("report");
    } catch (error) {
      if (error.status === 404) {
        this.end(error.message.replace(/^Not found: /, ""));
        return;
      }
    }
    setTimeout(() => this.start(), AGAIN_MS);
  }

  end(why) {
    this.flush();
    this.source.close();
    this.told.state("ended", why);
  }
}
