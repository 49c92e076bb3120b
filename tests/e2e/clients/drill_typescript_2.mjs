// A client that meets a fault, with the official TypeScript client 2.x:
// node drill_typescript_2.mjs URL MODE < drill.json
//
// MODE is what the package calls so: "legacy" begins with initialize, "auto" asks for server/discover.

import { require } from "./conversation.mjs";
import { drill } from "./drill.mjs";

const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

const [url, mode] = process.argv.slice(2);
const client = new Client(
  { name: "typescript-sdk-2", version: "2.4.0" },
  { versionNegotiation: { mode } },
);
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
await drill(client, (step, options) => client.callTool(step, options));
