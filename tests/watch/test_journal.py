"""What is logged of what passes on the wire."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.watch.journal import Journal
from mcp_echo.watch.seen import BodyEvent, SessionEvent
from tests.transport.support import ServerTestCase
from tests.watch.support import seen


class JournalTests(SynchronousTestCase):
    def written(self, verbose: bool = True, reveal: bool = False) -> tuple[Journal, list[dict[str, Any]]]:
        events: list[dict[str, Any]] = []
        log = Logger("test", observer=events.append)
        return Journal(log, verbose, reveal, is_session=self.is_session), events

    @staticmethod
    def request(body: bytes) -> BodyEvent:
        return BodyEvent(seen(), body, None)

    KNOWN = "2195e51e-ab4b-4ca3-8b93-adc01176ae52"

    def is_session(self, session_id: str) -> bool:
        return session_id == self.KNOWN

    def test_a_session_appears_by_the_beginning_of_its_id(self) -> None:
        """Its owner finds it so, and whoever reads the log cannot take it over."""
        journal, events = self.written()
        journal.see(SessionEvent("begin", 0.0, "11111111-2222", "probe", "2025-06-18"))
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            journal.failure("A method failed", "11111111-2222")
        assert [event["session_id"] for event in events] == ["11111111"] * 2

    def test_secrets_in_bodies_are_masked(self) -> None:
        """Debug logs are for sharing."""
        journal, events = self.written()
        token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"
        for member in (
            {"token": "opaque-s3cret"},
            {"message": f"Bearer {token}"},
            {"x": [{"apiKey": "k3y-k3y"}]},
        ):
            journal.see(self.request(json.dumps(member).encode()))
        text = str(events)
        for secret in ("opaque-s3cret", token, "k3y-k3y"):
            assert secret not in text

    def test_session_ids_in_bodies_are_cut_to_their_beginning(self) -> None:
        """The answer of echo names the session; the log must not hold all of it."""
        journal, events = self.written()
        body = {"text": f"Session: {self.KNOWN}\n", "session": self.KNOWN, "handle": f"es_{'aB3_' * 8}"}
        journal.see(BodyEvent(seen(), json.dumps(body).encode(), 200))
        shown = json.loads(events[0]["body"])
        assert shown == {"text": "Session: 2195e51e…\n", "session": "2195e51e…", "handle": "es_aB3_aB3_…"}

    def test_a_uuid_that_is_no_session_stays_whole(self) -> None:
        """A JSON-RPC id may be one, and finds the request in the logs of other hops."""
        journal, events = self.written()
        message = {"jsonrpc": "2.0", "id": "631fc62c-7c06-4d0f-8a9e-7f7a3a8d2b11", "method": "ping"}
        journal.see(self.request(json.dumps(message).encode()))
        assert json.loads(events[0]["body"]) == message

    def test_secrets_are_shown_where_that_was_asked_for(self) -> None:
        """MCP_ECHO_REVEAL_SECRETS."""
        journal, events = self.written(reveal=True)
        journal.see(self.request(b'{"token":"opaque-s3cret"}'))
        assert "opaque-s3cret" in events[0]["body"]

    def test_of_a_long_body_the_beginning_is_shown(self) -> None:
        """Our choice: a line is held several times while it is written, in wide characters perhaps."""
        journal, events = self.written(reveal=True)
        body = json.dumps(["s3cret", "a" * 1_000_000, "\U0001f410"], ensure_ascii=False).encode()
        journal.see(self.request(body))
        assert events[0]["body"].startswith('["s3cret", "aaa')
        assert events[0]["body"].endswith(f"aaa [{len(body)} bytes in all]")
        assert len(events[0]["body"]) < 70_000

    def test_of_a_long_body_the_beginning_is_shown_masked(self) -> None:
        """A line must not take as long as a body of the largest size."""
        journal, events = self.written()
        secret = 'opaque \\" s3cret'
        long = "x" * 200_000
        journal.see(self.request(f'{{"a":"b","token":"{secret}","message":"{long}'.encode()))
        journal.see(self.request(f'{{"tok\\u0065n":"{secret}","message":"{long}"}}'.encode()))
        first, second = (event["body"] for event in events)
        assert first.startswith('{"a":"b","token":"[16 characters, ')
        assert "s3cret" not in first + second
        assert first.endswith('"message":" [200047 bytes in all]')
        assert second == "(200046 bytes)"

    def test_a_body_that_is_not_json_is_counted_not_shown(self) -> None:
        journal, events = self.written()
        journal.see(self.request(b"s3cret=1"))
        assert events[0]["body"] == "(8 bytes that are not JSON)"

    def test_details_are_left_out_unless_wanted(self) -> None:
        journal, events = self.written(verbose=False)
        journal.see(self.request(b"{}"))
        assert events == []


class LifeOfASessionTests(ServerTestCase):
    settings = {"MCP_SESSION_TIMEOUT": "10"}

    def test_creation_expiry_and_closing_are_logged_with_their_fields(self) -> None:
        """The README's structured logging."""
        events: list[dict[str, Any]] = []
        self.patch(self.service.journal, "log", Logger("test", observer=events.append))
        client = {"name": "probe", "version": "1"}
        first = self.initialize("2025-06-18", clientInfo=client)
        second = self.initialize("2025-06-18", clientInfo=client)
        self.request("DELETE", headers={"Mcp-Session-Id": second})
        self.clock.advance(10)
        self.store.expire()
        told = [
            (event["log_format"], event["session_id"], event["client_name"], event["protocol_version"])
            for event in events
        ]
        ids = first[:8], second[:8]
        assert told == [
            ("Session created", ids[0], "probe", "2025-06-18"),
            ("Session created", ids[1], "probe", "2025-06-18"),
            ("Session closed", ids[1], "probe", "2025-06-18"),
            ("Session expired", ids[0], "probe", "2025-06-18"),
        ]
