"""The modern era: every request stands alone and says so in its ``_meta``.

https://modelcontextprotocol.io/specification/2026-07-28/basic
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from mcp_echo.auth.proxies import Caller
from mcp_echo.auth.sealed import Seal
from mcp_echo.eras.clients import shared_client
from mcp_echo.eras.exchange import Exchange, Reply, Timers
from mcp_echo.eras.half_modern import with_disagreement
from mcp_echo.eras.methods import INSTRUCTIONS, LateResult, Method, Methods, MethodTable, read_call
from mcp_echo.eras.modern.back_channel import ModernBackChannel
from mcp_echo.eras.modern.rounds import Questions, Rounds, tie
from mcp_echo.eras.modern.subscriptions import NewsStreams
from mcp_echo.eras.refusals import brief, refuse
from mcp_echo.protocol.errors import (
    InternalError,
    InvalidParams,
    McpError,
    MetaIncomplete,
    VersionNotSupported,
)
from mcp_echo.protocol.jsonrpc import Request, result_bytes
from mcp_echo.protocol.levels import LOG_LEVELS
from mcp_echo.protocol.meta import check_meta
from mcp_echo.protocol.modern import (
    SERVER_INFO_KEY,
    SUBSCRIPTION_KEY,
    Meta,
    check_header,
    check_parameter_headers,
    check_routing_headers,
    read_meta,
    read_params,
)
from mcp_echo.protocol.revisions import Revision
from mcp_echo.redaction import quoted
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.session import Client
from mcp_echo.tools.base import Call, InputRequired
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.seen import CANCELLED

_HOUR = 3_600_000
_FIVE_MINUTES = 300_000

_CACHING: dict[str, tuple[int, str]] = {
    "server/discover": (_HOUR, "public"),
    "tools/list": (_FIVE_MINUTES, "public"),
    "prompts/list": (_FIVE_MINUTES, "public"),
    "resources/list": (_FIVE_MINUTES, "public"),
    "resources/templates/list": (_FIVE_MINUTES, "public"),
    "resources/read": (0, "private"),
}
"""Method → milliseconds its result stays fresh, and for whom (server/utilities/caching)."""

_ASKING = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The methods whose results may ask the client for input (basic/patterns/mrtr, Supported Requests)."""

_read_object = msgspec.json.Decoder(dict[str, Any]).decode


class ModernEra:
    """Serves the revisions without handshake and sessions.

    Args:
        methods: What the server can do.
        journal: Where unexpected failures are written down.
        timers: Ways to wait.
        seal: Seals what the client carries from request to request.
    """

    def __init__(self, methods: Methods, journal: Journal, timers: Timers, seal: Seal) -> None:
        self._methods = methods
        self._context = methods.context
        self._supported = methods.supported
        self._journal = journal
        self._timers = timers
        self._questions = Questions(methods.context, seal)
        self._news = NewsStreams(methods, self._new_log)
        self._table = MethodTable(
            {**methods.table, **methods.offer.methods, "server/discover": self._discover}
        )

    @property
    def methods(self) -> frozenset[str]:
        """The methods it knows."""
        return frozenset({*self._table, "subscriptions/listen"})

    # The ladder: the first failing rung answers.

    def post(self, request: Request, exchange: Exchange) -> Reply | None:
        """Return the reply to one modern request; None when an event stream or later work answers."""
        seen = exchange.seen
        try:
            meta, client, revision = self._admit(request, exchange)
            seen.begin("modern", request, revision.name)
            if request.method == "subscriptions/listen":
                # It is told of when its stream opens.
                seen.end(seen.elapsed())
                last = self._complete(request.method, {"_meta": {SUBSCRIPTION_KEY: request.id}})
                self._news.open(request, exchange, client, result_bytes(request.id, last))
                return None
            do = self._table[request.method]
            call, back_channel = self._call(request, exchange, meta, client, revision)
            return self._answer(request, do, call, back_channel)
        except Exception as error:
            return self._refusal(request, exchange, error)

    def _admit(self, request: Request, exchange: Exchange) -> tuple[Meta, Client, Revision]:
        try:
            meta = read_meta(request.params)
        except MetaIncomplete as error:
            raise with_disagreement(error, request, exchange.version) from None
        exchange.seen.client = client = _client(meta)
        version = str(meta.version)
        check_header(exchange.values, "MCP-Protocol-Version", version)
        revision = self._supported.modern.get(version)
        if revision is None:
            hint = "; this one begins with initialize" if version in self._supported.legacy else ""
            raise VersionNotSupported(version, self._supported.names, hint)
        check_routing_headers(exchange.values, request.method, request.params)
        if exchange.strict:
            check_meta(request.params, revision)
        return meta, client, revision

    def _refusal(self, request: Request, exchange: Exchange, error: Exception) -> Reply:
        if not isinstance(error, McpError):
            secrets = exchange.secrets()
            exchange.then(self._journal.failed, "A method failed", error, None, request.method, secrets)
            error = InternalError()
        body = refuse(request, exchange, exchange.seen, error, "modern")
        return Reply(error.status_in(True), body, error.headers)

    # Answers.

    def _call(
        self, request: Request, exchange: Exchange, meta: Meta, client: Client, revision: Revision
    ) -> tuple[Call, ModernBackChannel]:
        if request.method == "tools/call":
            self._check_parameter_headers(request, exchange)
        rounds = Rounds({}, {}, None)
        if request.method in _ASKING:
            rounds = self._questions.read(request, exchange)
        back_channel = ModernBackChannel(exchange, self._timers, client, rounds, self._new_log)
        level = None if meta.log_level is UNSET else meta.log_level
        if level is not None and level not in LOG_LEVELS:
            raise InvalidParams(f"Invalid log level {quoted(level)}; levels are {', '.join(LOG_LEVELS)}")
        call = Call(
            context=self._context,
            request=exchange,
            session=None,
            client=client,
            revision=revision,
            back_channel=back_channel,
            log_level=level,
            progress_token=None if meta.progress_token is UNSET else meta.progress_token,
        )
        return call, back_channel

    def _answer(
        self, request: Request, do: Method, call: Call, back_channel: ModernBackChannel
    ) -> Reply | None:
        exchange = back_channel.exchange
        try:
            result = do(request.params, call)
        except InputRequired as asked:
            bound = tie(request, exchange.principal)
            result = self._questions.ask(asked, back_channel.since, bound, request.id, exchange)
        if isinstance(result, LateResult):
            bound = tie(request, exchange.principal) if request.method in _ASKING else ""
            exchange.then(exchange.let_go)
            exchange.then(self._start, brief(request), bound, result, call, back_channel)
            return None
        return self._finish(request, result, call, back_channel)

    def _start(
        self, request: Request, bound: str, later: LateResult, call: Call, back_channel: ModernBackChannel
    ) -> None:
        # A client that leaves cancels its request.
        if not back_channel.exchange.left:
            work = self._answer_later(request, bound, later, call, back_channel)
            back_channel.exchange.run(work, until_left=True)

    async def _answer_later(
        self, request: Request, bound: str, later: LateResult, call: Call, back_channel: ModernBackChannel
    ) -> Reply | None:
        exchange, limits = back_channel.exchange, self._context.limits
        caller = exchange.caller()
        owner = limits.begin(caller.principal, caller.address)
        try:
            result = await later.make()
        except InputRequired as asked:
            result = self._questions.ask(asked, back_channel.since, bound, request.id, exchange)
        except Exception as error:
            if exchange.left:
                # The client has cancelled by leaving: nobody is there to be told.
                exchange.seen.end(exchange.seen.elapsed(), call.tool, CANCELLED)
                raise
            reply = self._refusal(request, exchange, error)
            if back_channel.log is None or back_channel.opened is None:
                return reply
            back_channel.log.append(back_channel.opened, reply.body)
            back_channel.log.end(back_channel.opened)
            return None
        finally:
            limits.finish(owner)
        return self._finish(request, result, call, back_channel)

    def _finish(
        self, request: Request, result: dict[str, Any], call: Call, back_channel: ModernBackChannel
    ) -> Reply | None:
        body = result_bytes(request.id, self._complete(request.method, result))
        exchange = back_channel.exchange
        exchange.seen.end(exchange.seen.elapsed(), call.tool)
        if back_channel.opened is None and exchange.accepted.json:
            return Reply(200, body)
        log, stream = back_channel.open()
        exchange.then(log.append, stream, body)
        exchange.then(log.end, stream)
        return None

    def _complete(self, method: str, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result with what every modern result carries."""
        whole = {"resultType": "complete", **result}
        if method in _CACHING and whole["resultType"] == "complete":
            milliseconds, scope = _CACHING[method]
            whole = {**whole, "ttlMs": milliseconds, "cacheScope": scope}
        if whole["resultType"] is None:
            # A fixture for clients, which have to cope with servers that leave it out.
            del whole["resultType"]
        whole["_meta"] = {SERVER_INFO_KEY: self._server_info, **whole.get("_meta", {})}
        return whole

    @cached_property
    def _server_info(self) -> dict[str, Any]:
        return self._methods.implementation(next(iter(self._supported.modern.values())))

    def _new_log(self, caller: Caller) -> EventLog:
        """Return the log of one response: nobody can come back to it, so that nothing written is kept."""
        settings = self._context.settings
        budget = self._context.store.budget.of(holder_of(caller.principal, caller.address))
        return EventLog(settings.max_queue_messages, settings.max_queue_bytes, budget, keeps=False)

    def _check_parameter_headers(self, request: Request, exchange: Exchange) -> None:
        called = read_params(read_call, request.params)
        marked = self._methods.tool(called.name).headers
        if marked and bytes(called.arguments)[:1] == b"{":
            check_parameter_headers(exchange.values, marked, read_params(_read_object, called.arguments))

    # Methods that only this era has.

    def _discover(self, _params: Raw, call: Call) -> Any:
        return {
            "supportedVersions": self._supported.names,
            "capabilities": self._methods.capabilities(call.revision),
            "instructions": INSTRUCTIONS,
        }


def _client(meta: Meta) -> Client:
    """Return what the client says of itself in a request."""
    info = b"{}" if meta.client_info is UNSET else bytes(meta.client_info)
    capabilities = b"{}" if meta.capabilities is UNSET else bytes(meta.capabilities)
    return shared_client(b"[" + info + b"," + capabilities + b"]")
