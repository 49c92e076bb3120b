"""A short conversation with openai-agents' MCP client: python openai_agents_client.py URL"""

import asyncio
import sys

from agents.mcp import MCPServerStreamableHttp


async def main(url: str) -> None:
    """List the tools, and call one."""
    async with MCPServerStreamableHttp(params={"url": url}) as server:
        print([tool.name for tool in await server.list_tools()])
        print(await server.call_tool("echo", {"message": "Hello"}))


asyncio.run(main(sys.argv[1]))
