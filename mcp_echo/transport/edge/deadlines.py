"""How long a connection may be in each state, and what is done when it is longer.

A deadline is a number in a slot, which the site looks at about once a second: a timer for each request costs
more than all other checks together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mcp_echo.protocol.errors import RequestTooSlow
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.states import State

if TYPE_CHECKING:
    from mcp_echo.transport.edge.connection import Connection

NEVER = math.inf

DRAIN_SECONDS = 5.0
"""How long a refused client that goes on sending is listened to, so that it gets to see the answer."""


def time_limits(settings: Settings) -> dict[State, float]:
    """Return the seconds that a connection may be in each state."""
    return {
        "handshake": settings.header_timeout,
        "awaiting": settings.idle_timeout,
        "head": settings.header_timeout,
        "body": settings.body_timeout,
        # As long as it takes; a client that does not read is looked after by `EchoSite.watch`.
        "answering": NEVER,
        "closing": NEVER,
        "refused": DRAIN_SECONDS,
    }


def expire(connection: Connection, settings: Settings) -> None:
    """Do what is due when a connection has been in its state for too long."""
    if connection.state == "head":
        limit = f"{settings.header_timeout:g} s (MCP_ECHO_HEADER_TIMEOUT)"
        connection.refuse(RequestTooSlow(f"The request's head was not complete after {limit}"))
    elif connection.state == "body":
        limit = f"{settings.body_timeout:g} s (MCP_ECHO_BODY_TIMEOUT)"
        connection.refuse(RequestTooSlow(f"The request's body was not complete after {limit}"))
    elif connection.state == "awaiting":
        connection.site.counts.idle_closed += 1
        connection.end()
    else:
        connection.abort()
