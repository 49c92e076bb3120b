"""Stories of clients that were given a code or a token: what they make of it."""

from __future__ import annotations

from msgspec.structs import replace

from tests.watch.rules.oauth_stories import ELSEWHERE, asked
from tests.watch.rules.oauth_story import (
    ADMIN,
    BASE,
    CLAIMS,
    OTHER,
    READ,
    RESOURCE,
    TOKEN,
    OauthStory,
    story,
)
from tests.watch.rules.over_time import BEGUN, Case


def granted() -> OauthStory:
    """A client that has a token, and has used it."""
    return story().granted().use(method="initialize").use()


def refused(token: str = TOKEN, **facts: object) -> OauthStory:
    """A client whose token is refused."""
    return granted().challenge("tools/call", token=token, session="s1", **facts)


def says(**claims: object) -> OauthStory:
    """A token that says something else is refused."""
    return refused(claims=replace(CLAIMS, **claims))


def steps_up(scope: tuple[str, ...] = (*READ, *ADMIN), again: int = 1) -> OauthStory:
    """A client asks for more scope, and again."""
    told = granted()
    for number in range(again):
        request = {"state": f"d000001{number}", "code_challenge": f"{number}".ljust(43, "A")}
        told.no_scope().authorize(f"c000001{number}", scope=scope, **request)
    return told


CASES = {
    "verifier-wrong": Case(
        broken=[
            (asked().token(None, proves="A" * 43), "the code_verifier is not the one of it"),
            (asked().token(None, proves=None), "no code_verifier came with it"),
        ],
        kept=[
            asked().token(),
            asked(code_challenge_method="plain").token(proves="A" * 43),
            asked(code_challenge=None).token(proves=None),
            asked().token(None, code="c0000009", proves="A" * 43),
            # By way of a page that asks for consent.
            asked(code=None, answered={"asks": True})
            .leg("consent", {}, {"code": "c0000001", "state": "d0000001"})
            .token(),
        ],
    ),
    "consent-not-returned": Case(
        broken=[
            (asked().wait(60), "The browser was sent back with a code at 08:00:04.002"),
            (
                asked(code=None).leg("consent", {}, {"code": "c0000002", "state": "d0000001"}).wait(60),
                "and the client has not redeemed it",
            ),
        ],
        kept=[
            asked().token().wait(90),
            asked().wait(50),
            asked(code=None).wait(90),
            # A page that is loaded again makes another code for the same request.
            asked().token().authorize("c0000002").wait(90),
            asked().authorize("c0000002").token(code="c0000002").wait(90),
            asked().token(None).wait(90),
        ],
    ),
    "code-reused": Case(
        broken=[(asked().token().token(None), "A code came again 998 ms after it was redeemed")],
        kept=[
            asked().token(),
            # Nothing came of it the first time.
            asked().token(None).token(),
            asked().token().token(code="c0000002"),
            asked().token().refresh(),
        ],
    ),
    "token-never-used": Case(
        broken=[
            (
                story().granted().wait(30),
                "A token was issued at 08:00:05.002 to c-1 at 192.0.2.7, and nothing has come with it; from"
                " that address came since: nothing",
            ),
            (
                story().granted().challenge().wait(30),
                "came since: POST /t/{trace}/mcp initialize without a token (401)",
            ),
            (story().granted().use(OTHER, **ELSEWHERE).wait(30), "came since: nothing"),
        ],
        kept=[
            story().granted().use().wait(60),
            story().granted().wait(20),
            # From another address, refused, or another token of the same client.
            story().granted().use(**ELSEWHERE).wait(60),
            story().granted().challenge(token=TOKEN).wait(60),
            story().granted().token(OTHER).use(OTHER).wait(60),
            granted().refresh().wait(60),
            asked().token(None).wait(60),
        ],
    ),
    "token-not-attached": Case(
        broken=[
            (
                story().granted().challenge(),
                "initialize came without a token 998 ms after one was issued to c-1 at 192.0.2.7",
            ),
            (story().granted().use(None), "tools/call (echo) came without a token"),
        ],
        kept=[
            story().granted().use(),
            # Another client there, once the token is in use, or long after.
            story().granted().use().challenge(),
            story().granted().wait(60).challenge(),
            story().granted().challenge(**ELSEWHERE),
            story().granted().wait(-0.9).challenge(connection=9),
            story().granted().use(None, http_method="OPTIONS"),
        ],
    ),
    "token-not-on-every-request": Case(
        broken=[
            (granted().use(None).use(), "1 of 3 requests of the session lack the token: tools/call (echo)"),
            (
                granted().challenge("tools/list", session="s1").delete(),
                "2 of 4 requests of the session lack the token: tools/list and DELETE",
            ),
        ],
        kept=[
            granted().use(),
            story().ready().call(),
            story().ready().call().use(),
            granted().use(None, session="s2"),
        ],
    ),
    "token-replayed-after-401": Case(
        broken=[
            (
                refused().challenge(token=TOKEN).challenge(token=TOKEN).challenge(token=TOKEN),
                "A token was refused at 08:00:08.002 and has come 3 times since",
            ),
            (
                refused()
                .challenge(token=TOKEN)
                .challenge(token=TOKEN)
                .challenge(token=TOKEN)
                .challenge(token=TOKEN),
                "4 times since",
            ),
        ],
        kept=[
            refused().refresh().use(OTHER),
            refused().challenge(token=TOKEN).challenge(token=TOKEN),
            refused().no_scope().no_scope().no_scope(),
        ],
    ),
    "refresh-not-tried": Case(
        broken=[
            (
                refused().wait(60),
                "A token was refused at 08:00:08.002, and c-1 has not used the refresh token",
            ),
            (refused().authorize(), "has not used the refresh token that came with it"),
        ],
        kept=[
            refused().refresh().wait(90),
            refused().wait(50),
            refused().refresh(None).authorize().wait(90),
            granted().refresh(None).challenge(token=TOKEN).authorize(),
            granted().challenge(token="f0000009").wait(90),
            story().granted(refresh_token=None).use().challenge(token=TOKEN).wait(90),
        ],
    ),
    "token-expired": Case(
        broken=[(says(expires=BEGUN - 4), "The token has expired 12 s before, by the clock of this server")],
        kept=[says(), granted(), refused(), says(expires=None), granted().use(status=500)],
    ),
    "token-not-yet": Case(
        broken=[(says(not_before=BEGUN + 100), "The token counts only 92 s from now")],
        kept=[says(not_before=BEGUN), granted()],
    ),
    "token-audience": Case(
        broken=[
            (
                says(audience=(f"{RESOURCE}/",)),
                f"aud is {RESOURCE}/, this resource is {RESOURCE}; they differ in slash",
            ),
            (says(audience=("c-1", "api")), "aud is c-1 and api, this resource is"),
            (says(audience=()), "There is no aud, this resource is"),
        ],
        kept=[says(), granted(), says(audience=("x", RESOURCE))],
    ),
    "token-issuer": Case(
        broken=[
            (
                says(issuer=f"{BASE}/"),
                f"The token is of {BASE}/, the resource takes those of {BASE}; they differ in slash",
            ),
            (says(issuer=None), "The token is of no iss"),
        ],
        kept=[says(), granted(), story().challenge(token=TOKEN, claims=replace(CLAIMS, issuer="https://x"))],
    ),
    "token-signature": Case(
        broken=[
            (says(algorithm="none"), "The token has no signature (alg none)"),
            (says(algorithm="HS256"), "signed with HS256"),
            (
                refused(claims=CLAIMS, description="The signature is not that of the key."),
                "The signature was not taken (ES256): The signature is not that of the key",
            ),
        ],
        kept=[says(), granted(), refused(claims=CLAIMS, description="It has expired")],
    ),
    "token-scope": Case(
        broken=[
            (granted().no_scope(), "The request needs mcp:admin, the token has mcp:read"),
            (story().no_scope(claims=CLAIMS), "the token has mcp:read"),
        ],
        kept=[granted(), story().no_scope(), granted().no_scope(scope=None), refused()],
    ),
    "step-up-ignored": Case(
        broken=[
            (
                granted().no_scope().wait(60),
                "tools/call (echo) was refused at 08:00:08.002 for want of mcp:admin, and c-1 has not asked",
            ),
            (granted().no_scope().use().no_scope().wait(60), "c-1 has not asked for it"),
        ],
        kept=[
            steps_up().wait(90),
            granted().no_scope().wait(50),
            granted().no_scope().refresh().wait(90),
            # What another server has issued may be stepped up there.
            granted().no_scope("f0000009").wait(90),
            granted().no_scope(error="invalid_token").wait(90),
        ],
    ),
    "step-up-refreshed": Case(
        broken=[
            (
                granted().no_scope().refresh().no_scope(OTHER),
                "the token was refreshed, which gave it mcp:read, and the call was refused again",
            )
        ],
        kept=[
            steps_up(),
            granted().no_scope().refresh(answered={"scope": (*READ, *ADMIN)}).use(OTHER),
            granted().no_scope().no_scope(),
            granted()
            .no_scope()
            .refresh()
            .challenge("tools/list", token=OTHER, status=403, error="insufficient_scope"),
            granted().no_scope().authorize("c0000002").token(OTHER, code="c0000002").no_scope(OTHER),
        ],
    ),
    "step-up-drops-scope": Case(
        broken=[
            (
                steps_up(ADMIN),
                "After tools/call (echo) was refused, mcp:admin is asked for, and mcp:read given up",
            ),
        ],
        kept=[
            steps_up(),
            granted().no_scope().authorize(scope=None),
            granted().authorize(scope=ADMIN),
            granted().no_scope().wait(700).authorize(scope=ADMIN),
            story().granted(scope=(*READ, "offline_access")).no_scope().authorize(scope=(*READ, *ADMIN)),
        ],
    ),
    "step-up-loop": Case(
        broken=[(steps_up(again=4), "4 authorizations in 6.0 s have followed refusals for scope")],
        kept=[steps_up(again=3), granted().authorize().authorize().authorize().authorize()],
    ),
}
