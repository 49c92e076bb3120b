"""A short conversation with the official Python SDK 1.x as it was at first: python python_sdk_old.py URL"""

import asyncio
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(url: str) -> None:
    """List the tools, and call one."""
    async with streamablehttp_client(url) as (reader, writer, _), ClientSession(reader, writer) as client:
        await client.initialize()
        print([tool.name for tool in (await client.list_tools()).tools])
        print(await client.call_tool("echo", {"message": "Hello"}))


asyncio.run(main(sys.argv[1]))
