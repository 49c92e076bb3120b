"""What rules about OAuth remember of a trace: its resource, clients, codes and tokens. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from mcp_echo.watch.oauth_records import ClientAuthentication, OauthRecord, TokenClaims
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.oauth_legs import MOST, RESOURCE_METADATA, Party
from mcp_echo.watch.rules.over_time import answered


class Resource:
    """The protected resource of a trace, as its metadata tells, or the address of that."""

    __slots__ = ("address", "servers")

    def __init__(self) -> None:
        self.address: str | None = None
        self.servers: tuple[str, ...] = ()

    def note(self, oauth: OauthRecord) -> None:
        """Learn what a leg tells of it."""
        said = oauth.answered
        if oauth.leg == "resource-metadata" and said.resource is not None:
            self.address, self.servers = said.resource, said.servers
        elif self.address is None and said.resource_metadata is not None:
            before, found, behind = said.resource_metadata.partition(RESOURCE_METADATA)
            self.address = f"{before}{behind}" if found else None

    @property
    def is_its_own_server(self) -> bool:
        """Whether its authorization server is here, so that all legs are seen."""
        here = (self.address or "").removesuffix("/mcp")
        return any(each == here or each.startswith(f"{here}/") for each in self.servers)


class Registration(NamedTuple):
    """A client that has registered itself."""

    number: int
    redirect_uris: tuple[str, ...]
    authentication: ClientAuthentication | None
    software: str | None


class Registrations:
    """The clients that have registered themselves."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Remembered[str, Registration] = Remembered(MOST)

    def note(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        """Learn of one."""
        said, told = oauth.asked, oauth.answered
        if oauth.leg == "register" and told.client_id is not None:
            registration = Registration(
                record.number,
                told.redirect_uris or said.redirect_uris,
                told.authentication or said.authentication,
                said.software,
            )
            self._held.put(told.client_id, registration)

    def of(self, client_id: str | None) -> Registration | None:
        """Return how a client is registered; None where that was not seen."""
        return self._held.get(client_id or "")


class Request(NamedTuple):
    """An authorization request."""

    number: int
    client_id: str | None
    redirect_uri: str | None
    scope: tuple[str, ...] | None
    challenge: str | None
    method: str | None
    state: str | None

    @property
    def same(self) -> str:
        """What it is told from others by, however often its page is loaded."""
        return f"{self.client_id} {self.state} {self.challenge}"


class Requests:
    """The authorization requests of a trace, by the codes that they were answered with."""

    __slots__ = ("_codes", "_last", "_states")

    def __init__(self) -> None:
        self._codes: Remembered[str, Request] = Remembered(MOST)
        self._states: Remembered[str, Request] = Remembered(MOST)
        self._last: Request | None = None

    def note(self, record: ExchangeRecord, oauth: OauthRecord) -> Request | None:
        """Learn of one, or of its answer; return it where a code is issued for it."""
        said, told = oauth.asked, oauth.answered
        if oauth.leg == "authorize":
            self._last = Request(
                record.number,
                said.client_id,
                next(iter(said.redirect_uris), None),
                said.scope,
                said.code_challenge,
                said.code_challenge_method,
                said.state,
            )
            self._states.put(said.state or "", self._last)
        if oauth.leg not in ("authorize", "consent") or told.code is None:
            return None
        request = self._states.get(told.state or said.state or "") or self._last
        return None if request is None else self._codes.put(told.code, request)

    def of(self, code: str | None) -> Request | None:
        """Return the request that a code was issued for; None where it was not seen."""
        return self._codes.get(code or "")


class Issued(NamedTuple):
    """An access token that was issued."""

    number: int
    at: float
    """When; seconds of the wall clock."""
    client_id: str | None
    address: str
    grant: str | None
    scope: frozenset[str]
    refresh_token: str | None
    claims: TokenClaims | None
    party: Party


class Tokens:
    """The access tokens of a trace."""

    __slots__ = ("_issued", "_refresh", "_requests")

    def __init__(self) -> None:
        self._issued: Remembered[str, Issued] = Remembered(MOST)
        self._refresh: Remembered[str, Issued] = Remembered(MOST)
        self._requests = Requests()

    def note(self, record: ExchangeRecord, oauth: OauthRecord, party: Party) -> Issued | None:
        """Learn of one, and return it; None where none is issued."""
        self._requests.note(record, oauth)
        said, told = oauth.asked, oauth.answered
        if oauth.leg != "token" or told.token is None:
            return None
        before = self._refresh.get(said.refresh_token or "")
        issued = Issued(
            number=record.number,
            at=answered(record),
            client_id=said.client_id or (None if before is None else before.client_id),
            address=record.address,
            grant=said.grant,
            scope=self._granted(oauth, before),
            refresh_token=told.refresh_token or said.refresh_token,
            claims=told.claims,
            party=party,
        )
        if issued.refresh_token is not None:
            self._refresh.put(issued.refresh_token, issued)
        return self._issued.put(told.token, issued)

    def __len__(self) -> int:
        return len(self._issued)

    def _granted(self, oauth: OauthRecord, before: Issued | None) -> frozenset[str]:
        """Return the scope of a token: what is answered, else what was asked for (RFC 6749 section 5.1)."""
        request = self._requests.of(oauth.asked.code)
        asked = () if request is None else request.scope
        had = () if before is None else before.scope
        return frozenset(oauth.answered.scope or oauth.asked.scope or asked or had)

    def of(self, token: str | None) -> Issued | None:
        """Return what is known of a token by its fingerprint; None where it was not issued here."""
        return self._issued.get(token or "")
