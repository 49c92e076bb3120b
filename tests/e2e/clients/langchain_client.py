"""A short conversation with langchain-mcp-adapters: python langchain_client.py URL"""

import asyncio
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient


async def main(url: str) -> None:
    """List the tools, and call one."""
    client = MultiServerMCPClient({"echo": {"transport": "streamable_http", "url": url}})
    tools = {tool.name: tool for tool in await client.get_tools()}
    print(await tools["echo"].ainvoke({"message": "Hello"}))


asyncio.run(main(sys.argv[1]))
