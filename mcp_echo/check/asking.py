"""One client's requests to one MCP server, in either era."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.json import encode

from mcp_echo import __version__
from mcp_echo.check.events import messages_in
from mcp_echo.check.wire import Fields, HttpAnswer, Wire
from mcp_echo.protocol.modern import CAPABILITIES_KEY, PREFIX, VERSION_HEADER, VERSION_KEY
from mcp_echo.protocol.revisions import LEGACY, MODERN

NEWEST_LEGACY, NEWEST_MODERN = LEGACY[-1].name, MODERN[-1].name

BOTH = "application/json, text/event-stream"
SESSION = "Mcp-Session-Id"

LOOK_SECONDS = 0.5
"""How long a stream is read to see that it is one."""

_CLIENT = {"name": "mcp-echo check", "version": __version__}


class Asking:
    """Asks an MCP server.

    Args:
        wire: Sends requests.
        url: The address of the server.
    """

    def __init__(self, wire: Wire, url: str) -> None:
        self.wire = wire
        self.url = url
        self.session: str | None = None
        """The session that ``initialize`` was answered with."""
        self.revision = NEWEST_LEGACY
        """The one that was agreed on."""
        self._last_id = 0

    async def initialize(self, *extra: tuple[str, str]) -> HttpAnswer:
        """Begin a session, if the server has sessions."""
        params = {"protocolVersion": NEWEST_LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
        answer = await self._post("initialize", params, extra)
        self.session = answer.value(SESSION)
        result = (answer.response_to(self._last_id) or {}).get("result")
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        self.revision = version if isinstance(version, str) else NEWEST_LEGACY
        return answer

    async def notify(self, method: str, *extra: tuple[str, str]) -> HttpAnswer:
        """Send a notification within the session."""
        body = encode({"jsonrpc": "2.0", "method": method})
        return await self._send((*self._in_session(), *extra), body)

    async def ask(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *extra: tuple[str, str],
        session: Fields | None = None,
        seconds: float | None = None,
    ) -> HttpAnswer:
        """Send a request within the session.

        Args:
            method: The JSON-RPC method.
            params: Its params.
            extra: Further header lines.
            session: The header lines that say of which session it is, in place of the usual ones.
            seconds: How long the answer may take.
        """
        fields = self._in_session() if session is None else session
        return await self._post(method, params, (*fields, *extra), seconds)

    async def ask_modern(
        self, method: str, *extra: tuple[str, str], claim: str = NEWEST_MODERN, name: str | None = None
    ) -> HttpAnswer:
        """Send a request of the modern era.

        Args:
            method: The JSON-RPC method.
            extra: Further header lines.
            claim: The revision that it claims to be of.
            name: What ``Mcp-Method`` says, if not the method.
        """
        meta = {VERSION_KEY: claim, f"{PREFIX}clientInfo": _CLIENT, CAPABILITIES_KEY: {}}
        fields = ((VERSION_HEADER, claim), ("Mcp-Method", name or method), *extra)
        return await self._post(method, {"_meta": meta}, fields)

    async def listen(
        self,
        *extra: tuple[str, str],
        seconds: float = LOOK_SECONDS,
        until: Callable[[HttpAnswer], bool] = lambda _answer: False,
    ) -> HttpAnswer:
        """Ask for the stream of a session, and read it for some seconds."""
        fields = (("Accept", "text/event-stream"), *self._in_session(), *extra)
        return await self.wire.send("GET", self.url, fields, seconds=seconds, until=until)

    async def delete(self, *extra: tuple[str, str]) -> HttpAnswer:
        """End the session."""
        return await self.wire.send("DELETE", self.url, (*self._in_session(), *extra))

    @property
    def version_line(self) -> tuple[str, str]:
        """The header line with the revision that was agreed on."""
        return VERSION_HEADER, self.revision

    def _in_session(self) -> Fields:
        session = () if self.session is None else ((SESSION, self.session),)
        return (self.version_line, *session)

    async def _post(
        self, method: str, params: dict[str, Any] | None, fields: Fields, seconds: float | None = None
    ) -> HttpAnswer:
        self._last_id += 1
        asked = self._last_id
        message = {"jsonrpc": "2.0", "id": asked, "method": method}
        body = encode(message if params is None else {**message, "params": params})
        return await self._send(fields, body, seconds, _answers(asked))

    async def _send(
        self,
        fields: Fields,
        body: bytes,
        seconds: float | None = None,
        until: Callable[[HttpAnswer], bool] = lambda _answer: False,
    ) -> HttpAnswer:
        lines = (("Content-Type", "application/json"), ("Accept", BOTH), *fields)
        return await self.wire.send("POST", self.url, lines, body, seconds=seconds, until=until)


def _answers(request_id: int) -> Callable[[HttpAnswer], bool]:
    """Return what tells whether an event answers a request: its stream may stay open afterwards."""
    read = 0

    def is_answered(answer: HttpAnswer) -> bool:
        nonlocal read
        if not answer.is_stream or not answer.body.endswith((b"\n\n", b"\r\n\r\n")):
            return False
        fresh = messages_in(answer.body[read:], is_stream=True)
        read = len(answer.body)
        return any(each.get("id") == request_id and "method" not in each for each in fresh)

    return is_answered
