// What was looked at of an access token: each thing that has to be true of it, held or not.

import { comparison } from "./comparison.js";
import { el, levelLabel } from "./dom.js";
import { counted } from "./format.js";

const HELD = { true: ["held", "held"], false: ["error", "not held"], undefined: ["info", "not known"] };

/**
 * Return what is known of the token of an exchange: its checks, and where most of them were made; null where no
 * token was asked for, or none came.
 *
 * @param {object} exchange - The record.
 * @param {import("./records.js").Records} records - A token that is known to be good is not judged again.
 */
export function checksOf(exchange, records) {
  const { token, number } = exchange;
  if (token === undefined) return null;
  const own = token.checks ?? [];
  const whole = (each) => each.token?.checks?.some(({ name }) => name === "form");
  if (whole(exchange)) return { taken: token.taken === true, checks: own, judged: number };
  const print = fingerprint(exchange);
  const before = records.exchanges.findLast(
    (each) => print !== null && each.number < number && whole(each) && fingerprint(each) === print,
  );
  const kept = (before?.token.checks ?? []).filter(({ name }) => !own.some((each) => each.name === name));
  return { taken: token.taken === true, checks: [...kept, ...own], judged: before?.number ?? null };
}

/** Return the fingerprint of the token in Authorization; null without one. */
export function fingerprint({ headers = [] }) {
  const given = headers.find(([name]) => name.toLowerCase() === "authorization");
  return given?.[1].match(/#([0-9a-f]+)\]$/)?.[1] ?? null;
}

/** Return the newest exchange of a flow's steps that a token was judged with; null where there is none. */
export function judgedIn(flow, records) {
  const numbers = flow.steps.flatMap(({ exchanges = [] }) => exchanges).sort((one, other) => other - one);
  const found = numbers.map((number) => records.byNumber.get(number));
  return found.find((each) => each?.token?.checks?.length > 0) ?? null;
}

/** Return the token of an exchange as a view of it; nothing where none was asked for. */
export function tokenView(exchange, { records }) {
  return exchange.token === undefined
    ? []
    : [{ name: "Token", show: () => [tokenChecks(exchange, records)] }];
}

/** Return the checks of an exchange's token, for people. */
export function tokenChecks(exchange, records) {
  const { taken, checks, judged } = checksOf(exchange, records);
  return el(
    "div",
    { class: "token-checks" },
    el("p", {}, summary(taken, checks)),
    judged !== exchange.number && el("p", { class: "soft" }, known(judged)),
    el("ul", {}, checks.map(item)),
  );
}

/** Return the token of a flow, to be unfolded; null where none was judged. */
export function tokenOfFlow(flow, records) {
  const exchange = flow.kind === "oauth" ? judgedIn(flow, records) : null;
  if (exchange === null) return null;
  const { taken, checks } = checksOf(exchange, records);
  return el(
    "details",
    { class: "token-of-flow" },
    el("summary", {}, `Its token, exchange #${exchange.number}: ${summary(taken, checks)}`),
    tokenChecks(exchange, records),
  );
}

function summary(taken, checks) {
  const wrong = checks.filter(({ held }) => held === false).length;
  const unknown = checks.filter(({ held }) => held === undefined || held === null).length;
  const held = checks.length - wrong - unknown;
  const counts = [
    held > 0 && `${counted(held, "check")} held`,
    wrong > 0 && `${wrong} did not`,
    unknown > 0 && `${unknown} could not be made`,
  ].filter(Boolean);
  return [taken ? "The token was taken" : "The token was not taken", counts.join(", ")]
    .filter(Boolean)
    .join(": ");
}

function known(judged) {
  return judged === null
    ? "It was known to be good already. What it was judged with is kept no more."
    : `It was known to be good already: it was judged with exchange #${judged}.`;
}

function item({ name, held, found, wanted, differsIn = [], note }) {
  const [level, word] = HELD[held ?? undefined];
  return el(
    "li",
    {},
    el("div", { class: "check-head" }, levelLabel(level, word), el("strong", {}, name)),
    // What was wanted says nothing more where it is what was found.
    comparison({ found, wanted: held === true ? undefined : wanted }),
    differsIn.length > 0 && el("p", { class: "soft" }, `They differ in ${differsIn.join(", ")}.`),
    note && el("p", { class: "soft" }, note),
  );
}
