"""subscriptions/listen: one stream for the news that a modern client asked for.

https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
"""

from __future__ import annotations

from typing import Any

from tests.transport.support import META, ModernTestCase, Posted, claim

ID = f"{META}subscriptionId"
UPDATED = "notifications/resources/updated"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
LISTS = ("tools", "prompts", "resources")


def state_uri(handle: str) -> str:
    return f"echo://session/{handle}"


def messages_uri(handle: str) -> str:
    return f"echo://session/{handle}/messages"


class SubscriptionTestCase(ModernTestCase):
    settings = {"MCP_ECHO_CONFORMANCE": "core"}

    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert (len(self.subscriptions), len(self.service.streams)) == (0, 0)
        assert self.clock.getDelayedCalls() == []

    @property
    def subscriptions(self) -> Any:
        return self.service.server.context.subscriptions

    def subscribe(self, message_id: Any = 7, *uris: str, **wanted: Any) -> Posted:
        """Open a subscription."""
        asked = {**wanted, **({"resourceSubscriptions": list(uris)} if uris else {})}
        return self.post("subscriptions/listen", {"notifications": asked}, message_id=message_id)

    def echo(self, handle: str) -> None:
        self.tool("echo", {"message": "m", "session": handle})
        self.client.flush()

    def change(self, which: str) -> None:
        """Have one of the server's lists change."""
        self.subscriptions.list_changed(which)
        self.client.flush()

    def news(self, posted: Posted) -> list[tuple[str, str | None]]:
        """Return what came after the acknowledgement: methods and URIs."""
        return [(each["method"], each["params"].get("uri")) for each in posted.messages[1:]]


class AcknowledgementTests(SubscriptionTestCase):
    def honoured(self, *uris: str, **wanted: Any) -> Any:
        return self.subscribe(7, *uris, **wanted).messages[0]["params"]["notifications"]

    def test_the_acknowledgement_comes_first_and_names_its_subscription(self) -> None:
        """Acknowledgment: MUST be the first message."""
        posted = self.subscribe(toolsListChanged=True)
        assert (posted.status, posted.over) == (200, False)
        assert posted.headers.getRawHeaders("Content-Type") == ["text/event-stream"]
        assert posted.headers.getRawHeaders("X-Accel-Buffering") == ["no"]
        assert posted.messages == [
            {
                "jsonrpc": "2.0",
                "method": ACKNOWLEDGED,
                "params": {"_meta": {ID: 7}, "notifications": {"toolsListChanged": True}},
            }
        ]

    def test_only_what_is_honoured_is_acknowledged(self) -> None:
        """Acknowledgment: MUST list the honoured part alone."""
        handle = self.handle()
        for wanted, expected in (
            ({}, {}),
            ({"toolsListChanged": False}, {}),
            ({"taskIds": ["t"], "somethingNew": True}, {}),
            ({"promptsListChanged": True, "toolsListChanged": False}, {"promptsListChanged": True}),
            ({f"{which}ListChanged": True for which in LISTS},) * 2,
        ):
            assert self.honoured(**wanted) == expected
        uris = (state_uri(handle), "echo://nothing", messages_uri(handle))
        assert self.honoured(*uris) == {"resourceSubscriptions": [uris[0], uris[2]]}

    def test_a_handle_that_is_not_the_caller_s_is_not_honoured(self) -> None:
        """Our choice: unknown, expired and closed read the same, so nobody learns which handles exist."""
        closed, expired = self.handle(), self.handle(ttlSeconds=1)
        self.tool("closeEchoSession", {"session": closed})
        self.clock.advance(1)
        uris = [
            uri(handle)
            for handle in ("es_unknown", closed, expired, self.initialize(), "")
            for uri in (state_uri, messages_uri)
        ]
        assert self.honoured(*uris) == {}

    def test_what_only_looks_like_a_handle_s_resource_is_not_honoured(self) -> None:
        """Only resources that can be read are watched."""
        handle = self.handle()
        for uri in (f"{state_uri(handle)}/", f"{messages_uri(handle)}/1", f"{state_uri(handle)}?x"):
            assert self.honoured(uri) == {}, uri

    def test_a_resource_that_cannot_be_read_in_this_era_is_not_honoured(self) -> None:
        """Acknowledgment: unsupported parts are left out. There is no protocol session to hear of."""
        assert self.honoured("echo://session") == {}

    def test_a_filter_that_is_none_is_refused(self) -> None:
        """schema, SubscriptionsListenRequestParams: `notifications` is required."""
        for params in (
            {},
            {"notifications": None},
            {"notifications": []},
            {"notifications": {"toolsListChanged": "yes"}},
            {"notifications": {"resourceSubscriptions": "echo://server"}},
            {"notifications": {"resourceSubscriptions": ["echo://server"] * 65}},
        ):
            answer = self.modern("subscriptions/listen", params)
            assert (answer.status, answer.json["error"]["code"]) == (200, -32602), params


class NewsTests(SubscriptionTestCase):
    def test_an_echo_with_a_handle_is_news_of_its_state_and_its_messages(self) -> None:
        """server/resources, Subscriptions: one notification for each resource that was asked for."""
        handle = self.handle()
        uris = [state_uri(handle), messages_uri(handle)]
        both, one = self.subscribe(1, *uris), self.subscribe(2, uris[1])
        self.echo(handle)
        assert sorted(self.news(both)) == [(UPDATED, uri) for uri in sorted(uris)]
        assert self.news(one) == [(UPDATED, uris[1])]

    def test_every_message_carries_the_id_as_it_was_given(self) -> None:
        """Receiving Notifications: the request's id verbatim, of the same JSON type."""
        handle = self.handle()
        for message_id in (7, "7", "a subscription", 0):
            posted = self.subscribe(message_id, state_uri(handle), toolsListChanged=True)
            self.echo(handle)
            self.change("tools")
            ids = [message["params"]["_meta"][ID] for message in posted.messages]
            assert ids == [message_id] * 3
            assert {type(each) for each in ids} == {type(message_id)}
            posted.leave()

    def test_nothing_comes_that_was_not_asked_for(self) -> None:
        """Opening a Subscription: MUST NOT."""
        handle, other = self.handle(), self.handle()
        posted = self.subscribe(7, state_uri(handle), promptsListChanged=True)
        for which in LISTS:
            self.change(which)
        self.echo(other)
        self.tool("echo", {"message": "without a handle"})
        legacy = self.initialize()
        self.call("echo", {"message": "in a session"}, session=legacy)
        self.client.flush()
        assert self.news(posted) == [("notifications/prompts/list_changed", None)]

    def test_what_was_refused_brings_no_news(self) -> None:
        """Acknowledgment: the honoured subset is what comes."""
        posted = self.subscribe(7, "echo://nothing")
        self.subscriptions.resource_updated("echo://nothing")
        self.client.flush()
        assert (self.news(posted), len(self.subscriptions)) == ([], 0)

    def test_each_list_is_asked_for_by_itself(self) -> None:
        """schema, SubscriptionFilter."""
        subscriptions = {which: self.subscribe(which, **{f"{which}ListChanged": True}) for which in LISTS}
        for which in LISTS:
            self.change(which)
        for which, posted in subscriptions.items():
            assert self.news(posted) == [(f"notifications/{which}/list_changed", None)]

    def test_two_subscriptions_are_separate_even_with_the_same_id(self) -> None:
        """Multiple Concurrent Subscriptions; ids are the clients', and two may have the same."""
        first, second = self.handle(), self.handle()
        subscriptions = [self.subscribe(1, state_uri(each)) for each in (first, second)]
        self.echo(first)
        self.echo(first)
        self.echo(second)
        assert self.news(subscriptions[0]) == [(UPDATED, state_uri(first))] * 2
        assert self.news(subscriptions[1]) == [(UPDATED, state_uri(second))]

    def test_a_change_in_the_legacy_era_is_news_too(self) -> None:
        """Both eras share the state behind a handle."""
        handle = self.handle()
        posted = self.subscribe(7, messages_uri(handle))
        self.call("echo", {"message": "m", "session": handle}, session=self.initialize())
        self.client.flush()
        assert self.news(posted) == [(UPDATED, messages_uri(handle))]

    def test_the_probe_for_changed_lists_hears_of_the_list_that_is_asked_for_again(self) -> None:
        """clientProbe: our tool."""
        posted = self.subscribe(1, toolsListChanged=True)
        call = {"name": "clientProbe", "arguments": {"feature": "list-changed"}}
        working = self.post("tools/call", call)
        assert self.news(posted) == [("notifications/tools/list_changed", None)]
        self.modern("tools/list")
        self.pass_time(0.1)
        report = working.json["result"]["structuredContent"]
        assert (report["problems"], report["sent"]) == ([], ["notifications/tools/list_changed"])

    def test_the_probe_for_changed_lists_tells_when_nobody_listens_or_asks(self) -> None:
        """clientProbe: our tool."""
        call = {"name": "clientProbe", "arguments": {"feature": "list-changed", "seconds": 1}}
        report = self.modern("tools/call", call).json["result"]["structuredContent"]
        assert "No subscription of this client is open on this node" in report["problems"][0]
        self.subscribe(1, toolsListChanged=True)
        working = self.post("tools/call", call)
        self.pass_time(1.1)
        assert (
            "The client asked for no list again" in working.json["result"]["structuredContent"]["problems"][0]
        )


class EndTests(SubscriptionTestCase):
    def test_a_client_that_leaves_frees_its_subscription_alone(self) -> None:
        """Cancellation: closing the stream ends it."""
        handle = self.handle()
        leaving = self.subscribe(1, state_uri(handle), toolsListChanged=True)
        staying = self.subscribe(2, state_uri(handle))
        assert len(self.subscriptions) == 3
        leaving.leave()
        assert (len(self.subscriptions), len(self.service.streams)) == (1, 1)
        self.echo(handle)
        assert self.news(leaving) == []
        assert self.news(staying) == [(UPDATED, state_uri(handle))]
        staying.leave()
        assert len(self.subscriptions) == 0

    def test_a_stop_sends_the_result_and_ends_the_stream(self) -> None:
        """Graceful Closure: SHOULD send the response, then close."""
        subscriptions = [self.subscribe(message_id, toolsListChanged=True) for message_id in (7, "seven")]
        self.service.streams.start()
        self.service.streams.stop()
        self.client.flush()
        for message_id, posted in zip((7, "seven"), subscriptions, strict=True):
            last = posted.messages[-1]
            assert last["id"] == message_id
            assert (last["result"]["resultType"], last["result"]["_meta"][ID]) == ("complete", message_id)
            assert posted.over
            assert b"retry" not in posted.body
        assert len(self.subscriptions) == 0

    def test_the_last_result_names_the_server_too(self) -> None:
        """basic, `_meta`: every result SHOULD carry `serverInfo`."""
        posted = self.subscribe(toolsListChanged=True)
        self.service.streams.stop()
        self.client.flush()
        assert f"{META}serverInfo" in posted.messages[-1]["result"]["_meta"]

    def test_a_quiet_subscription_is_kept_alive_by_comments(self) -> None:
        """Receiving Responses: comments are encouraged; a keep-alive is no message."""
        self.service.streams.start()
        posted = self.subscribe(toolsListChanged=True)
        before = posted.events
        self.clock.advance(15)
        self.clock.advance(15)
        self.client.flush()
        assert (b": keep-alive\n\n" in posted.body, posted.events) == (True, before)
        self.service.streams.stop()

    def test_logs_and_progress_never_come_on_a_subscription(self) -> None:
        """Receiving Responses: they belong to the stream of their own request."""
        meta = claim(**{f"{META}logLevel": "debug", "progressToken": "p"})
        wanted = {"notifications": {"toolsListChanged": True}}
        posted = self.post("subscriptions/listen", wanted, meta=meta)
        for feature in ("logging", "progress"):
            call = {"name": "clientProbe", "arguments": {"feature": feature}}
            self.post("tools/call", call, meta=meta)
        self.pass_time(1)
        assert self.news(posted) == []

    def test_a_slow_reader_costs_no_more_than_a_queue(self) -> None:
        """Our bound: 100 messages for one stream."""
        handle = self.handle()
        posted = self.subscribe(7, state_uri(handle))
        (stream,) = self.service.streams._open
        stream.pauseProducing()
        for _ in range(150):
            self.echo(handle)
        stream.resumeProducing()
        self.client.flush()
        assert len(self.news(posted)) == 100
