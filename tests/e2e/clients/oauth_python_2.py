"""The official Python SDK 2.x lets itself in: python oauth_python_2.py URL MODE [TOOL]

MODE is what the SDK's client calls so. Calls echo, and then TOOL, which may need more than the first token is
good for.
"""

import asyncio
import json
import sys

import mcp_types as types
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from oauth_browser import REDIRECT_URI, Browser, Memory


async def main(url: str, mode: str, *tools: str) -> dict[str, object]:
    """Return what was heard."""
    browser = Browser()

    async def answer() -> AuthorizationCodeResult:
        given = browser.answer
        return AuthorizationCodeResult(code=given["code"], state=given.get("state"), iss=given.get("iss"))

    metadata = OAuthClientMetadata(client_name="python-sdk-2", redirect_uris=[REDIRECT_URI])
    auth = OAuthClientProvider(url, metadata, Memory(), browser.open, answer)
    who = types.Implementation(name="python-sdk-2", version="2.3.0")
    async with create_mcp_http_client(auth=auth) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, client_info=who) as client:
            await client.list_tools()
            heard = (await client.call_tool("echo", {"message": "Hello"})).structured_content["message"]
            for tool in tools:
                await client.call_tool(tool, {})
    return {"echo": heard}


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
