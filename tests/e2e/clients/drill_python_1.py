"""A client that meets a fault, with the official Python SDK 1.x: python drill_python_1.py URL < drill.json"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

from drill import PATIENCE_SECONDS, drill
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def main(url: str) -> None:
    """Call, and call again."""
    patience = timedelta(seconds=PATIENCE_SECONDS)
    async with (
        streamable_http_client(url) as (reader, writer, *_),
        ClientSession(reader, writer, read_timeout_seconds=patience) as client,
    ):
        await client.initialize()

        async def heard(_progress: float, _total: float | None, _message: str | None) -> None:
            """Have the SDK ask for progress."""

        async def call(name: str, arguments: dict[str, Any]) -> object:
            return await client.call_tool(name, arguments, progress_callback=heard)

        await client.list_tools()
        await drill(call)


asyncio.run(main(sys.argv[1]))
