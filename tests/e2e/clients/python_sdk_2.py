"""A conversation with the official Python SDK 2.x: reads the calls to make, prints what came back.

python python_sdk_2.py URL < script.json
"""

import asyncio
import json
import sys
from typing import Any

import mcp_types as types
from mcp import Client

PATIENCE_SECONDS = 15


async def converse(url: str, script: dict[str, Any]) -> dict[str, Any]:
    """Hold the conversation and return what was heard."""
    logs: list[dict[str, Any]] = []
    updated: list[str] = []
    told = asyncio.Event()

    async def on_log(params: types.LoggingMessageNotificationParams) -> None:
        logs.append({"level": params.level, "logger": params.logger, "data": params.data})

    async def on_message(message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            updated.append(str(message.params.uri))
            told.set()

    async with Client(
        url,
        mode="legacy",
        client_info=types.Implementation(name="python-sdk-2", version="2.3.0"),
        logging_callback=on_log,
        message_handler=on_message,
    ) as client:

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await client.call_tool(name, arguments)
            return {
                "text": result.content[0].text,
                "structured": result.structured_content,
                "is_error": bool(result.is_error),
            }

        heard: dict[str, Any] = {
            "protocol_version": client.protocol_version,
            "server": client.server_info.name,
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "answers": {step["name"]: await call(**step) for step in script["calls"]},
            "resources": [str(each.uri) for each in (await client.list_resources()).resources],
            "prompts": [each.name for each in (await client.list_prompts()).prompts],
        }
        heard["logs_before_asking"] = len(logs)
        await client.set_logging_level("debug")
        await client.subscribe_resource(script["subscribe"])
        heard["again"] = await call(**script["again"])
        await asyncio.wait_for(told.wait(), PATIENCE_SECONDS)
        read = await client.read_resource(script["subscribe"])
        heard["read"] = json.loads(read.contents[0].text)
        prompt = await client.get_prompt(script["prompt"])
        heard["prompt"] = prompt.messages[0].content.text
        heard["info"] = await call("sessionInfo", {})
        await client.send_ping()
    return {**heard, "logs": logs, "updated": updated}


print(json.dumps(asyncio.run(converse(sys.argv[1], json.load(sys.stdin)))))
