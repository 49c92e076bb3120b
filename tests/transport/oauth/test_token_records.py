"""What a record keeps of an access token: each thing that was looked at for that very request, masked."""

from __future__ import annotations

from typing import Any

from tests.transport.oauth.support import OAuthTestCase, call_of
from tests.transport.oauth.test_issuers import ISSUER, IssuerTestCase
from tests.transport.support import WALL


class TokenRecordTests(IssuerTestCase):
    def tokens_of(self) -> list[Any]:
        """Return what the exchanges of the trace have of tokens; None for those without."""
        told = self.request("GET", f"/t/{self.place.trace}/exchanges").json["exchanges"]
        return [each.get("token") for each in told]

    def check(self, name: str) -> Any:
        """Return a check of the newest exchange."""
        return next(each for each in self.tokens_of()[-1]["checks"] if each["name"] == name)

    def test_a_token_is_judged_once_and_known_from_then_on(self) -> None:
        """Our choice: what was not looked at again is not said to have been."""
        token = self.token()
        self.mcp(None)
        self.mcp(token)
        self.mcp(token)
        nothing, judged, known = self.tokens_of()
        assert nothing is None
        assert judged["taken"] is True
        assert {each["held"] for each in judged["checks"]} == {True}
        assert known == {"taken": True}

    def test_a_refused_token_has_found_wanted_and_in_what_they_differ(self) -> None:
        """Our choice: as tokenExplain tells it."""
        self.mcp(self.token(aud=f"{self.place.resource}/", exp=int(WALL) - 12))
        assert self.tokens_of()[-1].get("taken", False) is False
        audience = self.check("audience")
        resource = self.place.resource.replace(self.place.trace, "{trace}")
        assert (audience["found"], audience["wanted"]) == (f"{resource}/", resource)
        assert (audience["held"], audience["differsIn"]) == (False, ["slash"])
        assert "12s ago" in self.check("expiry")["note"]
        assert (self.check("issuer")["held"], self.check("issuer")["found"]) == (True, ISSUER)

    def test_what_could_not_be_looked_at_is_neither_held_nor_not(self) -> None:
        """Our choice: three things."""
        self.mcp(self.token(iss="https://other.example"))
        assert "held" not in self.check("signature")

    def test_a_call_that_lacks_a_scope_says_which(self) -> None:
        """RFC 6750 section 3.1: insufficient_scope."""
        self.place = self.make(**{**self.wishes, "toolScopes": {"healthProbe": ["admin"]}})
        token = self.token()
        self.mcp(token)
        self.mcp(token, call_of("healthProbe"))
        assert self.tokens_of()[-1]["taken"] is True
        scope = self.check("scope")
        assert (scope["found"], scope["wanted"], scope["note"]) == ("read openid", "admin", "it lacks admin")

    def test_where_no_token_is_asked_for_nothing_is_said_of_one(self) -> None:
        """Our choice: nobody has looked."""
        made = self.request("POST", "/t", {}, {"Content-Type": "application/json"}).json
        place = self.place._replace(trace=made["trace"])
        self.mcp(self.token(), place=place)
        self.place = place
        assert self.tokens_of() == [None]

    def test_no_view_has_a_secret_that_the_name_of_a_key_was_made_of(self) -> None:
        """docs: secrets are masked when they are written; whom a token is of and for is kept as it came."""
        secret = "ghp_" + "s3cretOfSomebody0" * 2 + "xx"
        self.key.id = secret
        self.mcp(self.token())
        assert self.check("key")["held"] is False
        for view in ("exchanges", "report", "evidence.json", "evidence.md", "evidence.har"):
            body = self.request("GET", f"/t/{self.place.trace}/{view}").body
            assert b"s3cretOf" not in body, view


class OwnTokenRecordTests(OAuthTestCase):
    def test_a_token_that_was_revoked_says_so(self) -> None:
        """RFC 7009."""
        tokens = self.tokens()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = f"token={tokens['access_token']}&client_id={tokens['client_id']}".encode()
        self.request("POST", self.place.path("revoke"), body, form)
        self.mcp(tokens["access_token"])
        told = self.request("GET", f"/t/{self.place.trace}/exchanges").json["exchanges"][-1]["token"]
        (standing,) = [each for each in told["checks"] if each["name"] == "standing"]
        assert standing["held"] is False
        assert "revoked" in standing["note"]
