// Findings, by level and by exchange; and the sentence that comes first.

export const ORDER = { error: 0, warning: 1, info: 2 };
const METHOD = /^(?:initialize|ping)\b|^[a-z]+\//;
const WORDS = { error: "error", warning: "warning", info: "note" };

/** Return the word for so many findings of a level. */
export function levelWord(level) {
  return WORDS[level] ?? level;
}

/** Return id → finding. */
export function byId(report) {
  return new Map((report?.findings ?? []).map((finding) => [finding.id, finding]));
}

/** Return the findings that a report has of an exchange, the worst first. */
export function findingsOf(exchange, report) {
  const known = byId(report);
  const ids = new Set(exchange.findings ?? []);
  for (const finding of known.values()) {
    // What never came is found later, and is shown where it was last waited for.
    if ((finding.evidence ?? []).some((each) => each.exchange === exchange.number)) ids.add(finding.id);
  }
  const found = [...ids].map(
    (id) => known.get(id) ?? { id, level: "info", summary: "", advice: "", evidence: [], rule: {} },
  );
  return found.sort((one, other) => (ORDER[one.level] ?? 3) - (ORDER[other.level] ?? 3));
}

/** Return exchange → ids of the findings that are found later, beside those that its record has. */
export function foundLater(report) {
  const later = new Map();
  for (const finding of report?.findings ?? []) {
    for (const { exchange } of finding.evidence ?? [])
      later.set(exchange, [...(later.get(exchange) ?? []), finding.id]);
  }
  return later;
}

/** Return the finding to look at first: the worst that is open. */
export function first(report) {
  const open = (report?.findings ?? []).filter(({ resolved }) => !resolved);
  return open.find(({ level }) => level === "error") ?? open.find(({ level }) => level === "warning") ?? null;
}

/** Return the verdict as one sentence. */
export function headline(report) {
  if (report === null) return "Looking at what has come …";
  if (report.exchanges === 0) return "Waiting for the first request.";
  const worst = first(report);
  if (worst !== null) return sentence(worst.summary);
  const stopped = (report.flows ?? []).find(({ state }) => state === "stopped" || state === "failed");
  if (stopped) return sentence(stopped.verdict);
  return report.exchanges === 1
    ? "Nothing is wrong with the one request that came."
    : `Nothing is wrong in ${report.exchanges.toLocaleString("en-US")} requests.`;
}

function sentence(text) {
  const whole = text.trim();
  // The name of a method stays as it is spelled.
  const begun = METHOD.test(whole) ? whole : whole.charAt(0).toUpperCase() + whole.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
