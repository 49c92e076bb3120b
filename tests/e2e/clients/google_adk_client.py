"""A short conversation with google-adk's MCP tools: python google_adk_client.py URL"""

import asyncio
import sys

from google.adk.tools.mcp_tool.mcp_session_manager import StreamableHTTPConnectionParams
from google.adk.tools.mcp_tool.mcp_toolset import McpToolset


async def main(url: str) -> None:
    """List the tools, and call one."""
    tools = McpToolset(connection_params=StreamableHTTPConnectionParams(url=url))
    every = {tool.name: tool for tool in await tools.get_tools()}
    print(list(every))
    print(await every["echo"].run_async(args={"message": "Hello"}, tool_context=None))
    await tools.close()


asyncio.run(main(sys.argv[1]))
