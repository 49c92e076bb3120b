"""The conversation that both major versions of the Python SDK hold, in either era.

Follows a script (tests/e2e/conversation.py) and returns what came back, as the wire spells it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any, Protocol

PATIENCE_SECONDS = 15
HANDLE = "<session>"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"

Plain = dict[str, Any]


def plain(model: Any) -> Plain:
    """Return a model of either SDK as the wire has it."""
    dumped: Plain = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


class Ear:
    """Hears what the server says unasked, and answers what it asks.

    Args:
        types: The SDK's module of types.
    """

    def __init__(self, types: ModuleType) -> None:
        self._types = types
        self._news = asyncio.Event()
        self._running: set[asyncio.Future[Any]] = set()
        self.logs: list[Plain] = []
        self.updated: list[str] = []
        self.progress: list[list[Any]] = []
        self.on_list_changed: Callable[[], Coroutine[Any, Any, Any]] | None = None

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        """Return the callbacks by the names that both SDKs have for them."""
        return {
            "logging_callback": self._log,
            "sampling_callback": self._sample,
            "elicitation_callback": self._elicit,
            "list_roots_callback": self._roots,
        }

    async def until(self, happened: Callable[[], bool]) -> None:
        """Return once something has been heard."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():
                self._news.clear()
                await self._news.wait()

    async def on_message(self, message: Any) -> None:
        """Take a notification of a legacy session."""
        root = getattr(message, "root", message)
        method = getattr(root, "method", None)
        if method == "notifications/resources/updated":
            self.hear_update(str(root.params.uri))
        elif method == "notifications/tools/list_changed" and self.on_list_changed is not None:
            # Not awaited: the answer cannot be read before this returns.
            listing = asyncio.ensure_future(self.on_list_changed())
            self._running.add(listing)
            listing.add_done_callback(self._running.discard)

    def hear_update(self, uri: str) -> None:
        """Take the news of a changed resource."""
        self.updated.append(uri)
        self._news.set()

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Take a progress notification."""
        self.progress.append([progress, total, message])

    async def _log(self, params: Any) -> None:
        self.logs.append({"level": params.level, "logger": params.logger, "data": params.data})
        self._news.set()

    async def _sample(self, _context: Any, _params: Any) -> Any:
        content = self._types.TextContent(type="text", text="pong")
        return self._types.CreateMessageResult(role="assistant", content=content, model="e2e")

    async def _elicit(self, _context: Any, _params: Any) -> Any:
        return self._types.ElicitResult(action="accept", content={"answer": "forty-two"})

    async def _roots(self, _context: Any) -> Any:
        return self._types.ListRootsResult(roots=[self._types.Root(uri="file:///workspace", name="work")])


class Era(Protocol):
    """What a client does differently in the two eras."""

    log_meta: Plain | None
    """Goes with a request that asks for log messages."""

    async def prepare(self) -> None:
        """Do what comes before the first log message."""

    def watching(self, uri: str) -> AbstractAsyncContextManager[None]:
        """Hear of changes to a resource and to the list of tools meanwhile."""


class Legacy:
    """The era of sessions.

    Args:
        client: The SDK's client.
        ear: Hears what comes on the session's stream.
    """

    log_meta = None

    def __init__(self, client: Any, ear: Ear) -> None:
        self._client = client
        ear.on_list_changed = client.list_tools

    async def prepare(self) -> None:
        """Ping, and ask for all log messages from now on."""
        await self._client.send_ping()
        await self._client.set_logging_level("debug")

    @asynccontextmanager
    async def watching(self, uri: str) -> AsyncIterator[None]:
        """Subscribe; changed lists are told anyway."""
        await self._client.subscribe_resource(uri)
        yield
        await self._client.unsubscribe_resource(uri)


async def converse(client: Any, ear: Ear, era: Era, script: Plain, types: ModuleType) -> Plain:
    """Hold the conversation and return what was heard."""
    handle = HANDLE

    def fill(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(HANDLE, handle))

    async def call(step: Plain, **how: Any) -> Plain:
        filled = fill(step)
        return plain(await client.call_tool(filled["name"], filled["arguments"], **how))

    heard: Plain = {"tools": [tool.name for tool in (await client.list_tools()).tools], "answers": {}}
    for step in script["calls"]:
        answer = heard["answers"][step["name"]] = await call(step)
        if step["name"] == "createEchoSession":
            handle = answer["structuredContent"]["session"]
    heard["resources"] = [str(each.uri) for each in (await client.list_resources()).resources]
    templates = plain(await client.list_resource_templates())["resourceTemplates"]
    heard["templates"] = [each["uriTemplate"] for each in templates]
    heard["prompts"] = [each.name for each in (await client.list_prompts()).prompts]
    heard["prompt"] = plain(await client.get_prompt(**script["prompt"]))["messages"][0]["content"]["text"]
    completed = script["complete"]
    prompt = types.PromptReference(**completed["ref"])
    heard["completion"] = plain(await client.complete(prompt, completed["argument"]))["completion"]["values"]

    heard["probes"] = {step["arguments"]["feature"]: await call(step) for step in script["probes"]}
    await call(script["progress"], progress_callback=ear.on_progress)
    heard["logs_before_asking"] = len(ear.logs)
    await era.prepare()
    heard["logging"] = await call(script["logging"], meta=era.log_meta)
    watched = fill(script["watch"])
    async with era.watching(watched):
        heard["again"] = await call(script["again"], meta=era.log_meta)
        await ear.until(lambda: watched in ear.updated)
        heard["lists"] = await call(script["lists"])
    read = plain(await client.read_resource(watched))
    heard["read"] = json.loads(read["contents"][0]["text"])
    heard["last"] = [await call(step) for step in script["last"]]
    return {**heard, "handle": handle, "logs": ear.logs, "updated": ear.updated, "progress": ear.progress}


async def give_up(client: Any, ear: Ear, step: Plain) -> None:
    """Cancel a call once it is under way, and wait until the server has said that it stopped."""
    running = asyncio.ensure_future(client.call_tool(step["name"], step["arguments"]))
    begun = len(ear.logs)
    await ear.until(lambda: any(log["data"].get("event") == "started" for log in ear.logs[begun:]))
    running.cancel()
    await ear.until(lambda: any(log["data"].get("probe") == "cancellation" for log in ear.logs))
