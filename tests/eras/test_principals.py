"""Whose a session is, where a trusted proxy says who is calling.

Servers SHOULD bind sessions to the user; that another's session reads like none at all is our choice, as is
the header.
https://modelcontextprotocol.io/specification/2025-11-25/basic/security_best_practices#session-hijacking
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransportWithDisconnection

from tests.tools.support import base64url, jwt
from tests.transport.support import BOTH, Answer, ModernTestCase, claim

UPDATED = "notifications/resources/updated"
TASKS = "io.modelcontextprotocol/tasks"

ALICE = {"X-User-Id": "alice"}
BOB = {"X-User-Id": "bob"}
STRANGERS: dict[str, dict[str, Any]] = {"another": BOB, "nobody": {}, "empty": {"X-User-Id": ""}}


class PrincipalTestCase(ModernTestCase):
    settings = {"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1", "MCP_ECHO_LEGACY_SSE": "true"}

    def session_of(self, who: dict[str, Any], revision: str = "2025-06-18") -> str:
        answer = self.message("initialize", {"protocolVersion": revision}, who)
        session = answer.header("Mcp-Session-Id")
        assert session is not None
        return session

    def message(
        self, method: str, params: Any, who: dict[str, Any], session: str | None = None, **members: Any
    ) -> Answer:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **members}
        named = {} if session is None else {"Mcp-Session-Id": session}
        return self.request("POST", body=body, headers={"Accept": BOTH, **named, **who})

    def principal(self, who: dict[str, Any]) -> Any:
        """Return what authContext says of the caller in its structured content."""
        return self.tool("authContext", headers=who)["structuredContent"]["principal"]


class OwnerTests(PrincipalTestCase):
    """Each is compared with the answer to an id that was never given out: it must tell nothing apart."""

    def requests(self, session: str, who: dict[str, Any]) -> dict[str, Answer]:
        """Return the answers to everything that names a session."""
        named = {"Mcp-Session-Id": session, **who}
        notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        return {
            "call": self.request("POST", body=call, headers=named),
            "batch": self.request("POST", body=[call], headers=named),
            "notification": self.request("POST", body=notification, headers=named),
            "response": self.request("POST", body={"jsonrpc": "2.0", "id": 1, "result": {}}, headers=named),
            "initialize": self.message("initialize", {"protocolVersion": "2025-06-18"}, who, session),
            "GET": self.request("GET", headers={"Accept": "text/event-stream", **named}),
            "resume": self.request("GET", headers={"Last-Event-ID": "g1-0", **named}),
            "DELETE": self.request("DELETE", headers=named),
        }

    def test_a_session_answers_to_its_own_principal_alone(self) -> None:
        session = self.session_of(ALICE, "2025-03-26")
        for stranger, who in STRANGERS.items():
            unknown = self.requests("00000000-0000-4000-8000-000000000000", who)
            for what, answer in self.requests(session, who).items():
                assert answer.status == 404, (stranger, what)
                assert answer.body == unknown[what].body, (stranger, what)
        assert self.message("ping", {}, ALICE, session).status == 200
        assert self.request("DELETE", headers={"Mcp-Session-Id": session, **ALICE}).status == 204

    def test_a_session_of_nobody_is_not_a_principal_s(self) -> None:
        """Who logs in later begins a session of their own."""
        session = self.session_of({})
        assert self.message("ping", {}, ALICE, session).status == 404
        assert self.message("ping", {}, {}, session).status == 200

    def test_a_stranger_does_not_keep_a_session_alive(self) -> None:
        """Our choice: only its own use counts as activity."""
        session = self.session_of(ALICE)
        for _ in range(2):
            self.clock.advance(1800)
            self.message("ping", {}, BOB, session)
        assert self.message("ping", {}, ALICE, session).status == 404

    def test_a_session_made_automatically_has_an_owner_too(self) -> None:
        session = self.message("tools/list", {}, ALICE).header("Mcp-Session-Id")
        assert session is not None
        assert self.message("tools/list", {}, BOB, session).status == 404
        assert self.message("tools/list", {}, ALICE, session).status == 200

    def test_the_messages_of_the_old_transport_come_from_who_opened_the_stream(self) -> None:
        """HTTP with SSE of 2024-11-05: its session is named in the query."""
        response = self.begin("GET", "/sse", headers=ALICE)
        assert response.code == 200
        (session,) = (each.id for each in self.store)
        call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        for stranger, who in STRANGERS.items():
            foreign = self.request("POST", f"/messages?session_id={session}", call, who)
            unknown = self.request("POST", "/messages?session_id=unknown", call, who)
            assert (foreign.status, foreign.body) == (404, unknown.body), stranger
        assert self.request("POST", f"/messages?session_id={session}", call, ALICE).status == 202
        self.leave()

    def test_a_handle_answers_to_its_own_principal_alone(self) -> None:
        """2026-07-28 server/tools, Stateful Tools: in both eras, with the very words for an unknown one."""
        handle = self.tool("createEchoSession", headers=ALICE)["structuredContent"]["session"]
        unknown = "es_" + "0" * 32
        for who in STRANGERS.values():
            legacy = self.session_of(who)
            for tool, more in (
                ("echo", {"message": "m"}),
                ("replayLastEcho", {}),
                ("sessionInfo", {}),
                ("closeEchoSession", {}),
            ):
                for call in (
                    lambda given, tool=tool, who=who: self.tool(tool, given, headers=who),
                    lambda given, tool=tool, who=who, legacy=legacy: self.message(
                        "tools/call", {"name": tool, "arguments": given}, who, legacy
                    ).json["result"],
                ):
                    foreign = call({"session": handle, **more})["content"][0]["text"]
                    assert "unknown or has expired" in foreign
                    assert foreign == call({"session": unknown, **more})["content"][0]["text"].replace(
                        unknown, handle
                    )
        assert not self.tool("sessionInfo", {"session": handle}, headers=ALICE)["isError"]

    def test_state_is_read_by_its_owner_alone(self) -> None:
        handle = self.tool("createEchoSession", headers=ALICE)["structuredContent"]["session"]
        for suffix in ("", "/messages"):
            uri = f"echo://session/{handle}{suffix}"
            for who in STRANGERS.values():
                assert (
                    "not found"
                    in self.modern("resources/read", {"uri": uri}, headers=who).json["error"]["message"]
                )
                legacy = self.message("resources/read", {"uri": uri}, who, self.session_of(who))
                assert "not found" in legacy.json["error"]["message"]
            assert "result" in self.modern("resources/read", {"uri": uri}, headers=ALICE).json

    def test_only_its_owner_hears_of_state(self) -> None:
        """A subscription to another's state is refused like one to unknown state, and nothing comes of it."""
        handle = self.tool("createEchoSession", headers=ALICE)["structuredContent"]["session"]
        uri = f"echo://session/{handle}"
        heard = {}
        for name, who in {"owner": ALICE, **STRANGERS}.items():
            session = self.session_of(who)
            subscribed = self.message("resources/subscribe", {"uri": uri}, who, session).json
            assert ("result" in subscribed) is (name == "owner")
            listening = self.listen(session, **who)
            asked = {"notifications": {"resourceSubscriptions": [uri]}}
            heard[name] = (listening, self.post("subscriptions/listen", asked, headers=who))
        self.tool("echo", {"message": "m", "session": handle}, headers=ALICE)
        self.client.flush()
        for name, (legacy, modern) in heard.items():
            expected = [UPDATED] if name == "owner" else []
            assert [each["method"] for each in legacy.messages] == expected, name
            assert [each["method"] for each in modern.messages[1:]] == expected, name
            honoured = modern.messages[0]["params"]["notifications"]
            assert ("resourceSubscriptions" in honoured) is (name == "owner")
        self.leave()

    def test_sealed_state_is_opened_for_its_own_principal_alone(self) -> None:
        """2026-07-28 basic/patterns/mrtr, Server Requirements: bound to the principal."""
        params = {"name": "clientProbe", "arguments": {"feature": "elicitation"}}
        meta = claim(capabilities={"elicitation": {"form": {}}})
        asked = self.modern("tools/call", params, meta=meta, headers=ALICE).json["result"]
        key = next(iter(asked["inputRequests"]))
        answer = {"inputResponses": {key: {"action": "decline"}}, "requestState": asked["requestState"]}
        for who in STRANGERS.values():
            refused = self.modern("tools/call", {**params, **answer}, meta=meta, headers=who).json["error"]
            told = "requestState belongs to another request or another caller"
            assert refused == {"code": -32602, "message": told}
        assert "result" in self.modern("tools/call", {**params, **answer}, meta=meta, headers=ALICE).json

    def test_a_task_answers_to_its_own_principal_alone(self) -> None:
        """The tasks extension of the conformance set."""
        self.serve({**self.settings, "MCP_ECHO_CONFORMANCE": "tasks"})
        meta = claim(capabilities={"extensions": {TASKS: {}}})
        compute = {"name": "slow_compute", "arguments": {"seconds": 60}}
        task = self.modern("tools/call", compute, meta=meta, headers=ALICE).json["result"]["taskId"]
        for method, more in (
            ("tasks/get", {}),
            ("tasks/update", {"inputResponses": {}}),
            ("tasks/cancel", {}),
        ):
            for who in STRANGERS.values():
                named = {"Mcp-Name": task, **who}
                foreign = self.modern(method, {"taskId": task, **more}, meta=meta, headers=named)
                assert foreign.json["error"]["message"] == f"Unknown task: {task}"
        named = {"Mcp-Name": task, **ALICE}
        assert "result" in self.modern("tasks/cancel", {"taskId": task}, meta=meta, headers=named).json


class BeliefTests(PrincipalTestCase):
    def test_without_trusted_proxies_nobody_is_believed(self) -> None:
        """Anybody can send a header: it is shown, and decides nothing."""
        self.serve({})
        session = self.session_of(ALICE)
        assert self.message("ping", {}, BOB, session).status == 200
        twice = {"X-User-Id": ["alice", "bob"], "X-Forwarded-For": "203.0.113.7"}
        assert self.principal(twice) == {
            "peer": "127.0.0.1",
            "peerIsTrusted": False,
            "clientAddress": "127.0.0.1",
        }

    def test_a_peer_that_is_not_listed_is_not_believed(self) -> None:
        self.serve({"MCP_ECHO_TRUSTED_PROXIES": "10.0.0.0/8,unix,::1"})
        assert "name" not in self.principal({**ALICE, "X-Forwarded-For": "203.0.113.7"})

    def test_tools_tell_what_was_believed_and_why(self) -> None:
        forwarded = {**ALICE, "X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        believed = {
            "name": "alice",
            "source": "X-User-Id",
            "peer": "127.0.0.1",
            "peerIsTrusted": True,
            "clientAddress": "203.0.113.7",
        }
        line = "- Principal: alice (X-User-Id, believed from the trusted proxy 127.0.0.1)"
        session = self.session_of(forwarded)
        for tool in ("authContext", "sessionInfo"):
            called = self.message("tools/call", {"name": tool, "arguments": {}}, forwarded, session)
            result = called.json["result"]
            assert result["structuredContent"]["principal"] == believed
            assert line in result["content"][0]["text"].splitlines(), tool

    def test_tools_tell_when_a_trusted_proxy_names_nobody(self) -> None:
        text = self.tool("authContext")["content"][0]["text"]
        assert "- Principal: none (the trusted proxy 127.0.0.1 names nobody)" in text.splitlines()

    def test_what_names_a_principal_drives_no_terminal(self) -> None:
        """Our choice: a name is whatever somebody registered with; header values may have C1 controls."""
        text = self.tool("authContext", headers={"X-User-Id": b"\x9b2Jalice"})["content"][0]["text"]
        assert "\x9b" not in text
        assert r"- Principal: \x9b2Jalice (" in text

    def test_a_caller_with_two_names_is_refused_wherever_a_session_is_named(self) -> None:
        """Our choice: neither is believed, and nobody is not meant either."""
        session = self.session_of(ALICE)
        for name in (["alice", "bob"], ["alice", "alice"], "a" * 257, b"\xc2\xa0", "${USER}"):
            headers = {"X-User-Id": name, "Mcp-Session-Id": session, "Accept": BOTH}
            call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            for method, path in (
                ("POST", "/mcp"),
                ("GET", "/mcp"),
                ("DELETE", "/mcp"),
                ("GET", "/sse"),
                ("POST", f"/messages?session_id={session}"),
            ):
                answer = self.request(method, path, call if method == "POST" else None, headers)
                assert (answer.status, answer.json["error"]["code"]) == (400, -32600), (method, path)
                assert "X-User-Id" in answer.json["error"]["message"]
        assert self.message("ping", {}, ALICE, session).status == 200
        assert len(self.store) == 1

    def test_health_needs_no_name(self) -> None:
        """Our choice: load balancers ask, and what they pass on does not matter there."""
        assert self.request("GET", "/health", headers={"X-User-Id": ["a", "b"]}).status == 200

    def answer_to(self, peer: IAddress) -> bytes:
        """Return what authContext answers on a connection from this peer."""
        channel = self.service.site.buildProtocol(peer)
        transport = StringTransportWithDisconnection(peerAddress=peer)
        transport.protocol = channel
        channel.makeConnection(transport)
        body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"authContext"}}'
        channel.dataReceived(
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-User-Id: alice\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        answered: bytes = transport.value()
        transport.loseConnection()
        return answered

    def test_a_proxy_on_a_unix_socket_can_be_trusted(self) -> None:
        """unix: it has no address that could be listed."""
        self.serve({"MCP_ECHO_TRUSTED_PROXIES": "unix"})
        assert b"believed from the trusted proxy unix" in self.answer_to(UNIXAddress(None))
        self.serve({"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"})
        assert b"peer unix is not in MCP_ECHO_TRUSTED_PROXIES" in self.answer_to(UNIXAddress(None))

    def test_a_proxy_that_ipv6_carries_is_the_address_it_has(self) -> None:
        """RFC 4291 section 2.5.5.2: what a socket for both families calls an IPv4 peer."""
        assert b"believed from" in self.answer_to(IPv6Address("TCP", "::ffff:127.0.0.1", 1))
        assert b"is not in MCP_ECHO" in self.answer_to(IPv6Address("TCP", "::1", 1))


class SubjectTests(PrincipalTestCase):
    settings = {"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1", "MCP_ECHO_PRINCIPAL_FROM": "subject"}

    def bearer(self, **claims: Any) -> dict[str, Any]:
        return {"Authorization": f"Bearer {jwt(claims)}"}

    def test_issuer_and_subject_name_the_principal_over_all_refreshed_tokens(self) -> None:
        """Our choice: the token itself changes with each refresh, the subject does not."""
        session = self.session_of(self.bearer(iss="https://a", sub="alice", exp=1))
        refreshed = self.bearer(iss="https://a", sub="alice", exp=2)
        assert self.message("ping", {}, refreshed, session).status == 200
        for other in (
            self.bearer(iss="https://b", sub="alice"),
            self.bearer(iss="https://a", sub="bob"),
            self.bearer(sub="alice"),
            {"X-User-Id": "alice"},
            {},
        ):
            assert self.message("ping", {}, other, session).status == 404, other

    def test_tools_tell_that_the_token_named_the_principal(self) -> None:
        believed = self.principal(self.bearer(iss="https://a", sub="alice"))
        assert (believed["name"], believed["source"]) == (
            '["https://a","alice"]',
            "iss and sub of the bearer token",
        )

    def test_a_token_that_cannot_be_read_is_refused_and_never_nobody(self) -> None:
        """Our choice: nobody owns what every caller without a name has; a caller with a token has a name."""
        token = jwt({"sub": "alice"})
        unreadable: dict[str, Any] = {
            "opaque": "Bearer opaque",
            "by prefix": "Bearer ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "encrypted": f"Bearer {base64url({'alg': 'dir', 'enc': 'A256GCM'})}..AAAA.AAAA.AAAA",
            "two parts": f"Bearer {token.rpartition('.')[0]}",
            "no JSON": f"Bearer {jwt(b'{')}",
            "no object": f"Bearer {jwt(['alice'])}",
            "no subject": f"Bearer {jwt({'iss': 'https://a'})}",
            "a number": f"Bearer {jwt({'sub': 7})}",
            "null": f"Bearer {jwt({'sub': None})}",
            "empty": f"Bearer {jwt({'sub': ''})}",
            "blank": f"Bearer {jwt({'sub': ' '})}",
            "two subjects": "Bearer " + jwt(b'{"sub":"alice","sub":"bob"}'),
            "two issuers": "Bearer " + jwt(b'{"iss":"a","sub":"bob","iss":"b"}'),
            "padded and no subject": f"Bearer {base64url({'alg': 'none'})}.e30=.",
            "odd issuer": f"Bearer {jwt({'sub': 'alice', 'iss': ['https://a']})}",
            "another scheme": "Basic eDp5",
            "DPoP": f"DPoP {token}",
            "no scheme": token,
            "no token": "Bearer",
            "misspelled": f"Baerer {token}",
            "no space": f"Bearer{token}",
            "a colon": f"Bearer: {token}",
            "a tab": f"Bearer\t{token}",
            "quoted": f'"Bearer {token}"',
            "quoted token": f'Bearer "{token}"',
            "doubled": f"Bearer Bearer {token}",
            "two in one": f"Bearer {token}, Bearer {token}",
            "a word more": f"Bearer {token} x",
            "percent": f"Bearer {token.replace('.', '%2E')}",
            "placeholder": "Bearer ${TOKEN}",
            "beyond ASCII": f"Bearer {token}\xa0".encode("latin-1"),
            "twice": [f"Bearer {token}", f"Bearer {token}"],
            "once empty": ["", f"Bearer {token}"],
        }
        session = self.session_of({})
        for what, value in unreadable.items():
            answer = self.message("ping", {}, {"Authorization": value}, session)
            assert (answer.status, answer.json["error"]["code"]) == (400, -32600), what
            said = answer.json["error"]["message"]
            assert "Authorization" in said or "the bearer token names nobody: it" in said, what
            assert token not in said, what
        assert len(self.store) == 1

    def test_a_long_token_names_its_subject(self) -> None:
        """An Entra token with 150 groups has more than 9,000 characters; a header may have 16 KiB."""
        groups = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(230)]
        alice, bob = (self.bearer(iss="https://a", sub=who, groups=groups) for who in ("alice", "bob"))
        assert len(alice["Authorization"]) > 12_000
        session = self.session_of(alice)
        assert self.message("ping", {}, bob, session).status == 404
        assert self.message("ping", {}, alice, session).status == 200
        assert self.principal(bob)["name"] == '["https://a","bob"]'

    def test_how_bearer_is_spelled_makes_no_difference(self) -> None:
        """RFC 9110 section 11.1: schemes are case-insensitive; 11.4: one space or more."""
        token = jwt({"sub": "alice"})
        for value in (f"Bearer {token}", f"bearer {token}", f"BEARER   {token}"):
            assert self.principal({"Authorization": value})["name"] == '[null,"alice"]'

    def test_no_credentials_at_all_are_nobody(self) -> None:
        """Our choice: an empty field carries none."""
        for headers in ({}, {"Authorization": ""}, {"X-User-Id": "alice"}):
            assert "name" not in self.principal(headers)

    def test_two_tokens_or_a_subject_too_long_are_refused(self) -> None:
        """Our choice, as for the header."""
        token = self.bearer(sub="alice")["Authorization"]
        for headers in ({"Authorization": [token, token]}, self.bearer(sub="a" * 257)):
            assert self.message("tools/list", {}, headers).status == 400
        assert len(self.store) == 0
