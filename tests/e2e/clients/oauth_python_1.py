"""The official Python SDK 1.x lets itself in: python oauth_python_1.py URL [TOOL]

Calls echo, and then TOOL, which may need more than the first token is good for.
"""

import asyncio
import json
import sys

from mcp import ClientSession, types
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata
from oauth_browser import REDIRECT_URI, Browser, Memory


async def main(url: str, *tools: str) -> dict[str, object]:
    """Return what was heard."""
    browser = Browser()

    async def answer() -> tuple[str, str | None]:
        return browser.answer["code"], browser.answer.get("state")

    metadata = OAuthClientMetadata(client_name="python-sdk-1", redirect_uris=[REDIRECT_URI])
    auth = OAuthClientProvider(url, metadata, Memory(), browser.open, answer)
    who = types.Implementation(name="python-sdk-1", version="1.30.0")
    async with (
        create_mcp_http_client(auth=auth) as http,
        streamable_http_client(url, http_client=http) as (reader, writer, *_),
        ClientSession(reader, writer, client_info=who) as client,
    ):
        await client.initialize()
        await client.list_tools()
        heard = (await client.call_tool("echo", {"message": "Hello"})).structuredContent["message"]
        for tool in tools:
            await client.call_tool(tool, {})
    return {"echo": heard}


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
