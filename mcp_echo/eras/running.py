"""How a request is worked on: at once, or in a transaction on sessions that others share.

The eras change sessions and ask for effects. In one process both happen as they come. Where sessions are
shared, a request may be worked on more than once; its effects happen when what it has changed is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from mcp_echo.eras.exchange import Exchange, Reply
from mcp_echo.protocol.errors import SessionNotFound, StoreUnavailable
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Session

T = TypeVar("T")

Work = Callable[..., Reply | None]
"""Works on a request without waiting; see `mcp_echo.sessions.effects` for what it may do."""
Refuse = Callable[..., Reply]
"""Answers a request, because of the `StoreUnavailable` that it is given first."""


class Runner(Protocol):
    """Has requests worked on."""

    def run(
        self,
        exchange: Exchange,
        session_id: str | None,
        refuse: Refuse | None,
        work: Work,
        *arguments: Any,
    ) -> Reply | None:
        """Return what ``work`` returns, or None when the answer comes later.

        Args:
            exchange: The HTTP request, which takes its effects.
            session_id: The session that it is known to need, or None.
            refuse: Answers it if the store cannot be reached; None to answer without JSON-RPC.
            work: Works on the request.
            arguments: What ``work`` is called with, and ``refuse`` after the error.
        """

    async def settle(self, session: Session) -> None:
        """Wait until what late work has changed in a session is kept.

        Raises:
            StoreUnavailable: It could not be at the first try; it will be.
        """

    def run_detached(self, work: Callable[[], object], session: Session) -> None:
        """Work on a session for no request; one that is over by then is no matter."""


class InMemory:
    """Sessions live in this process: what a request changes is changed."""

    def run(
        self,
        exchange: Exchange,  # noqa: ARG002  # its effects happen as they come
        session_id: str | None,  # noqa: ARG002  # it is here
        refuse: Refuse | None,  # noqa: ARG002  # memory can be reached
        work: Work,
        *arguments: Any,
    ) -> Reply | None:
        """Return what ``work`` returns."""
        return work(*arguments)

    async def settle(self, session: Session) -> None:
        """Do nothing: it is settled."""

    def run_detached(self, work: Callable[[], object], session: Session) -> None:  # noqa: ARG002  # as above
        """Work on a session for no request."""
        with suppress(SessionNotFound):
            work()


class Transactions(Protocol):
    """Keeps what requests change in shared sessions; see `mcp_echo.cluster.store.SharedStore`."""

    async def perform(
        self, work: Callable[[], T], wants: Iterable[SessionKey], happen: Callable[[], None]
    ) -> T:
        """Return what ``work`` returns, once what it has changed is kept, and ``happen`` has been called."""

    async def settle(self, session_id: str) -> None:
        """Wait until the late changes of a session are kept."""

    async def surely(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Return what ``work`` returns, which is tried for as long as the store cannot be reached."""


class InTransactions:
    """Sessions are shared: nothing of a request happens before what it has changed is kept.

    Args:
        transactions: Keep it.
        spawn: Starts work that goes on by itself.
    """

    def __init__(
        self, transactions: Transactions, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._transactions = transactions
        self._spawn = spawn

    def run(
        self,
        exchange: Exchange,
        session_id: str | None,
        refuse: Refuse | None,
        work: Work,
        *arguments: Any,
    ) -> Reply | None:
        """Return None: the answer comes later."""
        exchange.run(self._perform(exchange, session_id, refuse, work, arguments), until_left=False)
        return None

    async def _perform(
        self,
        exchange: Exchange,
        session_id: str | None,
        refuse: Refuse | None,
        work: Work,
        arguments: tuple[Any, ...],
    ) -> Reply | None:
        def attempt() -> Reply | None:
            exchange.collect()
            return work(*arguments)

        wants = () if session_id is None else (SessionKey(session_id, exchange.principal, False),)
        seen = exchange.seen
        # Also for a client that has left by then.
        seen.pending += 1
        try:
            return await self._transactions.perform(attempt, wants, exchange.happen)
        except StoreUnavailable as error:
            exchange.drop()
            if refuse is None:
                raise
            return refuse(error, *arguments)
        finally:
            seen.settle()

    async def settle(self, session: Session) -> None:
        """Wait until what late work has changed in a session is kept; see `Runner.settle`."""
        await self._transactions.settle(session.id)

    def run_detached(self, work: Callable[[], object], session: Session) -> None:
        """Work on a session for no request, as soon as may be."""
        self._spawn(self._run_detached(work, SessionKey(session.id, session.principal, session.handle)))

    async def _run_detached(self, work: Callable[[], object], key: SessionKey) -> None:
        async def once() -> None:
            with suppress(SessionNotFound):
                await self._transactions.perform(work, (key,), lambda: None)

        await self._transactions.surely(once)
