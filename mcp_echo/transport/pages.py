"""What browsers are shown: how pages and their files are answered."""

from __future__ import annotations

from mcp_echo.http.accept import HTML, JSON, PLAIN_TEXT, preferred
from mcp_echo.page.files import PageFile, missing_page, page_files
from mcp_echo.transport.edge.answer import line, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange

# Nothing but the server's own files runs, and no page of anybody else shows one of ours. Trusted Types make
# the browser refuse what would parse text as HTML: what clients have sent can only ever be text.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

PRIVATE = lines_of(
    (
        ("Cache-Control", "no-store"),
        *_ALWAYS,
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    )
)
"""The header lines of what is for those alone who know the address."""

_PAGE = lines_of(
    (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Vary", "Accept"),
        ("Cache-Control", "no-store"),
        *_ALWAYS,
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Content-Security-Policy", _POLICY),
    )
)

_FILE = lines_of((("Cache-Control", "no-cache"), *_ALWAYS, ("Content-Security-Policy", "default-src 'none'")))
"""A browser keeps files, and asks each time whether they have changed."""

VARIES = line(b"Vary", b"Accept")


def wished(http: HttpExchange) -> str | None:
    """Return the media type that a page is answered in: HTML and JSON for who lists them, else plain text."""
    return preferred(http.joined(b"accept"), (HTML, JSON), PLAIN_TEXT)


def is_read(http: HttpExchange) -> bool:
    """Return whether a request only asks to be shown something."""
    return http.head.method in (b"GET", b"HEAD")


def show(http: HttpExchange, name: str) -> None:
    """Answer with a page."""
    http.lines.extend(_PAGE)
    http.reply(200, page_files()[name].body)


def show_missing(http: HttpExchange, reason: str) -> None:
    """Answer with the page that says that there is nothing, and why."""
    http.lines.extend(_PAGE)
    http.reply(404, missing_page(reason))


def give(http: HttpExchange, file: PageFile) -> None:
    """Answer with a file, or with the word that the browser's own copy of it is still right."""
    http.lines.extend((line(b"ETag", file.tag.encode()), *_FILE))
    known = (each.strip() for each in (http.joined(b"if-none-match") or "").split(","))
    if file.tag in known:
        http.reply(304)
        return
    http.lines.append(line(b"Content-Type", file.media_type.encode()))
    http.reply(200, file.body)
