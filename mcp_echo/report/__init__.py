"""The command ``mcp-echo report``: prints what a trace holds, and tells CI whether its client is well."""
