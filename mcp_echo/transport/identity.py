"""Who sends a request: the peer of the connection, and what it says of others if it is a trusted proxy."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.auth import credentials, jwt
from mcp_echo.auth.credentials import Credentials
from mcp_echo.auth.jwt_claims import repeated_claims
from mcp_echo.auth.proxies import (
    Caller,
    NamesNobody,
    TrustedProxies,
    named_principal,
    single_value,
    token_principal,
)
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.watch.seen import Seen

USER_ID = "X-User-Id"


class CallerIdentity:
    """Tells who is calling.

    Args:
        settings: ``trusted_proxies`` and ``principal_from``.
    """

    def __init__(self, settings: Settings) -> None:
        self._trusted = TrustedProxies(settings.trusted_proxies)
        self.believes = bool(self._trusted)
        """Whether there are peers to believe; if not, nobody has to ask."""
        self._principal_of: Callable[[HttpExchange], str | None] = _from_user_id
        self._source = USER_ID
        if settings.principal_from == "subject":
            self._principal_of = _from_subject
            self._source = "iss and sub of the bearer token"

    def principal(self, exchange: HttpExchange) -> str | None:
        """Return who the caller is, or None when no trusted proxy says so.

        Raises:
            InvalidRequest: A trusted proxy names more than one, or somebody whose name cannot be read or is
                too long.
        """
        return self._principal_of(exchange) if self._trusted.trusts(exchange.seen.peer) else None

    def caller(self, seen: Seen) -> Caller:
        """Return all that is known of the caller, whose principal is known already."""
        peer = address = seen.peer
        trusted = self.believes and self._trusted.trusts(peer)
        if trusted and seen.head is not None:
            address = self._trusted.client(peer, seen.head.values(b"x-forwarded-for"))
        source = None if seen.principal is None else self._source
        return Caller(peer, address, trusted, seen.principal, source)


def header_values(exchange: HttpExchange, name: str) -> list[str]:
    """Return every value of a header field."""
    return exchange.values(name.lower().encode())


def _from_user_id(exchange: HttpExchange) -> str | None:
    return named_principal(header_values(exchange, USER_ID), USER_ID)


def _from_subject(exchange: HttpExchange) -> str | None:
    value = single_value(header_values(exchange, "Authorization"), "Authorization")
    return None if not value else _subject_of(credentials.read(value))


def _subject_of(given: Credentials) -> str:
    """Return whom credentials name; where they cannot be read, the caller is not nobody.

    Raises:
        InvalidRequest: They name nobody, and why.
    """
    if given.bearer is None:
        raise NamesNobody(_why_no_bearer(given))
    try:
        token = jwt.read(given.bearer)
    except jwt.NotAToken as error:
        raise NamesNobody(f"it is not a JWT ({error})") from None
    for name in repeated_claims(token.raw_payload or b"{}"):
        if name in ("iss", "sub"):
            # Who has verified the token may have taken the other one.
            raise NamesNobody(f"its {name} is given more than once")
    return token_principal(token.payload)


def _why_no_bearer(given: Credentials) -> str:
    if given.problems:
        return f"Authorization cannot be read ({given.problems[0]})"
    return f"Authorization has the scheme {given.scheme} where Bearer belongs"
