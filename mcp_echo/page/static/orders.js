// Orders of faults, in words; and an order from what was filled in.

const STATES = {
  armed: "armed",
  waiting: "waits",
  over: "over",
  expired: "expired",
  disarmed: "disarmed",
};

/** The legs of a flow of OAuth that an order may name. */
export const LEGS = [
  "resource-metadata",
  "server-metadata",
  "jwks",
  "register",
  "authorize",
  "consent",
  "token",
  "revoke",
  "introspect",
];

/** Return the word for what an order does. */
export function stateWord({ state }) {
  return STATES[state] ?? state;
}

/** Return whether an order can fire now or later. */
export function isPending({ state }) {
  return state === "armed" || state === "waiting";
}

/** Return whether there may be more to tell of an order. */
export function isOpen(order) {
  return isPending(order) || order.firings.some(({ outcome }) => !outcome || outcome === "nothing-yet");
}

/** Return a name as people read it: `retry after` for `retryAfter`. */
export function spelled(name) {
  return name.replace(/([a-z])([A-Z])/g, (_, before, behind) => `${before} ${behind.toLowerCase()}`);
}

/** Return the options of an order: `status 429, retry after 1`; which of several it is, by its name alone. */
export function optionsOf({ options }) {
  return Object.entries(options)
    .map(([name, value]) => (name === "as" ? String(value) : `${spelled(name)} ${valueOf(value)}`))
    .join(", ");
}

function valueOf(value) {
  if (Array.isArray(value)) return value.join(" and ");
  return value === true ? "yes" : value === false ? "no" : String(value);
}

/** Return which requests an order hits, and how often: `tools/call of echo, 3 times, after 2 others`. */
export function reachOf({ match = {}, after, times, probability }) {
  const { method, tool, leg, nth } = match;
  const what = [method, tool && `${method ? "of" : "calls of"} ${tool}`, leg && `the ${leg} leg`];
  const parts = [
    what.filter(Boolean).join(" ") || "whatever it can hit",
    nth ? `only number ${nth}` : often(times),
    after > 0 && `after ${after === 1 ? "another one" : `${after} others`}`,
    probability < 1 && `with probability ${probability}`,
  ];
  return parts.filter(Boolean).join(", ");
}

function often(times) {
  if (times === 1) return "once";
  return times === 2 ? "twice" : `${times} times`;
}

/** Return how many orders do what: `1 armed, 2 over`. */
export function summaryOf(orders) {
  const counts = Object.entries(STATES).map(([state, word]) => [
    orders.filter((order) => order.state === state).length,
    state === "waiting" ? "waiting" : word,
  ]);
  return counts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}

/** Return orders by what they were armed as: `{plan, orders}`, one each, or those of a plan together. */
export function groupsOf(orders) {
  const groups = [];
  for (const order of orders) {
    const last = groups.at(-1);
    const belongs = order.plan && order.plan === last?.plan && order.armed === last.orders[0].armed;
    if (belongs) last.orders.push(order);
    else groups.push({ plan: order.plan ?? null, orders: [order] });
  }
  return groups;
}

/** Return what is told of an exchange that was hit: `{order, firing}`; null where nothing is. */
export function hitOf(exchange, faults) {
  const order = faults?.orders.find(({ number }) => number === exchange.order);
  const firing = order?.firings.find((each) => each.exchange === exchange.number);
  return firing ? { order, firing } : null;
}

/**
 * Return an order of what was filled in; what is empty or not ticked is left out.
 *
 * @param {object} kind - What the server says of the fault.
 * @param {Record<string, string|boolean>} options - Name of an option → text of its field, or whether it is ticked.
 * @param {Record<string, string>} rest - `method`, `tool`, `leg`, `after`, `times` and `seconds`.
 */
export function orderFrom({ fault, options: known }, options, rest) {
  const chosen = known
    .map((option) => [option.name, optionFrom(option, options[option.name])])
    .filter(([, value]) => value !== undefined);
  const match = ["method", "tool", "leg"]
    .map((name) => [name, (rest[name] ?? "").trim()])
    .filter(([, value]) => value !== "");
  const counts = ["after", "times", "seconds"]
    .filter((name) => (rest[name] ?? "") !== "")
    .map((name) => [name, Number(rest[name])]);
  return {
    fault,
    options: Object.fromEntries(chosen.map(([name, value]) => [name, value])),
    match: Object.fromEntries(match),
    ...Object.fromEntries(counts),
  };
}

function optionFrom({ kind, choices }, given) {
  if (kind === "boolean") return given || undefined;
  const text = String(given ?? "").trim();
  if (text === "") return undefined;
  if (kind === "choice") return choices.find((each) => String(each) === text);
  if (kind === "list") return text.split(/[\s,]+/).filter(Boolean);
  return kind === "integer" || kind === "number" ? Number(text) : text;
}
