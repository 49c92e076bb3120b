"""A store of shared sessions on which every request is worked on twice, and must come to the same.

Where sessions are shared, a request is worked on again whenever another node was faster. So each of the tests
that run on this store shows of the tools, resources, prompts and methods in it that nothing happens before
what they changed is kept: see `mcp_echo.sessions.effects`.
"""

from __future__ import annotations

import gc
import hashlib
import os
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar
from unittest.mock import patch

from mcp_echo.cluster.bus import Bus, SharedSubscriptions
from mcp_echo.cluster.record import encode
from mcp_echo.cluster.store import SharedStore
from mcp_echo.cluster.transaction import Transaction
from mcp_echo.eras.exchange import Reply
from mcp_echo.service import EchoService
from mcp_echo.sessions.held import HeldBytes
from mcp_echo.sessions.limits import AddressRates, Limits, RefusalCounts
from mcp_echo.sessions.subscriptions import Subscriptions
from mcp_echo.tools.machine import Machine
from mcp_echo.transport.exchange import McpExchange

T = TypeVar("T")

OUTSIDE: tuple[tuple[type, tuple[str, ...]], ...] = (
    (McpExchange, ("announce", "open_stream", "run", "let_go", "when_over", "tell_over")),
    (Subscriptions, ("watch", "watch_list", "unwatch", "forget", "list_changed", "note_read", "announce")),
    (SharedSubscriptions, ("watch", "rewatch", "unwatch", "list_changed", "note_read", "announce")),
    (Limits, ("begin", "finish", "hold")),
    (AddressRates, ("count",)),
    (RefusalCounts, ("count",)),
    (HeldBytes, ("hold", "count")),
    (Bus, ("publish",)),
    (EchoService, ("_spawn",)),
)
"""What belongs to the world outside of the sessions: only effects may call it."""

CHANCE: tuple[tuple[Any, str], ...] = (
    (secrets, "token_urlsafe"),
    (secrets, "randbelow"),
    (uuid, "uuid4"),
    (os, "urandom"),
    (time, "time"),
    (Machine, "process_bytes"),
    (Machine, "cpu_percent"),
)
"""What never returns the same twice, and so has to."""


class CalledOut(AssertionError):
    """Something was called that may happen once only, by work that may be done twice."""


_at_work: list[bool] = []
"""Not empty while a request is worked on."""


def _guarded(owner: type, name: str) -> Callable[..., Any]:
    real = getattr(owner, name)

    @wraps(real)
    def call(*arguments: Any, **named: Any) -> Any:
        if _at_work:
            caller = sys._getframe(1).f_code.co_qualname
            called = f"{owner.__name__}.{name}"
            raise CalledOut(f"{caller} calls {called} while it may be worked on again: have `then` call it")
        return real(*arguments, **named)

    return call


@contextmanager
def at_work() -> Iterator[None]:
    """Have what is called here count as called by the work on a request.

    Nothing is collected meanwhile: a coroutine that an earlier test has left behind would clean up here.
    """
    gc.disable()
    _at_work.append(True)
    try:
        yield
    finally:
        _at_work.pop()
        gc.enable()


@contextmanager
def guarded() -> Iterator[None]:
    """Let nobody who works on a request reach the world outside."""
    with ExitStack() as stack:
        for owner, names in OUTSIDE:
            for name in names:
                stack.enter_context(patch.object(owner, name, _guarded(owner, name)))
        yield


@contextmanager
def given(chance: dict[str, list[Any]], *, again: bool) -> Iterator[None]:
    """Note what chance brings, or have it bring the same again."""

    def replay(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def draw(*arguments: Any) -> Any:
            if again and chance[name]:
                return chance[name].pop(0)
            drawn = real(*arguments)
            chance.setdefault(name, []).append(drawn)
            return drawn

        return draw

    with ExitStack() as stack:
        for owner, name in CHANCE:
            chance.setdefault(name, [])
            stack.enter_context(patch.object(owner, name, replay(name, getattr(owner, name))))
        yield


class TwiceStore(SharedStore):
    """Works on every request twice, and insists that both come to the same."""

    def _attempt(self, transaction: Transaction, work: Callable[[], T]) -> tuple[T | None, Exception | None]:
        chance: dict[str, list[Any]] = {}
        first = self._watched(transaction, work, chance, again=False)[1]
        outcome, second = self._watched(transaction, work, chance, again=True)
        if first != second:
            differing = [f"{a!r}, then {b!r}" for a, b in zip(first, second, strict=True) if a != b]
            raise AssertionError(f"worked on twice, a request came to {'; '.join(differing)}")
        return outcome

    def _watched(
        self, transaction: Transaction, work: Callable[[], T], chance: dict[str, list[Any]], *, again: bool
    ) -> tuple[tuple[T | None, Exception | None], list[object]]:
        exchanges: list[McpExchange] = []
        collect = McpExchange.collect

        def noted(exchange: McpExchange) -> None:
            exchanges.append(exchange)
            collect(exchange)

        with given(chance, again=again), patch.object(McpExchange, "collect", noted), at_work():
            outcome = super()._attempt(transaction, work)
        if isinstance(outcome[1], CalledOut):
            raise outcome[1]
        return outcome, [
            *_shown(outcome),
            *map(_drafted, transaction.sessions.values()),
            *map(_asked, exchanges),
        ]


def _shown(outcome: tuple[Any, Exception | None]) -> list[object]:
    result, error = outcome
    if isinstance(result, Reply):
        return [result.status, _brief(result.body), dict(result.headers), None]
    return [None, None, None, None if error is None else (type(error), str(error))]


def _brief(data: bytes) -> object:
    """Return what is compared in the place of some data; it must not cost the memory that is measured."""
    return data if len(data) < 65536 else (len(data), hashlib.sha256(data).digest())


def _drafted(session: Any) -> object:
    """Return what the work makes of a session."""
    draft, stream_log = session.working, session.working.worked_log
    echo = draft.echo and _brief(f"{draft.echo.message} {draft.echo.data}".encode("utf-8", "surrogatepass"))
    log = (
        None
        if stream_log is None
        else (list(stream_log.added.values()), stream_log.removed, stream_log.unkept)
    )
    return session.id, encode(draft.stored), echo, draft.touch, log, session.calls_due


def _asked(exchange: McpExchange) -> object:
    """Return the names of the effects that the work asks for."""
    return [getattr(do, "__qualname__", repr(do)) for do, _ in exchange._effects or ()]
