// Event streams as bars over time, with what happened on them.

import { el, fill } from "./dom.js";
import { clock, span } from "./format.js";

const FEW = 6;
const MOST_MARKS = 200;
const WORDS = {
  open: "opened",
  resume: "resumed",
  stalled: "stalled",
  "hang-up": "closed by the server, to be taken up again",
  close: "closed",
};
const ENDS = {
  ended: "it had ended",
  left: "the client left",
  "hang-up": "the server asked the client back",
  replaced: "another connection took over",
  stopping: "the server stops",
  "token-expired": "its access token had expired",
  "token-revoked": "its access token is taken no more",
};

/** Return the streams, the newest first: each with its connections, and what was sent in its session. */
export function streamsOf(records) {
  const streams = new Map();
  for (const record of records.streams) {
    const key = `${record.session ?? ""} ${record.tag ?? ""}`;
    if (!streams.has(key))
      streams.set(key, { session: record.session, tag: record.tag ?? "", parts: [], marks: [] });
    take(streams.get(key), record);
  }
  for (const sent of records.sent) {
    const carrier = carrierOf(sent, [...streams.values()]);
    if (carrier && carrier.marks.length < MOST_MARKS)
      carrier.marks.push({ at: sent.at, kind: "sent", words: `${sent.kind} ${sent.method}: ${sent.state}` });
  }
  return [...streams.values()].reverse().sort((one, other) => listens(other) - listens(one));
}

/** Return the stream of its session that was open when something was sent. */
function carrierOf({ session, at }, streams) {
  const own = streams.filter((each) => each.session === session);
  return (
    own.findLast(({ parts }) => parts.some(({ from, to }) => from <= at && (to === null || at <= to))) ??
    own.find(listens)
  );
}

/** Return whether it is the stream of a GET, and not that of an answer. */
function listens({ tag }) {
  return tag === "" || tag.startsWith("g");
}

function take(stream, record) {
  const words = [
    WORDS[record.kind] ?? record.kind,
    ENDS[record.why],
    record.seconds !== undefined && `after ${span(record.seconds)}`,
    record.waiting > 0 && `${record.waiting} bytes wait`,
  ];
  stream.marks.push({ at: record.at, kind: record.kind, words: words.filter(Boolean).join(", ") });
  const open = stream.parts.at(-1);
  if (record.kind === "open" || record.kind === "resume") stream.parts.push({ from: record.at, to: null });
  else if (record.kind === "close" && open?.to === null) open.to = record.at;
  else if (record.kind === "close")
    stream.parts.push({ from: record.at - (record.seconds ?? 0), to: record.at });
}

class StreamBars extends HTMLElement {
  /**
   * @param {import("./records.js").Records} records
   * @param {number} now - Seconds of the server's clock: how far open streams reach.
   */
  show(records, now) {
    const streams = streamsOf(records).filter(({ parts }) => parts.length > 0);
    this.hidden = streams.length === 0;
    if (this.hidden) return;
    const drawn = `${records.streams.at(-1)?.number} ${records.sent.at(-1)?.number} ${streams.some(isOpen) ? Math.floor(now) : 0}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const from = Math.min(...streams.map(({ parts }) => parts[0].from));
    const to = Math.max(
      from + 1,
      ...streams.flatMap(({ parts, marks }) => [
        ...parts.map((part) => part.to ?? now),
        ...marks.map(({ at }) => at),
      ]),
    );
    const some = this.all ? streams : streams.slice(0, FEW);
    const more = streams.length - some.length;
    const wasOpen = this.querySelector("details[open]") !== null;
    fill(
      this,
      el(
        "div",
        { class: "stream-head" },
        el("h2", {}, "Event streams"),
        el("span", { class: "soft" }, `${clock(from)} to ${clock(to)}`),
      ),
      el(
        "ol",
        {},
        some.map((stream) => bar(stream, from, to, now)),
      ),
      more > 0 &&
        el(
          "button",
          { type: "button", class: "bare", onclick: () => this.showAll(records, now) },
          `${more} older`,
        ),
      el(
        "details",
        { open: wasOpen },
        el("summary", {}, "What happened, in words"),
        el("ol", { class: "soft said" }, said(some)),
      ),
    );
  }

  showAll(records, now) {
    this.all = true;
    this.drawn = null;
    this.show(records, now);
    this.querySelector("summary").focus();
  }
}

function isOpen({ parts }) {
  return parts.at(-1).to === null;
}

function bar({ session, tag, parts, marks }, from, to, now) {
  const place = (at) => `${(((at - from) / (to - from)) * 100).toFixed(2)}%`;
  const track = el("div", { class: "track", "aria-hidden": "true" });
  for (const part of parts) {
    const piece = el("span", { class: part.to === null ? "part open" : "part" });
    piece.style.left = place(part.from);
    piece.style.width = place(from + ((part.to ?? Math.max(now, part.from)) - part.from));
    track.append(piece);
  }
  for (const mark of marks) {
    const sign = el("span", { class: `tick ${mark.kind}`, title: `${clock(mark.at, true)} ${mark.words}` });
    sign.style.left = place(mark.at);
    track.append(sign);
  }
  const lasted = parts.reduce((sum, part) => sum + (part.to ?? Math.max(now, part.from)) - part.from, 0);
  const state = isOpen({ parts }) ? "open" : "closed";
  return el(
    "li",
    {},
    el("span", { class: "wire stream-name" }, name({ session, tag })),
    track,
    el("span", { class: "soft" }, `${span(lasted)}, ${state}`),
  );
}

function name(stream) {
  return [listens(stream) ? "GET" : "POST", stream.session?.slice(0, 8)].filter(Boolean).join(" ");
}

function said(streams) {
  const every = streams.flatMap((stream) => stream.marks.map((mark) => ({ ...mark, of: name(stream) })));
  return every
    .sort((one, other) => one.at - other.at)
    .slice(-MOST_MARKS)
    .map(({ at, words, of }) => el("li", {}, `${clock(at, true)} ${of}: ${words}`));
}

customElements.define("stream-bars", StreamBars);
