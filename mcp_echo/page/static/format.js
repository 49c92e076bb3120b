// Values as people read them. Times are those of the server, in UTC, as in its sentences.

/** Return `14:02:10`, or with milliseconds. */
export function clock(seconds, exact = false) {
  return new Date(seconds * 1000).toISOString().slice(11, exact ? 23 : 19);
}

/** Return `2026-11-29 14:02:10.081 UTC`. */
export function moment(seconds) {
  return `${new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 23)} UTC`;
}

/** Return how long after the first exchange something came: `5.10`, `12:05` or `3:12:05`. */
export function offset(seconds) {
  if (seconds < 100) return Math.max(0, seconds).toFixed(2);
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, place) => (place === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}

/** Return a span as `0.4 ms`, `12 ms`, `1.3 s` or `2 min 5 s`. */
export function span(seconds) {
  const ms = seconds * 1000;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${(whole / 3600).toFixed(1)} h`;
}

/** Return milliseconds for a column of figures. */
export function milliseconds(seconds) {
  const ms = seconds * 1000;
  return ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

/** Return `12 bytes`, `3.4 KB` or `1.2 MB`. */
export function bytes(count) {
  if (count === 1) return "1 byte";
  if (count < 1024) return `${count} bytes`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KB` : `${(count / 1024 / 1024).toFixed(1)} MB`;
}

/** Return `1 error` or `3 errors`. */
export function counted(count, what) {
  return `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;
}

/** Return `twice` or `3 times`; nothing for once. */
export function times(count = 0) {
  if (count < 2) return "";
  return count === 2 ? "twice" : `${count} times`;
}

/** Return a path without what every path of the trace has. */
export function shortPath(path) {
  const short = path.replace(/^\/t\/\{trace\}/, "").replace(/\/t\/\{trace\}/, "");
  const known = short.match(/^\/\.well-known\/([\w-]+)/);
  if (known) return `…/${known[1]}`;
  return short.replace(/^\//, "") || "/";
}

/** Return what a request asks for, in a few words: `tools/call echo`. */
export function asks({ messages = [], batch }) {
  if (batch) return `batch of ${messages.length}`;
  const [message] = messages;
  if (message === undefined) return "";
  if (message.kind === "response") return `answer to ${message.id ?? "a request"}`;
  return [message.method ?? message.kind, message.name].filter(Boolean).join(" ");
}

/** Return a request in a few words: what it asks for, or where; nearly all go to the MCP endpoint. */
export function titleOf(exchange) {
  const where = shortPath(exchange.path ?? "");
  const what = asks(exchange);
  if (what === "") return [where, ""];
  return [where === "mcp" ? "" : where, what];
}

/** Return what an exchange came to, and how it is to be taken: `good`, `error` or `none`. */
export function outcome(exchange) {
  const error = (exchange.messages ?? []).find(
    (message) => message.error !== undefined && message.kind === "request",
  );
  if (exchange.status === undefined) return { status: "—", kind: "error", note: "no answer" };
  if (exchange.status >= 400) return { status: String(exchange.status), kind: "error", note: "" };
  return {
    status: String(exchange.status),
    kind: error ? "error" : "good",
    note: error ? String(error.error) : "",
  };
}

/** Return who sent a request: its client's name, or what its User-Agent begins with. */
export function who(exchange) {
  if (exchange.client) return [exchange.client, exchange.clientVersion].filter(Boolean).join(" ");
  const agent = (exchange.headers ?? []).find(([name]) => name.toLowerCase() === "user-agent");
  return agent ? agent[1].split(/[\s(]/)[0].replace("/", " ") : "";
}
