// Where two texts differ.

const LEAST_IN_COMMON = 0.3;

/**
 * Return what both have at their beginnings and ends, and what each has between; null where there is so little
 * in common that a mark would say nothing.
 */
export function difference(found, wanted) {
  const shorter = Math.min(found.length, wanted.length);
  let start = 0;
  while (start < shorter && found[start] === wanted[start]) start += 1;
  let end = 0;
  while (end < shorter - start && found.at(-1 - end) === wanted.at(-1 - end)) end += 1;
  if (start + end < LEAST_IN_COMMON * Math.max(found.length, wanted.length) || found === wanted) return null;
  const middle = (text) => text.slice(start, text.length - end);
  return {
    before: found.slice(0, start),
    found: middle(found),
    wanted: middle(wanted),
    after: end === 0 ? "" : found.slice(-end),
  };
}
