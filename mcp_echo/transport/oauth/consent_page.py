"""The pages of an authorization server: one asks for consent, one says what is wrong."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape

from mcp_echo.oauth.redirects import host_of
from mcp_echo.transport.edge.answer import line, lines_of

_STYLE = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{max-width:36rem;margin:4rem auto;padding:0 1rem}"
    "code{overflow-wrap:anywhere}"
    "button{font:inherit;padding:.5rem 1.25rem;margin-right:.75rem}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE = (
    line(b"Content-Type", b"text/html; charset=utf-8"),
    *lines_of(
        (
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            # A form that is sent with no-referrer has no Origin that could be compared.
            ("Referrer-Policy", "same-origin"),
            (
                "Content-Security-Policy",
                # No form-action: Chromium would hold it against the redirect that answers the form.
                f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
                "frame-ancestors 'none'",
            ),
        )
    ),
)
"""The header lines of a page. Nobody may show it in a frame (RFC 9700 section 4.16)."""


def _page(title: str, body: str) -> bytes:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    ).encode()


def consent_page(redirect_uri: str, name: str, scopes: str, sealed: str) -> bytes:
    """Return the page that asks whether a client may have a code.

    Args:
        redirect_uri: Where the code would be sent.
        name: What the client calls itself, which proves nothing.
        scopes: What it would be given.
        sealed: The request, for the form to send back.
    """
    called = f"A client that calls itself <b>{escape(name)}</b>" if name else "A client without a name"
    return _page(
        "Let this client in?",
        f"<p>{called} asks for a token to this trace of mcp-echo. The answer goes to "
        f"<b>{escape(host_of(redirect_uri))}</b>:</p><p><code>{escape(redirect_uri)}</code></p>"
        f"<p>It would be given: <code>{escape(scopes)}</code></p>"
        "<p>Only go on if it was you who pointed the client here. The token opens this trace, and nothing "
        'else.</p><form method="post" action="consent">'
        f'<input type="hidden" name="request" value="{escape(sealed)}">'
        '<button name="answer" value="allow">Let it in</button>'
        '<button name="answer" value="deny">Refuse</button></form>',
    )


def error_page(description: str, back: tuple[str, str] | None = None) -> bytes:
    """Return the page that says what is wrong with a request.

    Args:
        description: What is wrong.
        back: Where the client is to be told of it: redirect URI, and the same with the error. Nobody is sent
            there unasked; None where that is not known.
    """
    told = f"<p>{escape(description)}</p>"
    if back is not None:
        uri, answer = back
        told += (
            f'<p><a rel="noreferrer" href="{escape(answer)}">Tell the client of it</a>, which is at '
            f"<b>{escape(host_of(uri))}</b>.</p>"
        )
    return _page("This cannot be authorized", told)
