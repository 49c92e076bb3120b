"""A conversation with the official Python SDK 1.x: reads the calls to make, prints what came back.

python python_sdk_1.py URL < script.json
"""

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

PATIENCE_SECONDS = 15


async def converse(url: str, script: dict[str, Any]) -> dict[str, Any]:
    """Hold the conversation and return what was heard."""
    logs: list[dict[str, Any]] = []
    updated: list[str] = []
    told = asyncio.Event()

    async def on_log(params: types.LoggingMessageNotificationParams) -> None:
        logs.append({"level": params.level, "logger": params.logger, "data": params.data})

    async def on_message(message: Any) -> None:
        root = getattr(message, "root", None)
        if isinstance(root, types.ResourceUpdatedNotification):
            updated.append(str(root.params.uri))
            told.set()

    async with (
        streamable_http_client(url) as (reader, writer, _),
        ClientSession(
            reader,
            writer,
            logging_callback=on_log,
            message_handler=on_message,
            client_info=types.Implementation(name="python-sdk-1", version="1.30.0"),
        ) as client,
    ):
        welcome = await client.initialize()

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await client.call_tool(name, arguments)
            return {
                "text": result.content[0].text,
                "structured": result.structuredContent,
                "is_error": bool(result.isError),
            }

        heard: dict[str, Any] = {
            "protocol_version": welcome.protocolVersion,
            "server": welcome.serverInfo.name,
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "answers": {step["name"]: await call(**step) for step in script["calls"]},
            "resources": [str(each.uri) for each in (await client.list_resources()).resources],
            "prompts": [each.name for each in (await client.list_prompts()).prompts],
        }
        heard["logs_before_asking"] = len(logs)
        await client.set_logging_level("debug")
        await client.subscribe_resource(AnyUrl(script["subscribe"]))
        heard["again"] = await call(**script["again"])
        await asyncio.wait_for(told.wait(), PATIENCE_SECONDS)
        read = await client.read_resource(AnyUrl(script["subscribe"]))
        heard["read"] = json.loads(read.contents[0].text)
        prompt = await client.get_prompt(script["prompt"])
        heard["prompt"] = prompt.messages[0].content.text
        heard["info"] = await call("sessionInfo", {})
        await client.send_ping()
    return {**heard, "logs": logs, "updated": updated}


print(json.dumps(asyncio.run(converse(sys.argv[1], json.load(sys.stdin)))))
