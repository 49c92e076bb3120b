"""What browsers need before they send a page's request. No I/O.

https://fetch.spec.whatwg.org/#cors-preflight-fetch
"""

from __future__ import annotations

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import listed, place_of, value
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

_FETCH = "https://fetch.spec.whatwg.org/#cors-preflight-fetch"
_ALWAYS_ALLOWED = frozenset({"GET", "HEAD", "POST"})


def preflight_refused(x: ExchangeRecord) -> Outcome | None:
    """Answer a preflight so that the browser goes on."""
    method = _asked_method(x)
    if method is None or x.status is None:
        return None
    why = _why_refused(x, method)
    if why is None:
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"The browser of {value(x, 'Origin')} sends no {method} to {place_of(x)}: {why}",
        subject=x.line_of("Origin"),
        found=str(x.status),
        wanted="a 2xx answer that allows the origin and the method",
    )


def _why_refused(x: ExchangeRecord, method: str) -> str | None:
    """Return why the answer lets no request follow; None where it does."""
    told = f" ({x.reason.rstrip('.')})" if x.reason else ""
    if x.status is None or not 200 <= x.status < 300:
        return f"its preflight was answered {x.status}{told}"
    if x.answered("Access-Control-Allow-Origin") is None:
        return f"the answer to its preflight has no Access-Control-Allow-Origin{told}"
    allowed = _names(x.answered("Access-Control-Allow-Methods"))
    # Unlike the names of headers, methods are case-sensitive.
    if method in _ALWAYS_ALLOWED or method.lower() in allowed or "*" in allowed:
        return None
    return f"the answer to its preflight does not allow {method}"


def preflight_header_not_allowed(x: ExchangeRecord) -> Outcome | None:
    """Ask for headers that are allowed."""
    method = _asked_method(x)
    if method is None or _why_refused(x, method) is not None:
        return None
    asked = _names(value(x, "Access-Control-Request-Headers"))
    allowed = set(_names(x.answered("Access-Control-Allow-Headers")))
    # A wildcard does not cover Authorization.
    refused = [
        each for each in asked if each not in allowed and ("*" not in allowed or each == _AUTHORIZATION)
    ]
    if not refused:
        return Held(x.number)
    verb = "is" if len(refused) == 1 else "are"
    return Broken(
        exchange=x.number,
        summary=f"A page of {value(x, 'Origin')} sends {listed(refused)}, which {verb} not allowed here: "
        "the browser stops",
        subject=x.line_of("Access-Control-Request-Headers"),
        found=", ".join(refused),
        wanted=x.answered("Access-Control-Allow-Headers"),
    )


_AUTHORIZATION = "authorization"


def _asked_method(x: ExchangeRecord) -> str | None:
    """Return the method that a preflight asks for; None for what is none."""
    if x.http_method != "OPTIONS" or value(x, "Origin") is None:
        return None
    return value(x, "Access-Control-Request-Method")


def _names(header: str | None) -> list[str]:
    return [name.strip().lower() for name in (header or "").split(",") if name.strip()]


ROWS = (
    Rule(
        id="preflight-refused",
        level="error",
        title="The answer to a browser's preflight lets the request follow.",
        advice="If pages of this origin may call, add it to MCP_ECHO_ALLOWED_ORIGINS, and look at whether "
        "the URL and the Host are right.",
        url=_FETCH,
        check=preflight_refused,
    ),
    Rule(
        id="preflight-header-not-allowed",
        level="error",
        title="A page sends headers that are allowed.",
        advice="Leave these headers out of what the page sends, or have a proxy that answers preflights "
        "allow them: this server allows those of MCP, Authorization and the W3C's trace context.",
        url=_FETCH,
        check=preflight_header_not_allowed,
    ),
)
