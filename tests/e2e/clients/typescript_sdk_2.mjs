// The official TypeScript client package 2.x: node typescript_sdk_2.mjs URL < script.json

import { converse, require } from "./conversation.mjs";

const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

const client = new Client(
  { name: "typescript-sdk-2", version: "2.4.0" },
  { versionNegotiation: { mode: "legacy" } },
);
const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
await converse(client, transport, (method, heard) => client.setNotificationHandler(method, heard));
