// Two exchanges as rows of lines: what came directly, what came through the gateway, and the word for what the way
// did. The server says what differs; here it is put where it stands.

import { aligned } from "./alignment.js";
import { bodyNote, requestLines } from "./lines.js";

const WORDS = {
  "hop-header-dropped": "dropped",
  "hop-header-added": "added",
  "hop-header-repeated": "doubled",
  "hop-header-changed": "changed",
  "hop-order": "moved",
};
/** Headers whose values are of one trace, and are not compared. */
const OF_A_SESSION = ["mcp-session-id", "last-event-id"];

/** Return the word for what a difference does. */
export function wordOf(id) {
  return WORDS[id] ?? "changed";
}

/** Return what a difference is about: `Accept`, `body`, `path`. */
export function aboutOf({ subject }) {
  return subject.replace(/^header:/, "").replace(/^headers$/, "order");
}

/** Return the differences of a pair of exchanges, the worst first. */
export function differencesOf(pair, comparison) {
  const named = new Set(pair.differences ?? []);
  return comparison.differences.filter(({ id, subject }) => named.has(`${id} ${subject}`));
}

/**
 * Return the rows of two exchanges: `{before, behind, word, level, note}`. A side is `{number, name, value, text}`
 * or null; `word` and `level` are there where the way did something; `note` says why a row that differs is not lit;
 * `elsewhere` is the line of the other side that belongs to a line alone.
 *
 * @param {object[]} differences - Those of this pair.
 * @param {object} direct - The exchange that came directly.
 * @param {object} via - The exchange that came through the gateway.
 */
export function rowsOf(differences, direct, via) {
  const said = new Map(differences.map((each) => [each.subject.toLowerCase(), each]));
  const [here, there] = [partsOf(direct), partsOf(via)];
  return [
    requestRow(said, here.request, there.request),
    ...headerRows(said, here.headers, there.headers),
    bodyRow(said, direct, via),
    ...bodyRows(said, here.body, there.body),
  ];
}

function partsOf(exchange) {
  const lines = requestLines(exchange).map((line, index) => ({
    ...line,
    number: line.known ? "" : index + 1,
  }));
  const headers = lines.filter(({ place }) => place?.startsWith("header:"));
  return {
    request: lines[0],
    headers,
    body: lines.slice(1 + headers.length).filter(({ text }) => text !== ""),
  };
}

function lit(row, difference) {
  return difference ? { ...row, word: wordOf(difference.id), level: difference.level } : row;
}

function requestRow(said, before, behind) {
  return lit({ before, behind }, said.get("path") ?? said.get("query") ?? said.get("version"));
}

// Headers: by their names, in wire order on both sides.

function headerRows(said, here, there) {
  const names = (lines) => lines.map(({ name }) => name.toLowerCase());
  const rows = aligned(names(here), names(there)).map(([before, behind]) => ({
    before: here[before] ?? null,
    behind: there[behind] ?? null,
  }));
  const alone = rows.filter(({ before, behind }) => before === null || behind === null);
  return rows.map((row) => headerRow(said, row, alone));
}

function headerRow(said, row, alone) {
  const name = (row.before ?? row.behind).name.toLowerCase();
  const whole = row.before !== null && row.behind !== null;
  if (whole && row.before.value === row.behind.value) {
    const respelled = row.before.name !== row.behind.name && said.get("headers");
    return respelled ? { ...row, word: "respelled", level: respelled.level } : row;
  }
  const difference = said.get(`header:${name}`);
  const elsewhere = whole ? undefined : counterpart(row, name, alone);
  if (difference) return lit({ ...row, elsewhere }, difference);
  if (elsewhere !== undefined && said.has("headers")) return lit({ ...row, elsewhere }, said.get("headers"));
  return { ...row, elsewhere, note: OF_A_SESSION.includes(name) ? "one of its own" : "means the same" };
}

/** Return the line on the other side that has the name of a line which has moved, and has no counterpart either. */
function counterpart({ before }, name, alone) {
  const others = alone.map((row) => (before === null ? row.before : row.behind));
  return others.find((line) => line?.name.toLowerCase() === name);
}

// Bodies: what is known of them, and their lines where they were recorded.

function bodyRow(said, direct, via) {
  const side = (exchange) => ({ number: "", text: bodyNote(exchange), soft: true });
  return lit({ before: side(direct), behind: side(via) }, said.get("body"));
}

function bodyRows(said, here, there) {
  const key = ({ name, value, text }) => (name === undefined ? text : `${name} ${value}`);
  const rows = [];
  let open = [];
  for (const [before, behind] of aligned(here.map(key), there.map(key))) {
    // A line that went and one that came in its place are one that changed.
    if (before === null && open.length > 0) {
      open.shift().behind = there[behind];
      continue;
    }
    const row = { before: here[before] ?? null, behind: there[behind] ?? null };
    rows.push(row);
    if (behind === null) open.push(row);
    else open = [];
  }
  const difference = said.get("body");
  return rows.map((row) =>
    row.before && row.behind && key(row.before) === key(row.behind) ? row : bodyLit(row, difference),
  );
}

function bodyLit(row, difference) {
  if (!difference) return row;
  const word = row.behind === null ? "dropped" : row.before === null ? "added" : "changed";
  return { ...row, word, level: difference.level };
}
