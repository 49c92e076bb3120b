"""The MCP server: which era a message belongs to, and what answers it. Imports no Twisted."""
