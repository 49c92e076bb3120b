// The official TypeScript SDK 1.x lets itself in: node oauth_typescript_1.mjs URL [TOOL]

import { Provider, letIn, require } from "./oauth_conversation.mjs";

const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { UnauthorizedError } = require("@modelcontextprotocol/sdk/client/auth.js");

const [url, ...tools] = process.argv.slice(2);
const provider = new Provider("typescript-sdk-1");
const sdk = {
  UnauthorizedError,
  client: () => new Client({ name: "typescript-sdk-1", version: "1.32.2" }),
  transport: () => new StreamableHTTPClientTransport(new URL(url), { authProvider: provider }),
  finish: (transport, answer) => transport.finishAuth(answer.get("code")),
};
await letIn(sdk, provider, tools);
