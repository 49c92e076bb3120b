"""What is asked of one server, step by step; the checks look at what was answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcp_echo.check.asking import SESSION, Asking
from mcp_echo.check.metadata import Metadata, find_metadata
from mcp_echo.check.wire import CannotCheck, HttpAnswer, Wire
from mcp_echo.protocol.modern import VERSION_HEADER

FOREIGN = "http://mcp-echo-check.invalid"
"""An origin that no server has a reason to allow (RFC 6761 section 6.4)."""

Progress = Callable[[str], object]
"""Is told what is done now."""


@dataclass(kw_only=True, slots=True)
class Conversation:
    """What a server has answered; None for what it was not asked."""

    url: str
    initialize: HttpAnswer
    discover: HttpAnswer
    session: str | None = None
    revision: str = ""
    initialized: HttpAnswer | None = None
    ping: HttpAnswer | None = None
    stream: HttpAnswer | None = None
    unknown_version: HttpAnswer | None = None
    foreign_origin: HttpAnswer | None = None
    without_session: HttpAnswer | None = None
    deleted: HttpAnswer | None = None
    after_delete: HttpAnswer | None = None
    other_method: HttpAnswer | None = None
    unknown_claim: HttpAnswer | None = None
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def is_legacy(self) -> bool:
        """Whether the server has answered ``initialize`` with a result."""
        return self.initialize.result is not None

    @property
    def is_modern(self) -> bool:
        """Whether the server has answered ``server/discover`` with a result."""
        return self.discover.result is not None

    @property
    def challenge(self) -> HttpAnswer | None:
        """The first answer that asks for credentials; None where nothing does."""
        return next((each for each in (self.initialize, self.discover) if each.status == 401), None)


async def converse(wire: Wire, url: str, tell: Progress) -> Conversation:
    """Ask a server.

    Args:
        wire: Sends requests.
        url: The address of the server.
        tell: Is told what is asked now.

    Raises:
        CannotCheck: It cannot be reached, or is no MCP server.
    """
    asking = Asking(wire, url)
    tell("initialize")
    initialize = await asking.initialize()
    if not initialize.status:
        raise CannotCheck(initialize.error or "nothing was answered")
    tell("server/discover")
    seen = Conversation(url=url, initialize=initialize, discover=await asking.ask_modern("server/discover"))
    if not (seen.is_legacy or seen.is_modern or seen.challenge):
        raise CannotCheck(
            f"what answers there is no MCP server ({initialize.status} to initialize, "
            f"{seen.discover.status or 'nothing'} to server/discover): see that the address is right"
        )
    if seen.is_legacy:
        await _ask_legacy(asking, seen, tell)
    if seen.is_modern:
        await _ask_modern(asking, seen, tell)
    tell("metadata")
    seen.metadata = await find_metadata(wire, url, seen.challenge)
    return seen


async def _ask_legacy(asking: Asking, seen: Conversation, tell: Progress) -> None:
    seen.session, seen.revision = asking.session, asking.revision
    tell("the legacy era")
    seen.initialized = await asking.notify("notifications/initialized")
    seen.ping = await asking.ask("ping")
    seen.stream = await asking.listen()
    lines: list[tuple[str, str]] = [] if asking.session is None else [(SESSION, asking.session)]
    seen.unknown_version = await asking.ask("ping", session=[*lines, (VERSION_HEADER, "1999-01-01x")])
    seen.foreign_origin = await asking.ask("ping", None, ("Origin", FOREIGN))
    if asking.session is None:
        return
    tell("sessions")
    seen.without_session = await asking.ask("ping", session=[asking.version_line])
    seen.deleted = await asking.delete()
    if 200 <= seen.deleted.status < 300:
        seen.after_delete = await asking.ask("ping")


async def _ask_modern(asking: Asking, seen: Conversation, tell: Progress) -> None:
    tell("the modern era")
    seen.other_method = await asking.ask_modern("server/discover", name="tools/list")
    seen.unknown_claim = await asking.ask_modern("server/discover", claim="1999-01-01x")


def answers_of(seen: Conversation) -> list[HttpAnswer]:
    """Return all that a server has answered, in no order."""
    values: list[Any] = [getattr(seen, name) for name in Conversation.__slots__]
    return [each for each in values if isinstance(each, HttpAnswer)]
