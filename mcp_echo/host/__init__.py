"""What connects the daemon with its machine: logs, signals, the service manager. Knows no MCP."""
