"""The server where sessions are kept elsewhere: what a request does takes effect once it is kept.

The eras work as they do on sessions in memory, without waiting. What they do to the outside meanwhile, such
as opening a stream or writing a log line, is held back here until what they changed is kept, and forgotten if
they have to work on the request once more.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from mcp_echo.auth.proxies import Caller
from mcp_echo.cluster.store import SharedStore
from mcp_echo.cluster.unit import Want, abandon
from mcp_echo.eras.exchange import Carriage, Exchange, Journal, Reply
from mcp_echo.eras.refusals import Refusals, brief
from mcp_echo.eras.server import Server, is_for_a_session
from mcp_echo.http.headers import Headers
from mcp_echo.offer.offer import Observer
from mcp_echo.protocol.errors import SessionNotFound, StoreUnavailable
from mcp_echo.protocol.jsonrpc import Malformed, Message, Request
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.session import Client, Session
from mcp_echo.watch.tally import Era, Tally


class Refuse:
    """Answers a request that cannot be worked on, because the store cannot be reached.

    Args:
        refusals: Write the answer.
        message: What it asked for.
        exchange: The HTTP request.
        era: The era that its headers name.
    """

    def __init__(
        self, refusals: Refusals, message: Message | list[Message], exchange: Exchange, era: Era
    ) -> None:
        self._refusals = refusals
        self._message = message
        self._exchange = exchange
        self._era = era

    def __call__(self, error: StoreUnavailable) -> Reply:
        """Return the answer."""
        body = self._refusals.answer(self._message, self._exchange, error, self._era)
        return Reply(error.status, body, error.headers)

    def let_go(self) -> None:
        """Keep no more of the message than the answer needs."""
        self._message = brief(self._message) if isinstance(self._message, Request) else []


class _Soon:
    """The connection that will read a stream once it is opened."""

    def wake(self) -> None:
        """Do nothing: what there is waits for it."""

    def replaced(self) -> None:
        """Do nothing: it is there now."""

    def leave(self) -> None:
        """Do nothing: it has not come yet."""


class HeldExchange:
    """An exchange whose effects are held back.

    Args:
        exchange: The exchange.
        store: Tells when what the request has changed is kept.
        refuse: Answers the request when that cannot be.
    """

    __slots__ = (
        "_exchange",
        "_refuse",
        "_session",
        "_store",
        "accepted",
        "arrived",
        "last_event_id",
        "principal",
        "session_id",
        "version",
    )

    def __init__(self, exchange: Exchange, store: SharedStore, refuse: Refuse | None) -> None:
        self._exchange = exchange
        self._store = store
        self._refuse = refuse
        self.accepted = exchange.accepted
        self.arrived = exchange.arrived
        self.principal = exchange.principal
        self.session_id = self._session = exchange.session_id
        self.version = exchange.version
        self.last_event_id = exchange.last_event_id

    @property
    def left(self) -> bool:
        """Whether the client has gone away."""
        return self._exchange.left

    @left.setter
    def left(self, left: bool) -> None:
        self._exchange.left = left

    def insist_on_one(self) -> None:
        """Refuse a request whose session, version or event is named twice, differently."""
        self._exchange.insist_on_one()

    @property
    def http_method(self) -> str:
        """The HTTP method."""
        return self._exchange.http_method

    def caller(self) -> Caller:
        """Return what is known of who sends it."""
        return self._exchange.caller()

    def headers(self) -> Headers:
        """Return the header fields as they came."""
        return self._exchange.headers()

    def values(self, name: str) -> list[str]:
        """Return every value of a header field."""
        return self._exchange.values(name)

    def secrets(self) -> frozenset[str]:
        """Return the secrets in its header and body."""
        return self._exchange.secrets()

    def let_go(self) -> None:
        """Let go of the body, once it is not needed for another attempt."""
        self._store.after(self._let_go)

    def _let_go(self) -> None:
        if self._refuse is not None:
            self._refuse.let_go()
        self._exchange.let_go()

    def announce(self, session: Session) -> None:
        """Send the session's id, once the session is kept."""
        self._session = session.id
        self._store.after(lambda: self._exchange.announce(session))

    def open_stream(self, carriage: Carriage, opening: bytes | None = None) -> None:
        """Answer with an event stream, once what it begins with is kept."""
        log, undo = carriage.log, None
        if isinstance(log, EventLog):
            # A log of this request's own keeps only what somebody reads; it is not kept elsewhere.
            log.attach(carriage.stream, _Soon())
            undo = partial(log.detach, carriage.stream)

        def open_now() -> None:
            if self._exchange.left:
                # Nobody is there to read it; who comes back finds it free.
                log.attach(carriage.stream, _Soon())
                log.detach(carriage.stream)
            else:
                self._exchange.open_stream(carriage, opening)

        self._store.after(open_now, undo)

    def run(self, work: Coroutine[Any, Any, Reply | None], *, until_left: bool) -> Callable[[], None]:
        """Answer with what ``work`` returns in the end; it begins once what led to it is kept."""
        cancelled: list[Callable[[], None]] = []
        running: list[Callable[[], None]] = []

        def start() -> None:
            if cancelled or (until_left and self._exchange.left):
                abandon(work)
            else:
                running.append(self._exchange.run(self._settled(work), until_left=until_left))

        def cancel() -> None:
            cancelled.append(cancel)
            for stop in running:
                stop()

        self._store.after(start, lambda: abandon(work))
        return cancel

    async def _settled(self, work: Coroutine[Any, Any, Reply | None]) -> Reply | None:
        """Return what late work answers, once what it has left for its session is kept."""
        reply = await work
        if reply is not None and self._session is not None:
            try:
                await self._store.settle(self._session)
            except StoreUnavailable as error:
                if self._refuse is None:
                    raise
                return self._refuse(error)
        return reply

    def when_over(self, do: Callable[[], None]) -> None:
        """Call ``do`` when the event stream that answers has ended or the client has left."""
        self._store.after(lambda: self._exchange.when_over(do))


class HeldTally(Tally):
    """Counts requests once what they changed is kept.

    Args:
        store: Tells when that is.
    """

    def __init__(self, store: SharedStore) -> None:
        super().__init__()
        self._store = store

    def answered(
        self,
        method: str | None,
        tool: str | None,
        revision: str | None,
        era: Era | None,
        status: int | str,
        error: int | None,
        seconds: float,
    ) -> None:
        """Count a request; see `Tally.answered`."""
        self._store.after(partial(super().answered, method, tool, revision, era, status, error, seconds))


class HeldJournal:
    """Writes down what happened, once it has.

    Args:
        journal: Where it is written.
        store: Tells when that is.
    """

    def __init__(self, journal: Journal, store: SharedStore) -> None:
        self._journal = journal
        self._store = store

    @property
    def verbose(self) -> bool:
        """Whether details are wanted."""
        return self._journal.verbose

    @verbose.setter
    def verbose(self, verbose: bool) -> None:
        self._journal.verbose = verbose

    def note(self, text: str, **fields: Any) -> None:
        """Write down an event that an operator wants to see."""
        self._store.after(partial(self._journal.note, text, **fields))

    def debug(self, text: str, **fields: Any) -> None:
        """Write down a detail that matters while looking for a fault."""
        if self._journal.verbose:
            self._store.after(partial(self._journal.debug, text, **fields))

    def failure(self, text: str, *, secrets: Iterable[str] = (), **fields: Any) -> None:
        """Write down the exception being handled, which is one whatever comes of the request."""
        self._journal.failure(text, secrets=secrets, **fields)


class HeldObserver:
    """Tells somebody what clients do: of a session that is read, once that has come to something.

    Args:
        observer: Who is told.
        store: Tells when that is.
    """

    def __init__(self, observer: Observer, store: SharedStore) -> None:
        self._observer = observer
        self._store = store

    @property
    def now(self) -> Callable[[], float]:
        """The server's steady clock, in seconds."""
        return self._observer.now

    @now.setter
    def now(self, now: Callable[[], float]) -> None:
        self._observer.now = now

    def saw_post(
        self, message: Message | list[Message], headers: Headers, session: Session, caller: Caller
    ) -> None:
        """A POST came for a session."""
        self._store.after(partial(self._observer.saw_post, message, headers, session, caller))

    def saw_modern(self, request: Request, headers: Headers, client: Client, caller: Caller) -> None:
        """A modern request came."""
        self._store.after(partial(self._observer.saw_modern, request, headers, client, caller))

    def asked(self, tool: str, client: Client, caller: Caller) -> None:
        """A modern request was answered with questions."""
        self._observer.asked(tool, client, caller)

    def saw_get(self, headers: Headers, session: Session, caller: Caller) -> None:
        """A GET came for a session."""
        self._store.after(partial(self._observer.saw_get, headers, session, caller))

    def hung_up(self, session: Session, tag: str) -> None:
        """The server has closed a connection early and asked the client back."""
        self._observer.hung_up(session, tag)

    def ended(self, session_id: str) -> None:
        """A session is over."""
        self._observer.ended(session_id)


class SharedServer(Server):
    """A server whose sessions are kept elsewhere; see `Server` for its arguments."""

    store: SharedStore

    def share(self, store: SharedStore) -> None:
        """Say where sessions are kept, before the first request."""
        self.store = store
        if self.legacy.strict is not None:
            self.legacy.strict.after = store.after

    def post(self, message: Message | list[Message], exchange: Exchange) -> Reply | None:
        """Work on one POST body; the answer comes later."""

        if isinstance(message, Malformed) and not is_for_a_session(message, exchange):
            return super().post(message, exchange)
        work = partial(self._dispatch, message)
        refuse = Refuse(self._refusals, message, exchange, self._era_of(exchange))
        exchange.run(self._perform(work, exchange, exchange.session_id, refuse), until_left=False)
        return None

    def within(
        self,
        exchange: Exchange,
        work: Callable[[Exchange], Reply | None],
        session_id: str | None = None,
    ) -> Reply | None:
        """Work on a request; the answer comes later."""
        exchange.run(self._perform(work, exchange, session_id or exchange.session_id, None), until_left=False)
        return None

    async def _perform(
        self,
        work: Callable[[Exchange], Reply | None],
        exchange: Exchange,
        session_id: str | None,
        refuse: Refuse | None,
    ) -> Reply | None:
        wants = () if session_id is None else (Want(session_id, exchange.principal, False),)
        try:
            return await self.store.perform(lambda: work(HeldExchange(exchange, self.store, refuse)), wants)
        except StoreUnavailable as error:
            if refuse is None:
                raise
            return refuse(error)

    def aside(self, work: Callable[[], object], session: Session) -> None:
        """Work on a session for no request."""
        self.facts.spawn(self._aside(work, Want(session.id, session.principal, session.handle)))

    async def _aside(self, work: Callable[[], object], want: Want) -> None:
        async def once() -> None:
            try:
                await self.store.perform(work, (want,))
            except SessionNotFound:
                return

        await self.store.surely(once)
