"""The rules of MCP on the wire, without I/O: errors, JSON-RPC messages, revisions, the two eras."""
