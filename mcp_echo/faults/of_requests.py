"""Faults that answer in the place of the server. No I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from mcp_echo.faults.answer import UNCACHED, UNCACHED_JSON, Answer, Sending, World
from mcp_echo.faults.asked import Asked
from mcp_echo.faults.fault import InsteadFault
from mcp_echo.protocol.errors import InvalidRequest, McpError, SessionNotFound
from mcp_echo.protocol.jsonrpc import error_bytes


def refusal(asked: Asked, error: McpError, status: int) -> Answer:
    """Return an answer that refuses a request."""
    return Answer(status, UNCACHED_JSON, error_bytes(asked.id, error))


class SessionLost(InsteadFault):
    """Answers as if the session were gone."""

    summary = "Answers as if the session were gone; with forget it is."

    status: Literal[404, 400, 401, 403, 410, 503] = 404
    forget: bool = False

    def hits(self, asked: Asked) -> bool:
        """Return whether a request names a session to lose."""
        return super().hits(asked) and asked.session

    @property
    def variant(self) -> str:
        """The status."""
        return str(self.status)

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return what a client gets whose session is gone."""
        return Sending(refusal(asked, SessionNotFound(), self.status))


class Reject(InsteadFault):
    """Answers with a status of one's choice."""

    summary = "Refuses with a status, and with Retry-After if you say so."
    any_leg = True

    status: Annotated[int, Meta(ge=400, le=599)] = 503
    retry_after: Annotated[int, Meta(ge=0, le=3600)] | None = None

    @property
    def variant(self) -> str:
        """The status."""
        return str(self.status)

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return the refusal."""
        error = InvalidRequest(f"Refused with {self.status}, as a fault was ordered")
        answer = refusal(asked, error, self.status)
        if self.retry_after is not None:
            answer = answer.with_header("Retry-After", str(self.retry_after))
        return Sending(answer)


class Empty(InsteadFault):
    """Answers with nothing."""

    summary = "Answers with no body, or closes the connection without a single byte."
    any_leg = True

    as_: Literal["body", "response"] = "body"

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return nothing."""
        return Sending(Answer(200, (UNCACHED,)) if self.as_ == "body" else None, cut="close")


class Redirect(InsteadFault):
    """Sends a client to the same address, spelled otherwise."""

    summary = "Redirects to this address with a slash more, or with another scheme."
    any_leg = True

    status: Literal[307, 308, 301, 302, 303] = 307
    to: Literal["slash", "http", "https"] = "slash"

    @property
    def variant(self) -> str:
        """The status."""
        return str(self.status)

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return the redirect, which never leads to another host."""
        where = f"{world.resource}/"
        if self.to != "slash":
            where = f"{self.to}://{world.resource.partition('://')[2]}"
        return Sending(Answer(self.status, (UNCACHED,)).with_header("Location", where))


class HeadersRequired(InsteadFault):
    """Refuses a request that lacks a header."""

    summary = "Refuses a request that lacks one of these headers with 400."

    names: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(min_length=1, max_length=32)
    ]

    def hits(self, asked: Asked) -> bool:
        """Return whether a request lacks one."""
        return super().hits(asked) and bool(self._lacking(asked))

    def _lacking(self, asked: Asked) -> list[str]:
        return [each for each in self.names if each.lower() not in asked.headers]

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return the refusal, which names what is lacking."""
        error = InvalidRequest(
            f"Invalid request: these headers are required: {', '.join(self._lacking(asked))}"
        )
        return Sending(refusal(asked, error, 400))
