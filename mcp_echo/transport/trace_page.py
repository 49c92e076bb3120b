"""The page of a trace: for browsers, as text for people at a terminal, and as JSON for the page itself."""

from __future__ import annotations

import msgspec

from mcp_echo.http.accept import HTML, JSON
from mcp_echo.http.urls import server_url
from mcp_echo.page.snippets import SNIPPETS, Snippet
from mcp_echo.protocol.errors import RouteNotFound
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.texts import timestamp
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.answer import JSON as JSON_LINE
from mcp_echo.transport.edge.answer import line
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.pages import PRIVATE, VARIES, show, wished
from mcp_echo.transport.trace_exchanges import number_of
from mcp_echo.watch.evidence.veil import Veil
from mcp_echo.watch.evidence.wire import curl
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.traces import Trace, addresses

_TEXT = line(b"Content-Type", b"text/plain; charset=utf-8")

SHARED = b"/v/"
"""What the path begins with by which a trace can only be read."""


class Place(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What the page has to know beside what it reads of the records."""

    label: str | None
    public_url: str | None
    """What the operator says that the server is reached by; else the page knows by where it is itself."""
    trace: str | None = None
    """The id; None for who may only read."""
    mcp_path: str | None = None
    """The path of the MCP endpoint; None for who may only read."""
    share_path: str | None = None
    may_delete: bool = False
    expires: str | None = None
    snippets: tuple[Snippet, ...] = ()


class TracePage:
    """Answers for the page of a trace.

    Args:
        insight: The traces.
        settings: Where clients reach the server.
    """

    def __init__(self, insight: Insight, settings: Settings) -> None:
        self._insight = insight
        self._public_url = settings.public_url

    def answer(self, http: HttpExchange, trace: Trace) -> None:
        """Answer ``GET /t/{trace}/``, or the same with a key that only reads."""
        wish = wished(http)
        if wish == HTML:
            self._show(http)
            return
        http.lines.extend((VARIES, *PRIVATE))
        if wish == JSON:
            http.lines.append(JSON_LINE)
            http.reply(200, encode(self._place(http, trace)))
            return
        http.lines.append(_TEXT)
        http.reply(200, self._text(trace).encode())

    def curl(self, http: HttpExchange, trace: Trace) -> None:
        """Answer with a command that sends one exchange again, for a shell; see `wire.curl`."""
        number = http.head.query.decode("latin-1").removeprefix("exchange=")
        record = _exchange(trace, number)
        if record is None:
            raise RouteNotFound("Not found: the trace keeps no exchange of this number, or no more")
        http.lines.extend((_TEXT, *PRIVATE))
        veiled = Veil([record]).exchange(record)
        http.reply(200, curl(veiled).encode("utf-8", "replace"))

    @staticmethod
    def _show(http: HttpExchange) -> None:
        path = http.head.path
        if path.endswith(b"/"):
            show(http, "trace.html")
            return
        # What the page loads is found by its own address.
        http.lines.extend((line(b"Location", path.rpartition(b"/")[2] + b"/"), VARIES, *PRIVATE))
        http.reply(308)

    def _place(self, http: HttpExchange, trace: Trace) -> Place:
        if http.head.path.startswith(SHARED):
            return Place(label=trace.label, public_url=self._public_url)
        base = server_url(self._public_url, http.joined(b"host"), secure=http.is_secure)
        known = addresses(trace, base)
        is_plain = trace is self._insight.plain
        return Place(
            label=trace.label,
            public_url=self._public_url,
            trace=trace.id,
            mcp_path="mcp" if is_plain else f"t/{trace.id}/mcp",
            share_path=known.share_url.removeprefix(f"{base}/"),
            # Who made one may end it; what the operator has set up goes on.
            may_delete=trace.expires is not None,
            expires=known.expires,
            snippets=SNIPPETS,
        )

    def _text(self, trace: Trace) -> str:
        report = self._insight.report(trace)
        lines = [
            f"Trace {trace.label or 'without a label'}, begun {timestamp(trace.begun)}",
            report.verdict,
            *(f"{each.level}: {each.id}: {each.summary} ({each.count})" for each in report.findings),
            "",
        ]
        return "\n".join(lines)


def _exchange(trace: Trace, number: str) -> ExchangeRecord | None:
    """Return one exchange of a trace."""
    wanted = number_of(number)
    found = (each for each in trace.records if each.number == wanted and isinstance(each, ExchangeRecord))
    return next(found, None)
