// A short conversation with the official TypeScript SDK 1.x as it was at first:
// PACKAGES=DIRECTORY node typescript_sdk_old.mjs URL

import { createRequire } from "node:module";

// The package lives in a directory of its own, not beside this file.
const require = createRequire(`${process.env.PACKAGES}/`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const client = new Client({ name: "typescript-sdk", version: "1.10.2" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
console.log((await client.listTools()).tools.map((tool) => tool.name));
console.log(await client.callTool({ name: "echo", arguments: { message: "Hello" } }));
await client.close();
