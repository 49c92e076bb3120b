"""What is found of clients that take what a fault of OAuth has sent them. docs/faults.md."""

from __future__ import annotations

from typing import Any

from tests.transport.faults.test_oauth import OTHER, OAuthFaultTestCase


class FindingsTests(OAuthFaultTestCase):
    def report(self) -> Any:
        """Return what is known of the trace."""
        return self.request("GET", f"/t/{self.place.trace}/report").json

    def findings(self) -> dict[str, Any]:
        """Return what is found of the trace by id."""
        return {each["id"]: each for each in self.report()["findings"]}

    def discover(self) -> None:
        """Be challenged, and read the metadata."""
        assert self.mcp(None).status == 401
        self.clock.advance(1)
        self.fetch(self.place.metadata)

    def test_a_code_that_came_with_another_issuer_is_redeemed(self) -> None:
        """RFC 9207 section 2.4."""
        self.arm("issuer", "iss-wrong")
        self.discover()
        client = self.register()["client_id"]
        code = self.code(client)
        self.clock.advance(1)
        assert self.redeem(client, code).status == 200
        finding = self.findings()["issuer-not-checked"]
        assert finding["evidence"][0]["found"] == OTHER
        # What is asked of clients of 2025-11-25 is less than what is asked of those of 2026-07-28.
        assert finding["level"] == "warning"

    def test_a_client_that_stops_there_has_kept_the_rule(self) -> None:
        """RFC 9207, as above."""
        self.arm("issuer", "iss-wrong")
        self.discover()
        self.code(self.register()["client_id"])
        self.clock.advance(70)
        report = self.report()
        assert "issuer-not-checked" in report["heldRules"]
        assert "issuer-not-checked" not in {each["id"] for each in report["findings"]}

    def test_a_client_goes_on_with_metadata_of_another_resource(self) -> None:
        """RFC 9728 section 3.3."""
        self.arm("metadata", "wrong-resource")
        self.discover()
        self.clock.advance(1)
        client = self.register()["client_id"]
        finding = self.findings()["resource-not-checked"]
        assert (finding["level"], finding["confidence"]) == ("error", "likely")
        assert finding["evidence"][0]["found"] == f"{OTHER}/mcp"
        self.authorize(client, resource=f"{OTHER}/mcp")
        assert self.findings()["resource-not-checked"]["count"] == 1

    def test_a_client_that_asks_again_and_is_told_right_may_go_on(self) -> None:
        """RFC 9728, as above: what is not used does no harm."""
        self.arm("metadata", "wrong-resource")
        self.discover()
        self.clock.advance(1)
        self.fetch(self.place.metadata)
        self.tokens()
        assert "resource-not-checked" not in self.findings()

    def test_a_token_that_a_fault_has_changed_is_the_one_that_the_record_has(self) -> None:
        """Our choice: a client that uses what it was given is not told of for a token that it never had."""
        self.arm("token", "wrong-aud")
        self.discover()
        token = self.tokens()["access_token"]
        assert self.mcp(token).status == 401
        self.clock.advance(40)
        found = self.findings()
        assert "token-never-used" not in found
        assert found["token-audience"]["evidence"][0]["found"].endswith("/mcp/")

    def test_a_client_comes_to_another_issuer_as_the_one_that_it_was(self) -> None:
        """2026-07-28 basic/authorization/client-registration, Authorization Server Binding."""
        self.discover()
        client = self.tokens()["client_id"]
        other = self.place._replace(trace=f"{self.place.trace}/other-issuer")
        self.arm("metadata", "other-issuer")
        self.discover()
        assert self.authorize(client, other).status == 400
        finding = self.findings()["credentials-carried-over"]
        assert (finding["level"], finding["count"]) == ("warning", 1)
        assert "comes to /t/{trace}/other-issuer/authorize" in finding["summary"]
        assert finding["evidence"][0]["found"] == client

    def test_a_client_that_registers_with_another_issuer_keeps_the_rule(self) -> None:
        """2026-07-28, as above: all of the flow goes on there, and nothing else is wrong with it."""
        self.discover()
        self.tokens()
        before = set(self.findings())
        other = self.place._replace(trace=f"{self.place.trace}/other-issuer")
        self.arm("metadata", "other-issuer")
        self.discover()
        client = self.register(other)["client_id"]
        token = self.redeem(client, self.code(client, other), other).json["access_token"]
        assert self.mcp(token).status == 200
        report = self.report()
        assert "credentials-carried-over" in report["heldRules"]
        assert {each["id"] for each in report["findings"]} == before
