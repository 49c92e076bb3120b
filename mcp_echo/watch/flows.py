"""What clients do, step by step: one flow for a session, a caller of the modern era, or a way in. No I/O."""

from __future__ import annotations

from mcp_echo.watch.findings import Flow
from mcp_echo.watch.legacy_flow import LegacyFlow
from mcp_echo.watch.modern_flow import ModernFlow
from mcp_echo.watch.oauth_flow import OauthFlow
from mcp_echo.watch.oauth_flows import OauthFlows
from mcp_echo.watch.records import ExchangeRecord, Record, SessionChange, StreamRecord
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.over_time import asked, requests_of, session_of, who

MOST_FLOWS = 100
"""Flows that are kept of each era; the one that nothing has come of for the longest time is forgotten."""


class Flows:
    """The flows of one trace, from its records in their order."""

    def __init__(self) -> None:
        self._legacy: Remembered[str, LegacyFlow] = Remembered(MOST_FLOWS)
        self._modern: Remembered[str, ModernFlow] = Remembered(MOST_FLOWS)
        self._named: Remembered[str, str] = Remembered(MOST_FLOWS)
        """Caller without a name → the last one with a name from there."""
        self._newest: Remembered[str, str] = Remembered(MOST_FLOWS)
        """Caller → its newest session."""
        self._oauth = OauthFlows()

    def see(self, record: Record) -> None:
        """Take the steps that a record shows."""
        if isinstance(record, ExchangeRecord):
            self._oauth.see(record)
            if is_challenged(record):
                return
            if is_modern(record):
                self._modern_exchange(record)
            else:
                self._legacy_exchange(record)
        elif isinstance(record, StreamRecord | SessionChange):
            self._event(record)

    def flows(self, now: float) -> tuple[Flow, ...]:
        """Return each flow as it stands, in the order in which they began.

        Args:
            now: Seconds of the wall clock.
        """
        every: list[LegacyFlow | ModernFlow | OauthFlow] = [*self._oauth.flows()]
        every += [flow for _, flow in self._legacy.items()]
        every += [flow for _, flow in self._modern.items()]
        return tuple(flow.flow(now) for flow in sorted(every, key=lambda flow: flow.begun))

    def of_token(self, token: str, now: float) -> Flow | None:
        """Return the flow of OAuth in which an access token was issued; None where none is known.

        Args:
            token: Its fingerprint.
            now: Seconds of the wall clock.
        """
        flow = self._oauth.of_token(token)
        return None if flow is None else flow.flow(now)

    def _legacy_exchange(self, record: ExchangeRecord) -> None:
        opens = asked(record, "initialize") is not None
        session = session_of(record)
        if opens and record.made and session is not None:
            self._begun_anew(record, session)
        key = session or (f"refused {who(record)}" if opens else None)
        if key is None:
            return
        flow = self._legacy.get(key)
        if flow is None:
            if not (record.made or opens):
                return
            flow = self._legacy.put(key, LegacyFlow(record))
        flow.exchange(record)

    def _begun_anew(self, record: ExchangeRecord, session: str) -> None:
        before = self._legacy.get(self._newest.get(who(record)) or "")
        if before is not None:
            before.begun_anew(record.at)
        # What was refused for its revision may not have been read as far as its name.
        modern = self._modern.get(record.caller) or self._modern.get(who(record))
        if modern is not None:
            modern.fell_back(record.at)
        self._newest.put(who(record), session)

    def _modern_exchange(self, record: ExchangeRecord) -> None:
        if not requests_of(record):
            return
        # A request that was refused before it was read says no name.
        key = record.caller if record.client is not None else self._named.get(who(record)) or record.caller
        if record.client is not None:
            self._named.put(who(record), key)
        flow = self._modern.get(key)
        if flow is None:
            flow = self._modern.put(key, ModernFlow(record))
        flow.exchange(record)

    def _event(self, record: StreamRecord | SessionChange) -> None:
        flow = self._legacy.get(record.session or "")
        if flow is None:
            return
        if isinstance(record, StreamRecord):
            flow.stream(record)
        else:
            flow.change(record)


def is_challenged(record: ExchangeRecord) -> bool:
    """Return whether a request without a session was turned away for want of a token."""
    challenged = record.oauth is not None and record.oauth.leg == "challenge"
    return challenged and record.status == 401 and record.session is None
