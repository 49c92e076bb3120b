// An exchange as the lines of the wire, and which of them a finding is about.

import { bytes } from "./format.js";

/**
 * Return the lines of a request: `{text, name?, value?, place}`, where the place is what findings name: `path`,
 * `header:3`, `body:/params`, or null.
 */
export function requestLines(exchange) {
  const query = (exchange.query ?? []).map(([name, value]) => `${name}=${value}`).join("&");
  const target = query ? `${exchange.path}?${query}` : exchange.path;
  const lines = [
    { text: [exchange.httpMethod, target, version(exchange)].filter(Boolean).join(" "), place: "path" },
  ];
  (exchange.headers ?? []).forEach(([name, value], index) =>
    lines.push({ name, value, place: `header:${index}` }),
  );
  return [...lines, ...bodyLines(exchange)];
}

/** Return the lines of an answer. */
export function answerLines(exchange) {
  if (exchange.status === undefined) return [];
  const lines = [{ text: `${version(exchange) || "HTTP"} ${exchange.status}`, place: null }];
  for (const [name, value] of exchange.answerHeaders ?? []) lines.push({ name, value, place: null });
  return lines;
}

function version({ httpVersion = "" }) {
  return httpVersion && `HTTP/${httpVersion.replace(/^HTTP\//, "")}`;
}

function bodyLines(exchange) {
  if (exchange.body === undefined) return knownLines(exchange);
  const lines = [{ text: "", place: null }];
  try {
    return [...lines, ...jsonLines(JSON.parse(exchange.body))];
  } catch {
    // It is no JSON, or only the beginning of it was recorded.
    return [...lines, ...exchange.body.split("\n").map((text) => ({ text, place: "body" }))];
  }
}

/** Return what is known of a body that was not recorded, as a line for each member. */
function knownLines({ messages = [], batch }) {
  const lines = messages.flatMap((message, index) => {
    const above = batch ? `body:/${index}` : "body:";
    const { method, id, name, params = {} } = message;
    const members = {
      "/method": method,
      "/id": id,
      "/params/name": name,
      "/params/protocolVersion": params.protocolVersion,
    };
    const known = Object.entries(members).filter(([, value]) => value !== undefined);
    if (known.length === 0) return [{ name: message.kind, value: "", place: above, known: true }];
    return known.map(([pointer, value]) => ({
      name: pointer.slice(1).replace("/", "."),
      value: String(value),
      place: `${above}${pointer}`,
      known: true,
    }));
  });
  return lines;
}

/** Return JSON with a member on each line, and for each line the JSON pointer of its value. */
function jsonLines(value, pointer = "", indent = "", before = "", after = "") {
  const place = `body:${pointer || "/"}`;
  if (value === null || typeof value !== "object" || Object.keys(value).length === 0) {
    return [{ text: `${indent}${before}${JSON.stringify(value)}${after}`, place }];
  }
  const isArray = Array.isArray(value);
  const entries = Object.entries(value);
  const inner = entries.flatMap(([key, each], index) => {
    const name = isArray ? "" : `${JSON.stringify(key)}: `;
    const below = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return jsonLines(each, below, `${indent}  `, name, index < entries.length - 1 ? "," : "");
  });
  const [open, close] = isArray ? "[]" : "{}";
  return [
    { text: `${indent}${before}${open}`, place },
    ...inner,
    { text: `${indent}${close}${after}`, place: null },
  ];
}

/** Return what is known of a body that was not recorded. */
export function bodyNote({ body, bodyBytes = 0, complete = true }) {
  if (bodyBytes === 0) return "no body";
  const size = `${bytes(bodyBytes)} of body`;
  if (body !== undefined) return complete ? size : `${size}, not all of it came`;
  return `${size}, not recorded`;
}

/**
 * Return where among the lines a finding is: the index of a line, `"absent"` where the line never came, or null.
 *
 * The subject is that of the last occurrence. In another exchange the line may stand elsewhere: then the one with
 * the value that was found is meant.
 */
export function placeOf(finding, exchange, lines) {
  const subject = finding.subject ?? "";
  if (subject.startsWith("absence:")) return "absent";
  const evidence = (finding.evidence ?? []).filter((each) => each.exchange === exchange.number);
  const found = (evidence.at(-1) ?? finding.evidence?.at(-1))?.found;
  if (subject.startsWith("query:") || subject === "path" || subject === "method") return 0;
  if (subject.startsWith("header:")) return headerPlace(subject, found, lines);
  if (subject.startsWith("body:")) return nearest(subject, lines);
  return null;
}

function headerPlace(subject, found, lines) {
  const named = subject.slice("header:".length).toLowerCase();
  const at = lines.findIndex(
    ({ place, name }) => place === subject || (place?.startsWith("header:") && name.toLowerCase() === named),
  );
  if (at >= 0 && (found === undefined || lines[at].value.includes(found))) return at;
  const other = lines.findIndex(({ place, value }) => place?.startsWith("header:") && value === found);
  return other >= 0 ? other : null;
}

/** Return the line of a JSON pointer, or of the nearest value around it that is there. */
function nearest(subject, lines) {
  for (
    let pointer = subject;
    pointer.length >= "body:".length;
    pointer = pointer.slice(0, pointer.lastIndexOf("/"))
  ) {
    const at = lines.findIndex(
      ({ place }) => place === pointer || (pointer === "body:" && place?.startsWith("body")),
    );
    if (at >= 0) return at;
    if (!pointer.includes("/")) break;
  }
  return null;
}

/** Return the name of what is absent: `Accept`, `notifications/initialized`. */
export function absent(finding) {
  return finding.subject.slice("absence:".length);
}
