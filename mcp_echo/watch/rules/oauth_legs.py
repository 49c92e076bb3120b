"""What rules about the legs of OAuth have in common, and how they tell whose a leg is. No I/O.

The legs of one flow come over several connections and from several addresses, a browser's among them, and
most of them say no revision: what joins them is a client id, a code or a token, else the address, else that
they are of one trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from mcp_echo.protocol.revisions import BY_NAME
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import VERSION, is_modern, revision_of, value
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.over_time import OverTime, asked
from mcp_echo.watch.rules.rule import Broken, Held, Level, Outcome

MOST = 100
"""Clients, requests or tokens that one rule remembers."""

RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_ENDPOINTS = ("authorize", "register", "token")


def path_of(url: str) -> str:
    """Return the path of a URL; empty where it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def asks_resource_metadata(record: ExchangeRecord) -> bool:
    """Return whether a request is for resource metadata, wherever it looks for it (RFC 9728 section 3.1)."""
    if record.oauth is not None:
        return record.oauth.leg == "resource-metadata"
    return record.http_method == "GET" and RESOURCE_METADATA in record.path


def asks_server_metadata(record: ExchangeRecord) -> bool:
    """Return whether a request is for an authorization server's metadata, wherever it looks for it."""
    if record.oauth is not None:
        return record.oauth.leg == "server-metadata"
    well_known = "/.well-known/o" in record.path and RESOURCE_METADATA not in record.path
    return record.http_method == "GET" and well_known


def guesses_endpoint(record: ExchangeRecord) -> bool:
    """Return whether a request is for an endpoint of an authorization server where there is none."""
    return record.oauth is None and record.status == 404 and record.path.rpartition("/")[2] in _ENDPOINTS


def scope_text(scope: Iterable[str] | None) -> str:
    """Return the words of a scope for people."""
    return " ".join(scope or ()) or "no scope"


class Party(NamedTuple):
    """The client that an exchange of OAuth is of."""

    revision: str | None
    """That of the request that was challenged: it binds; None where it is not known."""
    client: str | None
    """The name that it gives itself."""


NOBODY = Party(None, None)


def challenged(record: ExchangeRecord) -> Party:
    """Return the client whose request was challenged, as far as the request says."""
    opening = asked(record, "initialize")
    named = next((each.params.client for each in record.messages if each.params.client), record.client)
    if is_modern(record):
        return Party(revision_of(record).name, named)
    offered = None if opening is None else opening.params.protocol_version
    known = (name for name in (offered, record.revision, value(record, VERSION)) if name in BY_NAME)
    return Party(next(known, None), named)


class Parties:
    """Whose the legs of a trace are."""

    __slots__ = ("_addresses", "_clients", "_homes", "_last")

    def __init__(self) -> None:
        self._homes: Remembered[str, str] = Remembered(MOST)
        """Client id → the address that its client, and no browser, has sent it from."""
        self._addresses: Remembered[str, Party] = Remembered(MOST)
        self._clients: Remembered[str, Party] = Remembered(MOST)
        self._last = NOBODY

    def of(self, record: ExchangeRecord, oauth: OauthRecord) -> Party:
        """Return whose a leg is."""
        if oauth.leg == "challenge":
            party = challenged(record)
            return party if party.revision is not None else self._addresses.get(record.address) or party
        known = self._clients.get(oauth.asked.client_id or "") or self._addresses.get(record.address)
        party = known or self._last
        header = value(record, VERSION)
        if party.revision is None and header in BY_NAME:
            return party._replace(revision=header)
        return party

    def address_of(self, record: ExchangeRecord, oauth: OauthRecord) -> str:
        """Return the address of the client that a leg is of, where a browser may have sent it."""
        return self._homes.get(oauth.asked.client_id or "") or record.address

    def note(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        """Learn whose a leg is."""
        party = self.of(record, oauth)
        if oauth.leg == "challenge" and party.revision is not None:
            self._last = self._addresses.put(record.address, party)
        for client_id in (oauth.asked.client_id, oauth.answered.client_id):
            if client_id is not None and oauth.leg in ("register", "token"):
                self._homes.put(client_id, record.address)
            if client_id is not None and party.revision is not None and client_id not in self._clients:
                self._clients.put(client_id, party)


class OverLegs(OverTime):
    """A rule about the legs of OAuth, and about what comes with a token in between."""

    __slots__ = ("parties",)

    def __init__(self) -> None:
        self.parties = Parties()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Return what an exchange shows, and learn whose it is."""
        oauth = record.oauth
        if oauth is None:
            return self.call(record)
        shown = tuple(self.leg(record, oauth))
        self.parties.note(record, oauth)
        return shown

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Return what a leg shows, a challenge among them."""
        del record, oauth
        return ()

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Return what an exchange shows that is no leg."""
        del record
        return ()

    def held(self, record: ExchangeRecord, oauth: OauthRecord) -> Held:
        """Return that a leg keeps the rule."""
        return Held(record.number, self.parties.of(record, oauth).revision)

    def broken(
        self,
        record: ExchangeRecord,
        oauth: OauthRecord,
        summary: str,
        subject: str,
        *,
        found: str | None = None,
        wanted: str | None = None,
        differs_in: tuple[str, ...] = (),
        key: str = "",
        level: Level | None = None,
    ) -> Broken:
        """Return that a leg breaks the rule; see `mcp_echo.watch.rules.rule.Broken`."""
        party = self.parties.of(record, oauth)
        return Broken(
            exchange=record.number,
            summary=summary,
            subject=subject,
            found=found,
            wanted=wanted,
            differs_in=differs_in,
            revision=party.revision,
            client=party.client,
            key=key or str(record.number),
            level=level,
        )


def kept(number: int, party: Party) -> Held:
    """Return that a client keeps a rule."""
    return Held(number, party.revision)
