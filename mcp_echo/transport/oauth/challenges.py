"""What those are told who are not let in: why, and where to get what they lack.

RFC 6750 section 3, RFC 9728 section 5.1; basic/authorization, Scope Challenge Handling.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcp_echo.auth import credentials
from mcp_echo.oauth.errors import described
from mcp_echo.oauth.names import Names
from mcp_echo.oauth.protection import Protection, missing
from mcp_echo.oauth.verify import Check
from mcp_echo.protocol.errors import (
    InvalidRequest,
    IssuerUnreachable,
    McpError,
    ScopeInsufficient,
    TokenRequired,
)

_WHY = {
    "form": "The token cannot be read",
    "type": "The token is of another kind",
    "algorithm": "The token is not signed in a way that is taken",
    "issuer": "The token is of another issuer",
    "key": "The token names a key that its issuer does not have",
    "signature": "The signature of the token is wrong",
    "expiry": "The token has expired",
    "notBefore": "The token is not yet valid",
    "issuedAt": "The token was issued in the future",
    "audience": "The token is for another resource",
    "standing": "The token is no longer taken",
}
"""Check → what it means that it does not hold."""


def challenge(given: Sequence[str], names: Names, protection: Protection) -> McpError:
    """Return what somebody is told who brings no bearer token (RFC 6750 section 3.1: no error code).

    Args:
        given: The values of ``Authorization``.
        names: Of the resource.
        protection: What it asks for.
    """
    if len(given) > 1:
        return InvalidRequest(f"Invalid request: Authorization is given {len(given)} times")
    why = "Authorization required: send an access token as Authorization: Bearer"
    if given:
        why = f"{why}; Authorization has the scheme {credentials.read(given[0]).scheme or 'none'}"
    told = f"{why}. {names.resource_metadata} says who issues one"
    return TokenRequired(told, _line(names, protection.scopes))


def refusal(failed: Check, names: Names, protection: Protection) -> McpError:
    """Return what somebody is told whose token is not taken.

    Args:
        failed: What is not true of it.
        names: Of the resource.
        protection: What that asks for.
    """
    if failed.held is None and failed.name == "key":
        return IssuerUnreachable(f"The token cannot be judged: {failed.note}", retry_after=60)
    why = ": ".join(filter(None, (_WHY.get(failed.name, failed.name), failed.note)))
    if failed.found is not None and failed.wanted is not None:
        differs = f" (they differ in {', '.join(failed.differs_in)})" if failed.differs_in else ""
        why = f"{why}; it has {failed.found}, and {failed.wanted} is wanted{differs}"
    line = _line(names, protection.scopes, "invalid_token", why)
    return TokenRequired(f"The access token is not taken. {why}", line)


def insufficient(names: Names, needed: Sequence[str], granted: Sequence[str]) -> McpError:
    """Return what somebody is told whose token lacks a scope: all that the operation needs, at once."""
    lacking = " ".join(missing(needed, granted))
    why = f"The token lacks the scope {lacking}; it has {' '.join(granted) or 'none'}"
    return ScopeInsufficient(why, _line(names, needed, "insufficient_scope", why))


def _line(names: Names, scopes: Sequence[str], error: str | None = None, why: str = "") -> str:
    told = [] if error is None else [("error", error), ("error_description", described(why))]
    told.append(("resource_metadata", names.resource_metadata))
    if scopes:
        told.append(("scope", " ".join(scopes)))
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told)
