"""MCP over HTTP on twisted.web and Klein."""
