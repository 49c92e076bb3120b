"""What a client does with what it has to refuse, where the server was ordered to send it. No I/O.

Nobody else sends such things on purpose, so that these rules apply to faults alone (docs/faults.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcp_echo.protocol.revisions import BY_NAME
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.oauth_legs import MOST, OverLegs, Party, kept
from mcp_echo.watch.rules.over_time import answered, clock, seconds
from mcp_echo.watch.rules.pages import R2026_07_28, address, rfc
from mcp_echo.watch.rules.rule import Broken, Level, Outcome, Rule

WRONG_ISSUER = "issuer iss-wrong"
WRONG_RESOURCE = "metadata wrong-resource"

GOES_ON_WITHIN = 60.0
"""Seconds after which a client is taken to have refused what it was sent."""

_DOCUMENT = "https://"
"""How the id of a client begins that is the address of its metadata, which is the same everywhere."""

_GOES_ON = frozenset({"register", "authorize", "token"})


class _Sent(NamedTuple):
    """Something that a client has to refuse."""

    number: int
    at: float
    what: str
    party: Party


def _level(party: Party) -> Level | None:
    """Return how grave it is to mistake an issuer; None for what the rule says.

    The revisions before 2026-07-28 ask for nothing there: it guards a client that has several issuers.
    """
    revision = BY_NAME.get(party.revision or "")
    return None if revision is not None and revision.stateless else "warning"


class IssuerNotChecked(OverLegs):
    """A client redeems a code that came with the name of another issuer."""

    def __init__(self) -> None:
        super().__init__()
        self._sent: Awaited[str, _Sent] = Awaited()
        """Code → the answer that brought it."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Remember an answer with a wrong ``iss``, and look for its code at the token endpoint."""
        code = oauth.answered.code
        if record.fault == WRONG_ISSUER and code is not None:
            sent = _Sent(
                record.number,
                answered(record),
                oauth.answered.issuer or "another issuer",
                self.parties.of(record, oauth),
            )
            self._sent.put(code, sent.at + GOES_ON_WITHIN, sent)
        sent_before = self._sent.take(oauth.asked.code or "") if oauth.leg == "token" else None
        if sent_before is not None:
            yield self._redeemed(record, oauth, sent_before)

    def due(self, now: float) -> Iterable[Outcome]:
        """Return who has refused it."""
        return [kept(sent.number, sent.party) for _, _, sent in self._sent.overdue(now)]

    def _redeemed(self, record: ExchangeRecord, oauth: OauthRecord, sent: _Sent) -> Broken:
        return self.broken(
            record,
            oauth,
            f"The answer of {clock(sent.at)} has the iss {sent.what}, and its code was redeemed"
            f" {seconds(record.at - sent.at)} later",
            "body:code",
            found=sent.what,
            wanted="that the client stops where iss is not the issuer that it has asked",
            level=_level(self.parties.of(record, oauth)),
        )


class ResourceNotChecked(OverLegs):
    """A client goes on with the metadata of another resource than the one it was asked for at."""

    def __init__(self) -> None:
        super().__init__()
        self._sent: Awaited[str, _Sent] = Awaited()
        """Address → the metadata that it was sent."""
        self._readers: Remembered[str, bool] = Remembered(MOST)
        """Addresses that have right metadata from another time."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Remember wrong metadata, and look for what comes of it."""
        if oauth.leg == "resource-metadata" and record.status == 200:
            self._read(record, oauth)
        elif oauth.leg in _GOES_ON:
            place = self._place(record, oauth)
            sent = None if place is None else self._sent.take(place)
            if sent is not None:
                yield self._goes_on(record, oauth, sent)

    def due(self, now: float) -> Iterable[Outcome]:
        """Return who has refused it."""
        return [kept(sent.number, sent.party) for _, _, sent in self._sent.overdue(now)]

    def _read(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        if record.fault != WRONG_RESOURCE:
            self._sent.take(record.address)
            self._readers.put(record.address, True)
            return
        what = oauth.answered.resource or "another resource"
        sent = _Sent(record.number, answered(record), what, self.parties.of(record, oauth))
        self._sent.put(record.address, sent.at + GOES_ON_WITHIN, sent)

    def _place(self, record: ExchangeRecord, oauth: OauthRecord) -> str | None:
        """Return where the metadata went that a leg is made of; None where it may be of other metadata."""
        named = (place for place, sent in self._sent.items() if sent.what in oauth.asked.resource)
        known = record.address in self._readers or self._sent.get(record.address) is None
        return next(named, None if known else record.address)

    def _goes_on(self, record: ExchangeRecord, oauth: OauthRecord, sent: _Sent) -> Broken:
        return self.broken(
            record,
            oauth,
            f"The metadata of {clock(sent.at)} is that of {sent.what}, and {oauth.leg} came"
            f" {seconds(record.at - sent.at)} later",
            "query:resource" if sent.what in oauth.asked.resource else "path",
            found=sent.what,
            wanted="that the client stops where resource is not the address that it was given",
        )


class _Home(NamedTuple):
    """Where a client is known."""

    server: str
    """The path of the authorization server."""
    address: str
    """From where it came."""

    def is_beside(self, other: _Home) -> bool:
        """Return whether the other one is at another server, from the same place."""
        return self.server != other.server and self.address == other.address


class CredentialsCarriedOver(OverLegs):
    """A client comes to another authorization server as the client that it is at the first."""

    def __init__(self) -> None:
        super().__init__()
        self._homes: Remembered[str, _Home] = Remembered(MOST)
        """Client id → where it is known."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Remember where a client is known, and look for it elsewhere."""
        here = _Home(record.path.rpartition("/")[0], record.address)
        registered, used = oauth.answered.client_id, oauth.asked.client_id
        if oauth.leg == "register" and registered is not None:
            if any(here.is_beside(home) for _, home in self._homes.items()):
                yield self.held(record, oauth)
            self._homes.put(registered, here)
        elif oauth.leg in ("authorize", "token") and used is not None and not used.startswith(_DOCUMENT):
            home = self._homes.get(used)
            if home is None and oauth.answered.error is None and (record.status or 400) < 400:
                self._homes.put(used, here)
            elif home is not None and home.server != here.server:
                yield self._carried_over(record, oauth, home.server)

    def _carried_over(self, record: ExchangeRecord, oauth: OauthRecord, home: str) -> Broken:
        return self.broken(
            record,
            oauth,
            f"The client {oauth.asked.client_id} is one of {home}, and comes to {record.path} as the same",
            "query:client_id" if oauth.leg == "authorize" else "body:client_id",
            found=oauth.asked.client_id,
            wanted="a client that is registered with this authorization server",
            level=_level(self.parties.of(record, oauth)),
        )


ROWS = (
    Rule(
        id="issuer-not-checked",
        level="error",
        keyword="MUST",
        title="A client stops where an authorization is answered by another issuer than it has asked.",
        advice="Compare iss with the issuer of the metadata, byte for byte, before the code is used, and stop"
        " where they differ: the code may be meant for somebody else.",
        url=rfc(9207, "2.4"),
        begin=IssuerNotChecked,
    ),
    Rule(
        id="resource-not-checked",
        level="error",
        keyword="MUST NOT",
        confidence="likely",
        title="A client uses no metadata of another resource.",
        advice="Compare resource with the address of the endpoint before anything else is taken from the"
        " metadata, and stop where they differ.",
        url=rfc(9728, "3.3"),
        begin=ResourceNotChecked,
    ),
    Rule(
        id="credentials-carried-over",
        level="error",
        keyword="MUST NOT",
        title="A client registers with each authorization server, and is another client at each.",
        advice="Keep client_id and client_secret under the issuer that gave them, and register anew where the"
        " metadata of the resource names another one.",
        url=address(R2026_07_28, "basic/authorization/client-registration#authorization-server-binding"),
        conformance="sep-2352-no-reuse-on-as-change",
        begin=CredentialsCarriedOver,
    ),
)
