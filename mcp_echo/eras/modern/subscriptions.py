"""Streams of news that modern clients open.

https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mcp_echo.auth.proxies import Caller
from mcp_echo.eras.exchange import Exchange, StreamResponse, open_stream
from mcp_echo.eras.methods import Methods
from mcp_echo.http.accept import EVENT_STREAM
from mcp_echo.offer.resources import SESSION_URI
from mcp_echo.protocol.errors import InvalidParams, NotAcceptable
from mcp_echo.protocol.jsonrpc import MessageId, Request, notification_bytes
from mcp_echo.protocol.modern import SUBSCRIPTION_KEY, read_params
from mcp_echo.sessions.event_log import EventLog, Stream
from mcp_echo.sessions.held import STREAM_BYTES
from mcp_echo.sessions.session import Client
from mcp_echo.sessions.subscriptions import List
from mcp_echo.tools.base import reader_of

MAX_SUBSCRIPTIONS = 64
"""Resources one subscription may name."""


class _Filter(msgspec.Struct, frozen=True):
    toolsListChanged: bool = False
    promptsListChanged: bool = False
    resourcesListChanged: bool = False
    resourceSubscriptions: list[str] = []


class _Listen(msgspec.Struct, frozen=True):
    notifications: _Filter


_read_listen = msgspec.json.Decoder(_Listen).decode


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


class NewsStreams:
    """Opens streams of news.

    Args:
        methods: What the server can do.
        new_log: Makes a log for a caller that keeps only what waits to be written.
    """

    def __init__(self, methods: Methods, new_log: Callable[[Caller], EventLog]) -> None:
        self._methods = methods
        self._context = methods.context
        self._new_log = new_log

    def open(self, request: Request, exchange: Exchange, client: Client, last: bytes) -> None:
        """Open a stream of news.

        Args:
            request: The request.
            exchange: The HTTP request that carried it.
            client: Who sends it.
            last: The response, for the end of the stream.

        Raises:
            McpError: The client takes no stream, wants too many, or the filter is none.
        """
        if not exchange.accepted.event_stream:
            raise NotAcceptable(f"Not acceptable: subscriptions/listen is answered with {EVENT_STREAM}")
        wanted: _Filter = read_params(_read_listen, request.params).notifications
        if len(wanted.resourceSubscriptions) > MAX_SUBSCRIPTIONS:
            raise InvalidParams(f"A subscription may name {MAX_SUBSCRIPTIONS} resources at most")
        uris = [uri for uri in wanted.resourceSubscriptions if self._may_watch(uri, exchange)]
        limits, caller = self._context.limits, exchange.caller()
        limits.check_in_flight_of(caller.principal, caller.address, exchange)
        limits.check_hold(caller, STREAM_BYTES, exchange)
        log = self._new_log(caller)
        stream = log.answer()
        stream_response = StreamResponse(log, stream, farewell=last)
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
