// Which lines of two lists are the same one, with all of them in their order.

/** Cells of the table; beyond that only the common beginning and end are found. */
const MOST_CELLS = 1_000_000;

/**
 * Return `[index in one, index in the other]` for each line, null where there is no counterpart: a longest common
 * subsequence, and what is between its lines.
 *
 * @param {string[]} one
 * @param {string[]} other
 */
export function aligned(one, other) {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const middle = between(one.slice(start, one.length - end), other.slice(start, other.length - end));
  return [
    ...Array.from({ length: start }, (_, index) => [index, index]),
    ...middle.map(([here, there]) => [
      here === null ? null : here + start,
      there === null ? null : there + start,
    ]),
    ...Array.from({ length: end }, (_, index) => [one.length - end + index, other.length - end + index]),
  ];
}

function between(one, other) {
  if (one.length * other.length > MOST_CELLS) return [...alone(one, 0), ...alone(other, 1)];
  const longest = table(one, other);
  const pairs = [];
  let [here, there] = [0, 0];
  while (here < one.length || there < other.length) {
    if (here < one.length && there < other.length && one[here] === other[there])
      pairs.push([here++, there++]);
    else if (
      there >= other.length ||
      (here < one.length && longest[here + 1][there] >= longest[here][there + 1])
    )
      pairs.push([here++, null]);
    else pairs.push([null, there++]);
  }
  return pairs;
}

/** Return for each two places the length of the longest common subsequence behind them. */
function table(one, other) {
  const longest = Array.from({ length: one.length + 1 }, () => new Uint32Array(other.length + 1));
  for (let here = one.length - 1; here >= 0; here -= 1)
    for (let there = other.length - 1; there >= 0; there -= 1)
      longest[here][there] =
        one[here] === other[there]
          ? longest[here + 1][there + 1] + 1
          : Math.max(longest[here + 1][there], longest[here][there + 1]);
  return longest;
}

function alone(lines, side) {
  return lines.map((_, index) => (side === 0 ? [index, null] : [null, index]));
}
