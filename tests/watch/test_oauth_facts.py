"""What records keep of the exchanges of OAuth: what is public, and whether secrets are equal."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from mcp_echo.host.clocks import Clocks
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.recorder import Recorder
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.rules.facts import credential_of
from mcp_echo.watch.rules.oauth_legs import challenged
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.seen import BodyEvent
from mcp_echo.watch.traces import Trace, TraceLimits, Traces, Wanted
from tests.watch.support import head, seen

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Those of RFC 7636, appendix B."""

SECRETS = ("made-up-code", "made-up-state", "made-up-secret", "made-up-refresh", "made-up-token", VERIFIER)
FORM = "application/x-www-form-urlencoded"
CODE = {
    "grant_type": "authorization_code",
    "code": "made-up-code",
    "code_verifier": VERIFIER,
    "client_id": "c-1",
    "redirect_uri": "http://127.0.0.1:9/cb",
    "resource": "http://h/t/{id}/mcp",
}


def jwt(**claims: Any) -> str:
    """Return a token with these claims, and no signature that anything proves."""
    parts = (json.dumps(part).encode() for part in ({"alg": "ES256", "kid": "k1"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "c2ln"])


class Wire:
    """Records what passes on a trace."""

    def __init__(self) -> None:
        clocks = Clocks(lambda: 0.0, lambda: 1000.0)
        traces = Traces(TraceLimits(9, 999, 99, 10**6, 10**7), RULES, clocks.wall)
        self.trace = traces.plan(Wanted(), "test", 9)
        self.kept: list[Record] = []
        self.size = 0
        self.masker = Masker(b"a key")
        self.recorder = Recorder(self._keep, self.masker, "a", clocks, body_bytes=4096)

    def _keep(self, _trace: Trace, record: Record, size: int) -> list[str]:
        self.kept.append(record)
        self.size = size
        return []

    def record(
        self,
        leg: Any,
        line: str,
        body: str = "",
        *,
        status: int = 200,
        answer: str = "",
        lines: Sequence[str] = (),
        **fields: str,
    ) -> ExchangeRecord:
        """Return the record of an exchange; ``{id}`` stands for the id of the trace."""
        body, answer, line = (each.replace("{id}", self.trace.id) for each in (body, answer, line))
        sent = [each.replace("{id}", self.trace.id).encode() + b"\r\n" for each in lines]
        one = seen(
            head=head(f"{line} HTTP/1.1", **fields),
            trace=self.trace,
            leg=leg,
            status=status,
            lines=sent,
            last=0.0,
        )
        self.recorder.see(BodyEvent(one, body.encode(), None))
        self.recorder.see(BodyEvent(one, answer.encode(), status, sent))
        self.recorder.see(one)
        record = self.kept[-1]
        assert isinstance(record, ExchangeRecord)
        assert not [
            each for each in (*SECRETS, self.trace.id) if each in msgspec.json.encode(record).decode()
        ]
        return record

    def oauth(self, *args: Any, **fields: Any) -> OauthRecord:
        """Return its part in a flow of OAuth."""
        record = self.record(*args, **fields)
        assert record.oauth is not None
        return record.oauth


def token(wire: Wire, form: dict[str, str], **fields: Any) -> OauthRecord:
    """Return what is kept of a token request."""
    return wire.oauth("token", "POST /t/{id}/token", urlencode(form, safe="{}"), Content_Type=FORM, **fields)


def test_an_authorization_request_is_kept_but_for_its_secrets() -> None:
    """Our choice: what the client says of itself is public, code and state are not."""
    wire = Wire()
    query = urlencode(
        {
            "client_id": "0f3a91c2-1111-4222-8333-444455556666",
            "redirect_uri": "http://127.0.0.1:9/cb",
            "scope": "mcp:read mcp:admin",
            "state": "made-up-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": "http://h/t/{id}/mcp",
        },
        safe="{}",
    )
    location = "Location: http://127.0.0.1:9/cb?code=made-up-code&state=made-up-state&iss=http%3A%2F%2Fh"
    kept = wire.oauth("authorize", f"GET /t/{{id}}/authorize?{query}", status=302, lines=[location])
    assert kept.asked.client_id == "0f3a91c2-1111-4222-8333-444455556666"
    assert kept.asked.redirect_uris == ("http://127.0.0.1:9/cb",)
    assert kept.asked.scope == ("mcp:read", "mcp:admin")
    assert kept.asked.resource == ("http://h/t/{trace}/mcp",)
    assert (kept.asked.code_challenge, kept.asked.code_challenge_method) == (CHALLENGE, "S256")
    assert kept.asked.state == kept.answered.state == wire.masker.secret("made-up-state")
    assert kept.answered.redirect_uris == ("http://127.0.0.1:9/cb",)
    assert kept.answered.issuer == "http://h"
    assert token(wire, CODE).asked.code == kept.answered.code


def test_a_verifier_is_kept_as_the_challenge_that_it_fits() -> None:
    """RFC 7636 section 4.6 and appendix B."""
    asked = token(Wire(), CODE).asked
    assert asked.proves == CHALLENGE
    assert asked.authentication == "none"
    assert asked.grant == "authorization_code"
    assert token(Wire(), {"grant_type": "authorization_code"}).asked.proves is None


def test_a_token_is_known_again_when_it_comes() -> None:
    """Our choice: what was issued and what comes in Authorization have one fingerprint."""
    wire = Wire()
    answer = {
        "access_token": "made-up-token",
        "refresh_token": "made-up-refresh",
        "scope": "a b",
        "expires_in": 60,
    }
    issued = token(wire, CODE, answer=json.dumps(answer)).answered
    assert (issued.scope, issued.seconds, issued.claims) == (("a", "b"), 60.0, None)
    call = wire.record(None, "POST /t/{id}/mcp", '{"jsonrpc":"2.0"}', Authorization="Bearer made-up-token")
    assert call.oauth is None
    assert credential_of(call) == issued.token
    again = token(wire, {"grant_type": "refresh_token", "refresh_token": "made-up-refresh"})
    assert again.asked.refresh_token == issued.refresh_token


def test_what_a_token_says_is_kept_of_one_that_is_issued_and_of_one_that_is_refused() -> None:
    """RFC 9068 section 2.2; nothing is verified."""
    wire = Wire()
    made = jwt(iss="http://h", aud=["http://h/mcp"], exp=2000, nbf=900, scope="a b", sub="me@example.com")
    issued = token(wire, CODE, answer=json.dumps({"access_token": made})).answered
    challenge = 'WWW-Authenticate: Bearer error="invalid_token", error_description="It is \\"old\\""'
    refused = wire.oauth(
        None, "POST /t/{id}/mcp", status=401, lines=[challenge], Authorization=f"Bearer {made}"
    )
    assert refused.leg == "challenge"
    assert refused.asked.token == issued.token
    assert issued.claims == refused.asked.claims
    assert issued.claims is not None
    assert (issued.claims.issuer, issued.claims.audience) == ("http://h", ("http://h/mcp",))
    assert (issued.claims.expires, issued.claims.not_before) == (2000.0, 900.0)
    assert (issued.claims.scope, issued.claims.algorithm) == (("a", "b"), "ES256")
    assert refused.answered.error == "invalid_token"
    assert refused.answered.description == 'It is "old"'


def test_a_challenge_is_read_among_others() -> None:
    """RFC 9110 section 11.6.1: a field may have several."""
    url = "http://h/.well-known/oauth-protected-resource/t/{id}/mcp"
    header = f'WWW-Authenticate: Basic realm="x", Bearer resource_metadata="{url}", scope="mcp:read"'
    answered = Wire().oauth(None, "GET /t/{id}/mcp", status=401, lines=[header]).answered
    assert answered.resource_metadata == "http://h/.well-known/oauth-protected-resource/t/{trace}/mcp"
    assert (answered.scope, answered.error) == (("mcp:read",), None)
    basic = ['WWW-Authenticate: Basic realm="x"']
    assert Wire().record(None, "GET /t/{id}/mcp", status=401, lines=basic).oauth is None
    assert Wire().record(None, "GET /t/{id}/mcp", status=200, lines=[header]).oauth is None


def test_metadata_and_registrations_are_kept() -> None:
    """RFC 9728 section 2, RFC 8414 section 2, RFC 7591 sections 2 and 3.2.1."""
    wire = Wire()
    said = {
        "resource": "http://h/t/{id}/mcp",
        "authorization_servers": ["http://h/t/{id}"],
        "scopes_supported": ["a"],
    }
    place = "GET /.well-known/oauth-protected-resource/t/{id}/mcp"
    told = wire.oauth("resource-metadata", place, answer=json.dumps(said)).answered
    assert (told.resource, told.servers, told.scope) == (
        "http://h/t/{trace}/mcp",
        ("http://h/t/{trace}",),
        ("a",),
    )
    said = {"issuer": "http://h/t/{id}", "client_id_metadata_document_supported": True}
    told = wire.oauth("server-metadata", "GET /x", answer=json.dumps(said)).answered
    assert (told.issuer, told.takes_documents) == ("http://h/t/{trace}", True)
    asked = {
        "redirect_uris": ["http://a/b"],
        "client_name": "A",
        "software_id": "s",
        "application_type": "native",
    }
    told_client = {
        "client_id": "c-1",
        "client_secret": "made-up-secret",
        "token_endpoint_auth_method": "tls_client_auth",
    }
    kept = wire.oauth("register", "POST /r", json.dumps(asked), status=201, answer=json.dumps(told_client))
    assert (kept.asked.redirect_uris, kept.asked.software) == (("http://a/b",), "A s")
    assert kept.asked.application_type == "native"
    assert (kept.answered.client_id, kept.answered.authentication) == ("c-1", "other")


def test_how_a_client_authenticates_is_seen() -> None:
    """RFC 6749 section 2.3.1, RFC 7523 section 2.2."""
    grant = {"grant_type": "authorization_code"}
    post = token(Wire(), {**grant, "client_id": "c-1", "client_secret": "made-up-secret"}).asked
    assert (post.client_id, post.authentication) == ("c-1", "client_secret_post")
    given = base64.b64encode(b"c%201:made-up-secret").decode()
    basic = token(Wire(), grant, Authorization=f"Basic {given}").asked
    assert (basic.client_id, basic.authentication) == ("c 1", "client_secret_basic")
    assert token(Wire(), grant, Authorization="Basic ?").asked.authentication == "client_secret_basic"
    assert token(Wire(), {**grant, "client_assertion": "a.b.c"}).asked.authentication == "private_key_jwt"


def test_what_is_refused_says_why() -> None:
    """RFC 6749 sections 4.1.2.1 and 5.2."""
    answer = json.dumps({"error": "invalid_grant", "error_description": "spent"})
    refused = token(Wire(), CODE, status=400, answer=answer).answered
    assert (refused.error, refused.description, refused.token) == ("invalid_grant", "spent", None)
    back = ["Location: http://a/b?error=access_denied"]
    assert Wire().oauth("consent", "POST /c", status=302, lines=back).answered.error == "access_denied"
    assert Wire().oauth("authorize", "GET /a", status=200).answered.asks


def test_another_trace_is_told_from_this_one() -> None:
    """Our choice: a resource of another trace must not look like the one of this."""
    other = "A" * 32
    asked = token(Wire(), {**CODE, "resource": f"http://h/t/{other}/mcp"}).asked
    assert asked.resource == ("http://h/t/{another trace}/mcp",)


def test_what_cannot_be_read_says_nothing() -> None:
    """Our choice: records are made of whatever comes."""
    wire = Wire()
    for body in ("", "[]", "{", "\xff", "&" * 999, "a=" + "b" * 100_000, json.dumps({"redirect_uris": 1})):
        kept = wire.oauth("register", "POST /r", body, answer=body)
        assert (kept.asked.redirect_uris, kept.answered.client_id) == ((), None)
        asked = wire.oauth("token", "POST /t", body, answer=body)
        assert (asked.asked.grant, asked.answered.token) == (None, None)
    odd = jwt(aud=[1], exp="x", scope=[2], iss=3)
    claims = token(wire, CODE, answer=json.dumps({"access_token": odd})).answered.claims
    assert claims is not None
    assert (claims.audience, claims.expires, claims.issuer, claims.scope) == ((), None, None, ())


def test_a_secret_in_a_redirect_uri_is_masked_and_still_compared() -> None:
    """Our choice: a redirect URI is kept as it is, and no secret is."""
    uri = "https://a.example/cb?token=made-up-token&x=1"
    wire = Wire()
    kept = wire.oauth("register", "POST /r", json.dumps({"redirect_uris": [uri]}), status=201)
    assert kept.asked.redirect_uris[0].startswith("https://a.example/cb?token=[13 characters, #")
    assert token(wire, {**CODE, "redirect_uri": uri}).asked.redirect_uris == kept.asked.redirect_uris


def test_what_is_kept_of_bodies_counts_against_the_room_of_a_trace() -> None:
    """Our choice: whatever is stored has a bound."""
    wire = Wire()
    wire.record("register", "POST /r", json.dumps({"client_name": "x"}))
    small = wire.size
    one = seen(
        head=head("POST /r HTTP/1.1"), trace=wire.trace, leg="register", status=201, received=5000, sent=9
    )
    wire.recorder.see(one)
    assert wire.size == small + 5009
    wire.recorder.see(
        seen(head=head("POST /r HTTP/1.1"), trace=wire.trace, leg="token", status=400, received=10**7)
    )
    assert wire.size == small + 64 * 1024


def test_lists_are_bounded() -> None:
    """Our choice: a record is a share of a trace's room."""
    many = {"redirect_uris": [f"http://a/{n}" for n in range(500)], "client_name": "x" * 5000}
    kept = Wire().oauth("register", "POST /r", json.dumps(many))
    assert len(kept.asked.redirect_uris) == 20
    assert len(msgspec.json.encode(kept)) < 3000


def test_what_was_challenged_says_what_it_was() -> None:
    """Our choice: a token is asked for before anybody looks at the message, whose revision binds the flow."""
    body = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}'
    challenge = ["WWW-Authenticate: Bearer"]
    record = Wire().record(None, "POST /t/{id}/mcp", body, status=401, lines=challenge)
    assert [(each.kind, each.method) for each in record.messages] == [("request", "initialize")]
    assert challenged(record).revision == "2025-11-25"
    record = Wire().record(
        None, "POST /t/{id}/mcp", '{"method":"notifications/x"}', status=403, lines=challenge
    )
    assert [(each.kind, each.method) for each in record.messages] == [("notification", "notifications/x")]
    record = Wire().record(None, "POST /t/{id}/mcp", body, status=400)
    assert [(each.kind, each.method) for each in record.messages] == [("unreadable", None)]
