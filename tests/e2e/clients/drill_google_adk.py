"""A client that meets a fault, with google-adk's MCP tools: python drill_google_adk.py URL < drill.json"""

import asyncio
import sys
from typing import Any

from drill import PATIENCE_SECONDS, drill
from google.adk.tools.mcp_tool.mcp_session_manager import StreamableHTTPConnectionParams
from google.adk.tools.mcp_tool.mcp_toolset import McpToolset


async def heard(_progress: float, _total: float | None, _message: str | None) -> None:
    """Have the SDK ask for progress."""


async def main(url: str) -> None:
    """Call, and call again."""
    where = StreamableHTTPConnectionParams(url=url, timeout=PATIENCE_SECONDS)
    tools = McpToolset(connection_params=where, progress_callback=heard)
    every = {tool.name: tool for tool in await tools.get_tools()}

    async def call(name: str, arguments: dict[str, Any]) -> object:
        return await every[name].run_async(args=arguments, tool_context=None)

    await drill(call)
    await tools.close()


asyncio.run(main(sys.argv[1]))
