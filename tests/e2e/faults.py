"""What goes wrong between daemons and their store, done on purpose: processes, connections, the network."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.checker import RETRY_AFTER, REVISION, Receiver, Sender, Verdict, judge, settle
from tests.e2e.nodes import Node, address_of, nodes, wait_until
from tests.e2e.wire import Wire
from tests.stores.redis_server import RedisServer

SETTINGS = {"MCP_ECHO_KEEPALIVE_INTERVAL": "1", "MCP_ECHO_DRAIN_TIMEOUT": "3", "ECHO_LOG_LEVEL": "INFO"}

TIMEOUT = 0.5
"""Seconds that a daemon gives Redis to answer, unless told otherwise."""


class Proxy:
    """A network between daemons and Redis that delays, ends and resets connections now and then.

    Args:
        port: Redis's.
        seed: Decides when.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self._to = port
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.rough = False
        self.done: Counter[str] = Counter()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Take no more connections; those that are open go with the processes at their ends."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                fate = self._fate()
                if fate == "delayed":
                    time.sleep(TIMEOUT + 0.2)
                elif fate == "reset":
                    for end in (source, sink):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                elif fate == "cut":
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _fate(self) -> str:
        if not self.rough:
            return "passed"
        with self._lock:
            chance = self._chance.random()
            fate = (
                "delayed" if chance < 0.006 else "reset" if chance < 0.01 else "cut" if chance < 0.014 else ""
            )
            self.done[fate or "passed"] += 1
        return fate


class Watch(threading.Thread):
    """Asks a node all the time whether it is alive, and whether it is ready.

    Args:
        node: The node.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self._node = node
        self.ready: list[int] = []
        self.healthy: set[int] = set()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(0.05):
            try:
                self.ready.append(self._node.probe("/ready")[0])
                self.healthy.add(self._node.probe("/health")[0])
            except OSError:
                self.healthy.add(0)


@dataclass
class Bench:
    """Two nodes, their Redis, and what is between; the first holds the stream."""

    redis: RedisServer | None
    proxy: Proxy | None
    holder: Node
    other: Node
    up: list[int]
    """Ports of the nodes that take requests."""


Fault = Callable[[Bench], None]


def kill_the_holder(bench: Bench) -> None:
    """kill -9 of the node that holds the stream"""
    bench.up.remove(bench.holder.port)
    bench.holder.kill()


def kill_the_worker(bench: Bench) -> None:
    """kill -9 of the node that takes the requests"""
    bench.other.kill()
    bench.up.remove(bench.other.port)


def end_the_holder(bench: Bench) -> None:
    """SIGTERM of the node that holds the stream"""
    bench.holder.process.terminate()
    time.sleep(0.2)
    bench.up.remove(bench.holder.port)
    assert bench.holder.process.wait(20) == 0


def drop_connections(bench: Bench) -> None:
    """CLIENT KILL of all connections, five times"""
    assert bench.redis is not None
    for _ in range(5):
        for kind in ("pubsub", "normal"):
            bench.redis.says("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        time.sleep(0.4)


def freeze(bench: Bench) -> None:
    """SIGSTOP of Redis for 3 s"""
    assert bench.redis is not None
    bench.redis.freeze()
    time.sleep(3)
    bench.redis.thaw()


def restart(bench: Bench) -> None:
    """kill -9 and restart of Redis, after 2 s"""
    assert bench.redis is not None
    bench.redis.stop()
    time.sleep(2)
    bench.redis.start()


def rough_network(bench: Bench) -> None:
    """delays, cuts and resets between daemons and Redis"""
    assert bench.proxy is not None
    bench.proxy.rough = True
    time.sleep(4)
    bench.proxy.rough = False


NODES: tuple[Fault, ...] = (kill_the_holder, kill_the_worker, end_the_holder)
STORE: tuple[Fault, ...] = (drop_connections, freeze, restart, rough_network)
FAULTS = (*NODES, *STORE)


@dataclass
class Report:
    """What a run has found."""

    verdict: Verdict
    sender: Sender
    receiver: Receiver
    watch: Watch
    logs: list[str]


@contextmanager
def bench_on_a_file(directory: Path) -> Iterator[Bench]:
    """Run two nodes on an SQLite file, which nothing but they themselves can fail."""
    with nodes(address_of("sqlite", directory), directory, env=SETTINGS) as (holder, other):
        yield Bench(None, None, holder, other, [holder.port, other.port])


@contextmanager
def bench_on_redis(directory: Path) -> Iterator[Bench]:
    """Run two nodes and a Redis that forgets nothing, with a network between that can be made rough."""
    redis = RedisServer("--appendonly", "yes", "--appendfsync", "always")
    proxy = Proxy(redis.port)
    try:
        with nodes(f"redis://127.0.0.1:{proxy.port}", directory, env=SETTINGS) as (holder, other):
            yield Bench(redis, proxy, holder, other, [holder.port, other.port])
    finally:
        proxy.close()
        redis.remove()


BENCHES = {"redis": bench_on_redis, "sqlite": bench_on_a_file}


def run(fault: Fault, count: int, directory: Path, store: str = "redis") -> Report:
    """Send so many messages while something goes wrong, and tell what became of them."""
    with BENCHES[store](directory) as made, Wire(made.holder.port, REVISION) as wire:
        wire.ask("logging/setLevel", {"level": "info"})
        watch = Watch(made.holder if fault is kill_the_worker or fault in STORE else made.other)
        receiver = Receiver(lambda: list(made.up), wire)
        only_other = fault is kill_the_worker
        sender = Sender(lambda: made.up[-1:] if only_other else list(made.up), wire, count)
        receiver.start()
        assert receiver.opened.wait(20)
        watch.start()
        sender.start()
        wait_until(lambda: len(sender.acknowledged) >= count // 4, "a quarter of the messages")
        fault(made)
        settle(sender, receiver)
        wait_until(lambda: watch.ready[-1:] == [200], "readiness")
        watch.stopping.set()
        watch.join()
        logs = [made.holder.log(), made.other.log()]
        return Report(judge(sender, receiver), sender, receiver, watch, logs)


def refused_rightly(report: Report) -> bool:
    """Whether all that was not acknowledged was refused as an outage is, with a time to come back."""
    return all(value is not None and int(value) in RETRY_AFTER for value in report.sender.retry_after)


HEAD = (
    "| store | what happened | sent | acknowledged | received | lost | doubled | out of order "
    "| connections of the reader | without an answer | without an event |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def row(fault: Fault, report: Report, store: str) -> str:
    """Return a line of the table."""
    verdict = report.verdict
    return (
        f"| {store} | {fault.__doc__} | {verdict.sent} | {verdict.acknowledged} | {verdict.received} "
        f"| {len(verdict.lost)} | {len(verdict.doubled) + len(verdict.positions_doubled)} "
        f"| {len(verdict.disordered)} | {report.receiver.connections} | {verdict.gap:.1f} s "
        f"| {verdict.quiet:.1f} s |"
    )
