// The conversation that both major versions of the TypeScript SDK hold: reads the calls to make from
// standard input, prints what came back.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const PATIENCE_MILLISECONDS = 15000;

// The packages live in the directory that node is started in, not beside this file.
export const require = createRequire(`${process.cwd()}/`);

export async function converse(client, transport, onNotification) {
  const script = JSON.parse(readFileSync(0, "utf8"));
  const logs = [];
  const updated = [];
  let tellUpdated;
  const told = new Promise((resolve) => (tellUpdated = resolve));
  const tooLate = new Promise((_, reject) => {
    const late = () => reject(new Error("no notifications/resources/updated arrived"));
    setTimeout(late, PATIENCE_MILLISECONDS).unref();
  });

  onNotification("notifications/message", ({ params }) => {
    logs.push({ level: params.level, logger: params.logger, data: params.data });
  });
  onNotification("notifications/resources/updated", ({ params }) => {
    updated.push(params.uri);
    tellUpdated();
  });

  await client.connect(transport);

  const call = async (step) => {
    const result = await client.callTool(step);
    return {
      text: result.content[0].text,
      structured: result.structuredContent,
      is_error: result.isError === true,
    };
  };

  const heard = {
    protocol_version: transport.protocolVersion,
    server: client.getServerVersion().name,
    tools: (await client.listTools()).tools.map((tool) => tool.name),
    answers: {},
  };
  for (const step of script.calls) {
    heard.answers[step.name] = await call(step);
  }
  heard.resources = (await client.listResources()).resources.map((each) => each.uri);
  heard.prompts = (await client.listPrompts()).prompts.map((each) => each.name);
  heard.logs_before_asking = logs.length;
  await client.setLoggingLevel("debug");
  await client.subscribeResource({ uri: script.subscribe });
  heard.again = await call(script.again);
  await Promise.race([told, tooLate]);
  heard.read = JSON.parse((await client.readResource({ uri: script.subscribe })).contents[0].text);
  heard.prompt = (await client.getPrompt({ name: script.prompt })).messages[0].content.text;
  heard.info = await call({ name: "sessionInfo", arguments: {} });
  await client.ping();
  await transport.terminateSession();
  await client.close();
  console.log(JSON.stringify({ ...heard, logs, updated }));
}
