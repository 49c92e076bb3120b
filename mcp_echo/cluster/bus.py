"""What the nodes that share sessions tell each other, beside what they keep. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.cluster.cached_session import CachedSession, Draft, asked_by
from mcp_echo.cluster.maintenance import Maintenance
from mcp_echo.cluster.session_cache import SessionCache
from mcp_echo.protocol.jsonrpc import MessageId, Response
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.store import EndReason
from mcp_echo.sessions.subscriptions import LISTS, List, NewsListener, Subscriptions
from mcp_echo.sessions.tombstones import Life


class _Answer(msgspec.Struct, tag="answer"):
    session: str
    id: int | str | None
    # Raw with None in a union would be read as null alone.
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    refused: bool = False
    """Whether it was malformed."""


class _Cancelled(msgspec.Struct, tag="cancelled"):
    session: str
    request: int | str


class _ListChanged(msgspec.Struct, tag="list-changed"):
    which: List
    reader: str | None = None
    """Who alone is told; None for everybody who asked."""


class _Buried(msgspec.Struct, tag="buried"):
    session: str
    owner: str | None
    node: str
    """The node that made it."""
    age: float
    """Seconds from when it was made to its end."""
    timeout: float
    reason: EndReason


class _Watching(msgspec.Struct, tag="watching-reads"):
    reader: str


class _Read(msgspec.Struct, tag="read"):
    reader: str


_Word = _Answer | _Cancelled | _Buried | _ListChanged | _Watching | _Read
_decode = msgspec.json.Decoder(_Word).decode

MAX_READERS = 1000
"""Readers in whom other nodes are interested; the one named longest ago makes room."""


MAX_WATCHERS = 32
"""Nodes that hear of the echoes of one handle; the one that asked longest ago makes room."""


class Bus:
    """The other nodes.

    Args:
        node: The name of this one.
        cache: Its copies of sessions.
        maintenance: Tells them, and makes changes.
    """

    def __init__(self, node: str, cache: SessionCache, maintenance: Maintenance) -> None:
        self.node = node
        self.cache = cache
        self.maintenance = maintenance
        self.subscriptions: SharedSubscriptions | None = None
        self.buried: Callable[[SessionKey, Life, EndReason], object] = lambda _key, _life, _reason: None
        """Told of the sessions that other nodes have ended."""
        maintenance.bury = self.bury

    def publish(self, word: Any) -> None:
        """Tell every other node."""
        self.maintenance.broadcast(msgspec.json.encode(word))

    def receive(self, payload: bytes) -> None:
        """Act on what another node has told; what this version does not know is left alone."""
        try:
            word = _decode(payload)
        except msgspec.DecodeError:
            return
        if isinstance(word, _Answer):
            self._take_answer(word)
        elif isinstance(word, _Cancelled):
            self._cancel(word)
        elif isinstance(word, _Buried):
            life = Life(word.node, word.age, None, word.timeout)
            self.buried(SessionKey(word.session, word.owner, False), life, word.reason)
        elif self.subscriptions is not None:
            self.subscriptions.receive(word)

    def bury(self, cached: CachedSession, reason: EndReason) -> None:
        """Tell what was known of a session that this node has ended; what is behind a handle is let go of."""
        if cached.handle:
            return
        age = (self.maintenance.engine_now() - cached.created) / 1000
        minted, timeout = cached.stored.minted, cached.stored.timeout / 1000
        self.publish(_Buried(cached.id, cached.owner, minted, age, timeout, reason))

    def pass_answer(self, session_id: str, message_id: MessageId | None, response: Response | None) -> None:
        """Hand a client's answer to the node that asked, whose name begins the id.

        One whose id is none of ours is told of without what it says: a node that waits for another has to
        know that something came.
        """
        result: Raw | UnsetType = UNSET
        error: Raw | UnsetType = UNSET
        if response is not None and asked_by(message_id)[0] is not None:
            result = UNSET if response.result is None else response.result
            error = UNSET if response.error is None else response.error
        self.publish(_Answer(session_id, message_id, result, error, response is None))

    def _take_answer(self, word: _Answer) -> None:
        cached = self.cache.get(word.session)
        if cached is None:
            return
        promise = None
        if isinstance(word.id, str) and not word.refused:
            promise = cached.expected.pop(word.id, None)
        if promise is None:
            cached.go_astray(word.id, refused=word.refused)
            return
        result = None if word.result is UNSET else word.result
        promise.keep(Response(word.id, result, None if word.error is UNSET else word.error))

    def pass_cancellation(self, session_id: str, request_id: int | str) -> None:
        """Hand a client's cancellation to the node that works on the request."""
        self.publish(_Cancelled(session_id, request_id))

    def _cancel(self, word: _Cancelled) -> None:
        """Stop a request that is being worked on here."""
        cached = self.cache.get(word.session)
        running = None if cached is None else cached.running.get(word.request)
        if running is not None:
            running.cancel()


class SharedSubscriptions(Subscriptions):
    """Tells listeners on this node of changes on any node.

    Args:
        bus: The other nodes.
        handle_of: Returns the handle whose state a URI is, or None.
    """

    def __init__(self, bus: Bus, handle_of: Callable[[str], str | None]) -> None:
        super().__init__()
        self._bus = bus
        self._handle_of = handle_of
        # In the order in which they were named.
        self._readers: dict[str, None] = {}
        bus.subscriptions = self

    def watch(self, uri: str, listener: NewsListener) -> None:
        """Tell ``listener`` when this resource changes; state behind a handle, on whichever node it does."""
        super().watch(uri, listener)
        cached = self._replica_behind(uri)
        if cached is not None:
            self._watch_replica(uri, listener, cached)

    def _replica_behind(self, uri: str) -> CachedSession | None:
        handle = self._handle_of(uri)
        return None if handle is None else self._bus.cache.get(handle)

    def _watch_replica(self, uri: str, listener: NewsListener, cached: CachedSession) -> None:
        if not cached.watched:
            cached.watched = True
            cached.seen_echoes = cached.stored.record.echo_count
            self._bus.maintenance.later(cached, self._add_watcher)
        listener.told_until(uri, cached.seen_echoes)

    def rewatch(self, uri: str, listener: NewsListener, owner: str | None) -> None:
        """Tell ``listener`` on this node, too, of a resource it watches; see `Subscriptions.rewatch`."""

        def begin(cached: CachedSession) -> None:
            super(SharedSubscriptions, self).watch(uri, listener)
            self._watch_replica(uri, listener, cached)

        handle = self._handle_of(uri)
        if handle is not None:
            self._bus.maintenance.bring_for(SessionKey(handle, owner, True), begin)

    def _add_watcher(self, draft: Draft) -> None:
        others = [node for node in draft.stored.watchers if node != self._bus.node]
        # Nodes that have died are never taken out; those that came last are the ones that live.
        draft.stored.watchers = [*others[-(MAX_WATCHERS - 1) :], self._bus.node]

    def unwatch(self, uri: str, listener: NewsListener) -> None:
        """Tell ``listener`` no more of this resource."""
        super().unwatch(uri, listener)
        cached = self._replica_behind(uri)
        if cached is None or not cached.watched:
            return
        if not any(self._handle_of(each) == cached.id for each in self.uris):
            cached.watched = False
            self._bus.maintenance.later(cached, self._remove_watcher)

    def _remove_watcher(self, draft: Draft) -> None:
        draft.stored.watchers = [node for node in draft.stored.watchers if node != self._bus.node]

    def echoed(self, uris: Iterable[str]) -> None:
        """Tell everybody who asked on this node of one echo that is kept."""
        super().state_changed(uris)

    def state_changed(self, uris: Iterable[str]) -> None:
        """Do nothing: every echo that is kept is told of, on this node as on others, by the store."""

    def list_changed(self, which: List) -> None:
        """Tell everybody who asked that a list has changed, on every node."""
        super().list_changed(which)
        self._bus.publish(_ListChanged(which))

    def announce(self, reader: str, lists: Iterable[List] = LISTS) -> list[List]:
        """Tell one reader, on other nodes as well, of what it is told here; see `Subscriptions.announce`."""
        told = super().announce(reader, lists)
        for which in told:
            self._bus.publish(_ListChanged(which, reader))
        return told

    def note_read(self, reader: str) -> None:
        """Count a list that a reader has asked for, if a probe on any node waits for that."""
        super().note_read(reader)
        if reader in self._readers:
            self._bus.publish(_Read(reader))

    @contextmanager
    def watching_reads(self, reader: str) -> Iterator[Callable[[], int]]:
        """Count the lists that ``reader`` asks for on any node while this lasts."""
        self._bus.publish(_Watching(reader))
        with super().watching_reads(reader) as reads:
            yield reads

    def receive(self, word: Any) -> None:
        """Act on what another node has told."""
        if isinstance(word, _ListChanged) and word.reader is not None:
            super().announce(word.reader, (word.which,))
        elif isinstance(word, _ListChanged):
            super().list_changed(word.which)
        elif isinstance(word, _Read):
            super().note_read(word.reader)
        elif isinstance(word, _Watching):
            self._readers.pop(word.reader, None)
            self._readers[word.reader] = None
            if len(self._readers) > MAX_READERS:
                del self._readers[next(iter(self._readers))]
