"""The keys of outside issuers: fetched when a token needs them, kept, and seldom fetched again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred

from mcp_echo.auth import jwt
from mcp_echo.oauth.issuers import NotOfIssuer, jwks_place, keys_in, metadata_places
from mcp_echo.oauth.verify import Key, NoKeys
from mcp_echo.settings.values import OutsideIssuer
from mcp_echo.transport.edge.head import text_of
from mcp_echo.transport.oauth.fetching import NotFetched

MOST_BYTES = 65_536
"""Bytes of a JWKS, and of the metadata that names it."""

AGAIN_SECONDS = 60.0
"""Seconds between two fetches from one issuer, whatever tokens come."""

STALE_SECONDS = 600.0
"""Seconds after which keys are fetched anew while the known ones serve on."""

Fetch = Callable[[str, int], Awaitable[bytes]]
"""Returns at most so many bytes of an address; see `mcp_echo.transport.oauth.fetching.Fetcher`."""


class _Issuer:
    """What is known of one issuer.

    Args:
        place: The address of its JWKS; None for the one in its metadata.
    """

    def __init__(self, place: str | None) -> None:
        self.place = place
        self.keys: Sequence[Key] = ()
        self.fetched: float | None = None
        """Seconds of the steady clock when they were fetched."""
        self.tried: float | None = None
        """The same of the last try."""
        self.problem = "nobody has asked for them yet"
        self.waiting: list[Deferred[None]] | None = None
        """Who waits for a fetch that goes on."""


class IssuerKeys:
    """The keys of the issuers that the operator has named; nobody else is ever asked.

    Args:
        issuers: Those (``MCP_ECHO_ISSUERS``).
        fetch: Fetches.
        now: The steady clock.
    """

    def __init__(self, issuers: Sequence[OutsideIssuer], fetch: Fetch, now: Callable[[], float]) -> None:
        self.names = tuple(each.name for each in issuers)
        self._known = {each.name: _Issuer(each.keys) for each in issuers}
        self._fetch = fetch
        self._now = now

    def are_of(self, token: bytes) -> bool:
        """Return whether a token says that it is of one of them."""
        return _named(token)[0] in self._known

    def keys(self, issuer: str) -> Sequence[Key]:
        """Return the keys of an issuer that is one of those.

        Raises:
            NoKeys: They could not be fetched so far.
        """
        known = self._known[issuer]
        if not known.keys:
            raise NoKeys(f"The keys of {issuer} are not known: {known.problem}")
        return known.keys

    def current(self, issuer: str) -> object:
        """Return what stands for the keys of an issuer until they are others."""
        return self._known[issuer].keys

    def are_current(self, keys: object) -> bool:
        """Return whether keys have not been replaced."""
        return any(keys is each.keys for each in self._known.values())

    def preparing(self, token: bytes) -> Deferred[None] | None:
        """Return what to wait for before a token can be judged; None where no fetch would help, or may be.

        Args:
            token: The token, of which nothing is believed but where to look.
        """
        issuer, kid = _named(token)
        known = self._known.get(issuer)
        if known is None:
            return None
        serves = any(kid is None or each.id == kid for each in known.keys)
        if known.waiting is None and self._is_due(known, serves=serves):
            known.waiting, known.tried = [], self._now()
            Deferred.fromCoroutine(self._refresh(issuer, known))
        if serves or known.waiting is None:
            return None
        waiter: Deferred[None] = Deferred()
        known.waiting.append(waiter)
        return waiter

    def _is_due(self, known: _Issuer, *, serves: bool) -> bool:
        """Return whether an issuer is to be asked now; one that has just been asked is not."""
        now = self._now()
        if known.tried is not None and now - known.tried < AGAIN_SECONDS:
            return False
        return not serves or known.fetched is None or now - known.fetched >= STALE_SECONDS

    async def _refresh(self, issuer: str, known: _Issuer) -> None:
        try:
            known.keys = await self._fetched(issuer, known.place)
            known.fetched = self._now()
        except (NotFetched, NotOfIssuer) as error:
            known.problem = str(error)
        finally:
            waiting, known.waiting = known.waiting or [], None
            for each in waiting:
                each.callback(None)

    async def _fetched(self, issuer: str, place: str | None) -> Sequence[Key]:
        jwks = await self._place(issuer) if place is None else place
        return keys_in(await self._fetch(jwks, MOST_BYTES))

    async def _place(self, issuer: str) -> str:
        """Return where the keys of an issuer are, as its metadata says."""
        problem: Exception = NotFetched("it has no metadata")
        for place in metadata_places(issuer):
            try:
                return jwks_place(issuer, await self._fetch(place, MOST_BYTES))
            except (NotFetched, NotOfIssuer) as error:
                problem = error
        raise problem


def _named(token: bytes) -> tuple[str, object]:
    """Return the issuer and the key that a token names; an empty text where it names none."""
    try:
        read = jwt.read(text_of(token))
    except jwt.NotAToken:
        return "", None
    issuer = (read.payload or {}).get("iss")
    return (issuer if isinstance(issuer, str) else ""), read.header.get("kid")
