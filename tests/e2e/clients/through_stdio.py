"""A short conversation through a bridge from stdio to HTTP: python through_stdio.py COMMAND…"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(command: str, *arguments: str) -> dict[str, object]:
    """List the tools, call one, and return what was heard."""
    bridge = StdioServerParameters(command=command, args=list(arguments), env=dict(os.environ))
    async with stdio_client(bridge) as (reader, writer), ClientSession(reader, writer) as client:
        await client.initialize()
        tools = (await client.list_tools()).tools
        answer = await client.call_tool("echo", {"message": "Hello"})
    return {"tools": [tool.name for tool in tools], "echo": answer.structuredContent["message"]}


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
