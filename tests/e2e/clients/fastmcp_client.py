"""A short conversation with FastMCP's client: python fastmcp_client.py URL MODE

MODE is what the client calls so: "legacy" begins with initialize, "auto" asks for server/discover.
"""

import asyncio
import json
import sys

from fastmcp import Client


async def main(url: str, mode: str) -> dict[str, object]:
    """List the tools, call one, and return what was heard."""
    async with Client(url, mode=mode) as client:
        tools = await client.list_tools()
        answer = await client.call_tool("echo", {"message": "Hello"})
    return {"tools": [tool.name for tool in tools], "echo": answer.structured_content["message"]}


print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2]))))
