"""What is logged of what passes on the wire."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.protocol.errors import MalformedHttp
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.seen import BodyEvent, SessionEvent
from tests.transport.support import ServerTestCase
from tests.watch.support import head, seen


class JournalTests(SynchronousTestCase):
    def written(self, verbose: bool = True, reveal: bool = False) -> tuple[Journal, list[dict[str, Any]]]:
        events: list[dict[str, Any]] = []
        log = Logger("test", observer=events.append)
        return Journal(log, verbose, reveal, is_session=self.is_session), events

    @staticmethod
    def tell(journal: Journal, request: bytes, answer: bytes | None = None, **fields: Any) -> None:
        """Have an exchange pass that is over."""
        whole = seen(head=head(), status=200, **fields)
        journal.see(BodyEvent(whole, request, None))
        if answer is not None:
            journal.see(BodyEvent(whole, answer, 200, (b"Content-Type: application/json\r\n",)))
        journal.see(whole)

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
            self.tell(journal, json.dumps(member).encode())
        text = str(events)
        for secret in ("opaque-s3cret", token, "k3y-k3y"):
            assert secret not in text

    def test_session_ids_in_bodies_are_cut_to_their_beginning(self) -> None:
        """The answer of echo names the session; the log must not hold all of it."""
        journal, events = self.written()
        body = {"text": f"Session: {self.KNOWN}\n", "session": self.KNOWN, "handle": f"es_{'aB3_' * 8}"}
        self.tell(journal, b"{}", json.dumps(body).encode())
        shown = json.loads(events[0]["answer"][-1])
        assert shown == {"text": "Session: 2195e51e…\n", "session": "2195e51e…", "handle": "es_aB3_aB3_…"}

    def test_a_uuid_that_is_no_session_stays_whole(self) -> None:
        """A JSON-RPC id may be one, and finds the request in the logs of other hops."""
        journal, events = self.written()
        message = {"jsonrpc": "2.0", "id": "631fc62c-7c06-4d0f-8a9e-7f7a3a8d2b11", "method": "ping"}
        self.tell(journal, json.dumps(message).encode())
        assert json.loads(events[0]["request"][-1]) == message

    def test_secrets_are_shown_where_that_was_asked_for(self) -> None:
        """MCP_ECHO_REVEAL_SECRETS."""
        journal, events = self.written(reveal=True)
        self.tell(journal, b'{"token":"opaque-s3cret"}')
        assert "opaque-s3cret" in events[0]["request"][-1]

    def test_of_a_long_body_the_beginning_is_shown(self) -> None:
        """Our choice: a line is held several times while it is written, in wide characters perhaps."""
        journal, events = self.written(reveal=True)
        body = json.dumps(["s3cret", "a" * 1_000_000, "\U0001f410"], ensure_ascii=False).encode()
        self.tell(journal, body)
        assert events[0]["request"][-1].startswith('["s3cret", "aaa')
        assert events[0]["request"][-1].endswith(f"aaa [{len(body)} bytes in all]")
        assert len(events[0]["request"][-1]) < 70_000

    def test_of_a_long_body_the_beginning_is_shown_masked(self) -> None:
        """A line must not take as long as a body of the largest size."""
        journal, events = self.written()
        secret = 'opaque \\" s3cret'
        long = "x" * 200_000
        self.tell(journal, f'{{"a":"b","token":"{secret}","message":"{long}'.encode())
        self.tell(journal, f'{{"tok\\u0065n":"{secret}","message":"{long}"}}'.encode())
        first, second = (event["request"][-1] for event in events)
        assert first.startswith('{"a":"b","token":"[16 characters, ')
        assert "s3cret" not in first + second
        assert first.endswith('"message":" [200047 bytes in all]')
        assert second == "(200046 bytes)"

    def test_a_body_that_is_not_json_is_counted_not_shown(self) -> None:
        journal, events = self.written()
        self.tell(journal, b"s3cret=1")
        assert events[0]["request"][-1] == "(8 bytes that are not JSON)"

    def test_details_are_left_out_unless_wanted(self) -> None:
        journal, events = self.written(verbose=False)
        self.tell(journal, b"{}")
        assert events == []

    def test_a_request_and_its_answer_are_one_entry_when_both_are_over(self) -> None:
        """MCP_ECHO_DEBUG: what came and what it came to stand together, whatever else goes on."""
        journal, events = self.written()
        slow, quick = seen(head=head(X_A="1"), status=200), seen(head=head(), status=202)
        journal.see(BodyEvent(slow, b'{"id":1}', None))
        journal.see(BodyEvent(quick, b'{"id":2}', None))
        journal.see(BodyEvent(quick, b"", 202))
        journal.see(quick)
        assert [event["status"] for event in events] == [202]
        journal.see(BodyEvent(slow, b'{"result":1}', 200, (b"Content-Type: application/json\r\n",)))
        journal.see(slow)
        assert [(event["request"], event["answer"]) for event in events] == [
            (["POST /mcp HTTP/1.1", "Host: localhost", "", '{"id":2}'], ["HTTP/1.1 202"]),
            (
                ["POST /mcp HTTP/1.1", "Host: localhost", "X-A: 1", "", '{"id":1}'],
                ["HTTP/1.1 200", "Content-Type: application/json", "", '{"result":1}'],
            ),
        ]

    def test_a_head_is_shown_masked(self) -> None:
        """Debug logs are for sharing."""
        journal, events = self.written()
        uuid = "631fc62c-7c06-4d0f-8a9e-7f7a3a8d2b11"
        line = f"GET /t/{'k' * 32}/mcp?token=s3cret-1&page=2 HTTP/1.1"
        fields = {"Authorization": "Bearer s3cret-2", "Mcp_Session_Id": self.KNOWN, "X_Request_Id": uuid}
        journal.see(seen(head=head(line, **fields), status=404))
        shown = events[0]["request"]
        assert shown[0].startswith("GET /t/{trace}/mcp?token=[8 characters, ")
        assert shown[0].endswith("]&page=2 HTTP/1.1")
        assert shown[2].startswith("Authorization: Bearer [8 characters, ")
        assert shown[3:] == ["Mcp-Session-Id: 2195e51e…", f"X-Request-Id: {uuid}"]

    def test_what_is_sent_for_a_session_id_and_is_none_is_masked(self) -> None:
        """Our choice: somebody may have put a token there."""
        journal, events = self.written()
        journal.see(seen(head=head(Mcp_Session_Id="hunter2"), status=404))
        assert events[0]["request"][2].startswith("Mcp-Session-Id: [7 characters, ")

    def test_a_head_that_cannot_be_read_is_not_shown(self) -> None:
        """Our choice: where nothing tells names from values, nothing tells what is a secret."""
        journal, events = self.written()
        journal.see(seen(refusal=MalformedHttp("Invalid request"), status=400))
        assert events[0]["request"] == ["(a head that cannot be read)"]
        assert events[0]["answer"] == ["HTTP/1.1 400"]

    def test_the_head_of_an_answer_shows_no_session_id(self) -> None:
        """The answer to initialize names the session; the log must not hold all of it."""
        journal, events = self.written()
        whole = seen(head=head(), status=200)
        journal.see(BodyEvent(whole, b"{}", 200, (f"Mcp-Session-Id: {self.KNOWN}\r\n".encode(),)))
        journal.see(whole)
        assert events[0]["answer"][1] == "Mcp-Session-Id: 2195e51e…"

    def test_what_is_held_of_requests_that_wait_is_bounded(self) -> None:
        """Our choice: a debug log must not take the memory that the settings leave to the server."""
        journal, events = self.written(reveal=True)
        waiting = [seen(head=head(), status=200) for _ in range(100)]
        for each in waiting:
            journal.see(BodyEvent(each, b"x" * 60_000, None))
        for each in waiting:
            journal.see(each)
        shown = [len(event["request"][-1]) for event in events]
        assert 60_000 * 60 < sum(shown) < 5_000_000
        assert events[-1]["request"][-1] == "(60000 bytes; too many requests wait)"
        self.tell(journal, b"x" * 60_000)
        assert len(events[-1]["request"][-1]) == 60_000


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
