"""mcp-echo: a stateful diagnostic MCP server on Twisted."""

__version__ = "0.2.0"
