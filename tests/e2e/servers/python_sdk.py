"""A server with the Python SDK, of either major version: ``python python_sdk.py PORT``."""

import sys

import uvicorn

try:
    from mcp.server.mcpserver import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server

server = Server("python-sdk")


@server.tool()
def echo(message: str) -> str:
    """Echo a message."""
    return message


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
