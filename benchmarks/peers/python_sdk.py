"""A stateful echo server with the Python SDK, answering in JSON, on uvicorn without an access log."""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("python-sdk-echo", log_level="WARNING")


@server.tool()
def echo(message: str) -> str:
    """Echo a message."""
    return message


if __name__ == "__main__":
    app = server.streamable_http_app(json_response=True, max_sessions=None)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
