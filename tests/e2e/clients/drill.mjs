// What each client of a drill does: the call that is hit, a while of nothing, and another call.
//
// The script comes on standard input: {"first": {"name": …, "arguments": …}, "then": {…}}.

import { readFileSync } from "node:fs";
import { setTimeout as rest } from "node:timers/promises";

// How long the program has its SDK wait for an answer.
export const PATIENCE_MILLISECONDS = 4000;

// How long it does nothing after the first call, so that what comes is of the SDK's own doing.
const REST_MILLISECONDS = 2000;

export async function drill(client, call) {
  const script = JSON.parse(readFileSync(0, "utf8"));
  await client.listTools();
  await attempt(call, script.first);
  await rest(REST_MILLISECONDS);
  await attempt(call, script.then);
  await client.close();
}

async function attempt(call, step) {
  // Have the SDK ask for progress.
  const options = { timeout: PATIENCE_MILLISECONDS, onprogress: () => {} };
  try {
    console.log("answered", JSON.stringify(await call(step, options)).slice(0, 300));
  } catch (error) {
    console.log(error.name, error.message.slice(0, 300));
  }
}
