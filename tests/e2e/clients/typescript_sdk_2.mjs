// The official TypeScript client package 2.x: node typescript_sdk_2.mjs URL MODE < script.json
//
// MODE is what the package calls so: "legacy" begins with initialize, "auto" asks for server/discover.

import { CAPABILITIES, converse, require } from "./conversation.mjs";

const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

const [url, mode] = process.argv.slice(2);
const client = new Client(
  { name: "typescript-sdk-2", version: "2.4.0" },
  { capabilities: CAPABILITIES, versionNegotiation: { mode } },
);
const transport = new StreamableHTTPClientTransport(new URL(url));
await converse(client, transport, {
  on: (method, handler) =>
    method.startsWith("notifications/")
      ? client.setNotificationHandler(method, handler)
      : client.setRequestHandler(method, handler),
  call: (step, options) => client.callTool(step, options),
  revision: () => client.getNegotiatedProtocolVersion(),
  modern: mode !== "legacy",
});
