"""A conversation with the official Python SDK 2.x: python python_sdk_2.py URL MODE < script.json

MODE is what the SDK's client calls so: "legacy" begins with initialize, "auto" asks for server/discover.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from conversation import LOG_LEVEL, Ear, Legacy, converse, give_up
from mcp import Client
from mcp.client.subscriptions import ResourceUpdated, Subscription


class Modern:
    """The era without sessions.

    Args:
        client: The SDK's client.
        ear: Hears what comes on the listening stream.
    """

    log_meta = {LOG_LEVEL: "debug"}

    def __init__(self, client: Client, ear: Ear) -> None:
        self._client = client
        self._ear = ear

    async def prepare(self) -> None:
        """Do nothing: each request says whether it wants log messages."""

    @asynccontextmanager
    async def watching(self, uri: str) -> AsyncIterator[None]:
        """Listen."""
        async with self._client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as news:
            following = asyncio.ensure_future(self._follow(news))
            try:
                yield
            finally:
                following.cancel()

    async def _follow(self, news: Subscription) -> None:
        async for event in news:
            if isinstance(event, ResourceUpdated):
                self._ear.hear_update(event.uri)
            else:
                await self._client.list_tools()


async def main(url: str, mode: str, script: dict[str, Any]) -> dict[str, Any]:
    """Hold the conversation and return what was heard."""
    ear = Ear(types)
    who = types.Implementation(name="python-sdk-2", version="2.3.0")
    legacy = mode == "legacy"
    hearing = {"message_handler": ear.on_message} if legacy else {}
    async with Client(url, mode=mode, client_info=who, **hearing, **ear.callbacks()) as client:
        era = Legacy(client, ear) if legacy else Modern(client, ear)
        heard = await converse(client, ear, era, script, types)
        if legacy:
            await give_up(client, ear, script["cancel"])
        return {**heard, "protocol_version": client.protocol_version, "server": client.server_info.name}


print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))))
