"""What a client makes of a challenge: whether it asks for metadata, where, and in which order. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import credential_of
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.oauth_legs import (
    OverLegs,
    Party,
    asks_resource_metadata,
    asks_server_metadata,
    guesses_endpoint,
    kept,
    path_of,
)
from mcp_echo.watch.rules.oauth_memory import Resource
from mcp_echo.watch.rules.over_time import (
    Earlier,
    answered,
    as_of,
    called,
    clock,
    crossed,
    earlier,
)
from mcp_echo.watch.rules.pages import (
    DISCOVERY,
    R2025_11_25,
    R2026_07_28,
    SERVER_DISCOVERY,
)
from mcp_echo.watch.rules.rule import Broken, Outcome, Rule

READ_WITHIN = 30.0
"""Seconds in which a client reads what it was told of."""

ROOT = "/.well-known/oauth-protected-resource"

_GOES_ON = frozenset({"server-metadata", "register", "authorize", "token"})
"""Legs of a client that knows where to go already."""


def take(awaited: Awaited[str, Broken], address: str) -> list[Broken]:
    """Return what somebody has come for: what this address is waited for, else what all others are."""
    own = awaited.take(address)
    if own is not None:
        return [own]
    return [waited for key, _ in awaited.items() if (waited := awaited.take(key)) is not None]


class MetadataNeverRead(OverLegs):
    """A client is challenged, and asks for no metadata."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: Awaited[str, Broken] = Awaited()
        self._readers: Remembered[str, bool] = Remembered()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Wait for a request for metadata after a challenge."""
        if oauth.leg == "resource-metadata":
            return self._read(record)
        if oauth.leg == "register":
            # Whoever has it from another time has a client id as well.
            waited = self._awaited.take(record.address)
            return () if waited is None else (waited,)
        if oauth.leg in _GOES_ON:
            take(self._awaited, record.address)
        elif oauth.leg == "challenge" and record.status == 401 and oauth.asked.token is None:
            self._wait(record, oauth)
        return ()

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Take a request at a wrong place for one, and a token for a sign that none is needed."""
        if asks_resource_metadata(record):
            return self._read(record)
        if len(self._awaited) and credential_of(record) is not None:
            self._awaited.take(record.address)
        return ()

    def due(self, now: float) -> Iterable[Outcome]:
        """Return who has not come."""
        return [as_of(broken, deadline) for _, deadline, broken in self._awaited.overdue(now)]

    def _read(self, record: ExchangeRecord) -> Iterable[Outcome]:
        self._readers.put(record.address, True)
        return [
            kept(record.number, Party(broken.revision, None))
            for broken in take(self._awaited, record.address)
        ]

    def _wait(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        address = record.address
        if address in self._readers or self._awaited.get(address) is not None:
            return
        what = called(record.messages[0]) if record.messages else record.http_method
        self._awaited.put(
            address,
            answered(record) + READ_WITHIN,
            self.broken(
                record,
                oauth,
                f"{what} was answered 401 at {clock(answered(record))}, and no metadata was asked for since",
                "absence:GET resource metadata",
                wanted=oauth.answered.resource_metadata or ROOT,
            ),
        )


class _Named(NamedTuple):
    """A challenge that a request for metadata is compared with."""

    url: str | None
    before: Earlier
    party: Party


class FirstAsked(OverLegs):
    """What is asked for first after a challenge; see its two rules.

    Args:
        named: Whether challenges are looked at that name a URL, rather than those that do not.
    """

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        self._named = named
        self._challenges: Remembered[str, _Named] = Remembered()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Remember a challenge, and compare the first request after it."""
        url = oauth.answered.resource_metadata
        if oauth.leg != "challenge":
            return self.call(record)
        if record.status == 401 and (url is not None) is self._named:
            challenge = _Named(url, earlier(record), self.parties.of(record, oauth))
            self._challenges.put(record.address, challenge)
        return ()

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Compare a request for metadata, at whichever place."""
        if not asks_resource_metadata(record):
            return ()
        challenge = self._challenges.get(record.address)
        if challenge is None or crossed(challenge.before, record):
            return ()
        self._challenges.take(record.address)
        return (self._compared(record, challenge),)

    def _compared(self, record: ExchangeRecord, challenge: _Named) -> Outcome:
        wanted = path_of(challenge.url or "")
        # A proxy may have taken something away from the front.
        if wanted.endswith(record.path) if self._named else record.path.rstrip("/") != ROOT:
            return kept(record.number, challenge.party)
        return Broken(
            exchange=record.number,
            summary=f"The challenge named {challenge.url}, and {record.path} was asked for"
            if self._named
            else f"{record.path} was asked for before the place that has the path of the endpoint in it",
            subject="path",
            found=record.path,
            wanted=wanted if self._named else f"{ROOT}/mcp",
            revision=challenge.party.revision,
            client=challenge.party.client,
            key=str(record.number),
        )


class ServerMetadataNeverRead(OverLegs):
    """A client knows the resource, and does not ask its authorization server for metadata."""

    def __init__(self) -> None:
        super().__init__()
        self._resource = Resource()
        self._awaited: Awaited[str, Broken] = Awaited()
        self._readers: Remembered[str, bool] = Remembered()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Wait for a request for the server's metadata after one for the resource's."""
        self._resource.note(oauth)
        if oauth.leg == "server-metadata":
            return self.call(record)
        if oauth.leg == "resource-metadata" and record.status == 200:
            self._wait(record, oauth)
        elif oauth.leg in _GOES_ON:
            take(self._awaited, record.address)
        return ()

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Take a request at a wrong place for one."""
        if not asks_server_metadata(record):
            return ()
        self._readers.put(record.address, True)
        return [
            kept(record.number, Party(broken.revision, None))
            for broken in take(self._awaited, record.address)
        ]

    def due(self, now: float) -> Iterable[Outcome]:
        """Return who has not come."""
        return [as_of(broken, deadline) for _, deadline, broken in self._awaited.overdue(now)]

    def _wait(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        if record.address in self._readers or not self._resource.is_its_own_server:
            return
        self._awaited.put(
            record.address,
            answered(record) + READ_WITHIN,
            self.broken(
                record,
                oauth,
                f"The metadata of the resource was read at {clock(answered(record))}, and that of"
                f" {self._resource.servers[0]} was not asked for since",
                "absence:GET server metadata",
                wanted=self._resource.servers[0],
            ),
        )


class EndpointGuessed(OverLegs):
    """A client asks for an endpoint of an authorization server that no metadata names."""

    def __init__(self) -> None:
        super().__init__()
        self._resource = Resource()
        self._challenged: Remembered[str, Party] = Remembered()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Learn who was challenged, and who asks where metadata says."""
        self._resource.note(oauth)
        if oauth.leg == "challenge":
            self._challenged.put(record.address, self.parties.of(record, oauth))
        elif oauth.leg in ("register", "authorize", "token"):
            yield self.held(record, oauth)

    def call(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for endpoints that are not there."""
        party = self._challenged.get(record.address)
        if party is None or not guesses_endpoint(record):
            return
        servers = " and ".join(self._resource.servers)
        yield Broken(
            exchange=record.number,
            summary=f"{record.http_method} {record.path} was asked for, which no metadata names"
            + (f": the authorization server is {servers}" if servers else ""),
            subject="path",
            found=record.path,
            wanted=servers or "an endpoint that the metadata of the authorization server names",
            revision=party.revision,
            client=party.client,
            key=str(record.number),
        )


def _url_ignored() -> FirstAsked:
    return FirstAsked(named=True)


def _order() -> FirstAsked:
    return FirstAsked(named=False)


_FIRST = {revision: DISCOVERY[revision] for revision in (R2025_11_25, R2026_07_28)}
"""2025-06-18 says nothing of an order, or of what to do without a URL."""

ROWS = (
    Rule(
        id="metadata-never-read",
        level="error",
        keyword="MUST",
        confidence="likely",
        title="A client that is challenged asks for the metadata of the resource.",
        advice="Read resource_metadata in WWW-Authenticate of the 401, and GET it. A client that has no"
        " OAuth needs a token that is made for this server, in Authorization.",
        pages=DISCOVERY,
        conformance="prm-pathbased-requested",
        begin=MetadataNeverRead,
    ),
    Rule(
        id="metadata-url-ignored",
        level="error",
        keyword="MUST",
        title="A client asks for the metadata where the challenge says.",
        advice="Use the URL in resource_metadata as it is. Look for well-known places only where a challenge"
        " has none.",
        pages=_FIRST,
        begin=_url_ignored,
    ),
    Rule(
        id="metadata-order",
        level="warning",
        keyword="MUST",
        title="Without a URL in the challenge, a client looks first where the path of the endpoint is.",
        advice=f"Ask for {ROOT}/mcp before {ROOT}: the second may belong to another resource of the host.",
        pages=_FIRST,
        conformance="prm-priority-order",
        begin=_order,
    ),
    Rule(
        id="as-metadata-never-read",
        level="error",
        keyword="MUST",
        confidence="likely",
        title="A client that knows the resource asks for the metadata of its authorization server.",
        advice="Take an entry of authorization_servers, and ask the well-known places of it in their order.",
        pages=SERVER_DISCOVERY,
        conformance="authorization-server-metadata",
        begin=ServerMetadataNeverRead,
    ),
    Rule(
        id="as-guessed",
        level="error",
        keyword="MUST",
        title="A client uses the endpoints that the metadata of the authorization server names.",
        advice="Take authorization_endpoint, token_endpoint and registration_endpoint from the metadata."
        " Places such as /authorize on the host of the MCP server are those of 2025-03-26 alone.",
        pages=SERVER_DISCOVERY,
        begin=EndpointGuessed,
    ),
)
