"""What is below ``/t/`` and ``/v/``: traces are made, sent to, read and ended there."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from twisted.internet.interfaces import IReactorTime

from mcp_echo.faults.orders import CannotArm
from mcp_echo.http.accept import HTML
from mcp_echo.http.urls import server_url
from mcp_echo.oauth.wanted import CannotProtect
from mcp_echo.protocol.errors import (
    InvalidRequest,
    OriginRefused,
    RouteNotFound,
    TooManyRequests,
)
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.texts import moment
from mcp_echo.settings.table import Settings
from mcp_echo.tools.traces import TooMuchExpected, TraceWishes, made, told
from mcp_echo.transport.edge.answer import JSON, line
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.faults.routes import FaultOrders
from mcp_echo.transport.faults.seam import FaultSeam
from mcp_echo.transport.guards import Guards, check_json
from mcp_echo.transport.identity import CallerIdentity
from mcp_echo.transport.oauth.legs import OAuthLegs
from mcp_echo.transport.pages import PRIVATE, is_read, show_missing, wished
from mcp_echo.transport.probe_stream import ProbeStreams
from mcp_echo.transport.routing import Handler, wrong_method
from mcp_echo.transport.trace_compare import comparison
from mcp_echo.transport.trace_events import TraceEvents
from mcp_echo.transport.trace_exchanges import exchanges_of, number_of
from mcp_echo.transport.trace_page import TracePage
from mcp_echo.watch.comparison import as_text
from mcp_echo.watch.evidence.formats import EVIDENCE, EvidenceForm
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.parts import TraceGone
from mcp_echo.watch.traces import TooManyTraces, Trace

_PLACE = re.compile(rb"/(t|v)/([A-Za-z0-9_-]{32})(/.*)?")
_PAGE = re.compile(rb"/[tv]/[^/]+/?")
_WITHIN = re.compile(rb"/t/([A-Za-z0-9_-]{32})(?:/|$)")

_BELOW = (b"/t/", b"/v/")

_Read = Callable[[HttpExchange, Trace], Coroutine[Any, Any, None] | None]
"""Answers what is asked of a trace, at once or when what it returns has been awaited."""

OfRoute = Callable[[tuple[bytes, bytes]], Handler | None]

_ALSO = {"/": ("DELETE",), "/faults": ("POST", "DELETE")}
"""Path below a trace → the methods beside GET for whoever knows its id."""

_NO_TRACE = "Not found: there is no such trace; POST /t makes one"


class TraceNotFound(RouteNotFound):
    """There is no such trace, or no more."""


_read_wanted = msgspec.json.Decoder(TraceWishes).decode


class TraceRoutes:
    """Answers what is asked below ``/t/`` and ``/v/``.

    Args:
        insight: The traces.
        settings: Where clients reach the server.
        reactor: Times the beats of event streams.
        oauth: Answers the legs of OAuth flows.
        seam: Has the orders of traces fire.

    Raises:
        ValueError: A host or origin in the settings is malformed.
    """

    def __init__(
        self,
        insight: Insight,
        settings: Settings,
        reactor: IReactorTime,
        oauth: OAuthLegs,
        seam: FaultSeam,
    ) -> None:
        self._insight = insight
        self.admit = insight.pace.admit
        """Has a request to plain ``/mcp`` recorded, if it is to be."""
        self.seam = seam
        self._faults = FaultOrders(insight, settings.faults)
        self._traces = insight.traces
        self._store = insight.store
        self._asked: str | None = None
        """The id or share key that the store was just asked for, while a request is answered for it."""
        self.again: Callable[[HttpExchange], None] = lambda _http: None
        """Answers a request from the beginning."""
        self._settings = settings
        self._oauth = oauth
        self._guards = Guards(settings)
        self._identity = CallerIdentity(settings)
        self._reactor = reactor
        self.events: set[TraceEvents] = set()
        """The event streams that are open."""
        self._probes = ProbeStreams(insight, reactor)
        page = TracePage(insight, settings)
        self._reads: dict[str, _Read] = {
            "/": page.answer,
            "/curl": page.curl,
            "/report": self._report,
            "/exchanges": self._exchanges,
            "/events": self._events,
            "/compare": self._compare,
            "/faults": self._show_faults,
            "/faults.md": self._report_faults,
            **{f"/evidence.{name}": self._evidence(each) for name, each in EVIDENCE.items()},
        }

    def find(self, exchange: HttpExchange, of_route: OfRoute) -> Handler | None:
        """Return what answers a request that no route does, and have it recorded where it belongs.

        Args:
            exchange: The request.
            of_route: Returns what answers a path and a method.

        Raises:
            TraceNotFound: It names a trace that is not there.
        """
        try:
            handler = self._with_faults(exchange, self._find(exchange, of_route))
        except TraceNotFound as error:
            return _missing(exchange, error)
        path = exchange.head.path
        if exchange.seen.trace is None and path != b"/t" and not path.startswith(_BELOW):
            self.admit(exchange.seen)
        return handler

    def _with_faults(self, exchange: HttpExchange, handler: Handler | None) -> Handler | None:
        return None if handler is None else self.seam.around(exchange, handler)

    def stop(self) -> None:
        """End every stream of events: the server stops."""
        for stream in list(self.events):
            stream.end()
        self._probes.stop()

    def _find(self, exchange: HttpExchange, of_route: OfRoute) -> Handler | None:
        exchange.seen.identity = self._identity
        path = exchange.head.path
        if path in (b"/t", b"/t/"):
            return self._create if exchange.head.method == b"POST" else _only("POST")
        place = _PLACE.fullmatch(path)
        if place is None:
            return self._misdirected(exchange)
        key, rest = place[2].decode(), (place[3] or b"/").decode("latin-1")
        is_share = place[1] == b"v"
        trace = self._traces.find_shared(key) if is_share else self._traces.find(key)
        if trace is None and self._is_elsewhere(key):
            return lambda http: self._bring(http, key, is_share=is_share)
        trace = self._found(trace, key)
        return (
            self._reading(exchange, trace, rest) if is_share else self._own(exchange, trace, rest, of_route)
        )

    def _own(self, exchange: HttpExchange, trace: Trace, rest: str, of_route: OfRoute) -> Handler | None:
        """Return what answers who knows the id of a trace."""
        if rest in ("/mcp", "/mcp/"):
            exchange.seen.trace = trace
            return of_route((b"/mcp", exchange.head.method)) or _only("GET", "POST", "DELETE", "OPTIONS")
        if rest == "/" and exchange.head.method == b"DELETE":
            return lambda http: self._delete(http, trace)
        if rest == "/faults" and self._faults.takes(trace):
            order = {b"POST": self._arm, b"DELETE": self._disarm}.get(exchange.head.method)
            if order is not None:
                return lambda http: order(http, trace)
        if rest == "/probe/stream":
            # No read: it is held open, and what comes of it is recorded, so that a share does not let it.
            is_get = exchange.head.method == b"GET"
            return (lambda http: self._read(http, trace, self._probes.answer)) if is_get else _only("GET")
        return self._reading(exchange, trace, rest, records=True)

    def _misdirected(self, exchange: HttpExchange) -> Handler | None:
        """Have a request recorded that names a trace where none is looked for, such as a well-known place."""
        if _is_page(exchange):
            raise TraceNotFound(_NO_TRACE)
        within = _WITHIN.search(exchange.head.path)
        if within is None:
            return self._oauth.find(exchange, self._insight.standing)
        key = within[1].decode()
        exchange.seen.trace = self._traces.find(key)
        if exchange.seen.trace is None and self._is_elsewhere(key):
            return lambda http: self._bring(http, key, is_share=False)
        return self._oauth.find(exchange, exchange.seen.trace)

    def _is_elsewhere(self, key: str) -> bool:
        """Return whether a trace that is not known here may be in a store."""
        return self._store.is_shared and key != self._asked and self._traces.ended(key) is None

    async def _bring(self, http: HttpExchange, key: str, *, is_share: bool) -> None:
        """Ask the store for a trace, and answer then."""
        await (self._store.find_shared(key) if is_share else self._store.find(key))
        if http.transport is None:
            return
        self._asked = key
        try:
            self.again(http)
        finally:
            self._asked = None

    def _reading(
        self, exchange: HttpExchange, trace: Trace, rest: str, *, records: bool = False
    ) -> Handler | None:
        read = self._reads.get(rest)
        if read is None or (rest.startswith("/faults") and not self._faults.takes(trace)):
            if not records:
                return None
            exchange.seen.trace = trace
            return self._oauth.find(exchange, trace)
        if exchange.head.method not in (b"GET", b"HEAD"):
            return _only("GET", *(_ALSO.get(rest, ()) if records else ()))
        return lambda http: self._read(http, trace, read)

    def _found(self, trace: Trace | None, key: str) -> Trace:
        if trace is not None:
            return trace
        ended = self._traces.ended(key)
        if ended is None:
            raise TraceNotFound(_NO_TRACE)
        raise TraceNotFound(
            f"Not found: this trace has ended ({ended.reason}, {moment(ended.at)}); POST /t makes another"
        )

    # Making and ending.

    async def _create(self, http: HttpExchange) -> None:
        self._check_change(http)
        try:
            wanted = _read_wanted(http.body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"Invalid request: {error}") from None
        try:
            trace = await made(self._insight, wanted, http.seen.caller, self._settings)
        except TooManyTraces as error:
            raise TooManyRequests(str(error)) from None
        except (TooMuchExpected, CannotProtect, CannotArm) as error:
            raise InvalidRequest(f"Invalid request: {error}") from None
        result = told(trace, self.base(http))
        http.lines.append(line(b"Location", result.page_url.encode()))
        self._answer(http, 201, result)

    async def _delete(self, http: HttpExchange, trace: Trace) -> None:
        self._check_origin(http)
        await self._store.end(trace)
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
            raise OriginRefused(
                "Origin not allowed: only pages of this server may use traces; behind a proxy, "
                "MCP_ECHO_PUBLIC_URL says what its address is"
            )

    def base(self, http: HttpExchange) -> str:
        """Return the address that clients reach the server at, as far as it is known."""
        return server_url(self._settings.public_url, http.joined(b"host"), secure=http.is_secure)

    # Reading.

    async def _read(self, http: HttpExchange, trace: Trace, read: _Read) -> None:
        self._check_origin(http)
        self._insight.pace.settle()
        latest = await self._store.latest(trace)
        if http.transport is None:
            return
        try:
            reading = read(http, self._found(latest, trace.id))
        except TraceNotFound as error:
            _missing(http, error)(http)
            return
        if reading is not None:
            await reading

    def _answer(self, http: HttpExchange, status: int, value: Any) -> None:
        http.lines.extend((JSON, *PRIVATE))
        http.reply(status, encode(value))

    def _report(self, http: HttpExchange, trace: Trace) -> None:
        self._answer(http, 200, self._insight.report(trace))

    def _exchanges(self, http: HttpExchange, trace: Trace) -> None:
        self._answer(http, 200, exchanges_of(trace, http.head.query))

    def _evidence(self, evidence: EvidenceForm) -> Callable[[HttpExchange, Trace], None]:
        def answer(http: HttpExchange, trace: Trace) -> None:
            body = evidence.write(self._insight.report(trace), list(trace.records))
            http.lines.extend((line(b"Content-Type", evidence.content_type.encode()), *PRIVATE))
            http.reply(200, body)

        return answer

    async def _compare(self, http: HttpExchange, trace: Trace) -> None:
        result, for_people = await comparison(http.head.query, trace, self._latest)
        if http.transport is None:
            return
        if for_people:
            _answer_text(http, f"{as_text(result)}\n")
        else:
            self._answer(http, 200, result)

    async def _latest(self, key: str) -> Trace:
        """Return what an id or a share key names, with all that has come to it: either may be read with."""
        trace = await self._store.find(key) or await self._store.find_shared(key)
        return self._found(trace and await self._store.latest(trace), key)

    def _show_faults(self, http: HttpExchange, trace: Trace) -> None:
        self._answer(http, 200, self._faults.shown(trace))

    def _report_faults(self, http: HttpExchange, trace: Trace) -> None:
        http.lines.extend((line(b"Content-Type", b"text/markdown; charset=utf-8"), *PRIVATE))
        http.reply(200, self._faults.report(trace))

    async def _arm(self, http: HttpExchange, trace: Trace) -> None:
        self._check_change(http)
        try:
            armed = await self._faults.arm(trace, http.body)
        except TraceGone:
            raise TraceNotFound(_NO_TRACE) from None
        self._answer(http, 201, armed)

    async def _disarm(self, http: HttpExchange, trace: Trace) -> None:
        self._check_origin(http)
        with suppress(TraceGone):
            await self._faults.disarm(trace)
        http.lines.extend(PRIVATE)
        http.reply(204)

    def _events(self, http: HttpExchange, trace: Trace) -> None:
        if http.head.method == b"HEAD":
            raise wrong_method(["GET"])
        last = http.joined(b"last-event-id")
        TraceEvents(http, trace, self.events, self._reactor).start(number_of(last or "0"))


def _is_page(exchange: HttpExchange) -> bool:
    """Return whether a browser asks for the page of a trace."""
    if _PAGE.fullmatch(exchange.head.path) is None:
        return False
    return is_read(exchange) and wished(exchange) == HTML


def _missing(exchange: HttpExchange, error: TraceNotFound) -> Callable[[HttpExchange], None]:
    """Return what answers where there is no trace: a page for a browser, an error for everybody else."""
    if not _is_page(exchange):
        raise error
    return lambda http: show_missing(http, str(error))


def _answer_text(http: HttpExchange, text: str) -> None:
    http.lines.extend((line(b"Content-Type", b"text/plain; charset=utf-8"), *PRIVATE))
    http.reply(200, text.encode())


def _only(*methods: str) -> Handler:
    def refuse(_http: HttpExchange) -> None:
        raise wrong_method(list(methods))

    return refuse
