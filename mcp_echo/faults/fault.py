"""What a kind of fault is: a struct of its options, which knows whom it hits and what it does. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from mcp_echo.faults.answer import Answer, Cut, Piece, Sending, World
from mcp_echo.faults.asked import Asked
from mcp_echo.watch.seen import Leg

MOST_SECONDS = 120
"""How long a request is held."""


def _spelled(name: str) -> str:
    """Return a field's name as JSON has it: ``as_`` is ``as``, and ``retry_after`` is ``retryAfter``."""
    first, *others = name.rstrip("_").split("_")
    return first + "".join(map(str.capitalize, others))


class Fault(
    msgspec.Struct,
    forbid_unknown_fields=True,
    kw_only=True,
    rename=_spelled,
):
    """One kind of fault, with its options."""

    summary: ClassVar[str]
    """What it does, for people."""
    legs: ClassVar[frozenset[Leg]] = frozenset()
    """The legs of OAuth flows that it hits; none for MCP."""
    any_leg: ClassVar[bool] = False
    """Whether it hits MCP, and the leg that an order names."""

    @property
    def variant(self) -> str:
        """Which of several it is, for its mark; empty where there is one."""
        return str(getattr(self, "as_", ""))

    @property
    def is_instead(self) -> bool:
        """Whether it answers in the place of the server, which does not see the request."""
        return False

    @property
    def answers_late(self) -> bool:
        """Whether it answers what the server does not; the end of a stream concerns no other fault."""
        return False

    def hits(self, asked: Asked) -> bool:
        """Return whether a request is one that it can hit; what else an order wants is not its business."""
        if asked.leg is None:
            return not self.legs and asked.http_method in ("POST", "GET")
        return self.any_leg or asked.leg in self.legs

    def request(self, asked: Asked, body: bytes) -> bytes | None:
        """Return what the server is to see in the place of a request's body; None for the body itself.

        Asked as long as the order's time lasts, whether it fires any more or not.
        """
        return None

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return what is sent in the place of an answer of the server."""
        raise NotImplementedError

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether an answer is one that it can change; where it is not, nothing has been hit."""
        return True

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return how an answer is sent, or how an event stream opens."""
        return Sending(answer)

    def event(self, asked: Asked, block: bytes) -> Sequence[Piece]:
        """Return what is written in the place of an event.

        Args:
            asked: What the stream answers.
            block: The event as it is on the wire, with the empty line behind it.
        """
        return (Piece(block),)

    def cut_after(self, events: int) -> Cut | None:
        """Return how a stream is cut behind so many events; None for not yet."""
        return None

    @property
    def retry(self) -> int | None:
        """Milliseconds that a client is told to wait before it comes back to a stream that is cut."""
        return None


class InsteadFault(Fault):
    """A fault that always answers in the place of the server."""

    @property
    def is_instead(self) -> bool:
        """True."""
        return True
