// A client that meets a fault, with the official TypeScript SDK 1.x: node drill_typescript_1.mjs URL < drill.json

import { require } from "./conversation.mjs";
import { drill } from "./drill.mjs";

const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const client = new Client({ name: "typescript-sdk-1", version: "1.32.2" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
await drill(client, (step, options) => client.callTool(step, undefined, options));
