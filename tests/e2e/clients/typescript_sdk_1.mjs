// The official TypeScript SDK 1.x: node typescript_sdk_1.mjs URL < script.json

import { converse, require } from "./conversation.mjs";

const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const types = require("@modelcontextprotocol/sdk/types.js");

const schemas = {
  "notifications/message": types.LoggingMessageNotificationSchema,
  "notifications/resources/updated": types.ResourceUpdatedNotificationSchema,
};
const client = new Client({ name: "typescript-sdk-1", version: "1.32.2" });
const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
await converse(client, transport, (method, heard) => client.setNotificationHandler(schemas[method], heard));
