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
    401: "a gateway asks for credentials: give them with --header",
    403: "a gateway refuses this: give credentials with --header",
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
        raise CannotFetch(why_not(origin_of(url), error)) from None
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
            raise CannotFetch(f"the answer is longer than {MOST >> 20} MiB, so mcp-echo did not write it")
        pieces.append(piece)

    await treq.collect(response, take)
    return b"".join(pieces)


def why_not(origin: str, error: Exception) -> str:
    """Return what an exception means for those who gave the command.

    Args:
        origin: Scheme and host of what was asked.
        error: What asking for it has raised.
    """
    reason: Any = error
    if isinstance(error, ResponseFailed) and error.reasons:
        reason = error.reasons[0].value
    named = one_line(f"{type(reason).__name__}: {reason}")
    if isinstance(reason, DNSLookupError):
        return f"{origin} has no address: check how the host is written"
    if isinstance(reason, ConnectError):
        return f"{origin} cannot be reached ({named}): check that the server runs and listens there"
    if type(reason).__module__.partition(".")[0] in ("OpenSSL", "service_identity"):
        return f"{origin} is not trusted ({named}): give the certificate that signed its own with --cacert"
    return f"{origin} did not answer in HTTP ({named}): check that it is mcp-echo, and try again"


def _refused(url: str, status: int, body: bytes) -> str:
    if 300 <= status < 400:
        todo = "redirects are not followed: give the address that it leads to"
    else:
        todo = _WHAT_TO_DO.get(status, "check that it is the address of a trace of mcp-echo")
    said = ""
    with suppress(msgspec.MsgspecError):
        message = msgspec.json.decode(body, type=_Refusal).error.message
        # A server may repeat the address, and whoever knows the key in it may read.
        said = f" ({one_line(excerpt(message.replace(key_in(url), '{trace}')))})"
    return f"{origin_of(url)} answered {status}{said}; {todo}"
