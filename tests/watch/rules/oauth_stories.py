"""Stories of clients that are challenged: how they find the server, register, and ask for a code."""

from __future__ import annotations

from typing import Any

from tests.watch.rules.building import MODERN
from tests.watch.rules.oauth_story import (
    ADMIN,
    BASE,
    CALLBACK,
    METADATA,
    OTHER,
    READ,
    RESOURCE,
    STATE,
    URL,
    OauthStory,
    story,
)
from tests.watch.rules.over_time import Case

ROOT = "/.well-known/oauth-protected-resource"
GUESS: dict[str, Any] = {"status": 404, "http_method": "POST", "path": "/t/{trace}/register", "era": None}
ELSEWHERE: dict[str, Any] = {"address": "192.0.2.8", "connection": 9}
LOST: dict[str, Any] = {"status": 404, "http_method": "GET", "era": None}


def misdirected(before: OauthStory, path: str, **facts: Any) -> OauthStory:
    """Something is asked for where there is nothing."""
    before.post(None, None, **{**LOST, "path": path, **facts})
    return before


def asked(*, state: str | None = STATE, **changes: Any) -> OauthStory:
    """A client that asks for a code."""
    return story().found().register().authorize(state=state, **changes)


CASES = {
    "metadata-never-read": Case(
        broken=[
            (story().challenge().wait(30), "initialize was answered 401 at 08:00:00.002, and no metadata"),
            (story(MODERN).challenge("server/discover").wait(30), "server/discover was answered 401"),
            (story().challenge().challenge().challenge().wait(30), "initialize was answered 401"),
            # It registers where it guesses that it may.
            (story().challenge().register(), "no metadata was asked for since"),
            # It comes too late.
            (story().challenge().wait(40).read(), "no metadata was asked for since"),
        ],
        kept=[
            story().challenge().read().wait(60),
            story().challenge().wait(20),
            story().challenge().read(**ELSEWHERE).wait(60),
            misdirected(story().challenge(), f"{ROOT}/wrong").wait(60),
            # It knows the way already, has a token, or is told nothing that binds it.
            story().read().challenge().wait(60),
            story().challenge().authorize().wait(60),
            story().challenge().use().wait(60),
            story().challenge(token=OTHER).wait(60),
            story("2025-03-26").challenge().wait(60),
            story()
            .challenge(
                None,
                http_method="GET",
                headers={"MCP-Protocol-Version": None},
                revision="2025-11-25",
                client=None,
            )
            .wait(20),
        ],
    ),
    "metadata-url-ignored": Case(
        broken=[
            (misdirected(story().challenge(), ROOT), f"The challenge named {URL}, and {ROOT} was asked for"),
            (story().challenge().read(path=ROOT), f"{ROOT} was asked for"),
        ],
        kept=[
            story().challenge().read(),
            # Behind a proxy that takes a prefix away.
            story().challenge(url=f"http://mcp.example/apps{METADATA}").read(),
            misdirected(story().challenge().read(), ROOT),
            misdirected(story(), ROOT).challenge().read(),
            misdirected(story().challenge(), ROOT, **ELSEWHERE),
            misdirected(story().challenge().wait(-0.9), ROOT, connection=9),
            misdirected(story().challenge(url=None), ROOT),
            misdirected(story("2025-06-18").challenge(), ROOT),
        ],
    ),
    "metadata-order": Case(
        broken=[
            (misdirected(story().challenge(url=None), ROOT), f"{ROOT} was asked for before the place"),
            (story().challenge(url=None).read(path=f"{ROOT}/"), "was asked for before"),
        ],
        kept=[
            misdirected(story().challenge(url=None), f"{ROOT}/mcp"),
            misdirected(story().challenge(url=None).read(), ROOT),
            misdirected(story(), ROOT),
        ],
    ),
    "as-metadata-never-read": Case(
        broken=[(story().challenge().read().wait(30), f"and that of {BASE} was not asked for since")],
        kept=[
            story().challenge().read().server().wait(60),
            story().challenge().read().wait(20),
            misdirected(story().challenge().read(), "/t/{trace}/.well-known/openid-configuration").wait(60),
            # What it asks another server for is not seen.
            story().challenge().read(servers=("https://login.example",)).wait(60),
            story().challenge().server().read().wait(60),
            story().challenge().read().authorize().wait(60),
            story().challenge().read(status=404).wait(60),
        ],
    ),
    "as-guessed": Case(
        broken=[
            (
                misdirected(story().challenge().read(servers=("https://a.example",)), **GUESS),
                "POST /t/{trace}/register was asked for, which no metadata names: the authorization server is"
                " https://a.example",
            ),
            (misdirected(story().challenge(), **GUESS), "which no metadata names"),
        ],
        kept=[
            story().found().register(),
            misdirected(story(), **GUESS),
            misdirected(story("2025-03-26").challenge(), **GUESS),
            misdirected(story().challenge(), "/t/{trace}/wrong"),
        ],
    ),
    "registration-kind": Case(
        broken=[
            (asked(), "The client c-1 has registered itself"),
            (
                story().challenge().server(takes_documents=True).register().authorize(),
                "takes client id metadata",
            ),
        ],
        kept=[
            story().found().authorize(client_id="before"),
            story().found().authorize(client_id="https://app.example/client.json"),
            story().found().register(),
        ],
    ),
    "registration-repeated": Case(
        broken=[(story().register().register("c-2"), "example has registered 2 times in 1.0 s")],
        kept=[
            asked(),
            story().register().wait(600).register("c-2"),
            story().register(None).register(),
            story().register().register("c-2", **ELSEWHERE),
            story().register().register("c-2", path="/t/{trace}/other-issuer/register"),
            story().register().token(None, {"error": "invalid_client"}).register("c-2"),
        ],
    ),
    "application-type-missing": Case(
        broken=[
            (
                story(MODERN).challenge("server/discover").register(application_type=None),
                "The registration has no application_type",
            )
        ],
        kept=[
            story(MODERN).challenge("server/discover").register(),
            story().found().register(application_type=None),
            story(MODERN).challenge("server/discover").read().authorize(),
        ],
    ),
    "redirect-uri-differs": Case(
        broken=[
            (
                asked(redirect_uris=("http://127.0.0.1:9/other",)),
                f"redirect_uri is http://127.0.0.1:9/other at authorize, and {CALLBACK} was registered",
            ),
            (asked(redirect_uris=("https://evil.example/cb",)), "redirect_uri is https://evil.example/cb"),
            (
                asked().token(redirect_uris=("http://127.0.0.1:8/cb",)),
                f"redirect_uri is http://127.0.0.1:8/cb at token, and {CALLBACK} was asked for before",
            ),
        ],
        kept=[
            asked(),
            asked(redirect_uris=("http://127.0.0.1:54321/cb",)),
            asked(redirect_uris=()).token(redirect_uris=()),
            story().found().authorize(client_id="before", redirect_uris=("https://a.example/cb",)),
        ],
    ),
    "client-authentication-differs": Case(
        broken=[
            (
                asked().token(authentication="client_secret_basic"),
                "The client registered none and authenticates with client_secret_basic",
            ),
            (
                story().found().register(authentication="client_secret_basic").token(),
                "The client registered client_secret_basic and authenticates with none",
            ),
        ],
        kept=[
            asked().token(),
            story().found().register(authentication=None).token(authentication="client_secret_post"),
            story().found().register(authentication="other").token(),
            story().found().token(client_id="before", authentication="client_secret_post"),
        ],
    ),
    "pkce-missing": Case(
        broken=[
            (asked(code_challenge=None, code_challenge_method=None), "has no code_challenge"),
            (asked(code_challenge_method="plain"), "has the code_challenge_method plain"),
            (asked(code_challenge_method=None), "plain, which is what is meant without one"),
        ],
        kept=[asked(), story().found().register()],
    ),
    "state-missing": Case(
        broken=[(asked(state=None), "The authorization request has no state")],
        kept=[asked(), story().found().register()],
    ),
    "resource-missing": Case(
        broken=[
            (asked(resource=()), "resource is missing at authorize"),
            (asked().token(resource=()), "resource is missing at token (authorization_code)"),
            (asked().token().refresh(resource=()), "resource is missing at token (refresh_token)"),
        ],
        kept=[
            asked().token().refresh(),
            asked().token(grant="client_credentials", resource=()),
            story("2025-03-26").challenge().authorize(resource=()).token(resource=()),
            # Nobody was challenged, so that nobody knows which revision binds.
            story().authorize(resource=()),
        ],
    ),
    "resource-differs": Case(
        broken=[
            (
                asked(resource=(f"{RESOURCE}/",)),
                f"resource is {RESOURCE}/ at authorize, the metadata says {RESOURCE}; they differ in slash",
            ),
            (asked(resource=(BASE,)), "they differ in path"),
            (
                asked().token(resource=("https://MCP.example/mcp",)),
                "they differ in scheme, case, port and path",
            ),
            (story().challenge().authorize(resource=("http://mcp.example",)), "they differ in path"),
        ],
        kept=[
            asked().token(),
            asked(resource=("https://api.example", RESOURCE)),
            asked(resource=()),
            story().challenge(url=None).authorize(resource=("http://mcp.example",)),
        ],
    ),
    "scope-not-from-challenge": Case(
        broken=[
            (
                asked(scope=("profile",)),
                "The challenge asked for mcp:read, and profile was requested",
            ),
            (asked(scope=None), "and no scope was requested"),
            (
                story().found().register().authorize(scope=("a",), facts=ELSEWHERE),
                "The challenge asked for mcp:read, and a was requested",
            ),
        ],
        kept=[
            asked(),
            asked(scope=("mcp:read", "offline_access")),
            story().challenge(scope=None).register().authorize(scope=("profile",)),
            story().found().register().authorize().token().use().no_scope().authorize(scope=(*READ, *ADMIN)),
            story("2025-06-18").challenge().register().authorize(scope=("profile",)),
        ],
    ),
}
