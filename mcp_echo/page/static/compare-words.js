// A comparison of two traces in words.

import { ORDER, levelWord } from "./findings.js";
import { counted } from "./format.js";
import { wordOf } from "./side-by-side.js";

/** Return the verdict as one sentence. */
export function headline({ compared, differences, cut }) {
  if (compared === 0) return "Nothing can be compared yet.";
  const requests = counted(compared, "request");
  if (differences.length === 0) return `The way changes nothing in ${requests}.`;
  return `The way changes ${counted(differences.length + cut, "thing")} in ${requests}.`;
}

/** Return how many differences weigh how much: `2 errors, 6 notes`. */
export function counts(differences) {
  return Object.keys(ORDER)
    .map((level) => [level, differences.filter((each) => each.level === level).length])
    .filter(([, count]) => count > 0)
    .map(([level, count]) => counted(count, levelWord(level)))
    .join(", ");
}

/** Return what a link leads to: `RFC 9110, 7.6`. */
export function source({ id, url }) {
  const [, number, section] = url.match(/rfc(\d+)(?:\.html)?#section-([\d.]+)$/) ?? [];
  return number === undefined ? id : `RFC ${number}, ${section}`;
}

/** Return what the way did to a request: `2 changed, 1 added`. */
export function words(found) {
  const counts = new Map();
  for (const { id } of found) counts.set(wordOf(id), (counts.get(wordOf(id)) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(", ");
}

/** Return what has come so far where nothing can be compared: `1 request has come directly, none …`. */
export function arrived({ onlyDirect, onlyVia }) {
  const requests = ({ length }) =>
    length === 0 ? "none" : `${counted(length, "request")} ${length === 1 ? "has" : "have"} come`;
  if (onlyDirect.length + onlyVia.length === 0) return "No request has come yet, either way.";
  const unlike = onlyDirect.length > 0 && onlyVia.length > 0 ? " No two of them belong together." : "";
  return `Directly: ${requests(onlyDirect)}. Through the gateway: ${requests(onlyVia)}.${unlike}`;
}
