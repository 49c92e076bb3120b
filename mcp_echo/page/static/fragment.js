// What the end of the page's address names: an exchange, or a comparison. It never leaves the browser.

const KEY = /^[\w-]{32}$/;

/**
 * Return what a fragment names: `{exchange}`, `{compare, pair}`, or null. `compare` is the key of the other trace,
 * empty where it is still to be chosen; `pair` is the number of an exchange of this one, or null.
 */
export function named(hash) {
  const exchange = hash.match(/^#(\d{1,15})$/);
  if (exchange) return { exchange: Number(exchange[1]) };
  const compare = hash.match(/^#compare(?:=([\w-]{32})(?:,(\d{1,15}))?)?$/);
  if (compare) return { compare: compare[1] ?? "", pair: compare[2] ? Number(compare[2]) : null };
  return null;
}

/** Return the fragment of a comparison. */
export function comparing(key, pair = null) {
  if (!key) return "#compare";
  return pair === null ? `#compare=${key}` : `#compare=${key},${pair}`;
}

/**
 * Return which trace a text names: `{kind, key}`, where the kind is `t` for an id, `v` for a key that only reads, and
 * null where the text is a key alone; null where it names none.
 */
export function traceIn(text) {
  const trimmed = text.trim();
  if (KEY.test(trimmed)) return { kind: null, key: trimmed };
  const found = trimmed.match(/\/(t|v)\/([\w-]{32})(?:[/?#]|$)/);
  return found ? { kind: found[1], key: found[2] } : null;
}
