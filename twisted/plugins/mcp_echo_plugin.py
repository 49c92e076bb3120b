"""Tell twistd of the ``mcp-echo`` command. Names only: every twistd run imports this module."""

from twisted.application.service import ServiceMaker

mcp_echo = ServiceMaker(
    "mcp-echo",
    "mcp_echo.tap",
    "A stateful diagnostic MCP server over Streamable HTTP.",
    "mcp-echo",
)
