"""Operations as the script in script.lua takes them. Pure."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from mcp_echo.cluster.engine import (
    Broadcast,
    Change,
    Close,
    Count,
    Create,
    Load,
    Operation,
    Peek,
    RecordLimits,
    Secret,
)
from mcp_echo.sessions.limits import holder_of

_CREATE, _CHANGE, _LOAD, _CLOSE, _SWEEP, _BROADCAST, _LISTEN, _SECRET, _TRIAL, _COUNT = range(1, 11)
_OVERHEAD = 200
"""Bytes of an operation beside what it carries, about."""
_PLACES = 1024
"""How many records are remembered as they are written to the script."""


class ScriptCall(NamedTuple):
    """An operation for the script."""

    shard: int
    keys: tuple[bytes, ...]
    """The keys it names, beside those of the shard."""
    body: tuple[object, ...]
    """Its code, how many keys it names, and what the script says there."""
    size: int
    """How many bytes it takes on the way, about."""
    is_look: bool = False
    """Whether nobody waits for it, and its time is no measure of anything."""
    may_be_refused: bool = False
    """Whether to be refused is one of its answers, and no failure."""


class _Place(NamedTuple):
    """Where a record is."""

    shard: int
    name: msgspec.Raw
    """Its id, as it is written to the script."""
    keys: tuple[bytes, bytes]
    """That of its hash, and that of its log."""


class Codec:
    """Writes operations for the script.

    The limit is divided over the shards, so that the sum of the parts is exact: a full shard refuses although
    another may have room. So is the limit for one address, which is 1 at least. The limit for one owner holds
    for each shard.

    Args:
        prefix: What all keys and channels begin with.
        shards: Over how many hash tags the records are spread.
        node: The name of this node.
        limits: How many records there may be.
    """

    def __init__(self, prefix: str, shards: int, node: str, limits: RecordLimits) -> None:
        self._prefix = prefix
        self._node = _text(_bytes(node))
        self._shards = shards
        self._limits = _parts(limits, shards)
        # All keys of one batch must be in one slot of a cluster, which the part in braces decides.
        self._bases = [f"{prefix}{{{shard}}}:".encode() for shard in range(shards)]
        self._common = [
            tuple(base + name for name in (b"index", b"sizes", b"totals", b"ended")) for base in self._bases
        ]
        self.channel = self._channel(node)
        """The channel on which this node is nudged."""
        self.bus_channel = f"{prefix}:bus".encode()
        """The channel on which it is told that something was broadcast."""
        # The same few sessions are used again and again.
        self._place = lru_cache(_PLACES)(self._find_place)
        self._writers: dict[type, Callable[[Any], ScriptCall]] = {
            Create: self._create,
            Change: self._change,
            Load: self._load,
            Peek: self._peek,
            Close: self._close,
            Broadcast: self._broadcast,
            Secret: self._secret,
        }

    def operation(self, operation: Operation) -> ScriptCall:
        """Return an operation of one shard as the script takes it."""
        return self._writers[type(operation)](operation)

    def batch(self, shard: int, calls: Sequence[ScriptCall]) -> tuple[list[bytes], bytes]:
        """Return the keys and the argument of the script for operations of one shard."""
        keys, bodies = [*self._common[shard]], []
        for call in calls:
            keys += call.keys
            bodies.append(call.body)
        return keys, msgspec.msgpack.encode(bodies)

    def count(self, shard: int, count: Count) -> ScriptCall:
        """Return the call that counts what a holder has in a shard."""
        return ScriptCall(shard, (), (_COUNT, 0, "", _holder(count.owner, count.address)), _OVERHEAD)

    def sweep(self, shard: int) -> ScriptCall:
        """Return the call that takes away the expired records of a shard."""
        return ScriptCall(shard, (), (_SWEEP, 0), _OVERHEAD)

    def listen(self, after: bytes | None) -> ScriptCall:
        """Return the call that reads what was broadcast after a place; None for a minute ago."""
        return ScriptCall(
            0,
            (self._bases[0] + b"bus",),
            (_LISTEN, 1, "", None if after is None else after.decode()),
            _OVERHEAD,
            is_look=True,
        )

    def trial(self, shard: int) -> ScriptCall:
        """Return the call that changes nothing, but is done only where everything can be done in a shard."""
        names = [b"s:trial", b"q:trial", b"own:trial", *((b"bus", b"secret") if shard == 0 else ())]
        keys = tuple(self._bases[shard] + name for name in names)
        body = (_TRIAL, len(keys), "", _text(self.channel))
        return ScriptCall(shard, keys, body, _OVERHEAD, is_look=True, may_be_refused=True)

    def _channel(self, node: str) -> bytes:
        return _bytes(f"{self._prefix}:node:{node}")

    def _channels(self, nodes: tuple[str, ...]) -> list[msgspec.Raw]:
        channels = map(self._channel, dict.fromkeys(nodes))
        return [_text(channel) for channel in channels if channel != self.channel]

    def _find_place(self, record_id: str) -> _Place:
        name = _bytes(record_id)
        shard = zlib.crc32(name) % self._shards if self._shards > 1 else 0
        base = self._bases[shard]
        return _Place(shard, _text(name), (base + b"s:" + name, base + b"q:" + name))

    def _create(self, create: Create) -> ScriptCall:
        shard, name, keys = self._place(create.id)
        limits = self._limits[shard]
        body = (
            _CREATE,
            1,
            name,
            _whose(create.owner, create.handle),
            create.timeout,
            _text(create.state),
            limits.records,
            _holder(create.owner, create.address),
            limits.of(create.owner),
            create.used,
        )
        return ScriptCall(shard, keys[:1], body, _OVERHEAD + len(create.state))

    def _change(self, change: Change) -> ScriptCall:
        shard, name, keys = self._place(change.id)
        mode, echo, size = 0, b"", _OVERHEAD + len(change.state)
        if change.echo is None:
            mode = 1
        elif change.echo is not UNSET:
            mode, echo = 2, change.echo
        added: list[object] = []
        for entry in change.add:
            added += (_entry_id(entry.sequence), entry.stream, _text(entry.data))
            size += len(entry.data)
        body = (
            _CHANGE,
            len(keys),
            name,
            _whose(change.owner, change.handle),
            change.version,
            change.touch,
            _text(change.state),
            mode,
            _text(echo),
            [*map(_entry_id, change.drop)],
            added,
            *change.held,
            _entry_id(change.known),
            self._channels(change.tell) if change.tell else (),
            change.used,
        )
        return ScriptCall(shard, keys, body, size + len(echo))

    def _load(self, load: Load) -> ScriptCall:
        return self._read(load.id, _whose(load.owner, load.handle), load.known)

    def _peek(self, peek: Peek) -> ScriptCall:
        return self._read(peek.id, None, peek.known)

    def _read(self, record_id: str, whose: msgspec.Raw | None, known: int) -> ScriptCall:
        shard, _, keys = self._place(record_id)
        return ScriptCall(shard, keys, (_LOAD, 2, "", whose, _entry_id(known)), _OVERHEAD)

    def _close(self, close: Close) -> ScriptCall:
        shard, name, keys = self._place(close.id)
        whose = _whose(close.owner, close.handle)
        return ScriptCall(
            shard, keys, (_CLOSE, len(keys), name, whose, self._channels(close.tell)), _OVERHEAD
        )

    def _broadcast(self, broadcast: Broadcast) -> ScriptCall:
        body = (_BROADCAST, 1, "", self._node, _text(broadcast.payload), _text(self.bus_channel))
        return ScriptCall(0, (self._bases[0] + b"bus",), body, _OVERHEAD + len(broadcast.payload))

    def _secret(self, secret: Secret) -> ScriptCall:
        return ScriptCall(
            0, (self._bases[0] + b"secret",), (_SECRET, 1, "", _text(secret.proposal)), _OVERHEAD
        )


def _bytes(text: str) -> bytes:
    # Ids and owners come from clients: a lone surrogate is some other text, and no reason to fail.
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> msgspec.Raw:
    """Return bytes as MessagePack's strings are written.

    Redis's cmsgpack takes whatever bytes a string has, and does not know of MessagePack's binary ones.
    """
    length = len(data)
    if length < 256:
        return msgspec.Raw(b"\xd9%c%b" % (length, data))
    return msgspec.Raw(b"\xdb" + length.to_bytes(4, "big") + data)


def _parts(limits: RecordLimits, shards: int) -> list[RecordLimits]:
    """Return the limits of each shard; see `Codec`."""

    def part(limit: int, shard: int) -> int:
        return limit // shards + (shard < limit % shards)

    address = limits.per_address
    return [
        limits._replace(
            records=part(limits.records, shard),
            per_address=None if address is None else max(1, part(address, shard)),
        )
        for shard in range(shards)
    ]


def _holder(owner: str | None, address: str | None) -> str | None:
    """Return the name of a holder in 32 characters; None where nobody has a share."""
    holder = holder_of(owner, address)
    # Cut: 128 bits keep holders apart, and the name says nothing of them.
    return None if holder is None else hashlib.sha256(_bytes(holder)).hexdigest()[:32]


# Redis numbers what is in a stream with two numbers.
_entry_id = "{}-0".format


@lru_cache(_PLACES)
def _whose(owner: str | None, handle: bool) -> msgspec.Raw:
    """Return kind and owner of a record in one string, which is the same only if both are."""
    kind = b"h" if handle else b"s"
    return _text(kind if owner is None else kind + b"+" + _bytes(owner))
