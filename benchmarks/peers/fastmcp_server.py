"""A stateful echo server with FastMCP, answering in JSON, on uvicorn without an access log."""

import sys

import uvicorn
from fastmcp import FastMCP

server = FastMCP("fastmcp-echo")


@server.tool
def echo(message: str) -> str:
    """Echo a message."""
    return message


if __name__ == "__main__":
    app = server.http_app(path="/mcp", json_response=True)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
