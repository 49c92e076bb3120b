// The official TypeScript client package 2.x lets itself in: node oauth_typescript_2.mjs URL MODE [TOOL]

import { Provider, letIn, require } from "./oauth_conversation.mjs";

const { Client, StreamableHTTPClientTransport, UnauthorizedError } = require("@modelcontextprotocol/client");

const [url, mode, ...tools] = process.argv.slice(2);
const provider = new Provider("typescript-sdk-2");
const sdk = {
  UnauthorizedError,
  client: () =>
    new Client({ name: "typescript-sdk-2", version: "2.4.0" }, { versionNegotiation: { mode } }),
  transport: () => new StreamableHTTPClientTransport(new URL(url), { authProvider: provider }),
  finish: (transport, answer) => transport.finishAuth(answer),
};
await letIn(sdk, provider, tools);
