"""Everything a server offers: tools, resources, prompts, extensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec import Raw

from mcp_echo.auth.proxies import Caller
from mcp_echo.http.headers import Headers
from mcp_echo.offer.prompts import PROMPTS, Prompt
from mcp_echo.offer.resources import RESOURCES, TEMPLATES, Resource, Template
from mcp_echo.protocol.jsonrpc import Message, Request
from mcp_echo.sessions.session import Client, Session
from mcp_echo.settings.table import Settings
from mcp_echo.tools.base import Call, Catalogue
from mcp_echo.tools.catalogue import catalogue

ModernMethod = Callable[[Raw, Call], Any]


class Observer(Protocol):
    """Somebody who watches what clients do, in sessions that exist and requests that say who sends them."""

    now: Callable[[], float]
    """The server's steady clock, in seconds."""

    def saw_post(
        self, message: Message | list[Message], headers: Headers, session: Session, caller: Caller
    ) -> None:
        """A POST came for a session."""

    def saw_modern(self, request: Request, headers: Headers, client: Client, caller: Caller) -> None:
        """A modern request came."""

    def asked(self, tool: str, client: Client, caller: Caller) -> None:
        """A modern call of a tool was answered with questions, and a state to send back."""

    def saw_get(self, headers: Headers, session: Session, caller: Caller) -> None:
        """A GET came for a session."""

    def hung_up(self, session: Session, tag: str) -> None:
        """The server has closed the connection of a stream early and asked the client back."""

    def ended(self, session_id: str) -> None:
        """A session is over."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one server offers, each in the order its list has it."""

    tools: Catalogue
    resources: Mapping[str, Resource]
    templates: tuple[Template, ...]
    prompts: Mapping[str, Prompt]
    extensions: Mapping[str, Any] = field(default_factory=dict)
    """Extension → what the server declares of it (modern era)."""
    methods: Mapping[str, ModernMethod] = field(default_factory=dict)
    """Methods that extensions add (modern era)."""
    observer: Observer | None = None
    """Told of what clients do, if somebody wants to know."""


def diagnostic_offer(settings: Settings) -> Offer:
    """Return what the server offers for diagnosis."""
    return Offer(catalogue(settings), RESOURCES, TEMPLATES, PROMPTS)
