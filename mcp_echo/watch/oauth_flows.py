"""Which flow of OAuth an exchange is of: its client may come over many connections, and by a browser. No I/O.

What joins the legs of one flow is a client id, a code, its verifier, a state or a token, which are told apart
by their fingerprints; where there is none, the connection. By the address alone it is likely, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.watch.oauth_flow import OauthFlow
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import credential_of, is_mcp
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.oauth_legs import Parties, challenged
from mcp_echo.watch.rules.over_time import connection_of

MOST_FLOWS = 100
"""Flows that are kept; the one that nothing has come of for the longest time is forgotten."""

MOST_KEYS = 2000
"""Client ids, codes, tokens and addresses that lead to a flow."""

_BY_BROWSER = frozenset({"authorize", "consent"})
_NO_STEP = frozenset({"jwks", "revoke", "introspect"})


class OauthFlows:
    """The flows of one trace, from its records in their order."""

    def __init__(self) -> None:
        self._flows: Remembered[int, OauthFlow] = Remembered(MOST_FLOWS)
        self._keys: Remembered[str, int] = Remembered(MOST_KEYS)
        """What leads to a flow → its number, which is that of its first record."""
        self._parties = Parties()

    def flows(self) -> list[OauthFlow]:
        """Return each flow that has begun, in no order."""
        return [flow for flow in self._every() if flow.has_begun]

    def of_token(self, token: str) -> OauthFlow | None:
        """Return the flow in which an access token was issued, for certain; None where none is known.

        Args:
            token: Its fingerprint.
        """
        flow = self._flow(f"token {token}")
        is_certain = flow is not None and token in flow.tokens and not flow.likely
        return flow if is_certain else None

    def _every(self) -> list[OauthFlow]:
        return [flow for _, flow in self._flows.items()]

    def see(self, record: ExchangeRecord) -> None:
        """Take the steps that a record shows."""
        oauth = record.oauth
        if oauth is None:
            self._call(record)
        elif oauth.leg not in _NO_STEP:
            self._leg(record, oauth)

    def _call(self, record: ExchangeRecord) -> None:
        if not len(self._flows) or not is_mcp(record):
            return
        token, home = credential_of(record), self._flow(f"address {record.address}")
        if token is None:
            if home is not None:
                home.other(record)
            return
        flow = self._flow(f"token {token}")
        if flow is None and home is not None and home.awaits_token:
            flow = home
            # Whoever has issued it, and to whom, is not seen here.
            flow.likely = True
            self._keys.put(f"token {token}", home.number)
        if flow is not None:
            flow.call(record, token)

    def _leg(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        party = self._parties.of(record, oauth)
        flow = next(self._candidates(record, oauth), None)
        if flow is None and (flow := next(self._guessed(record, oauth), None)) is not None:
            flow.likely |= len(self._flows) > 1
        if flow is None:
            flow = self._flows.put(record.number, OauthFlow(record, party))
        self._parties.note(record, oauth)
        if oauth.leg == "challenge" and oauth.asked.token is None:
            flow.other(record)
        flow.leg(record, oauth, party)
        for known in self._known(record, oauth):
            self._keys.put(known, flow.number)

    def _candidates(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[OauthFlow]:
        """Yield the flows that a leg is of, the surest first: by what it brings, or by its connection."""
        yield from self._found(_secrets(oauth))
        if oauth.leg == "consent":
            yield from self._found((f"state {oauth.asked.state or oauth.answered.state}",))
        yield from self._of_client(f"client {oauth.asked.client_id}")
        if not record.proxied:
            yield from self._at(connection_of(record), record, oauth)

    def _guessed(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[OauthFlow]:
        """Yield the flows that a leg is likely to be of: by its address, or as a browser may be anywhere."""
        yield from self._at(f"address {record.address}", record, oauth)
        if oauth.leg in _BY_BROWSER:
            yield from (flow for flow in reversed(self._every()) if flow.client_id is None)

    def _known(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[str]:
        """Yield what leads to the flow of a leg from now on."""
        yield from _secrets(oauth)
        said, told = oauth.asked, oauth.answered
        every = {
            "client": (said.client_id, told.client_id),
            "state": (said.state,),
            "challenge": (said.code_challenge,),
            "code": (told.code,),
            "token": (told.token,),
            "refresh": (told.refresh_token,),
        }
        yield from (f"{kind} {each}" for kind, values in every.items() for each in values if each is not None)
        if oauth.leg not in _BY_BROWSER:
            yield from _places(record)

    def _of_client(self, key: str) -> Iterator[OauthFlow]:
        """Yield the flows of a client id: one that is over may be followed by another of the same client."""
        flow = self._flow(key)
        if flow is None:
            return
        if flow.is_over:
            yield from (
                each
                for each in reversed(self._every())
                if each.client_id is None and each.party == flow.party and each.begun >= flow.begun
            )
        yield flow

    def _at(self, place: str, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[OauthFlow]:
        return (flow for flow in self._found((place,)) if _may_be(flow, record, oauth))

    def _found(self, keys: Iterable[str]) -> Iterator[OauthFlow]:
        return (flow for key in keys if (flow := self._flow(key)) is not None)

    def _flow(self, key: str) -> OauthFlow | None:
        number = self._keys.get(key)
        return None if number is None else self._flows.get(number)


def _may_be(flow: OauthFlow, record: ExchangeRecord, oauth: OauthRecord) -> bool:
    """Return whether a leg from the place of a flow is of that flow, and not of another client there."""
    if oauth.leg != "challenge":
        return flow.client_id is None or oauth.asked.client_id in (None, flow.client_id)
    name = challenged(record).client
    same = name is None or flow.party.client in (None, name)
    return same and (not flow.is_over or record.session is not None)


def _secrets(oauth: OauthRecord) -> Iterator[str]:
    """Yield what a leg brings that nobody else has."""
    said = oauth.asked
    for name, value in (
        ("token", said.token),
        ("code", said.code),
        ("refresh", said.refresh_token),
        # The verifier, as the challenge that it fits.
        ("challenge", said.proves),
    ):
        if value is not None:
            yield f"{name} {value}"


def _places(record: ExchangeRecord) -> Iterator[str]:
    if not record.proxied:
        yield connection_of(record)
    yield f"address {record.address}"
