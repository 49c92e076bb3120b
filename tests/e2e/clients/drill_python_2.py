"""A client that meets a fault, with the official Python SDK 2.x:
python drill_python_2.py URL MODE < drill.json

MODE is what the SDK's client calls so: "legacy" begins with initialize, "auto" asks for server/discover.
"""

import asyncio
import sys
from typing import Any

from drill import PATIENCE_SECONDS, drill
from mcp import Client


async def main(url: str, mode: str) -> None:
    """Call, and call again."""
    async with Client(url, mode=mode, read_timeout_seconds=PATIENCE_SECONDS) as client:

        async def heard(_progress: float, _total: float | None, _message: str | None) -> None:
            """Have the SDK ask for progress."""

        async def call(name: str, arguments: dict[str, Any]) -> object:
            return await client.call_tool(name, arguments, progress_callback=heard)

        await client.list_tools()
        await drill(call)


asyncio.run(main(sys.argv[1], sys.argv[2]))
