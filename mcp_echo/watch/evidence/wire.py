"""An exchange as text: what was sent, what was answered, and a command that sends it again. No I/O."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import quote, urlencode

from mcp_echo.redaction import is_placeholder, one_line, split_credentials
from mcp_echo.redaction.names import is_secret_name
from mcp_echo.watch.evidence.veil import is_identity
from mcp_echo.watch.records import ExchangeRecord

TRACE = "{trace}"
"""Stands in a path for the id of the trace."""

_MASK = re.compile(r"\[[0-9]{1,12} characters, [^\[\]]{1,60}\]")
"""What stands in a record for a secret."""

_VARIABLE = re.compile(rf"({re.escape(TRACE)}|{_MASK.pattern})")

_IN_A_PATH = "/%:@!$&'()*+,;=~"
_IN_A_QUERY = "/:@!$'()*,;~"

_BY_CURL = frozenset({"connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"})
"""Headers that belong to a connection or to the length of a body, in lower case: curl sends its own."""

_PSEUDONYM = re.compile(r"(?:[a-z]{1,10}://)?\[?a[0-9]{1,6}\]?(?::[0-9]{1,5})?")

_OF_CURL = ("Accept", "User-Agent")
"""Headers that curl sends unless it is told not to."""


def target(exchange: ExchangeRecord) -> str:
    """Return the path and the query of a request, secrets masked."""
    query = "&".join(f"{name}={value}" for name, value in exchange.query)
    return f"{exchange.path}?{query}" if query else exchange.path


def encoded_target(exchange: ExchangeRecord) -> str:
    """Return the path and the query of a request as a URL has them."""
    path = quote(exchange.path, safe=_IN_A_PATH)
    query = urlencode(exchange.query, quote_via=quote)
    return f"{path}?{query}" if query else path


def version(exchange: ExchangeRecord) -> str:
    """Return the version of HTTP, ``HTTP/1.1``."""
    number = exchange.http_version.removeprefix("HTTP/")
    return f"HTTP/{number}" if number else ""


def request_head(exchange: ExchangeRecord) -> list[str]:
    """Return the request line and the header lines, secrets masked."""
    first = f"{exchange.http_method} {target(exchange)} {version(exchange)}"
    return [first.rstrip(), *(_header_line(*each) for each in exchange.headers)]


def header_line(exchange: ExchangeRecord, place: int) -> str | None:
    """Return one header line of the request; None where there is none at this place."""
    return _header_line(*exchange.headers[place]) if 0 <= place < len(exchange.headers) else None


def answer_head(exchange: ExchangeRecord) -> list[str]:
    """Return the status line and the header lines of the answer; none where nothing was answered."""
    if exchange.status is None:
        return []
    first = f"{version(exchange) or 'HTTP'} {exchange.status} {phrase(exchange.status)}"
    return [first.rstrip(), *(_header_line(*each) for each in exchange.answer_headers)]


def phrase(status: int) -> str:
    """Return the reason phrase of an HTTP status; nothing for one that is not registered."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def curl(exchange: ExchangeRecord) -> str:
    """Return a command that sends the request again.

    It is one line for a shell in which ``SERVER`` is the server's scheme and host, and ``TRACE``, ``SESSION``
    and ``TOKEN`` are what is not recorded. All that the client has written stands in single quotes.
    """
    words = ["curl", "-g", "-i", "--path-as-is", *_method(exchange)]
    if exchange.path.startswith("/"):
        words.append('"$SERVER"' + _shell_word(_target_to_send(exchange)))
    else:
        words += ["--request-target", _shell_word(exchange.path), '"$SERVER"']
    words += [f"-H {_header_word(exchange, *each)}" for each in exchange.headers if _is_sent(*each)]
    names = {name.lower() for name, _ in exchange.headers}
    own = (*_OF_CURL, "Content-Type") if exchange.body_bytes else _OF_CURL
    words += [f"-H {_shell_word(f'{name}:')}" for name in own if name.lower() not in names]
    return " ".join([*words, *_body(exchange)])


def _target_to_send(exchange: ExchangeRecord) -> str:
    """Return the path and the query encoded, but for what `_shell_word` replaces."""
    path = TRACE.join(quote(part, safe=_IN_A_PATH) for part in exchange.path.split(TRACE))
    query = "&".join(f"{_in_query(name)}={_in_query(value)}" for name, value in exchange.query)
    return f"{path}?{query}" if query else path


def _in_query(text: str) -> str:
    parts = _MASK.split(text)
    masks = [*_MASK.findall(text), ""]
    pairs = zip(parts, masks, strict=True)
    return "".join(f"{quote(part, safe=_IN_A_QUERY)}{mask}" for part, mask in pairs)


def _header_line(name: str, value: str) -> str:
    return f"{name}: {value}".rstrip(" ")


def _method(exchange: ExchangeRecord) -> list[str]:
    # With -X HEAD, curl waits for a body.
    return ["--head"] if exchange.http_method == "HEAD" else ["-X", _shell_word(exchange.http_method)]


def _is_sent(name: str, value: str) -> bool:
    """Return whether a header is given to curl: in the place of some there is a pseudonym."""
    lower = name.lower()
    is_veiled = is_identity(name) or (lower in ("host", "origin") and _PSEUDONYM.fullmatch(value))
    return not (is_veiled or lower in _BY_CURL)


def _header_word(exchange: ExchangeRecord, name: str, value: str) -> str:
    if not value:
        return _shell_word(f"{name};")
    if name.lower() == "mcp-session-id" and exchange.session_form in ("ours", "elsewhere"):
        return _quoted(f"{name}: ") + '"$SESSION"'
    scheme, credentials = split_credentials(value)
    if is_secret_name(name) and not _MASK.search(value) and credentials and not is_placeholder(credentials):
        return _quoted(f"{name}: {scheme} " if scheme else f"{name}: ") + '"$TOKEN"'
    return _shell_word(f"{name}: {value}")


def _body(exchange: ExchangeRecord) -> list[str]:
    if not exchange.body_bytes:
        return []
    if exchange.body is not None and len(exchange.body.encode("utf-8", "replace")) == exchange.body_bytes:
        return ["--data-binary", _shell_word(exchange.body)]
    return ["--data-binary", f"@body-{exchange.number}"]


def _shell_word(text: str) -> str:
    """Return a text in single quotes, with variables of the shell in the place of secrets."""
    pieces = _VARIABLE.split(text)
    return "".join(_piece(piece) for piece in pieces if piece) or "''"


def _piece(piece: str) -> str:
    if piece == TRACE:
        return '"$TRACE"'
    return '"$TOKEN"' if _MASK.fullmatch(piece) else _quoted(piece)


def _quoted(text: str) -> str:
    return "'" + one_line(text).replace("'", "'\\''") + "'"
