// The official TypeScript SDK 1.x: node typescript_sdk_1.mjs URL < script.json

import { CAPABILITIES, converse, require } from "./conversation.mjs";

const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const types = require("@modelcontextprotocol/sdk/types.js");

const schemas = {
  "notifications/message": types.LoggingMessageNotificationSchema,
  "notifications/resources/updated": types.ResourceUpdatedNotificationSchema,
  "notifications/tools/list_changed": types.ToolListChangedNotificationSchema,
  "sampling/createMessage": types.CreateMessageRequestSchema,
  "elicitation/create": types.ElicitRequestSchema,
  "roots/list": types.ListRootsRequestSchema,
};
const client = new Client(
  { name: "typescript-sdk-1", version: "1.32.2" },
  { capabilities: CAPABILITIES },
);
const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
await converse(client, transport, {
  on: (method, handler) =>
    method.startsWith("notifications/")
      ? client.setNotificationHandler(schemas[method], handler)
      : client.setRequestHandler(schemas[method], handler),
  call: (step, options) => client.callTool(step, undefined, options),
  revision: () => transport.protocolVersion,
});
