// The filter: `level:error method:tools/call status:401 free text`. All words have to fit.

import { who } from "./format.js";

const LEVELS = ["error", "warning", "info"];

const KEYS = {
  level: (exchange, value, levels) => {
    const least = LEVELS.indexOf(value);
    return (exchange.findings ?? []).some((id) => LEVELS.indexOf(levels.get(id) ?? "info") <= least);
  },
  method: (exchange, value) =>
    [exchange.httpMethod, ...messages(exchange, "method")].some((each) => has(each, value)),
  tool: (exchange, value) => messages(exchange, "name").some((each) => has(each, value)),
  status: (exchange, value) => String(exchange.status ?? "none").startsWith(value.replace(/x+$/, "")),
  client: (exchange, value) => has(who(exchange), value),
  finding: (exchange, value) => (exchange.findings ?? []).some((each) => has(each, value)),
  fault: (exchange, value) => has(exchange.fault, value),
  session: (exchange, value) => has(exchange.session, value),
};

/**
 * Return what says of an exchange whether it is shown; null where all are.
 *
 * @param {string} text - What was typed.
 * @param {Map<string, string>} levels - Id of a rule → level.
 */
export function filterOf(text, levels) {
  const tests = (text.toLowerCase().match(/[^\s"]*"[^"]*"?|\S+/g) ?? []).map((word) =>
    test(word.replaceAll('"', ""), levels),
  );
  return tests.length > 0 ? (exchange) => tests.every((each) => each(exchange)) : null;
}

function test(word, levels) {
  const [, key, value] = word.match(/^([a-z]+):(.+)$/) ?? [];
  if (key in KEYS && (key !== "level" || LEVELS.includes(value)))
    return (exchange) => KEYS[key](exchange, value, levels);
  return (exchange) => textOf(exchange).includes(word);
}

function textOf(exchange) {
  const asked = [...messages(exchange, "method"), ...messages(exchange, "name")];
  const parts = [
    exchange.httpMethod,
    exchange.path,
    exchange.status,
    who(exchange),
    exchange.refusal,
    exchange.fault,
    exchange.session,
    ...asked,
  ];
  return [...parts, ...(exchange.findings ?? [])].join(" ").toLowerCase();
}

function messages(exchange, name) {
  return (exchange.messages ?? []).map((message) => message[name]).filter((each) => each !== undefined);
}

function has(text, part) {
  return (text ?? "").toLowerCase().includes(part);
}
