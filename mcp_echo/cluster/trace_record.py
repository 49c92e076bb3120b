"""A trace as an engine keeps it: what it is, how much has come to it, and its records. No I/O.

A trace is one record of an engine of its own, under its share key. What a client has sent is an entry in the
log of that record; the number of a record of the trace is the sequence of its entry, so that all nodes have
the same records in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from mcp_echo.cluster.engine import Entry
from mcp_echo.watch.records import (
    ExchangeRecord,
    NodeChange,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)
from mcp_echo.watch.traces import MadeTrace

KINDS: dict[str, type[Record]] = {
    "exchange": ExchangeRecord,
    "stream": StreamRecord,
    "sent": SentRecord,
    "session": SessionChange,
    "node": NodeChange,
    "probe": ProbeRecord,
}
"""What the entries of a trace are, by the name that stands, with a time, in the place of their stream."""

_NAMES = {kind: name for name, kind in KINDS.items()}
_DECODE: dict[str, Callable[[bytes], Any]] = {
    name: msgspec.json.Decoder(kind).decode for name, kind in KINDS.items()
}

MOST_NODES = 32
"""Nodes that are told of what comes to a trace; the one that was added first makes room."""


class StoredTrace(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an engine keeps of a trace beside its records."""

    made: MadeTrace
    first: int = 1
    """The number of the oldest record that is kept; those before it were let go of."""
    last: int = 0
    """The number of the newest record."""
    exchanges: int = 0
    """How many exchanges came."""
    dropped: int = 0
    unrecorded: int = 0
    nodes: dict[str, float] = {}
    """Who is told of what comes: node → when it recorded something here last, by its wall clock; 0 for one
    that has not."""
    parts: dict[str, bytes] = {}
    """See `mcp_echo.watch.parts`."""


encode_trace = msgspec.msgpack.Encoder().encode
decode_trace = msgspec.msgpack.Decoder(StoredTrace).decode


class Recorded(NamedTuple):
    """A record, and when it was made."""

    at: float
    """Seconds of the clock that all nodes have in common."""
    record: Record


def entry_of(sequence: int, recorded: Recorded) -> Entry:
    """Return a record as an entry in the log of its trace."""
    name = _NAMES[type(recorded.record)]
    return Entry(sequence, f"{name} {recorded.at:.6f}", msgspec.json.encode(recorded.record))


def recorded_in(entry: Entry) -> Recorded | None:
    """Return the record that an entry is; None for one that this version does not understand."""
    name, _, at = entry.stream.partition(" ")
    decode = _DECODE.get(name)
    if decode is None:
        return None
    try:
        record: Record = decode(entry.data)
        return Recorded(float(at), msgspec.structs.replace(record, number=entry.sequence))
    except (msgspec.DecodeError, ValueError):
        return None


def join(stored: StoredTrace, node: str, at: float = 0.0) -> None:
    """Have a node told of what comes.

    Args:
        stored: The trace.
        node: Its name.
        at: When it recorded something here, by the wall clock; 0 where it did not.
    """
    at = max(at, stored.nodes.pop(node, 0.0))
    while len(stored.nodes) >= MOST_NODES:
        del stored.nodes[next(iter(stored.nodes))]
    stored.nodes[node] = at
