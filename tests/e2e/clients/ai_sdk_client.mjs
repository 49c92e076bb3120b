// A short conversation with the AI SDK's MCP client: PACKAGES=DIRECTORY node ai_sdk_client.mjs URL

import { createRequire } from "node:module";

// The package lives in a directory of its own, not beside this file.
const { createMCPClient } = createRequire(`${process.env.PACKAGES}/`)("@ai-sdk/mcp");

const client = await createMCPClient({ transport: { type: "http", url: process.argv[2] } });
const tools = await client.tools();
console.log(Object.keys(tools));
console.log(await tools.echo.execute({ message: "Hello" }, { toolCallId: "1", messages: [] }));
await client.close();
