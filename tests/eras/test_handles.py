"""State that requests name by a handle, in both eras.

The modern era has no sessions; state that spans requests is named explicitly:
https://modelcontextprotocol.io/specification/2026-07-28/server/tools#stateful-tools. That one store serves
both eras is our choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.transport.support import ModernTestCase

Caller = Callable[[str, dict[str, Any]], Any]
UPDATED = "notifications/resources/updated"


class HandleTestCase(ModernTestCase):
    def legacy_caller(self, revision: str = "2025-11-25") -> Caller:
        """Return what calls a tool in a session of its own."""
        session = self.initialize(revision)
        return lambda name, arguments: self.call(name, arguments, session=session)

    def callers(self) -> dict[str, Caller]:
        """Return what calls a tool, by era."""
        return {"modern": self.tool, "legacy": self.legacy_caller()}

    def read(self, uri: str) -> Any:
        """Return a resource's JSON, read in the modern era."""
        (content,) = self.modern("resources/read", {"uri": uri}).json["result"]["contents"]
        assert content["uri"] == uri
        return json.loads(content["text"])


class LifeTests(HandleTestCase):
    def test_state_is_kept_behind_a_handle_from_request_to_request(self) -> None:
        """server/tools, Stateful Tools."""
        for era, call in self.callers().items():
            created = call("createEchoSession", {"label": "a label"})["structuredContent"]
            handle = created["session"]
            assert (created["label"], created["ttlSeconds"]) == ("a label", 3600)
            for count in (1, 2):
                echoed = call("echo", {"message": f"no {count}", "session": handle})
                assert echoed["structuredContent"] == {
                    "message": f"no {count}",
                    "session": handle,
                    "echoCount": count,
                }, era
            replayed = call("replayLastEcho", {"session": handle})["structuredContent"]
            assert replayed == {"message": "no 2", "originalEchoCount": 2, "replayCount": 1}, era
            told = call("sessionInfo", {"session": handle})["structuredContent"]
            assert (told["session"], told["label"], told["isHandle"]) == (handle, "a label", True)
            assert (told["echoCount"], told["replayCount"]) == (2, 1)
            closed = call("closeEchoSession", {"session": handle})["structuredContent"]
            assert closed == {"session": handle, "echoCount": 2}
            assert call("replayLastEcho", {"session": handle})["isError"], era

    def test_a_handle_cannot_be_guessed(self) -> None:
        """Whoever has a handle may use it, so it has 128 random bits and more; our choice: 192."""
        handles = {self.handle() for _ in range(20)}
        assert len(handles) == 20
        assert all(handle.startswith("es_") and len(handle) == 35 for handle in handles)

    def test_handles_do_not_see_each_other(self) -> None:
        """Stateful Tools: state is named, never guessed from the connection."""
        first, second = self.handle(), self.handle()
        self.tool("echo", {"message": "mine", "session": first})
        assert self.tool("replayLastEcho", {"session": second})["isError"]

    def test_nothing_is_remembered_without_a_handle(self) -> None:
        """basic, Statelessness: MUST NOT rely on earlier requests."""
        self.tool("echo", {"message": "forgotten"})
        for tool in ("replayLastEcho", "sessionInfo"):
            result = self.tool(tool)
            assert result["isError"], tool
            assert "session" in result["content"][0]["text"], tool
        assert len(self.store) == 0

    def test_the_schema_of_each_era_says_whether_the_handle_is_needed(self) -> None:
        """Stateful Tools: a dependency is expressed in the input schema; a legacy call has its session."""

        def required(tools: list[dict[str, Any]]) -> dict[str, Any]:
            return {tool["name"]: tool["inputSchema"].get("required", []) for tool in tools}

        modern = required(self.modern("tools/list").json["result"]["tools"])
        legacy = required(self.rpc("tools/list", session=self.initialize()).json["result"]["tools"])
        for tool in ("replayLastEcho", "sessionInfo"):
            assert (modern[tool], legacy[tool]) == (["session"], []), tool
        assert (modern["closeEchoSession"], legacy["closeEchoSession"]) == (["session"], ["session"])

    def test_the_creating_tool_tells_how_long_state_is_kept(self) -> None:
        """Stateful Tools: the description states the lifetime."""
        self.serve({"MCP_SESSION_TIMEOUT": "77"})
        tools = {tool["name"]: tool for tool in self.modern("tools/list").json["result"]["tools"]}
        assert "77 s " in tools["createEchoSession"]["description"]

    def test_a_handle_lives_for_its_own_time_and_no_longer_than_a_session(self) -> None:
        """Our choice: a client may ask for less than MCP_SESSION_TIMEOUT, not for more."""
        self.serve({"MCP_SESSION_TIMEOUT": "100"})
        for asked, kept in ((10, 10), (100, 100), (86400, 100)):
            created = self.tool("createEchoSession", {"ttlSeconds": asked})["structuredContent"]
            assert created["ttlSeconds"] == kept
            arguments = {"message": "m", "session": created["session"]}
            self.clock.advance(kept - 1)
            assert not self.tool("echo", arguments)["isError"]
            self.clock.advance(kept)
            assert self.tool("echo", arguments)["isError"], "its time was counted from the last use"

    def test_the_time_of_expiry_is_told(self) -> None:
        """RFC 3339, for programs; the wall clock shows 22:13:20 when a test begins."""
        created = self.tool("createEchoSession", {"ttlSeconds": 60})["structuredContent"]
        assert created["expiresAt"] == "2023-11-14T22:14:20.000Z"

    def test_arguments_of_the_creating_tool_are_checked(self) -> None:
        """server/tools, Security: inputs MUST be validated."""
        for arguments in (
            {"ttlSeconds": 0},
            {"ttlSeconds": -1},
            {"ttlSeconds": 86401},
            {"ttlSeconds": "60"},
            {"label": "x" * 101},
            {"name": "x"},
        ):
            assert self.tool("createEchoSession", arguments)["isError"], arguments
        assert len(self.store) == 0


class BothErasTests(HandleTestCase):
    def test_a_handle_goes_from_era_to_era_and_back(self) -> None:
        """Our choice: one store, so that the two worlds can be compared on the same state."""
        callers = self.callers()
        for maker, user in (("legacy", "modern"), ("modern", "legacy")):
            handle = callers[maker]("createEchoSession", {})["structuredContent"]["session"]
            callers[maker]("echo", {"message": f"from {maker}", "session": handle})
            replayed = callers[user]("replayLastEcho", {"session": handle})["structuredContent"]
            assert replayed["message"] == f"from {maker}"
            callers[user]("echo", {"message": f"from {user}", "session": handle})
            replayed = callers[maker]("replayLastEcho", {"session": handle})["structuredContent"]
            assert (replayed["message"], replayed["replayCount"]) == (f"from {user}", 2)

    def test_session_info_tells_the_revision_of_the_request_not_of_the_maker(self) -> None:
        """basic, Statelessness: what is told of the client is what this request says of it."""
        handle = self.handle()
        for era, call in self.callers().items():
            told = call("sessionInfo", {"session": handle})["structuredContent"]
            expected = ("2026-07-28", "tests") if era == "modern" else ("2025-11-25", None)
            assert (told["protocolVersion"], told.get("clientName")) == expected

    def test_unknown_expired_and_closed_handles_read_the_same(self) -> None:
        """Stateful Tools: an error that names the cause; our choice: no telling which handles existed."""
        expired, closed = self.handle(ttlSeconds=1), self.handle()
        self.tool("closeEchoSession", {"session": closed})
        self.clock.advance(1)
        for era, call in self.callers().items():
            for tool, more in (
                ("echo", {"message": "m"}),
                ("replayLastEcho", {}),
                ("sessionInfo", {}),
                ("closeEchoSession", {}),
            ):
                texts = set()
                for handle in ("es_" + "0" * 32, expired, closed):
                    result = call(tool, {**more, "session": handle})
                    assert result["isError"], (era, tool, handle)
                    texts.add(result["content"][0]["text"].replace(handle, "…"))
                assert len(texts) == 1, (era, tool)
                assert "unknown or has expired" in texts.pop()

    def test_a_handle_is_no_session_id(self) -> None:
        """Session Management, rule 3: only ids of sessions; handles end up in chat logs."""
        handle = self.handle()
        assert self.rpc("tools/list", session=handle).status == 404
        headers = {"Accept": "text/event-stream", "Mcp-Session-Id": handle}
        assert self.request("GET", headers=headers).status == 404
        assert self.request("DELETE", headers={"Mcp-Session-Id": handle}).status == 404
        assert not self.tool("sessionInfo", {"session": handle})["isError"], "it has ended nothing"

    def test_sessions_and_handles_share_one_limit(self) -> None:
        """MCP_MAX_SESSIONS: our setting bounds the memory, whatever it is used for."""
        self.serve({"MCP_MAX_SESSIONS": "2", "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "9"})
        session, handle = self.initialize(), self.handle()
        self.rpc("ping", session=session)
        self.tool("echo", {"message": "hi", "session": handle})
        refused = self.tool("createEchoSession")
        assert refused["isError"]
        assert "MCP_ECHO_MAX_SESSIONS" in refused["content"][0]["text"]
        assert self.rpc("initialize", {"protocolVersion": "2025-11-25"}).status == 503
        self.tool("closeEchoSession", {"session": handle})
        self.initialize()
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        assert self.handle()


class ResourceTests(HandleTestCase):
    def test_the_state_behind_a_handle_can_be_read(self) -> None:
        """server/resources, Resource Templates."""
        handle = self.handle(label="read me")
        self.tool("echo", {"message": "m", "session": handle})
        told = self.read(f"echo://session/{handle}")
        assert (told["session"], told["label"], told["echoCount"]) == (handle, "read me", 1)

    def test_the_messages_behind_a_handle_can_be_read_again_and_again(self) -> None:
        """Our queue: reading it in this era takes nothing out of it."""
        handle = self.handle()
        for _ in range(2):
            self.tool("echo", {"message": "m", "session": handle})
        first = self.read(f"echo://session/{handle}/messages")
        assert [each["params"]["data"]["echoCount"] for each in first["messages"]] == [1, 2]
        assert first == self.read(f"echo://session/{handle}/messages")

    def test_the_queue_behind_a_handle_is_bounded(self) -> None:
        """MCP_ECHO_MAX_QUEUE_MESSAGES: our setting; what was dropped is counted."""
        self.serve({"MCP_ECHO_MAX_QUEUE_MESSAGES": "3"})
        handle = self.handle()
        for _ in range(5):
            self.tool("echo", {"message": "m", "session": handle})
        queue = self.read(f"echo://session/{handle}/messages")
        assert [each["params"]["data"]["echoCount"] for each in queue["messages"]] == [3, 4, 5]
        assert queue["dropped"] == 2

    def test_both_eras_read_the_same(self) -> None:
        """Our choice: one store."""
        handle = self.handle()
        self.tool("echo", {"message": "m", "session": handle})
        session = self.initialize()
        uri = f"echo://session/{handle}/messages"
        answer = self.rpc("resources/read", {"uri": uri}, session=session)
        assert json.loads(answer.json["result"]["contents"][0]["text"]) == self.read(uri)

    def test_a_handle_that_is_gone_is_a_resource_that_is_not_there(self) -> None:
        """server/resources, Error Handling of each era: -32602 and -32002; never empty contents."""
        session = self.initialize()
        for handle in ("es_unknown", session):
            for uri in (f"echo://session/{handle}", f"echo://session/{handle}/messages"):
                modern = self.modern("resources/read", {"uri": uri})
                legacy = self.rpc("resources/read", {"uri": uri}, session=session)
                assert [answer.json["error"]["code"] for answer in (modern, legacy)] == [-32602, -32002]
                assert [answer.json["error"]["data"] for answer in (modern, legacy)] == [{"uri": uri}] * 2

    def test_handles_are_in_no_list(self) -> None:
        """server/resources: a list must not vary as a side effect; and a handle is for its maker alone."""
        before = [self.modern(f"resources/{which}").json["result"] for which in ("list", "templates/list")]
        handle = self.handle()
        after = [self.modern(f"resources/{which}").json["result"] for which in ("list", "templates/list")]
        assert (before, handle in json.dumps(after)) == (after, False)

    def test_completion_suggests_no_handle(self) -> None:
        """server/utilities/completion, Security: no disclosure of what is somebody's."""
        self.handle()
        params = {
            "ref": {"type": "ref/resource", "uri": "echo://session/{session}"},
            "argument": {"name": "session", "value": "es_"},
        }
        completion = self.modern("completion/complete", params).json["result"]["completion"]
        assert completion["values"] == []

    def test_a_legacy_subscription_to_a_handle_s_messages_is_told_on_the_get_stream(self) -> None:
        """2025-11-25 server/resources, Subscriptions."""
        handle, session = self.handle(), self.initialize()
        uri = f"echo://session/{handle}/messages"
        assert self.rpc("resources/subscribe", {"uri": uri}, session=session).json["result"] == {}
        listening = self.listen(session)
        self.tool("echo", {"message": "m", "session": handle})
        self.client.flush()
        told = {"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": uri}}
        assert listening.messages == [told]
        self.rpc("resources/unsubscribe", {"uri": uri}, session=session)
        self.tool("echo", {"message": "m", "session": handle})
        self.client.flush()
        assert listening.messages == [told]
        self.leave()

    def test_a_legacy_subscription_to_what_cannot_be_read_is_refused_as_reading_it_is(self) -> None:
        """2025-11-25 server/resources, Error Handling; in either mode, and nothing is kept of it."""
        closed = self.handle()
        self.tool("closeEchoSession", {"session": closed})
        session, another = self.initialize(), self.initialize()
        uris = (
            "echo://nope",
            "https://example.com/",
            "file:///etc/passwd",
            "",
            "echo://session/",
            f"echo://session/{session}",
            f"echo://session/{another}",
            f"echo://session/{closed}",
            f"echo://session/{closed}/messages",
            f"echo://session/{self.handle()}/nope",
            "echo://session/{session}",
        )
        for uri in uris:
            errors = [
                self.rpc(f"resources/{which}", {"uri": uri}, session=session).json["error"]
                for which in ("read", "subscribe", "unsubscribe")
            ]
            assert errors == [errors[0]] * 3, uri
            assert (errors[0]["code"], errors[0]["data"]) == (-32002, {"uri": uri}), uri
        assert self.store.use(session, None).record.subscriptions == frozenset()

    def test_a_subscription_ends_though_its_resource_is_gone(self) -> None:
        """Our choice: who unsubscribes wants to hear nothing more, and hears nothing."""
        handle, session = self.handle(), self.initialize()
        uri = f"echo://session/{handle}"
        assert self.rpc("resources/subscribe", {"uri": uri}, session=session).json["result"] == {}
        self.tool("closeEchoSession", {"session": handle})
        assert self.rpc("resources/unsubscribe", {"uri": uri}, session=session).json["result"] == {}
        assert len(self.service.server.context.subscriptions) == 0

    def test_what_exists_can_be_unsubscribed_from_at_any_time(self) -> None:
        """Our choice: twice is as good as once."""
        session = self.initialize()
        for _ in range(2):
            assert self.rpc("resources/unsubscribe", {"uri": "echo://server"}, session=session).json == {
                "jsonrpc": "2.0",
                "id": 1,
                "result": {},
            }

    def test_a_session_that_ends_listens_no_longer(self) -> None:
        """Nothing may stay behind of a session that is gone."""
        session = self.initialize()
        for uri in ("echo://session", f"echo://session/{self.handle()}"):
            self.rpc("resources/subscribe", {"uri": uri}, session=session)
        listening = self.listen(session)
        subscriptions = self.service.server.context.subscriptions
        assert len(subscriptions) > 0
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        self.client.flush()
        assert (len(subscriptions), listening.over) == (0, True)

    def test_a_resource_of_a_template_can_be_subscribed_to(self) -> None:
        """2025-11-25 server/resources: what can be read is there, whether a list or a template names it."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        session = self.initialize()
        for uri in ("test://watched-resource", "test://template/7/data", "echo://server"):
            for which in ("subscribe", "unsubscribe"):
                answer = self.rpc(f"resources/{which}", {"uri": uri}, session=session)
                assert answer.json["result"] == {}, uri
