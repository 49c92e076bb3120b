"""Which server of a Redis Cluster has which shard. Pure.

https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Any, NamedTuple

SLOTS = 16384


class Where(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class SlotMap(NamedTuple):
    """What a server tells of its cluster."""

    owners: list[Where | None]
    """The master of each slot; None for one that nobody has."""
    here: Where | None
    """How the server that tells it is called in it; None if it has no slot."""


def slot_of(shard: int) -> int:
    """Return the slot of all keys of a shard, whose number stands in braces in each."""
    # CRC-16/XMODEM, as Appendix A of the specification has it.
    return binascii.crc_hqx(b"%d" % shard, 0) % SLOTS


def read_where(text: str, fallback: str) -> Where:
    """Return the address that ``MOVED`` names.

    Args:
        text: ``host:port``; without a host it is the one of the server that says so.
        fallback: The host of that server.

    Raises:
        ValueError: It is none.
    """
    host, _, port = text.rpartition(":")
    return Where(host or fallback, int(port))


def read_slots(reply: Any, own_id: bytes, fallback: str) -> SlotMap:
    """Return what the replies to ``CLUSTER SLOTS`` and ``CLUSTER MYID`` say.

    Args:
        reply: Ranges of slots, each with its master and the master's replicas.
        own_id: The id of the server that tells it.
        fallback: The host of that server, for masters that are named without one.

    Raises:
        ValueError: It is none of a cluster's.
    """
    owners: list[Where | None] = [None] * SLOTS
    here = None
    try:
        for first, last, (host, port, name, *_), *_replicas in reply:
            # "?" stands for a host that the cluster does not know yet.
            known = host.decode() if host not in (None, b"", b"?") else fallback
            where = Where(known, int(port))
            if name == own_id:
                here = where
            owners[first : last + 1] = [where] * (last + 1 - first)
    except (TypeError, ValueError, AttributeError):
        raise ValueError("the server there does not tell the slots of a cluster") from None
    if len(owners) != SLOTS:
        raise ValueError("the server there tells slots that no cluster has")
    return SlotMap(owners, here)


def owners_of(shards: Iterable[int], slots: SlotMap) -> dict[int, Where]:
    """Return where each shard is, of the shards that a server has."""
    found = ((shard, slots.owners[slot_of(shard)]) for shard in shards)
    return {shard: where for shard, where in found if where is not None}
