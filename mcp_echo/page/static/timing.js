// When the parts of an exchange came, and what is known of it beside its lines.

import { el } from "./dom.js";
import { bytes, moment, span, who } from "./format.js";

/** Return a bar from the arrival to the last byte, and the facts. */
export function timing(exchange, { records }) {
  const { first, last, left } = exchange;
  const end = last ?? left ?? first;
  return el(
    "div",
    { class: "timing" },
    end > 0 && bar(first ?? end, end, last === undefined),
    el("dl", { class: "facts" }, facts(exchange, records)),
  );
}

function bar(first, end, isOpen) {
  const waiting = el("span", { class: "waiting" });
  waiting.style.width = `${Math.max(1, (first / end) * 100).toFixed(1)}%`;
  const sending = el("span", { class: isOpen ? "sending open" : "sending" });
  return el(
    "figure",
    { class: "duration" },
    el("div", { "aria-hidden": "true" }, waiting, sending),
    el(
      "figcaption",
      { class: "soft" },
      el("span", {}, `first byte ${span(first)}`),
      el("span", {}, isOpen ? "not over" : `last byte ${span(end)}`),
    ),
  );
}

function facts(exchange, records) {
  const {
    at,
    bodyBytes,
    sent,
    connection,
    peer,
    address,
    proxied,
    session,
    principal,
    era,
    revision,
    left,
    messages = [],
  } = exchange;
  const rows = {
    arrived: moment(at),
    sent: bodyBytes ? `${bytes(bodyBytes)} of body` : "no body",
    answered: sent ? `${bytes(sent)} of body` : "no body",
    "client left": left === undefined ? null : `after ${span(left)}`,
    connection: connection ? String(connection) : null,
    from: proxied
      ? `${records.pseudonym(address)}, as the proxy ${records.pseudonym(peer)} says`
      : records.pseudonym(address || peer),
    client: who(exchange) || null,
    session: session ?? null,
    principal: principal ?? null,
    era: era ? [era, revision].filter(Boolean).join(" ") : null,
    messages: messages.length > 0 ? messages.map(message).join("\n") : null,
    "session before": tombstone(exchange.tombstone),
  };
  return Object.entries(rows)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
}

function message({ kind, method, name, id, seconds, error, outcome }) {
  const said = [kind, method, name, id !== undefined && `id ${id}`].filter(Boolean).join(" ");
  const came = [
    outcome !== undefined && `→ ${outcome}`,
    error !== undefined && `error ${error}`,
    seconds !== undefined && `after ${span(seconds)}`,
  ];
  return [said, ...came.filter(Boolean)].join(" ");
}

function tombstone(known) {
  if (known === undefined) return null;
  const parts = [
    known.made && `made ${moment(known.made)}`,
    known.node && `by ${known.node}`,
    known.ended && `ended ${moment(known.ended)}`,
    known.reason && `(${known.reason})`,
  ];
  return parts.filter(Boolean).join(" ");
}
