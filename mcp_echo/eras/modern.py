"""The modern era: every request stands alone and says so in its ``_meta``.

https://modelcontextprotocol.io/specification/2026-07-28/basic
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.auth.proxies import Caller
from mcp_echo.auth.sealed import Seal, binding
from mcp_echo.eras.back_channels import ModernBackChannel
from mcp_echo.eras.clients import shared_client
from mcp_echo.eras.eras import with_disagreement
from mcp_echo.eras.exchange import Exchange, Reply, StreamResponse, Timers, open_stream
from mcp_echo.eras.methods import INSTRUCTIONS, LateResult, Method, Methods, read_call
from mcp_echo.eras.refusals import brief, refuse
from mcp_echo.http.accept import EVENT_STREAM
from mcp_echo.offer.resources import SESSION_URI
from mcp_echo.protocol.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    McpError,
    MetaIncomplete,
    MethodNotFound,
    NotAcceptable,
    VersionNotSupported,
)
from mcp_echo.protocol.jsonrpc import MessageId, Request, notification_bytes, result_bytes
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
from mcp_echo.protocol.revisions import Revision, Supported
from mcp_echo.redaction import excerpt, quoted
from mcp_echo.sessions.event_log import EventLog, Stream
from mcp_echo.sessions.held import STREAM_BYTES
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.session import Client, shown_id
from mcp_echo.sessions.subscriptions import List
from mcp_echo.tools.base import Call, InputRequired, input_requests, reader_of
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

MAX_SUBSCRIPTIONS = 64
"""Resources one subscription may name."""


class _Retry(msgspec.Struct, frozen=True):
    inputResponses: dict[str, Raw] | UnsetType = UNSET
    requestState: str | UnsetType = UNSET


class _Filter(msgspec.Struct, frozen=True):
    toolsListChanged: bool = False
    promptsListChanged: bool = False
    resourcesListChanged: bool = False
    resourceSubscriptions: list[str] = []


class _Listen(msgspec.Struct, frozen=True):
    notifications: _Filter


_read_retry = msgspec.json.Decoder(_Retry).decode
_read_listen = msgspec.json.Decoder(_Listen).decode
_read_object = msgspec.json.Decoder(dict[str, Any]).decode
_read_members = msgspec.json.Decoder(dict[str, Raw]).decode

_NOT_BOUND = frozenset({"_meta", "inputResponses", "requestState"})
"""Params that differ between a request and its retry."""


class _Subscription:
    """Puts on one listening stream the news it asked for, and nothing else."""

    def __init__(self, message_id: MessageId, log: EventLog, stream: Stream, reader: str) -> None:
        self.reader = reader
        self._meta = {SUBSCRIPTION_KEY: message_id}
        self._log = log
        self._stream = stream

    def acknowledge(self, honoured: dict[str, Any]) -> None:
        """Tell which part of the filter is honoured; it is the begin of the answer."""
        params = {"notifications": honoured}
        self._log.append(self._stream, self._notification("notifications/subscriptions/acknowledged", params))

    def _notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Return a notification that names its subscription."""
        return notification_bytes(method, {"_meta": self._meta, **params})

    def list_changed(self, which: List) -> None:
        """Tell that a list has changed."""
        self._tell(f"notifications/{which}/list_changed", {})

    def resource_updated(self, uri: str) -> None:
        """Tell that a resource has changed."""
        self._tell("notifications/resources/updated", {"uri": uri})

    def _tell(self, method: str, params: dict[str, Any]) -> None:
        self._log.tell(self._stream, self._notification(method, params))

    def told_until(self, uri: str, count: int) -> None:
        """Note nothing: it hears of every echo on this node, from now on."""


class ModernEra:
    """Serves the revisions without handshake and sessions.

    Args:
        methods: What the server can do.
        supported: The revisions it speaks.
        journal: Where unexpected failures are written down.
        timers: Ways to wait.
        seal: Seals what the client carries from request to request.
    """

    def __init__(
        self,
        methods: Methods,
        supported: Supported,
        journal: Journal,
        timers: Timers,
        seal: Seal,
    ) -> None:
        self._methods = methods
        self._context = methods.context
        self._supported = supported
        self._journal = journal
        self._timers = timers
        self._seal = seal
        self._strict = methods.context.settings.strict
        self._table: dict[str, Method] = {
            **methods.table,
            **methods.offer.methods,
            "server/discover": self._discover,
        }

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
                self._listen(request, exchange, client)
                return None
            if request.method not in self._table:
                raise MethodNotFound(f"Method not found: {excerpt(request.method)}")
            return self._answer(request, exchange, meta, client, revision)
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
        if self._strict:
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

    def _answer(
        self, request: Request, exchange: Exchange, meta: Meta, client: Client, revision: Revision
    ) -> Reply | None:
        if request.method == "tools/call":
            self._check_parameter_headers(request, exchange)
        back_channel = self._back_channel(request, exchange, client)
        call = self._call(exchange, meta, client, revision, back_channel)
        try:
            result = self._methods.perform(self._table, request.method, request.params, call)
        except InputRequired as asked:
            result = self._ask(
                asked, back_channel, _tie(request, back_channel.principal), request.id, exchange
            )
        if isinstance(result, LateResult):
            tie = _tie(request, back_channel.principal) if request.method in _ASKING else ""
            exchange.then(exchange.let_go)
            exchange.then(self._start, brief(request), tie, result, back_channel, exchange, call)
            return None
        return self._finish(request, result, back_channel, exchange, call)

    def _start(
        self,
        request: Request,
        tie: str,
        later: LateResult,
        back_channel: ModernBackChannel,
        exchange: Exchange,
        call: Call,
    ) -> None:
        # A client that leaves cancels its request.
        if not exchange.left:
            work = self._answer_later(request, tie, later, back_channel, exchange, call)
            exchange.run(work, until_left=True)

    async def _answer_later(
        self,
        request: Request,
        tie: str,
        later: LateResult,
        back_channel: ModernBackChannel,
        exchange: Exchange,
        call: Call,
    ) -> Reply | None:
        limits, caller = self._context.limits, exchange.caller()
        owner = limits.begin(caller.principal, caller.address)
        try:
            result = await later.make()
        except InputRequired as asked:
            result = self._ask(asked, back_channel, tie, request.id, exchange)
        except Exception as error:
            if exchange.left:
                # The client has cancelled by leaving: nobody is there to be told.
                seen = exchange.seen
                seen.end(seen.elapsed(), call.tool, CANCELLED)
                raise
            reply = self._refusal(request, exchange, error)
            if back_channel.log is None or back_channel.opened is None:
                return reply
            back_channel.log.append(back_channel.opened, reply.body)
            back_channel.log.end(back_channel.opened)
            return None
        finally:
            limits.finish(owner)
        return self._finish(request, result, back_channel, exchange, call)

    def _finish(
        self,
        request: Request,
        result: dict[str, Any],
        back_channel: ModernBackChannel,
        exchange: Exchange,
        call: Call,
    ) -> Reply | None:
        body = result_bytes(request.id, self._complete(request.method, result))
        seen = exchange.seen
        seen.end(seen.elapsed(), call.tool)
        if back_channel.opened is None and back_channel.reads_json:
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

    def _call(
        self,
        exchange: Exchange,
        meta: Meta,
        client: Client,
        revision: Revision,
        back_channel: ModernBackChannel,
    ) -> Call:
        level = None if meta.log_level is UNSET else meta.log_level
        if level is not None and level not in LOG_LEVELS:
            raise InvalidParams(f"Invalid log level {quoted(level)}; levels are {', '.join(LOG_LEVELS)}")
        return Call(
            context=self._context,
            request=exchange,
            session=None,
            client=client,
            revision=revision,
            back_channel=back_channel,
            log_level=level,
            progress_token=None if meta.progress_token is UNSET else meta.progress_token,
        )

    def _back_channel(self, request: Request, exchange: Exchange, client: Client) -> ModernBackChannel:
        answers: dict[str, Any] = {}
        responses: dict[str, Raw] = {}
        since = None
        if request.method in _ASKING:
            answers, responses, since = self._retried(request, exchange)
        return ModernBackChannel(exchange, self._timers, client, answers, responses, since, self._new_log)

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

    # Questions to the client (basic/patterns/mrtr).

    def _retried(
        self, request: Request, exchange: Exchange
    ) -> tuple[dict[str, Any], dict[str, Raw], float | None]:
        """Return earlier answers, the answers of this round, and when the client was first asked."""
        raw = bytes(request.params)
        if b"requestState" not in raw and b"inputResponses" not in raw and b"\\" not in raw:
            return {}, {}, None
        retry: _Retry = read_params(_read_retry, request.params)
        responses = {} if retry.inputResponses is UNSET else retry.inputResponses
        if retry.inputResponses is not UNSET:
            exchange.seen.retry = retry.requestState is not UNSET
        if retry.requestState is UNSET:
            return {}, responses, None
        opened = self._seal.open(retry.requestState, _tie(request, exchange.principal))
        if self._strict and opened.get("id") == request.id:
            raise InvalidRequest(
                f"Invalid request: the id {shown_id(request.id)} is that of the request which was answered "
                "with this requestState; a retry needs one of its own"
            )
        return opened["answers"], responses, opened["since"]

    def _ask(
        self,
        asked: InputRequired,
        back_channel: ModernBackChannel,
        tie: str,
        message_id: MessageId,
        exchange: Exchange,
    ) -> dict[str, Any]:
        exchange.seen.asks = True
        since = self._context.agreed_now if back_channel.since is None else back_channel.since
        return {
            "resultType": "input_required",
            "inputRequests": input_requests(asked.requests),
            "requestState": self._seal.seal(
                {"answers": asked.answers, "since": since, "id": message_id}, tie
            ),
        }

    # Methods that only this era has.

    def _discover(self, _params: Raw, call: Call) -> Any:
        return {
            "supportedVersions": self._supported.names,
            "capabilities": self._methods.capabilities(call.revision),
            "instructions": INSTRUCTIONS,
        }

    def _listen(self, request: Request, exchange: Exchange, client: Client) -> None:
        """Open a stream of news (basic/patterns/subscriptions)."""
        if not exchange.accepted.event_stream:
            raise NotAcceptable(f"Not acceptable: subscriptions/listen is answered with {EVENT_STREAM}")
        wanted: _Filter = read_params(_read_listen, request.params).notifications
        if len(wanted.resourceSubscriptions) > MAX_SUBSCRIPTIONS:
            raise InvalidParams(f"A subscription may name {MAX_SUBSCRIPTIONS} resources at most")
        uris = [uri for uri in wanted.resourceSubscriptions if self._may_watch(uri, exchange)]
        limits, caller = self._context.limits, exchange.caller()
        limits.check_in_flight_of(caller.principal, caller.address, exchange)
        limits.check_hold(caller, STREAM_BYTES, exchange)
        last = self._complete(request.method, {"_meta": {SUBSCRIPTION_KEY: request.id}})
        log = self._new_log(caller)
        stream = log.answer()
        stream_response = StreamResponse(log, stream, farewell=result_bytes(request.id, last))
        subscription = _Subscription(request.id, log, stream, reader_of(caller, client))
        exchange.then(open_stream, exchange, stream_response, None, limits)
        exchange.then(self._count_listening, exchange, caller)
        exchange.then(subscription.acknowledge, _honoured(wanted, uris))
        exchange.then(self._subscribe, exchange, subscription, wanted, uris)

    def _count_listening(self, exchange: Exchange, caller: Caller) -> None:
        limits = self._context.limits
        owner = limits.begin(caller.principal, caller.address)
        exchange.when_over(lambda: limits.finish(owner))

    def _subscribe(
        self, exchange: Exchange, subscription: _Subscription, wanted: _Filter, uris: list[str]
    ) -> None:
        subscriptions = self._context.subscriptions
        for which, asked in _lists(wanted).items():
            if asked:
                subscriptions.watch_list(which, subscription)
        for uri in uris:
            subscriptions.watch(uri, subscription)
        exchange.when_over(lambda: subscriptions.forget(subscription))

    def _may_watch(self, uri: str, exchange: Exchange) -> bool:
        """Return whether the caller may hear of this resource, as one that can be read in this era."""
        return uri != SESSION_URI and self._methods.has_resource(uri, exchange.principal)


def _client(meta: Meta) -> Client:
    """Return what the client says of itself in a request."""
    info = b"{}" if meta.client_info is UNSET else bytes(meta.client_info)
    capabilities = b"{}" if meta.capabilities is UNSET else bytes(meta.capabilities)
    return shared_client(b"[" + info + b"," + capabilities + b"]")


def _tie(request: Request, principal: str | None) -> str:
    """Return what names this very request, however its JSON is written."""
    params: dict[str, Raw] = read_params(_read_members, request.params)
    bound = {key: msgspec.json.decode(raw) for key, raw in params.items() if key not in _NOT_BOUND}
    return binding(principal, request.method, bound)


def _lists(wanted: _Filter) -> dict[List, bool]:
    return {
        "tools": wanted.toolsListChanged,
        "prompts": wanted.promptsListChanged,
        "resources": wanted.resourcesListChanged,
    }


def _honoured(wanted: _Filter, uris: list[str]) -> dict[str, Any]:
    """Return the part of the filter that is honoured."""
    honoured: dict[str, Any] = {
        f"{which}ListChanged": True for which, asked in _lists(wanted).items() if asked
    }
    if uris:
        honoured["resourceSubscriptions"] = uris
    return honoured
