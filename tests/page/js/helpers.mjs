// The helpers of the page that need no browser: node --test, with PAGE for the directory of the modules.

import assert from "node:assert/strict";
import { test } from "node:test";

const of = (name) => import(`${process.env.PAGE}/${name}.js`);
const { asks, bytes, milliseconds, offset, outcome, shortPath, span, times, titleOf, who } =
  await of("format");
const { filterOf } = await of("filter");
const { difference } = await of("difference");
const { answerLines, placeOf, requestLines } = await of("lines");
const { findingsOf, first, headline } = await of("findings");
const { Records } = await of("records");
const { checksOf, fingerprint, judgedIn } = await of("token-checks");

test("times, spans and sizes are read at a glance", () => {
  assert.deepEqual([0, 5.1, 99.99, 125, 3725].map(offset), ["0.00", "5.10", "99.99", "2:05", "1:02:05"]);
  assert.deepEqual([0.0004, 0.012, 1.25, 125, 9000].map(span), [
    "0.4 ms",
    "12 ms",
    "1.3 s",
    "2 min 5 s",
    "2.5 h",
  ]);
  assert.deepEqual([0.0004, 0.25].map(milliseconds), ["0.4", "250"]);
  assert.deepEqual([1, 12, 2048, 3 * 1024 ** 2].map(bytes), ["1 byte", "12 bytes", "2.0 KB", "3.0 MB"]);
  assert.deepEqual([undefined, 1, 2, 5].map(times), ["", "", "twice", "5 times"]);
});

test("a request is told in a few words", () => {
  const path = "/t/{trace}/mcp";
  const messages = [{ kind: "request", method: "tools/call", name: "echo" }];
  assert.deepEqual(titleOf({ path, messages }), ["", "tools/call echo"]);
  assert.deepEqual(titleOf({ path: "/t/{trace}/other", messages }), ["other", "tools/call echo"]);
  assert.deepEqual(titleOf({ path }), ["mcp", ""]);
  assert.equal(asks({ messages: [...messages, ...messages], batch: true }), "batch of 2");
  assert.equal(
    shortPath("/.well-known/oauth-protected-resource/t/{trace}/mcp"),
    "…/oauth-protected-resource",
  );
  assert.equal(who({ headers: [["user-agent", "node/22 (x)"]] }), "node 22");
  assert.equal(who({ client: "a", clientVersion: "2" }), "a 2");
  assert.deepEqual(outcome({ status: 200, messages: [{ kind: "request", error: -32602 }] }), {
    status: "200",
    kind: "error",
    note: "-32602",
  });
  assert.equal(outcome({}).note, "no answer");
});

test("all words of a filter have to fit", () => {
  const levels = new Map([
    ["bad", "error"],
    ["odd", "warning"],
  ]);
  const exchange = {
    httpMethod: "POST",
    path: "/t/{trace}/mcp",
    status: 401,
    findings: ["odd"],
    client: "acme",
    messages: [{ method: "tools/call", name: "echo" }],
  };
  const fits = (text) => filterOf(text, levels)(exchange);
  for (const text of [
    "level:warning",
    "level:info",
    "method:tools/call status:401",
    "status:4xx",
    "tool:echo client:ac",
    "ECHO acme",
    "finding:odd",
    '"tools/call"',
    "http:401".slice(5),
  ])
    assert.ok(fits(text), text);
  for (const text of ["level:error", "status:200", "tool:other", "acme nowhere", "level:loud"])
    assert.ok(!fits(text), text);
  assert.equal(filterOf("  ", levels), null);
});

test("where two texts differ is marked, and only where that says something", () => {
  assert.deepEqual(difference("https://x/mcp/", "https://x/mcp"), {
    before: "https://x/mcp",
    found: "/",
    wanted: "",
    after: "",
  });
  assert.deepEqual(difference("text/event-stream", "application/json, text/event-stream"), {
    before: "",
    found: "",
    wanted: "application/json, ",
    after: "text/event-stream",
  });
  assert.equal(difference("abc", "xyz"), null);
  assert.equal(difference("same", "same"), null);
});

const EXCHANGE = {
  number: 4,
  httpMethod: "POST",
  path: "/t/{trace}/mcp",
  httpVersion: "HTTP/1.1",
  query: [["x", "1"]],
  headers: [
    ["Host", "a"],
    ["Accept", "text/html"],
  ],
  status: 200,
  answerHeaders: [["Content-Type", "application/json"]],
  messages: [{ kind: "request", method: "ping", id: 1 }],
};

test("the lines are those of the wire, and a finding finds its own", () => {
  const lines = requestLines(EXCHANGE);
  assert.equal(lines[0].text, "POST /t/{trace}/mcp?x=1 HTTP/1.1");
  assert.deepEqual(
    lines.slice(1, 3).map(({ name, value }) => `${name}: ${value}`),
    ["Host: a", "Accept: text/html"],
  );
  assert.equal(answerLines(EXCHANGE)[0].text, "HTTP/1.1 200");
  const at = (subject, found) => placeOf({ subject, evidence: [{ exchange: 4, found }] }, EXCHANGE, lines);
  assert.equal(at("header:1", "text/html"), 2);
  assert.equal(at("header:Accept"), 2);
  assert.equal(at("header:0", "text/html"), 2, "the line of another exchange has moved");
  assert.equal(at("header:7", "gone"), null);
  assert.equal(at("query:x"), 0);
  assert.equal(at("path"), 0);
  assert.equal(at("body:/method"), 3);
  assert.equal(at("body:/params/_meta"), 3, "the nearest that is known");
  assert.equal(at("absence:Accept"), "absent");
  assert.equal(at("stream"), null);
});

test("a recorded body is shown by members", () => {
  const body = JSON.stringify({ method: "ping", params: { a: [1], "x/y": {} } });
  const lines = requestLines({ ...EXCHANGE, body });
  const at = (subject) => lines[placeOf({ subject }, EXCHANGE, lines)].text.trim();
  assert.equal(at("body:/method"), '"method": "ping",');
  assert.equal(at("body:/params/a/0"), "1");
  assert.equal(at("body:/params/x~1y"), '"x/y": {}');
  assert.equal(at("body:/params/none"), '"params": {');
  assert.deepEqual(
    requestLines({ ...EXCHANGE, body: "{\nno" })
      .slice(-2)
      .map(({ text }) => text),
    ["{", "no"],
  );
});

test("the worst that is open comes first", () => {
  const finding = (id, level, resolved = false) => ({
    id,
    level,
    resolved,
    summary: `${id} is so`,
    evidence: [{ exchange: 4 }],
  });
  const report = {
    exchanges: 3,
    flows: [],
    findings: [finding("done", "error", true), finding("odd", "warning"), finding("note", "info")],
  };
  assert.equal(first(report).id, "odd");
  assert.equal(headline(report), "Odd is so.");
  assert.deepEqual(
    findingsOf(EXCHANGE, report).map(({ id }) => id),
    ["done", "odd", "note"],
  );
  assert.equal(headline({ ...report, findings: [] }), "Nothing is wrong in 3 requests.");
  assert.equal(
    headline({ ...report, findings: [], flows: [{ state: "stopped", verdict: "it never came" }] }),
    "It never came.",
  );
  const named = { ...report, findings: [{ ...finding("tools/call", "error"), summary: "tools/call came" }] };
  assert.equal(headline(named), "tools/call came.");
  assert.equal(headline({ exchanges: 0 }), "Waiting for the first request.");
});

test("records are kept once, in order, and let go of with those of the server", () => {
  const records = new Records();
  const came = [1, 2, 3, 4].map((number) => ({
    kind: number === 3 ? "session" : "exchange",
    record: { number, at: number, address: "192.0.2.1" },
  }));
  records.add(came);
  records.add(came);
  assert.deepEqual(
    records.exchanges.map(({ number }) => number),
    [1, 2, 4],
  );
  assert.equal(records.pseudonym("192.0.2.1"), "a1");
  assert.equal(records.dropBefore(4), 2);
  assert.deepEqual(
    [records.exchanges.length, records.sessions.length, records.byNumber.has(1)],
    [1, 0, false],
  );
});

test("the checks of a token are those it was judged with, and what is new", () => {
  const headers = [["Authorization", "Bearer [490 characters, #920895e2]"]];
  const form = { name: "form", held: true };
  const judged = {
    number: 3,
    headers,
    token: { taken: true, checks: [form, { name: "scope", held: true }] },
  };
  const known = { number: 5, headers, token: { taken: true } };
  const lacking = { number: 6, headers, token: { taken: true, checks: [{ name: "scope", held: false }] } };
  const other = { number: 7, headers: [["authorization", "Bearer [9 characters, #00000000]"]], token: {} };
  const records = new Records();
  records.add([judged, known, lacking, other].map((record) => ({ kind: "exchange", record })));
  assert.equal(fingerprint(judged), "920895e2");
  assert.deepEqual(checksOf(judged, records), { taken: true, checks: judged.token.checks, judged: 3 });
  assert.deepEqual(checksOf(known, records), { taken: true, checks: judged.token.checks, judged: 3 });
  assert.deepEqual(checksOf(lacking, records).checks, [form, { name: "scope", held: false }]);
  assert.deepEqual(checksOf(other, records), { taken: false, checks: [], judged: null });
  assert.equal(checksOf({ number: 8, headers }, records), null);
  const flow = { steps: [{ exchanges: [3, 5] }, { step: "consent" }] };
  assert.equal(judgedIn(flow, records).number, 3);
});
