"""The Redis servers that the shards are on: one, or those of a Redis Cluster, among which slots move."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.stores.redis.address import RedisAddress
from mcp_echo.stores.redis.server import Means, Owner, ShardServer
from mcp_echo.stores.redis.slots import SlotMap, Where, owners_of, read_slots, read_where
from mcp_echo.stores.redis.wire import RedisWire

LEARN_AGAIN = 1.0
"""Seconds from the loss of a server, or the news of a moved slot, to the question who has what."""


class Servers:
    """Which server has which shard.

    Args:
        means: What they work with.
        address: The server to ask first, which stays one to ask.
        owner: Who uses them.
    """

    _log = Logger("mcp_echo")

    def __init__(self, means: Means, address: RedisAddress, owner: Owner) -> None:
        self._means = means
        self._reactor = means.reactor
        self._owner = owner
        self.address = address
        self._learn = self._ask if address.cluster else None
        self._first = self._make(address)
        self._first.shards = set(range(address.shards))
        self._known: dict[Where, ShardServer] = {Where(address.host, address.port): self._first}
        """By each of the names that it goes by."""
        self.owners = [self._first] * address.shards
        """The server of each shard."""
        self._leaving: dict[ShardServer, IDelayedCall] = {}
        """Servers that have nothing any more → when they are let go of."""
        self._ends: list[Deferred[None]] = []
        self._again: IDelayedCall | None = None
        self._started = self._stopped = False

    def failed(self, wire: RedisWire, shard: int, reason: str, *, unusable: bool) -> None:
        """What was sent over a connection for a shard was not carried out; see `ShardServer.failed`."""
        # Where the connection is lost it is no server's any more.
        server = next((each for each in self.all() if each.wire is wire), self.owners[shard])
        server.failed(shard, reason, unusable=unusable)

    def all(self) -> list[ShardServer]:
        """Return the servers, the one of the address first."""
        return list(dict.fromkeys([self._first, *self._known.values()]))

    def in_use(self) -> list[ShardServer]:
        """Return the servers that have a shard."""
        return list(dict.fromkeys(self.owners))

    def open(self) -> None:
        """See that everything is there that is needed to connect.

        Raises:
            EngineRefused: Something is missing.
        """
        self._first.open()

    def start(self) -> None:
        """Connect to all of them, and go on connecting."""
        self._started = True
        self._first.start()

    def ask_no_more(self) -> None:
        """Ask them nothing more of our own accord: neither trials nor what the cluster looks like."""
        self._stopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()
        for server in self.all():
            server.end_trials()

    def stop(self) -> Deferred[Any]:
        """Let go of all; return what fires once nothing is left."""
        self.ask_no_more()
        for server in list(self._leaving):
            self._let_go(server)
        ends, self._ends = self._ends, []
        return gatherResults([*ends, *(server.stop() for server in self.all())])

    def moved(self, shard: int, text: str) -> None:
        """A shard is on another server.

        Args:
            shard: The shard.
            text: Where that server is, as ``MOVED`` has it.
        """
        before = self.owners[shard]
        try:
            where = read_where(text, before.address.host)
        except ValueError:
            before.failed(shard, f"it says MOVED without an address: {text}", unusable=True)
            return
        self._place(shard, where)
        self.learn_again()

    def learn_again(self) -> None:
        """Ask soon who has what, and again until every server that has a shard can be reached."""
        if self._learn is None or self._stopped or (self._again is not None and self._again.active()):
            return
        self._again = self._reactor.callLater(LEARN_AGAIN, self._learn_now)

    def _learn_now(self) -> None:
        reached = [(server, server.wire) for server in self.all()]
        for server, wire in reached:
            if wire is not None:
                asking = Deferred.fromCoroutine(self._ask(server, wire))
                asking.addTimeout(server.address.timeout, self._reactor)
                asking.addErrback(self._unanswered)
                break
        if any(server.wire is None for server in self.in_use()):
            self.learn_again()

    def _unanswered(self, failure: Failure) -> None:
        # Whatever it is, the next commands come upon it too.
        self._log.debug(
            "Redis did not tell what its cluster looks like: {why}", why=failure.getErrorMessage()
        )

    async def _ask(self, server: ShardServer, wire: RedisWire) -> None:
        """Ask a server which of them has what, and see to it."""
        own_id = await wire.call("CLUSTER", "MYID")
        slots: SlotMap = read_slots(await wire.call("CLUSTER", "SLOTS"), own_id, server.address.host)
        # One that is let go of may have connected anew, and is not to be come back to.
        if slots.here is not None and server not in self._leaving:
            self._known.setdefault(slots.here, server)
        for shard, where in owners_of(range(len(self.owners)), slots).items():
            self._place(shard, where)

    def _place(self, shard: int, where: Where) -> None:
        if self._stopped:
            return
        server = self._known.get(where) or self._join(where)
        before = self.owners[shard]
        if server is before:
            return
        self.owners[shard] = server
        before.shards.discard(shard)
        server.shards.add(shard)
        if not before.shards and before is not self._first:
            self._leave(before)
        if server.wire is not None:
            self._owner.joined(shard)

    def _make(self, address: RedisAddress) -> ShardServer:
        return ShardServer(self._means, address, self._owner, self._learn)

    def _join(self, where: Where) -> ShardServer:
        address = self._first.address._replace(host=where.host, port=where.port)
        server = self._known[where] = self._make(address)
        if self._started:
            server.start()
        return server

    def _leave(self, server: ShardServer) -> None:
        """Let go of a server that has nothing any more, once what is on the way to it was answered."""
        self._known = {where: each for where, each in self._known.items() if each is not server}
        self._leaving[server] = self._reactor.callLater(server.address.timeout, self._let_go, server)

    def _let_go(self, server: ShardServer) -> None:
        call = self._leaving.pop(server)
        if call.active():
            call.cancel()
        self._ends.append(server.stop())
