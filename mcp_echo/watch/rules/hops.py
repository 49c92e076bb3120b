"""What proxies on the way do to a request, as its head tells. No I/O."""

from __future__ import annotations

from mcp_echo.http.origins import default_port, parse_authority, parse_origin
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import is_mcp, is_read, listed, value
from mcp_echo.watch.rules.pages import rfc
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

_HOPS = (
    "via",
    "forwarded",
    "x-forwarded-",
    "x-real-ip",
    "true-client-ip",
    "cf-",
    "cdn-loop",
    "cloudfront-",
    "fastly-",
    "fly-",
    "x-amzn-",
    "x-appgw-",
    "x-azure-",
    "x-envoy-",
)
"""What names begin with that proxies add, and hardly a client."""


def proxy_host_rewritten(x: ExchangeRecord) -> Outcome | None:
    """Pass on the Host that was asked for; said of trusted proxies alone, whose word counts."""
    host, original = value(x, "Host"), value(x, "X-Forwarded-Host") or _forwarded(x, "host")
    if not x.proxied or host is None or not original:
        return None
    first = original.partition(",")[0].strip()
    if _without_port(host) == _without_port(first):
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"The proxy was asked for {first} and asks this server for {host}",
        subject=x.line_of("Host"),
        found=host,
        wanted=first,
    )


def proxy_scheme_lost(x: ExchangeRecord) -> Outcome | None:
    """Tell of TLS that ended on the way; said where something else shows that there was some."""
    if not is_read(x) or not _hops(x):
        return None
    claimed = _claimed_scheme(x)
    if claimed == "https":
        return Held(x.number)
    shown = _shows_https(x)
    if shown is None:
        return None
    told = "no header says so" if claimed is None else f"the proxy says that the client came by {claimed}"
    return Broken(
        exchange=x.number,
        summary=f"{shown}: the client came by https, and {told}",
        subject=x.line_of(_claimant(x)),
        found=claimed,
        wanted="X-Forwarded-Proto: https",
    )


def proxy_chain(x: ExchangeRecord) -> Outcome | None:
    """Notice what proxies have added."""
    names = _hops(x) if is_mcp(x) else []
    if not names:
        return None
    header = "header" if len(names) == 1 else "headers"
    return Broken(
        exchange=x.number,
        summary=f"{len(names)} {header} came that proxies add: {listed(names)}",
        subject=x.line_of(names[0]),
        found=", ".join(names),
    )


def _hops(x: ExchangeRecord) -> list[str]:
    return list(dict.fromkeys(name for name, _ in x.headers if name.lower().startswith(_HOPS)))


def _without_port(host: str) -> str:
    """Return the name of an authority: a proxy listens on a port of its own."""
    parsed = parse_authority(host)
    return host.lower() if parsed is None else parsed.host


def _claimed_scheme(x: ExchangeRecord) -> str | None:
    """Return the scheme that proxies say the client came by: what the first of them said."""
    said = _forwarded(x, "proto") if _claimant(x) == "Forwarded" else value(x, "X-Forwarded-Proto")
    return said.partition(",")[0].strip().lower() if said else None


def _claimant(x: ExchangeRecord) -> str:
    """Return the header that says which scheme the client came by, or would."""
    return "X-Forwarded-Proto" if _forwarded(x, "proto") is None else "Forwarded"


def _forwarded(x: ExchangeRecord, parameter: str) -> str | None:
    """Return a parameter of the first element of ``Forwarded`` (RFC 7239 section 4)."""
    for pair in (value(x, "Forwarded") or "").partition(",")[0].split(";"):
        name, _, text = pair.strip().partition("=")
        if name.lower() == parameter:
            return text.strip('"')
    return None


def _shows_https(x: ExchangeRecord) -> str | None:
    """Return what shows that a client came by https, as the beginning of a sentence; None without it."""
    for name in ("Origin", "Referer"):
        text = value(x, name)
        if text is not None and _is_own_https(x, text):
            return f"{name} is {text}, which is this server"
    if '"scheme":"https"' in (value(x, "CF-Visitor") or "").replace(" ", ""):
        return "CF-Visitor says https"
    if x.canonical is not None and x.canonical.lower().startswith("https://"):
        return f"The address of this server is {x.canonical}"
    return None


def _is_own_https(x: ExchangeRecord, url: str) -> bool:
    """Return whether a URL is one of this server by https, as the client knows it."""
    origin = parse_origin("/".join(url.split("/", 3)[:3]))
    host = parse_authority(value(x, "X-Forwarded-Host") or value(x, "Host") or "")
    if origin is None or host is None or origin.scheme != "https":
        return False
    return origin.host == host.host and (host.port or default_port("https")) == origin.port


ROWS = (
    Rule(
        id="proxy-host-rewritten",
        level="warning",
        title="A proxy passes on the Host that it was asked for.",
        advice="Have the proxy keep Host (nginx: proxy_set_header Host $host). Servers make URLs of it, such "
        "as those of OAuth metadata, and these would lead nowhere.",
        url=rfc(7239, "5.3"),
        check=proxy_host_rewritten,
    ),
    Rule(
        id="proxy-scheme-lost",
        level="warning",
        title="A proxy that ends TLS says so.",
        advice="Have the proxy that ends TLS send X-Forwarded-Proto: https. Servers behind it name http:// "
        "URLs without it, which clients of OAuth refuse.",
        url=rfc(7239, "5.4"),
        check=proxy_scheme_lost,
    ),
    Rule(
        id="proxy-chain",
        level="info",
        title="Proxies add headers on the way.",
        advice="If a header is lost or changed on the way, look for it at these hops first.",
        url=rfc(9110, "7.6.3"),
        check=proxy_chain,
    ),
)
