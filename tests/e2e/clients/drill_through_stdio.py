"""A client that meets a fault behind a bridge: python drill_through_stdio.py COMMAND… < drill.json"""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

from drill import PATIENCE_SECONDS, drill
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(command: str, *arguments: str) -> None:
    """Call, and call again."""
    bridge = StdioServerParameters(command=command, args=list(arguments), env=dict(os.environ))
    patience = timedelta(seconds=PATIENCE_SECONDS)
    async with (
        stdio_client(bridge) as (reader, writer),
        ClientSession(reader, writer, read_timeout_seconds=patience) as client,
    ):
        await client.initialize()

        async def heard(_progress: float, _total: float | None, _message: str | None) -> None:
            """Have the SDK ask for progress."""

        async def call(name: str, arguments: dict[str, Any]) -> object:
            return await client.call_tool(name, arguments, progress_callback=heard)

        await client.list_tools()
        await drill(call)


asyncio.run(main(*sys.argv[1:]))
