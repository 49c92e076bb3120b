"""The command ``mcp-echo check``: asks an MCP server, and says what is wrong with it or with the way."""
