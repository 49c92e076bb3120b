"""Fetching what a trace holds: bounded in time and size, and with one sentence where it fails."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import treq
from treq.client import HTTPClient
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.web.client import ResponseFailed
from twisted.web.http_headers import Headers

from mcp_echo.redaction import excerpt, one_line
from mcp_echo.report.address import key_in, origin_of

MOST = 8 * 1024 * 1024
"""Bytes of one answer that are read."""

_WHAT_TO_DO = {
    401: "something before the server asks who you are: give credentials with --header",
    403: "something before the server refuses this: give credentials with --header",
    404: "there is no such trace, or it has ended: make one with POST /t, and ask before it expires",
    429: "there were too many requests: try again later",
    503: "the server cannot answer now: try again later",
}


class CannotFetch(Exception):
    """It could not be fetched; the message says why and what to do, in one line."""


class _Error(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


async def fetch(client: HTTPClient, url: str, headers: list[tuple[str, str]]) -> bytes:
    """Return the body that an address answers with.

    Args:
        client: Sends the request.
        url: The address, right below that of a trace.
        headers: Name, value of headers to send.

    Raises:
        CannotFetch: It could not be fetched.
    """
    fields = Headers()
    for name, value in headers:
        fields.addRawHeader(name, value)
    try:
        # Redirects could lead anywhere, and take the credentials along.
        response = await client.get(url, headers=fields, allow_redirects=False, unbuffered=True)
        body = await _body(response)
    except CannotFetch:
        raise
    except Exception as error:
        raise CannotFetch(_why(origin_of(url), error)) from None
    if response.code != 200:
        raise CannotFetch(_refused(url, response.code, body))
    return body


async def _body(response: Any) -> bytes:
    pieces: list[bytes] = []
    left = MOST

    def take(piece: bytes) -> None:
        nonlocal left
        left -= len(piece)
        if left < 0:
            raise CannotFetch(f"the answer is longer than {MOST >> 20} MiB, so that it is none of mcp-echo's")
        pieces.append(piece)

    await treq.collect(response, take)
    return b"".join(pieces)


def _why(origin: str, error: Exception) -> str:
    """Return what an exception means for those who gave the command."""
    reason: Any = error
    if isinstance(error, ResponseFailed) and error.reasons:
        reason = error.reasons[0].value
    named = one_line(f"{type(reason).__name__}: {reason}")
    if isinstance(reason, DNSLookupError):
        return f"{origin} has no address: see that the host is written as it should be"
    if isinstance(reason, ConnectError):
        return f"{origin} cannot be reached ({named}): see that the server runs and listens there"
    if type(reason).__module__.partition(".")[0] in ("OpenSSL", "service_identity"):
        return f"{origin} is not trusted ({named}): give the certificate that signed its own with --cacert"
    return f"{origin} did not answer as it should ({named}): see that it is mcp-echo, and try again"


def _refused(url: str, status: int, body: bytes) -> str:
    if 300 <= status < 400:
        todo = "redirects are not followed: give the address that it leads to"
    else:
        todo = _WHAT_TO_DO.get(status, "see that it is the address of a trace of mcp-echo")
    said = ""
    with suppress(msgspec.MsgspecError):
        message = msgspec.json.decode(body, type=_Refusal).error.message
        # A server may repeat the address, and whoever knows the key in it may read.
        said = f" ({one_line(excerpt(message.replace(key_in(url), '{trace}')))})"
    return f"{origin_of(url)} answered {status}{said}; {todo}"
