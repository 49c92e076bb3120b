"""A short conversation with pydantic-ai's MCP client: python pydantic_ai_client.py URL"""

import asyncio
import sys

from pydantic_ai.mcp import MCPToolset


async def main(url: str) -> None:
    """List the tools, and call one."""
    async with MCPToolset(url) as server:
        print([tool.name for tool in await server.list_tools()])
        print(await server.direct_call_tool("echo", {"message": "Hello"}))


asyncio.run(main(sys.argv[1]))
