"""Who wants to hear of what changes: listeners for lists and resources. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

List = Literal["tools", "prompts", "resources"]

LISTS: tuple[List, ...] = ("tools", "prompts", "resources")


class NewsListener(Protocol):
    """One that is told of changes: a session, or the stream of a subscription."""

    @property
    def reader(self) -> str:
        """Who reads what it hears, as `Call.reader` names the reader of a list."""

    def list_changed(self, which: List) -> None:
        """One of the server's lists is another one now."""

    def resource_updated(self, uri: str) -> None:
        """A resource has another content now."""

    def told_until(self, uri: str, count: int) -> None:
        """It is told of the echoes behind ``uri`` that come after the one of this count."""


class _Reads:
    """How many lists one reader has asked for while ``watchers`` wait for that."""

    def __init__(self) -> None:
        self.count = 0
        self.watchers = 0


class Subscriptions:
    """Tells listeners of the changes they asked for."""

    def __init__(self) -> None:
        self._by_list: dict[List, set[NewsListener]] = {}
        self._by_uri: dict[str, set[NewsListener]] = {}
        self._reads: dict[str, _Reads] = {}

    def __len__(self) -> int:
        return sum(len(listeners) for listeners in (*self._by_list.values(), *self._by_uri.values()))

    def watch_list(self, which: List, listener: NewsListener) -> None:
        """Tell ``listener`` when this list changes."""
        self._by_list.setdefault(which, set()).add(listener)

    def watch(self, uri: str, listener: NewsListener) -> None:
        """Tell ``listener`` when this resource changes."""
        self._by_uri.setdefault(uri, set()).add(listener)

    def rewatch(self, uri: str, listener: NewsListener, owner: str | None) -> None:
        """See that ``listener`` hears on this node of a resource it watches.

        Args:
            uri: The resource.
            listener: Who watches it.
            owner: The principal it belongs to.
        """

    def unwatch(self, uri: str, listener: NewsListener) -> None:
        """Tell ``listener`` no more of this resource."""
        listeners = self._by_uri.get(uri)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._by_uri[uri]

    def forget(self, listener: NewsListener) -> None:
        """Tell ``listener`` nothing more."""
        for which in [which for which, listeners in self._by_list.items() if listener in listeners]:
            self._by_list[which].discard(listener)
            if not self._by_list[which]:
                del self._by_list[which]
        for uri in [uri for uri, listeners in self._by_uri.items() if listener in listeners]:
            self.unwatch(uri, listener)

    @property
    def uris(self) -> tuple[str, ...]:
        """The resources that have a listener."""
        return tuple(self._by_uri)

    @property
    def resources_watched(self) -> bool:
        """Whether any resource has a listener."""
        return bool(self._by_uri)

    def state_changed(self, uris: Iterable[str]) -> None:
        """Tell everybody who asked that the state of a session, which these resources show, has changed."""
        for uri in uris:
            self.resource_updated(uri)

    @contextmanager
    def watching_reads(self, reader: str) -> Iterator[Callable[[], int]]:
        """Count the lists that ``reader`` asks for while this lasts; gives what tells how many by now."""
        reads = self._reads.setdefault(reader, _Reads())
        reads.watchers += 1
        before = reads.count
        try:
            yield lambda: reads.count - before
        finally:
            reads.watchers -= 1
            if not reads.watchers:
                self._reads.pop(reader, None)

    def note_read(self, reader: str) -> None:
        """Count a list that a reader has asked for, if a probe waits for that."""
        reads = self._reads.get(reader)
        if reads is not None:
            reads.count += 1

    def list_changed(self, which: List) -> None:
        """Tell everybody who asked that a list has changed."""
        # A copy: a listener that is told may leave.
        for listener in list(self._by_list.get(which, ())):
            listener.list_changed(which)

    def announce(self, reader: str, lists: Iterable[List] = LISTS) -> list[List]:
        """Tell one reader, as an exercise, that the lists it wants to hear of have changed.

        Args:
            reader: Who is told; nobody else is.
            lists: Which lists are to be told of.

        Returns:
            Those that it has been told of.
        """
        told: list[List] = []
        for which in lists:
            listeners = [each for each in self._by_list.get(which, ()) if each.reader == reader]
            for listener in listeners:
                listener.list_changed(which)
            if listeners:
                told.append(which)
        return told

    def resource_updated(self, uri: str) -> None:
        """Tell everybody who asked that a resource has changed."""
        for listener in list(self._by_uri.get(uri, ())):
            listener.resource_updated(uri)
