// Faults: what needs no browser. node --test, with PAGE for the directory of the modules.

import assert from "node:assert/strict";
import { test } from "node:test";

const of = (name) => import(`${process.env.PAGE}/${name}.js`);
const { Faults } = await of("faults");
const { filterOf } = await of("filter");
const { groupsOf, hitOf, isOpen, optionsOf, orderFrom, reachOf, summaryOf } = await of("orders");
const { Records } = await of("records");

const ORDER = {
  number: 1,
  fault: "reject",
  options: { status: 429, retryAfter: 1 },
  match: { method: "tools/call", tool: "echo" },
  after: 0,
  times: 1,
  seconds: 300,
  probability: 1,
  armed: "2026-11-30T00:00:00Z",
  state: "armed",
  fired: 0,
  firings: [],
};

test("an order is told in words", () => {
  assert.equal(optionsOf(ORDER), "status 429, retry after 1");
  assert.equal(
    optionsOf({ options: { as: "wrong-id", reset: true, names: ["A", "B"] } }),
    "wrong-id, reset yes, names A and B",
  );
  assert.equal(reachOf(ORDER), "tools/call of echo, once");
  const reach = (match, more = {}) => reachOf({ ...ORDER, match, ...more });
  assert.equal(reach({}, { times: 2, after: 1 }), "whatever it can hit, twice, after another one");
  assert.equal(reach({ tool: "echo" }, { after: 3, times: 5 }), "calls of echo, 5 times, after 3 others");
  assert.equal(
    reach({ leg: "token", nth: 3 }, { probability: 0.5 }),
    "the token leg, only number 3, with probability 0.5",
  );
});

test("orders are counted by what they do, and those of a drill stand together", () => {
  const states = ["over", "armed", "waiting", "armed"].map((state) => ({ ...ORDER, state }));
  assert.equal(summaryOf(states), "2 armed, 1 waiting, 1 over");
  const drill = { plan: "loss", armed: "a" };
  const again = { plan: "loss", armed: "b" };
  const grouped = groupsOf([{}, drill, drill, again, { plan: null }]);
  assert.deepEqual(
    grouped.map(({ plan, orders }) => [plan, orders.length]),
    [
      [null, 1],
      ["loss", 2],
      ["loss", 1],
      [null, 1],
    ],
  );
});

test("an order is open until it is known what the client did", () => {
  const over = (outcome) => isOpen({ ...ORDER, state: "over", firings: [{ outcome }] });
  assert.deepEqual(
    [isOpen(ORDER), over(undefined), over("nothing-yet"), over("waited")],
    [true, true, true, false],
  );
});

const KIND = {
  fault: "reject",
  options: [
    { name: "status", kind: "integer", default: 503, least: 400, most: 599, choices: null },
    { name: "retryAfter", kind: "integer", default: null, least: 0, most: 3600, choices: null },
    { name: "reset", kind: "boolean", default: false, least: null, most: null, choices: null },
    { name: "to", kind: "choice", default: 404, least: null, most: null, choices: [404, 410] },
    { name: "names", kind: "list", default: null, least: null, most: null, choices: null },
  ],
};

test("what was filled in becomes an order, and what is empty is left out", () => {
  const usual = { status: "503", retryAfter: "", reset: false, to: "404", names: " " };
  assert.deepEqual(orderFrom(KIND, usual, { method: " ", tool: "", leg: "" }), {
    fault: "reject",
    options: { status: 503, to: 404 },
    match: {},
  });
  assert.deepEqual(
    orderFrom(
      KIND,
      { status: "429", retryAfter: "0", reset: true, to: "410", names: "A, B" },
      { method: "tools/call", tool: " echo ", leg: "", times: "2", after: "0", seconds: "60" },
    ),
    {
      fault: "reject",
      options: { status: 429, retryAfter: 0, reset: true, to: 410, names: ["A", "B"] },
      match: { method: "tools/call", tool: "echo" },
      after: 0,
      times: 2,
      seconds: 60,
    },
  );
});

test("an exchange knows by what it was hit", () => {
  const firing = { exchange: 7, outcome: "waited" };
  const order = { ...ORDER, firings: [{ exchange: 3 }, firing] };
  assert.deepEqual(hitOf({ number: 7, order: 1 }, { orders: [order] }), { order, firing });
  for (const [exchange, faults] of [
    [{ number: 8, order: 1 }, { orders: [order] }],
    [{ number: 7, order: 2 }, { orders: [order] }],
    [{ number: 7 }, null],
  ])
    assert.equal(hitOf(exchange, faults), null);
  const fits = filterOf("fault:reject", new Map());
  assert.deepEqual([fits({ fault: "reject 429" }), fits({ fault: "cut" }), fits({})], [true, false, false]);
});

test("methods and tools that came are suggested", () => {
  const records = new Records();
  const messages = [
    { kind: "request", method: "tools/call", name: "echo" },
    { kind: "request", method: "ping" },
    { kind: "response" },
  ];
  for (const number of [1, 2]) records.add([{ kind: "exchange", record: { number, at: number, messages } }]);
  assert.deepEqual(records.named(), { methods: ["ping", "tools/call"], tools: ["echo"] });
});

/** A server that answers what it is told to, and a store; `asked` has what was asked of it. */
function stubbed(answers) {
  const asked = [];
  globalThis.fetch = async (path, { method = "GET", headers, body } = {}) => {
    asked.push([method, path, headers["Content-Type"], body].filter((each) => each !== undefined));
    const [status, value] = answers[method];
    return new Response(status === 204 ? null : JSON.stringify(value), { status });
  };
  const state = { faults: null, records: new Records() };
  return { asked, state, faults: new Faults({ state, set: (patch) => Object.assign(state, patch) }) };
}

test("orders are armed and disarmed as JSON, and read again", async () => {
  const { asked, state, faults } = stubbed({
    GET: [200, { orders: [ORDER] }],
    POST: [201, ORDER],
    DELETE: [204],
  });
  await faults.arm({ plan: "session-loss" });
  await faults.disarm();
  assert.deepEqual(asked, [
    ["POST", "faults", "application/json", '{"plan":"session-loss"}'],
    ["GET", "faults"],
    ["DELETE", "faults", "application/json"],
    ["GET", "faults"],
  ]);
  assert.deepEqual(state.faults.orders, [ORDER]);
});

test("what is refused is said in the server's own sentence", async () => {
  const { faults, state } = stubbed({ POST: [400, { error: { message: "status is 1" } }] });
  await assert.rejects(faults.arm({ fault: "reject" }), { message: "status is 1", status: 400 });
  assert.equal(state.faults, null);
});

test("a server that takes no orders is asked once", async () => {
  const { asked, faults, state } = stubbed({ GET: [404, {}] });
  await faults.read();
  const now = performance.now();
  performance.now = () => now + 3_600_000;
  faults.follow(state);
  delete performance.now;
  assert.deepEqual([asked.length, state.faults], [1, null]);
});

test("orders are read again while there may be more to tell", async () => {
  const { asked, faults, state } = stubbed({ GET: [200, { orders: [ORDER] }] });
  await faults.read();
  const follow = async (orders) => {
    const before = asked.length;
    state.faults = { orders };
    faults.follow(state);
    await new Promise((done) => setImmediate(done));
    return asked.length - before;
  };
  const over = { ...ORDER, state: "over", firings: [{ exchange: 1, outcome: "waited" }] };
  assert.deepEqual([await follow([ORDER]), await follow([over]), await follow([])], [1, 0, 0]);
  state.records.add([{ kind: "exchange", record: { number: 1, at: 1, order: 9 } }]);
  assert.equal(await follow([over]), 1, "an order that somebody else has armed has fired");
});
