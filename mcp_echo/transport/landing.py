"""``GET /`` and the files of the pages: what this is, its address, and how clients are pointed at it."""

from __future__ import annotations

import re

from mcp_echo import __version__
from mcp_echo.faults.plans import PLANS
from mcp_echo.http.accept import HTML, JSON, parse_accept
from mcp_echo.http.urls import server_url
from mcp_echo.page.files import page_files
from mcp_echo.page.snippets import SNIPPETS, as_text
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.settings.table import Settings
from mcp_echo.tools.traces import CreateTraceArguments
from mcp_echo.transport.edge.answer import JSON as JSON_LINE
from mcp_echo.transport.edge.answer import line
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.pages import PRIVATE, VARIES, give, is_read, show, wished
from mcp_echo.transport.routing import Handler
from mcp_echo.watch.insight import Insight

_FILE = re.compile(rb"(?:/[tv])?/page/([a-z-]{1,40}\.(?:js|css|svg))")
"""Files are found beside each page, so that a gateway has to let nothing more through."""


class Landing:
    """Answers ``GET /``, and gives the files that pages load.

    Args:
        settings: Where clients reach the server.
        insight: The traces; None where there are none.

    Raises:
        ValueError: A host or origin in the settings is malformed.
    """

    def __init__(self, settings: Settings, insight: Insight | None) -> None:
        self._public_url = settings.public_url
        self._seconds = settings.trace_ttl
        self._takes_faults = settings.faults != "off"
        self._insight = insight
        self._guards = Guards(settings)

    def find(self, exchange: HttpExchange) -> Handler | None:
        """Return what answers a request; None where it asks for neither.

        Who asks for a stream of events is a client that has the wrong address, and is to be told so.
        """
        if not is_read(exchange):
            return None
        path = exchange.head.path
        if path == b"/":
            is_client = parse_accept(exchange.joined(b"accept")).names_event_stream
            return None if is_client or wished(exchange) is None else self._landing
        return self._file if _FILE.fullmatch(path) else None

    def _landing(self, http: HttpExchange) -> None:
        self._guards.check_host(http)
        wish = wished(http)
        if wish == HTML:
            show(http, "landing.html")
            return
        base = server_url(self._public_url, http.joined(b"host"), secure=http.is_secure)
        if wish == JSON:
            http.lines.extend((JSON_LINE, VARIES, *PRIVATE))
            http.reply(200, encode(self._known()))
            return
        made_at = None if self._insight is None else f"{base}/t"
        http.lines.extend((line(b"Content-Type", b"text/plain; charset=utf-8"), VARIES, *PRIVATE))
        http.reply(200, as_text(f"{base}/mcp", __version__, made_at).encode())

    def _known(self) -> dict[str, object]:
        """Return what the page has to know; where it is itself, it sees."""
        has_traces = self._insight is not None
        plans = PLANS if has_traces and self._takes_faults else {}
        return {
            "version": __version__,
            "publicUrl": self._public_url,
            "snippets": SNIPPETS,
            "options": CreateTraceArguments.__struct_fields__ if has_traces else (),
            "seconds": self._seconds,
            "plans": [{"plan": name, "summary": plan.summary} for name, plan in plans.items()],
            "traces": has_traces,
            "recorded": self._insight is not None and self._insight.plain is not None,
        }

    def _file(self, http: HttpExchange) -> None:
        self._guards.check_host(http)
        asked = _FILE.fullmatch(http.head.path)
        file = page_files().get(asked[1].decode()) if asked else None
        if file is None:
            http.lines.extend(PRIVATE)
            http.reply(404)
            return
        give(http, file)
