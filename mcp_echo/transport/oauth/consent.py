"""Consent: a person says whether a client gets its code, in the browser that was asked and in no other.

Against requests forged by other sites (RFC 9700 section 4.7, RFC 6749 section 10.12) what is asked is sealed
into the page, together with a secret that only the browser has which was shown the page, in a cookie.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NamedTuple

from mcp_echo.auth.sealed import Seal
from mcp_echo.oauth.authorize import CodeRequest
from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.state import digest_of
from mcp_echo.protocol.errors import InvalidParams
from mcp_echo.transport.edge.answer import line
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.watch.traces import Trace

COOKIE = "mcp-echo-consent"


class ConsentForm(NamedTuple):
    """What a page asked, as the form brings it back."""

    client_id: str
    redirect_uri: str
    state: str | None
    scopes: list[int]
    challenge: bytes


class Consents:
    """Seals what is asked into pages, and opens it again.

    Args:
        seal: Seals it, for five minutes.
        new_secret: Makes what a browser is known by.
    """

    def __init__(self, seal: Seal, new_secret: Any) -> None:
        self._seal = seal
        self._new_secret = new_secret

    def ask(self, http: HttpExchange, trace: Trace, wanted: CodeRequest) -> str:
        """Return a request as the form of a page keeps it; the answer sets the cookie that belongs to it."""
        secret = _cookie(http) or self._new_secret()
        secure = "; Secure" if http.is_secure else ""
        cookie = f"{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}"
        http.lines.append(line(b"Set-Cookie", cookie.encode()))
        asker = wanted.asker
        challenge = urlsafe_b64encode(wanted.challenge).decode()
        value = [asker.client.id, asker.redirect_uri, asker.state, wanted.scopes, challenge]
        return self._seal.seal(value, _binding(trace, secret))

    def read(self, http: HttpExchange, trace: Trace, sealed: str) -> ConsentForm:
        """Return what a form brings back.

        Raises:
            OAuthError: It was not shown to this browser, is older than five minutes, or was changed.
        """
        try:
            value = self._seal.open(sealed, _binding(trace, _cookie(http) or ""))
        except InvalidParams:
            raise OAuthError(
                "access_denied",
                "This browser was not asked, or too long ago: begin again at the client, and allow cookies",
                403,
            ) from None
        client_id, redirect_uri, state, scopes, challenge = value
        return ConsentForm(client_id, redirect_uri, state, scopes, urlsafe_b64decode(challenge))


def _binding(trace: Trace, secret: str) -> str:
    return f"consent {trace.id} {digest_of(secret).hex()}"


def _cookie(http: HttpExchange) -> str | None:
    for each in (http.joined(b"cookie") or "").split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE and 20 <= len(value) <= 64:
            return value
    return None
