"""A conversation with the official Python SDK 1.x: python python_sdk_1.py URL < script.json

A URL that ends with /sse is spoken to over the transport of 2024-11-05, any other over Streamable HTTP.
"""

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

from conversation import Ear, Legacy, converse
from mcp import ClientSession, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


def connect(url: str) -> AbstractAsyncContextManager[Any]:
    """Return the SDK's transport for a URL."""
    return sse_client(url) if url.endswith("/sse") else streamable_http_client(url)


async def main(url: str, script: dict[str, Any]) -> dict[str, Any]:
    """Hold the conversation and return what was heard."""
    ear = Ear(types)
    who = types.Implementation(name="python-sdk-1", version="1.30.0")
    async with (
        connect(url) as (reader, writer, *_),
        ClientSession(
            reader, writer, client_info=who, message_handler=ear.on_message, **ear.callbacks()
        ) as client,
    ):
        welcome = await client.initialize()
        heard = await converse(client, ear, Legacy(client, ear), script, types)
    return {**heard, "protocol_version": welcome.protocolVersion, "server": welcome.serverInfo.name}


print(json.dumps(asyncio.run(main(sys.argv[1], json.load(sys.stdin)))))
