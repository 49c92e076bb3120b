"""The methods that sessions alone have: pings, log levels, and subscriptions that outlive a request."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from mcp_echo.eras.methods import Methods, MethodTable, read_uri
from mcp_echo.offer.resources import no_resource
from mcp_echo.protocol.errors import InvalidParams, SessionRequired
from mcp_echo.protocol.levels import LOG_LEVELS
from mcp_echo.protocol.modern import read_params
from mcp_echo.redaction import quoted
from mcp_echo.sessions.session import Session
from mcp_echo.sessions.subscriptions import LISTS, List
from mcp_echo.tools.base import Call
from mcp_echo.watch.insight import Insight

MAX_SUBSCRIPTIONS = 64
"""Subscriptions per session; there are far fewer resources."""


class _Level(msgspec.Struct, frozen=True):
    level: str


_read_level = msgspec.json.Decoder(_Level).decode


class _SessionListener:
    """Queues for a session the news it asked for."""

    def __init__(self, session: Session, insight: Insight | None) -> None:
        self._session = session
        self._insight = insight
        self.reader = session.id

    def list_changed(self, which: List) -> None:
        """Queue that a list has changed."""
        if self._insight is not None:
            method = f"notifications/{which}/list_changed"
            self._insight.queued(method, self._session.id, listening=bool(self._session.log.listeners))
        self._session.tell_list_changed(which)

    def resource_updated(self, uri: str) -> None:
        """Queue that a resource has changed."""
        self._session.tell_changed(uri)

    def told_until(self, uri: str, count: int) -> None:
        """Note of which echoes another node tells the session."""
        self._session.told_until(uri, count)


class SessionMethods:
    """The methods of the legacy era.

    Args:
        methods: Those that both eras have.
    """

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._news = methods.context.subscriptions
        self._insight = methods.context.insight
        self._listeners: dict[str, _SessionListener] = {}
        self.table = MethodTable(
            {
                **methods.table,
                "ping": _ping,
                "logging/setLevel": _set_level,
                "resources/subscribe": self._subscribe,
                "resources/unsubscribe": self._unsubscribe,
            }
        )

    def watch_lists(self, session: Session) -> None:
        """Have a session hear of changes in the lists, and of those it has subscribed to; an effect."""
        listener = self._listener(session)
        for which in LISTS:
            self._news.watch_list(which, listener)
        for uri in session.record.subscriptions:
            self._news.rewatch(uri, listener, session.principal)

    def session_ended(self, session_id: str) -> None:
        """Tell a session that is over nothing more."""
        listener = self._listeners.pop(session_id, None)
        if listener is not None:
            self._news.forget(listener)

    def _listener(self, session: Session) -> _SessionListener:
        session.stay()
        return self._listeners.setdefault(session.id, _SessionListener(session, self._insight))

    def _subscribe(self, params: Raw, call: Call) -> Any:
        session, uri = _session_of(call), read_params(read_uri, params).uri
        if not self._methods.has_resource(uri, call.principal):
            raise no_resource(uri)
        wanted = session.record.subscriptions | {uri}
        if len(wanted) > MAX_SUBSCRIPTIONS:
            raise InvalidParams(f"A session may subscribe to {MAX_SUBSCRIPTIONS} resources at most")
        session.record.subscriptions = wanted
        call.effects.then(self._watch, uri, session)
        return {}

    def _unsubscribe(self, params: Raw, call: Call) -> Any:
        session, uri = _session_of(call), read_params(read_uri, params).uri
        # What was subscribed to may be gone by now, and is let go of all the same.
        if uri not in session.record.subscriptions and not self._methods.has_resource(uri, call.principal):
            raise no_resource(uri)
        session.record.subscriptions -= {uri}
        call.effects.then(self._unwatch, uri, session)
        return {}

    def _watch(self, uri: str, session: Session) -> None:
        self._news.watch(uri, self._listener(session))

    def _unwatch(self, uri: str, session: Session) -> None:
        self._news.unwatch(uri, self._listener(session))


def _ping(_params: Raw, _call: Call) -> Any:
    return {}


def _set_level(params: Raw, call: Call) -> Any:
    level = read_params(_read_level, params).level
    if level not in LOG_LEVELS:
        raise InvalidParams(f"Invalid log level {quoted(level)}; levels are {', '.join(LOG_LEVELS)}")
    _session_of(call).record.log_level = level
    return {}


def _session_of(call: Call) -> Session:
    if call.session is None:
        raise SessionRequired("This method needs a session")
    return call.session
