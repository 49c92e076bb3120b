"""What a trace keeps beside its records: parts that any node changes, and all see the same. No I/O.

A part is a small value with a name, such as the state of the trace's authorization server. Whoever changes
one works on a copy of its own, which nobody sees until it is kept; where another node was faster the work is
done again on what that node has kept. So work does nothing but change its copy and return something.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from mcp_echo.watch.traces import Trace

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")


class Part(Generic[S]):
    """One kind of part.

    Args:
        name: Its name, unique among the parts of a trace.
        kind: The struct that it is; all of its fields have defaults, with which it begins.
    """

    def __init__(self, name: str, kind: type[S]) -> None:
        self.name = name
        self._kind = kind
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def read(self, trace: Trace) -> S:
        """Return the part of a trace as it is known here; to be changed by `Parts.change` alone."""
        kept = trace.parts.get(self.name)
        if kept is None:
            return self._kind()
        known = trace.decoded.get(self.name)
        if known is None or known[0] is not kept:
            known = trace.decoded[self.name] = (kept, self._decode(kept))
        value: S = known[1]
        return value

    def decoded(self, parts: Mapping[str, bytes]) -> S:
        """Return a copy of the part, to work on.

        Args:
            parts: What is kept: name → part.
        """
        kept = parts.get(self.name)
        return self._kind() if kept is None else self._decode(kept)


class Parts(Protocol):
    """Changes parts of traces."""

    def change(self, trace: Trace, part: Part[S], work: Callable[[S], T]) -> Awaitable[T]:
        """Return what ``work`` returns, once what it has changed is kept.

        Args:
            trace: Whose part.
            part: Which.
            work: Changes the copy that it is given. May be called again, with another copy.

        Raises:
            TracesUnavailable: It cannot be kept: the store cannot be reached.
            TraceGone: The trace has ended.
            Exception: What ``work`` raises on what is kept by now; then nothing has changed.
        """


class TraceGone(Exception):
    """A trace has ended while somebody was about to change it."""


class PartsInMemory:
    """Parts of the traces of one process.

    Args:
        is_there: Returns whether a trace is there still.
    """

    def __init__(self, is_there: Callable[[Trace], bool]) -> None:
        self._is_there = is_there

    async def change(self, trace: Trace, part: Part[S], work: Callable[[S], T]) -> T:
        """Return what ``work`` returns; see `Parts.change`."""
        if not self._is_there(trace):
            raise TraceGone
        copy = part.decoded(trace.parts)
        result = work(copy)
        trace.parts[part.name] = encode_part(copy)
        return result


def encode_part(value: Any) -> bytes:
    """Return a part as it is kept."""
    return msgspec.msgpack.encode(value)
