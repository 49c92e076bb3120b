"""One client on /sse and one on /mcp of the same server, taking turns: python two_transports.py BASE_URL"""

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


async def main(base: str) -> dict[str, Any]:
    """Echo on both, then replay on both, and return the facts of each."""
    async with (
        sse_client(f"{base}/sse") as (old_reader, old_writer),
        streamable_http_client(f"{base}/mcp") as (new_reader, new_writer, _),
        ClientSession(old_reader, old_writer) as old,
        ClientSession(new_reader, new_writer) as new,
    ):
        clients = {"sse": old, "http": new}
        for name, client in clients.items():
            await client.initialize()
            await client.call_tool("echo", {"message": f"over {name}"})
        heard: dict[str, Any] = {}
        for name, client in clients.items():
            replayed = await client.call_tool("replayLastEcho", {})
            info = await client.call_tool("sessionInfo", {})
            heard[name] = {"replayed": replayed.content[0].text, "info": info.structuredContent}
    return heard


print(json.dumps(asyncio.run(main(sys.argv[1]))))
