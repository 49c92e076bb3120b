// The conversation that both major versions of the TypeScript SDK hold, in either era: follows a script
// from standard input (tests/e2e/conversation.py), prints what came back.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const PATIENCE_MILLISECONDS = 15000;
const HANDLE = "<session>";
const LOG_LEVEL = "io.modelcontextprotocol/logLevel";

// The packages live in the directory that node is started in, not beside this file.
export const require = createRequire(`${process.cwd()}/`);

export const CAPABILITIES = { sampling: {}, elicitation: {}, roots: {} };

const ANSWERS = {
  "sampling/createMessage": {
    role: "assistant",
    content: { type: "text", text: "pong" },
    model: "e2e",
  },
  "elicitation/create": { action: "accept", content: { answer: "forty-two" } },
  "roots/list": { roots: [{ uri: "file:///workspace", name: "work" }] },
};

// What the server said unasked.
class Ear {
  logs = [];
  updated = [];
  progress = [];
  #tell = () => {};

  hear(list, item) {
    list.push(item);
    this.#tell();
  }

  async until(happened) {
    const late = new Promise((_, reject) => {
      const give_up = () => reject(new Error(`not heard in time: ${happened}`));
      setTimeout(give_up, PATIENCE_MILLISECONDS).unref();
    });
    while (!happened()) {
      await Promise.race([new Promise((resolve) => (this.#tell = resolve)), late]);
    }
  }
}

// sdk: what the two versions spell differently: on(method, handler), call(params, options), revision().
export async function converse(client, transport, sdk) {
  const script = JSON.parse(readFileSync(0, "utf8"));
  const ear = new Ear();
  let handle = HANDLE;

  for (const [method, answer] of Object.entries(ANSWERS)) {
    sdk.on(method, async () => answer);
  }
  sdk.on("notifications/message", ({ params }) => {
    ear.hear(ear.logs, { level: params.level, logger: params.logger, data: params.data });
  });
  sdk.on("notifications/resources/updated", ({ params }) => ear.hear(ear.updated, params.uri));
  sdk.on("notifications/tools/list_changed", () => client.listTools());

  await client.connect(transport);
  const revision = sdk.revision();
  const modern = sdk.modern === true;

  const fill = (value) => JSON.parse(JSON.stringify(value).replaceAll(HANDLE, handle));
  const call = (step, options) => sdk.call(fill(step), options);
  // A modern request asks for its own log messages.
  const loudly = (step) => call(modern ? { ...step, _meta: { [LOG_LEVEL]: "debug" } } : step);

  const heard = {
    protocol_version: revision,
    server: client.getServerVersion().name,
    tools: (await client.listTools()).tools.map((tool) => tool.name),
    answers: {},
    probes: {},
  };
  for (const step of script.calls) {
    const answer = (heard.answers[step.name] = await call(step));
    if (step.name === "createEchoSession") {
      handle = answer.structuredContent.session;
    }
  }
  heard.resources = (await client.listResources()).resources.map((each) => each.uri);
  const { resourceTemplates } = await client.listResourceTemplates();
  heard.templates = resourceTemplates.map((each) => each.uriTemplate);
  heard.prompts = (await client.listPrompts()).prompts.map((each) => each.name);
  heard.prompt = (await client.getPrompt(script.prompt)).messages[0].content.text;
  heard.completion = (await client.complete(script.complete)).completion.values;

  for (const step of script.probes) {
    heard.probes[step.arguments.feature] = await call(step);
  }
  await call(script.progress, {
    onprogress: ({ progress, total, message }) => ear.hear(ear.progress, [progress, total, message]),
  });
  heard.logs_before_asking = ear.logs.length;
  if (!modern) {
    await client.ping();
    await client.setLoggingLevel("debug");
  }
  heard.logging = await loudly(script.logging);

  const watched = fill(script.watch);
  const subscription = modern
    ? await client.listen({ toolsListChanged: true, resourceSubscriptions: [watched] })
    : await client.subscribeResource({ uri: watched });
  heard.again = await loudly(script.again);
  await ear.until(() => ear.updated.includes(watched));
  heard.lists = await call(script.lists);
  await (modern ? subscription.close() : client.unsubscribeResource({ uri: watched }));

  heard.read = JSON.parse((await client.readResource({ uri: watched })).contents[0].text);
  heard.last = [];
  for (const step of script.last) {
    heard.last.push(await call(step));
  }
  if (!modern) {
    await giveUp(call, ear, script.cancel);
    await transport.terminateSession();
  }
  await client.close();
  const { logs, updated, progress } = ear;
  console.log(JSON.stringify({ ...heard, handle, logs, updated, progress }));
}

// Cancels a call once it is under way, and waits until the server has said that it stopped.
async function giveUp(call, ear, step) {
  const stop = new AbortController();
  const begun = ear.logs.length;
  const running = call(step, { signal: stop.signal }).catch(() => {});
  await ear.until(() => ear.logs.slice(begun).some((log) => log.data.event === "started"));
  stop.abort();
  await running;
  await ear.until(() => ear.logs.some((log) => log.data.probe === "cancellation"));
}
