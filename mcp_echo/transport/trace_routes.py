"""What is below ``/t/`` and ``/v/``: traces are made, sent to, read and ended there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from twisted.internet.interfaces import IReactorTime

from mcp_echo.http.urls import server_url
from mcp_echo.protocol.errors import (
    InvalidRequest,
    OriginRefused,
    RouteNotFound,
    TooManyRequests,
)
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.texts import moment, timestamp
from mcp_echo.settings.table import Settings
from mcp_echo.tools.traces import CreateTraceArguments, TooMuchExpected, planned
from mcp_echo.transport.edge.answer import JSON, line, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.guards import Guards, check_json
from mcp_echo.transport.routing import Handler, wrong_method
from mcp_echo.transport.trace_events import TraceEvents
from mcp_echo.watch.evidence.formats import EVIDENCE, EvidenceForm
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.rule import LEVELS, Level, reaches
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.traces import TooManyTraces, Trace, addresses

_PLACE = re.compile(rb"/(t|v)/([A-Za-z0-9_-]{32})(/.*)?")
_WITHIN = re.compile(rb"/t/([A-Za-z0-9_-]{32})(?:/|$)")

PRIVATE = lines_of(
    (
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    )
)
"""The header lines of what is for those alone who know the address."""

_BELOW = (b"/t", b"/v/")

OfRoute = Callable[[tuple[bytes, bytes]], Handler | None]

MOST_SHOWN = 1000
"""Exchanges of one answer."""


class TraceNotFound(RouteNotFound):
    """There is no such trace, or no more."""


_read_wanted = msgspec.json.Decoder(CreateTraceArguments).decode


class TraceRoutes:
    """Answers what is asked below ``/t/`` and ``/v/``.

    Args:
        insight: The traces.
        settings: Where clients reach the server.
        reactor: Times the beats of event streams.

    Raises:
        ValueError: A host or origin in the settings is malformed.
    """

    def __init__(self, insight: Insight, settings: Settings, reactor: IReactorTime) -> None:
        self._insight = insight
        self._traces = insight.traces
        self._public_url = settings.public_url
        self._guards = Guards(settings)
        self._reactor = reactor
        self.events: set[TraceEvents] = set()
        """The event streams that are open."""
        self._reads: dict[str, Callable[[HttpExchange, Trace], None]] = {
            "/": self._page,
            "/report": self._report,
            "/exchanges": self._exchanges,
            "/events": self._events,
            **{f"/evidence.{name}": self._evidence(each) for name, each in EVIDENCE.items()},
        }

    def find(self, exchange: HttpExchange, handler: Handler | None, of_route: OfRoute) -> Handler | None:
        """Return what answers a request, and have it recorded in the trace it belongs to.

        Args:
            exchange: The request.
            handler: What answers it by its route; None where no route has its path and method.
            of_route: Returns what answers a path and a method.

        Raises:
            TraceNotFound: It names a trace that is not there.
        """
        handler = handler or self._find(exchange, of_route)
        if exchange.seen.trace is None and not exchange.head.path.startswith(_BELOW):
            self._insight.admit(exchange.seen)
        return handler

    def stop(self) -> None:
        """End every stream of events: the server stops."""
        for stream in list(self.events):
            stream.end()

    def _find(self, exchange: HttpExchange, of_route: OfRoute) -> Handler | None:
        path = exchange.head.path
        if path in (b"/t", b"/t/"):
            return self._create if exchange.head.method == b"POST" else _only("POST")
        place = _PLACE.fullmatch(path)
        if place is None:
            self._note_misdirected(exchange)
            return None
        key, rest = place[2].decode(), (place[3] or b"/").decode("latin-1")
        if place[1] == b"v":
            return self._reading(exchange, self._found(self._traces.find_shared(key), key), rest)
        trace = self._found(self._traces.find(key), key)
        if rest in ("/mcp", "/mcp/"):
            exchange.seen.trace = trace
            return of_route((b"/mcp", exchange.head.method)) or _only("GET", "POST", "DELETE", "OPTIONS")
        if rest == "/" and exchange.head.method == b"DELETE":
            return lambda http: self._delete(http, trace)
        return self._reading(exchange, trace, rest, records=True)

    def _note_misdirected(self, exchange: HttpExchange) -> None:
        """Have a request recorded that names a trace where none is looked for, such as a well-known place."""
        within = _WITHIN.search(exchange.head.path)
        if within is not None:
            exchange.seen.trace = self._traces.find(within[1].decode())

    def _reading(
        self, exchange: HttpExchange, trace: Trace, rest: str, *, records: bool = False
    ) -> Handler | None:
        read = self._reads.get(rest)
        if read is None:
            if records:
                exchange.seen.trace = trace
            return None
        if exchange.head.method not in (b"GET", b"HEAD"):
            return _only("GET", *(["DELETE"] if rest == "/" and records else []))
        return lambda http: self._read(http, trace, read)

    def _found(self, trace: Trace | None, key: str) -> Trace:
        if trace is not None:
            return trace
        ended = self._traces.ended(key)
        if ended is None:
            raise TraceNotFound("Not found: there is no such trace; POST /t makes one")
        raise TraceNotFound(
            f"Not found: this trace has ended ({ended.reason}, {moment(ended.at)}); POST /t makes another"
        )

    # Making and ending.

    def _create(self, http: HttpExchange) -> None:
        self._check_change(http)
        try:
            wanted = _read_wanted(http.body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"Invalid request: {error}") from None
        try:
            trace = planned(self._insight, wanted, http.seen.caller)
        except TooManyTraces as error:
            raise TooManyRequests(str(error)) from None
        except TooMuchExpected as error:
            raise InvalidRequest(f"Invalid request: {error}") from None
        self._traces.add(trace)
        made = addresses(trace, self.base(http))
        http.lines.append(line(b"Location", made.page_url.encode()))
        self._answer(http, 201, made)

    def _delete(self, http: HttpExchange, trace: Trace) -> None:
        self._check_origin(http)
        self._traces.end(trace, "deleted")
        http.lines.extend(PRIVATE)
        http.reply(204)

    def _check_change(self, http: HttpExchange) -> None:
        """Let only a program, or a page of this server, change something."""
        self._check_origin(http)
        check_json(http)

    def _check_origin(self, http: HttpExchange) -> None:
        self._guards.check_host(http)
        origin = http.joined(b"origin")
        if origin is not None and origin != self.base(http):
            raise OriginRefused("Origin not allowed: only pages of this server may change traces")

    def base(self, http: HttpExchange) -> str:
        """Return the address that clients reach the server at, as far as it is known."""
        return server_url(self._public_url, http.joined(b"host"), secure=http.is_secure)

    # Reading.

    def _read(self, http: HttpExchange, trace: Trace, read: Callable[[HttpExchange, Trace], None]) -> None:
        self._guards.check_host(http)
        read(http, trace)

    def _answer(self, http: HttpExchange, status: int, value: Any) -> None:
        http.lines.extend((JSON, *PRIVATE))
        http.reply(status, encode(value))

    def _page(self, http: HttpExchange, trace: Trace) -> None:
        report = self._insight.report(trace)
        text = "\n".join(
            [
                f"Trace {trace.label or 'without a label'}, begun {timestamp(trace.begun)}",
                report.verdict,
                *(f"{each.level}: {each.id}: {each.summary} ({each.count})" for each in report.findings),
                "",
            ]
        )
        http.lines.extend((line(b"Content-Type", b"text/plain; charset=utf-8"), *PRIVATE))
        http.reply(200, text.encode())

    def _report(self, http: HttpExchange, trace: Trace) -> None:
        self._answer(http, 200, self._insight.report(trace))

    def _exchanges(self, http: HttpExchange, trace: Trace) -> None:
        asked = parse_qs(http.head.query.decode("latin-1"))
        after = _whole((asked.get("after") or ["0"])[0])
        wanted = (asked.get("q") or [""])[0].lower()
        least = _level(asked["level"][0]) if "level" in asked else None
        shown = [
            each
            for each in trace.records
            if isinstance(each, ExchangeRecord)
            and each.number > after
            and _matches(each, wanted)
            and _has_finding(each, least)
        ]
        self._answer(
            http,
            200,
            {"exchanges": shown[:MOST_SHOWN], "dropped": trace.dropped, "unrecorded": trace.unrecorded},
        )

    def _evidence(self, evidence: EvidenceForm) -> Callable[[HttpExchange, Trace], None]:
        def answer(http: HttpExchange, trace: Trace) -> None:
            body = evidence.write(self._insight.report(trace), list(trace.records))
            http.lines.extend((line(b"Content-Type", evidence.content_type.encode()), *PRIVATE))
            http.reply(200, body)

        return answer

    def _events(self, http: HttpExchange, trace: Trace) -> None:
        last = http.joined(b"last-event-id")
        TraceEvents(http, trace, self.events, self._reactor).start(_whole(last or "0"))


def _only(*methods: str) -> Handler:
    def refuse(_http: HttpExchange) -> None:
        raise wrong_method(list(methods))

    return refuse


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidRequest("Invalid request: after and Last-Event-ID are the number of a record")
    return int(text)


def _level(text: str) -> Level:
    if text not in LEVELS:
        raise InvalidRequest(f"Invalid request: level is one of {', '.join(LEVELS)}")
    return text


def _has_finding(record: ExchangeRecord, least: Level | None) -> bool:
    """Return whether a record has a finding that weighs so much; None asks for none."""
    return least is None or any(reaches(RULES[each].level, least) for each in record.findings)


def _matches(record: ExchangeRecord, wanted: str) -> bool:
    """Return whether a record has a text in what a list of exchanges shows of it."""
    if not wanted:
        return True
    shown = [record.http_method, record.path, record.client or "", str(record.status or "")]
    shown += [f"{each.method or ''} {each.name or ''}" for each in record.messages]
    return wanted in " ".join(shown).lower()
