// A client that meets a fault, with Mastra's MCP client: node drill_mastra.mjs URL < drill.json
//
// PACKAGES is the directory that has @mastra/mcp in its node_modules.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as rest } from "node:timers/promises";

const require = createRequire(`${process.env.PACKAGES}/`);
const { MCPClient } = require("@mastra/mcp");

const client = new MCPClient({
  servers: { trace: { url: new URL(process.argv[2]), timeout: 4000, enableProgressTracking: true } },
});
const script = JSON.parse(readFileSync(0, "utf8"));
// Up to 0.14 the arguments stand in a context.
const isOld = client.listTools === undefined;
const tools = await (isOld ? client.getTools() : client.listTools());

for (const step of [script.first, script.then]) {
  try {
    const given = isOld ? { context: step.arguments } : step.arguments;
    const answer = await tools[`trace_${step.name}`].execute(given, {});
    console.log("answered", JSON.stringify(answer).slice(0, 300));
  } catch (error) {
    console.log(error.name, error.message.slice(0, 300));
  }
  if (step === script.first) await rest(2000);
}
await client.disconnect();
