"""A Redis Cluster of the tests' own: three servers, of which each has a third of the slots."""

from __future__ import annotations

import atexit
import time
from functools import cache
from itertools import pairwise

from mcp_echo.stores.redis.slots import SLOTS
from tests.ports import free_port
from tests.stores.redis_server import PATIENCE, RedisServer

NODE_TIMEOUT = 500
"""Milliseconds after which the servers count one of them as gone."""


class RedisCluster:
    """Three servers, without replicas: what one has is not to be had while it is gone.

    Args:
        options: Of redis-server, for each.
    """

    def __init__(self, *options: str) -> None:
        self.servers = [self._server(options) for _ in range(3)]
        bounds = [place * SLOTS // 3 for place in range(4)]
        for server, (first, after) in zip(self.servers, pairwise(bounds), strict=True):
            server.ask("CLUSTER", "ADDSLOTSRANGE", str(first), str(after - 1))
        for server in self.servers[1:]:
            server.ask("CLUSTER", "MEET", "127.0.0.1", str(self.servers[0].port), str(self.servers[0].bus))
        self.wait_until_whole()

    @staticmethod
    def _server(options: tuple[str, ...]) -> RedisServer:
        bus = free_port()
        server = RedisServer(
            *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
            *("--cluster-node-timeout", str(NODE_TIMEOUT), "--cluster-require-full-coverage", "no"),
            *options,
        )
        server.bus = bus
        return server

    @property
    def address(self) -> str:
        """The setting that has an engine use it, to which options can be added."""
        return f"{self.servers[0].address}?cluster=true"

    def wait_until_whole(self) -> None:
        """Wait until each server knows of all slots, and all count as there."""
        give_up = time.monotonic() + PATIENCE
        while not all(self._is_whole(each.text("CLUSTER", "INFO")) for each in self.servers):
            assert time.monotonic() < give_up, "the cluster does not come up"
            time.sleep(0.02)

    @staticmethod
    def _is_whole(told: str) -> bool:
        return all(each in told for each in ("cluster_state:ok", "slots_ok:16384", "known_nodes:3"))

    def owner(self, slot: int) -> RedisServer:
        """Return the server that has a slot."""
        ports = self.servers[0].text("CLUSTER", "NODES")
        for line in ports.splitlines():
            port = int(line.split()[1].partition("@")[0].rpartition(":")[2])
            for word in line.split()[8:]:
                first, _, last = word.partition("-")
                if word[0] != "[" and int(first) <= slot <= int(last or first):
                    return next(each for each in self.servers if each.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def begin_move(self, slot: int, to: RedisServer) -> None:
        """Have a slot be on its way: what its old server does not have is to be asked for at the new one."""
        source = self.owner(slot)
        to.ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", source.text("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", to.text("CLUSTER", "MYID"))

    def move_keys(self, slot: int, to: RedisServer, most: int = 1000) -> int:
        """Move some of its keys; return how many are left."""
        source = self.owner(slot)
        keys = source.text("CLUSTER", "GETKEYSINSLOT", str(slot), str(most)).split("\n")
        if keys != [""]:
            source.ask("MIGRATE", "127.0.0.1", str(to.port), "", "0", "5000", "KEYS", *keys)
        return source.number("CLUSTER", "COUNTKEYSINSLOT", str(slot))

    def end_move(self, slot: int, to: RedisServer) -> None:
        """Have the new server be the one that has it."""
        name = to.text("CLUSTER", "MYID")
        for server in (to, *(each for each in self.servers if each is not to)):
            server.ask("CLUSTER", "SETSLOT", str(slot), "NODE", name)

    def remove(self) -> None:
        """End all of it."""
        for server in self.servers:
            server.remove()


@cache
def shared_cluster() -> RedisCluster:
    """Return a cluster that many tests use, each with a prefix of its own."""
    cluster = RedisCluster()
    atexit.register(cluster.remove)
    return cluster
