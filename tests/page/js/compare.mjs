// Comparing two traces: what needs no browser. node --test, with PAGE for the directory of the modules.

import assert from "node:assert/strict";
import { test } from "node:test";

const of = (name) => import(`${process.env.PAGE}/${name}.js`);
const { aligned } = await of("alignment");
const { arrived, counts, headline, source, words } = await of("compare-words");
const { comparing, named, traceIn } = await of("fragment");
const { differencesOf, rowsOf } = await of("side-by-side");

const [KEY, OTHER] = ["k".repeat(32), "o".repeat(32)];

test("a fragment names an exchange, a comparison, or nothing", () => {
  assert.deepEqual(named("#18"), { exchange: 18 });
  assert.deepEqual(named("#compare"), { compare: "", pair: null });
  assert.deepEqual(named(comparing(KEY)), { compare: KEY, pair: null });
  assert.deepEqual(named(comparing(KEY, 7)), { compare: KEY, pair: 7 });
  assert.equal(comparing(undefined, 7), "#compare");
  for (const other of ["", "#", "#verdict", "#compare=short", `#compare=${KEY}/x`, "#1e3"])
    assert.equal(named(other), null, other);
});

test("an address names a trace by its id or by the key that only reads", () => {
  assert.deepEqual(traceIn(` ${KEY} `), { kind: null, key: KEY });
  assert.deepEqual(traceIn(`https://x.example/below/t/${KEY}/mcp`), { kind: "t", key: KEY });
  assert.deepEqual(traceIn(`http://x/v/${KEY}/#compare=${OTHER}`), { kind: "v", key: KEY });
  assert.deepEqual(traceIn(`/t/${KEY}`), { kind: "t", key: KEY });
  for (const text of ["", "https://x.example/", `https://x/z/${KEY}/`, `/t/${KEY}x/`])
    assert.equal(traceIn(text), null);
});

test("lines find their counterparts in order", () => {
  const pairs = (one, other) =>
    aligned([...one], [...other]).map(([here, there]) => `${here ?? "-"}${there ?? "-"}`);
  assert.deepEqual(pairs("abc", "abc"), ["00", "11", "22"]);
  assert.deepEqual(pairs("abc", "ac"), ["00", "1-", "21"]);
  assert.deepEqual(pairs("ac", "xabyc"), ["-0", "01", "-2", "-3", "14"]);
  assert.deepEqual(pairs("abcd", "bcda"), ["0-", "10", "21", "32", "-3"]);
  assert.deepEqual(pairs("", "ab"), ["-0", "-1"]);
});

test("endless lists take no endless table", () => {
  const [one, other] = ["a", "b"].map((letter) =>
    Array.from({ length: 2000 }, (_, index) => `${letter}${index}`),
  );
  const pairs = aligned(
    ["same", ...one, "middle", ...one, "end"],
    ["same", ...other, "middle", ...other, "end"],
  );
  assert.equal(pairs.length, 8004);
  assert.equal(pairs.filter(([here, there]) => here !== null && there !== null).length, 2);
});

const exchange = (headers, more = {}) => ({
  number: 1,
  httpMethod: "POST",
  path: "/t/{trace}/mcp",
  httpVersion: "HTTP/1.1",
  headers,
  bodyBytes: 4,
  ...more,
});
const difference = (id, subject, level = "info") => ({ id, subject, level });
const told = (rows) =>
  rows.map(({ before, behind, word, note }) => {
    const line = (part) => part && (part.name === undefined ? part.text : `${part.name}: ${part.value}`);
    return [line(before), word ?? note ?? "=", line(behind)].map((each) => each ?? "").join(" | ");
  });

test("what the way did stands between the lines that it was done to", () => {
  const rows = rowsOf(
    [
      difference("hop-header-changed", "header:Accept", "error"),
      difference("hop-header-dropped", "header:X-Tenant"),
      difference("hop-header-added", "header:X-Forwarded-For"),
      difference("hop-header-repeated", "header:X-Id"),
      difference("hop-version", "version"),
    ],
    exchange([
      ["Accept", "a, b"],
      ["X-Tenant", "t"],
      ["Mcp-Session-Id", "1111…"],
      ["X-Id", "7"],
    ]),
    exchange(
      [
        ["X-Forwarded-For", "192.0.2.1"],
        ["Accept", "a"],
        ["Mcp-Session-Id", "2222…"],
        ["X-Id", "7"],
        ["X-Id", "7"],
      ],
      { httpVersion: "HTTP/1.0" },
    ),
  );
  assert.deepEqual(told(rows), [
    "POST /t/{trace}/mcp HTTP/1.1 | changed | POST /t/{trace}/mcp HTTP/1.0",
    " | added | X-Forwarded-For: 192.0.2.1",
    "Accept: a, b | changed | Accept: a",
    "X-Tenant: t | dropped | ",
    "Mcp-Session-Id: 1111… | one of its own | Mcp-Session-Id: 2222…",
    " | doubled | X-Id: 7",
    "X-Id: 7 | = | X-Id: 7",
    "4 bytes of body, not recorded | = | 4 bytes of body, not recorded",
  ]);
  assert.equal(rows[6].elsewhere, undefined, "the line that was doubled stands beside its counterpart");
  assert.deepEqual([rows[2].level, rows[2].before.number, rows[2].behind.number], ["error", 2, 3]);
});

test("lines that moved are in wire order on both sides, and know of each other", () => {
  const [here, there] = [
    ["A", "1"],
    ["B", "2"],
  ];
  const rows = rowsOf([difference("hop-order", "headers")], exchange([here, there]), exchange([there, here]));
  assert.deepEqual(told(rows).slice(1, 4), ["A: 1 | moved | ", "B: 2 | = | B: 2", " | moved | A: 1"]);
  assert.deepEqual([rows[1].elsewhere.number, rows[3].elsewhere.number], [3, 2]);
  const spelled = rowsOf(
    [difference("hop-order", "headers")],
    exchange([["A", "1"]]),
    exchange([["a", "1"]]),
  );
  assert.equal(told(spelled)[1], "A: 1 | respelled | a: 1");
});

test("lines that are joined or of another session are not lit", () => {
  const joined = rowsOf(
    [],
    exchange([
      ["A", "1"],
      ["A", "2"],
    ]),
    exchange([["A", "1, 2"]]),
  );
  assert.ok(joined.every(({ word }) => word === undefined));
  assert.deepEqual(told(joined).slice(1, 3), ["A: 1 | means the same | A: 1, 2", "A: 2 | means the same | "]);
});

test("a body that changed is shown by lines where it was recorded", () => {
  const rows = rowsOf(
    [difference("hop-body-changed", "body", "warning")],
    exchange([], { body: '{"a":1,"b":2,"c":3}' }),
    exchange([], { body: '{"a":1,"b":5,"d":4,"c":3}' }),
  );
  assert.deepEqual(told(rows).slice(1), [
    "4 bytes of body | changed | 4 bytes of body",
    "{ | = | {",
    '  "a": 1, | = |   "a": 1,',
    '  "b": 2, | changed |   "b": 5,',
    ' | added |   "d": 4,',
    '  "c": 3 | = |   "c": 3',
    "} | = | }",
  ]);
});

test("a pair has those of the differences that it shows", () => {
  const differences = [difference("hop-header-added", "header:A"), difference("hop-version", "version")];
  const found = differencesOf({ differences: ["hop-version version"] }, { differences });
  assert.deepEqual(found, [differences[1]]);
  assert.deepEqual(differencesOf({}, { differences }), []);
});

test("a comparison is told in a sentence, and by what it weighs", () => {
  const differences = ["error", "error", "info"].map((level) => difference("hop-header-added", "x", level));
  assert.equal(headline({ compared: 1, differences: [], cut: 0 }), "The way changes nothing in 1 request.");
  assert.equal(headline({ compared: 4, differences, cut: 2 }), "The way changes 5 things in 4 requests.");
  assert.equal(headline({ compared: 0, differences: [], cut: 0 }), "Nothing can be compared yet.");
  assert.equal(counts(differences), "2 errors, 1 note");
  assert.equal(words([...differences, difference("hop-version", "version")]), "3 added, 1 changed");
  const url = "https://www.rfc-editor.org/rfc/rfc9110.html#section-7.6";
  assert.equal(source({ id: "hop-version", url }), "RFC 9110, 7.6");
  assert.equal(source({ id: "hop-version", url: "https://x.example/" }), "hop-version");
});

test("before anything can be compared, it is said what has come", () => {
  const said = (direct, via) => arrived({ onlyDirect: Array(direct).fill(1), onlyVia: Array(via).fill(1) });
  assert.equal(said(0, 0), "No request has come yet, either way.");
  assert.equal(said(1, 0), "Directly: 1 request has come. Through the gateway: none.");
  assert.match(said(2, 1), /2 requests have come.*1 request has come.*No two of them belong together/);
});
