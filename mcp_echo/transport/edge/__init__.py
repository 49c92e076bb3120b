"""The HTTP/1.1 edge: connections, and the requests and answers on them. What MCP is, nobody here knows."""
