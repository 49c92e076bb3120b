"""FastMCP's client lets itself in: python oauth_fastmcp.py URL MODE

MODE is what the client calls so. It opens a browser, which oauth_browser.py stands for, and listens for it.
"""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.auth import OAuth
from oauth_browser import go_to, location_of


class Unattended(OAuth):
    """FastMCP's own, but for the browser."""

    async def redirect_handler(self, authorization_url: str) -> None:
        """Open the address as a browser does, which follows it to the client that is about to listen."""
        location = location_of(authorization_url)
        asyncio.get_running_loop().run_in_executor(None, go_to, location)


async def main(url: str, mode: str) -> dict[str, object]:
    """Return what was heard."""
    async with Client(url, mode=mode, auth=Unattended()) as client:
        await client.list_tools()
        answer = await client.call_tool("echo", {"message": "Hello"})
    return {"echo": answer.structured_content["message"]}


print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2]))))
