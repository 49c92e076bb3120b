"""Stories of clients that are sent on purpose what they have to refuse: an issuer, or a resource."""

from __future__ import annotations

from tests.watch.rules.oauth_story import BASE, OauthStory, story
from tests.watch.rules.over_time import Case

WRONG = "https://other-issuer.example.com"
OTHER_SERVER = "/other-issuer"
ELSEWHERE = {"address": "198.51.100.7", "peer": "198.51.100.7", "connection": 7}


def asked(revision: str = "2026-07-28") -> OauthStory:
    """A client asks for a code, and another issuer answers."""
    told = story(revision).found().register()
    return told.authorize(answered={"issuer": WRONG}, facts={"fault": "issuer iss-wrong"})


def misled() -> OauthStory:
    """A client is sent the metadata of another resource."""
    told = story().challenge()
    answered = {"resource": f"{WRONG}/mcp", "servers": ("http://mcp.example/t/{trace}",)}
    return told.leg("resource-metadata", {}, answered, fault="metadata wrong-resource")


def read_before() -> OauthStory:
    """A client that has right metadata from another time is sent those of another resource."""
    told = story().challenge().read()
    answered = {"resource": f"{WRONG}/mcp", "servers": ()}
    return told.leg("resource-metadata", {}, answered, fault="metadata wrong-resource")


def moved(revision: str = "2026-07-28") -> OauthStory:
    """A client that is registered is sent to another authorization server."""
    told = story(revision).granted().challenge()
    return told.read(servers=(f"{BASE}{OTHER_SERVER}",), fault="metadata other-issuer")


def at_other(leg: str) -> dict[str, str]:
    """The path of a leg at that server."""
    return {"path": f"/t/{{trace}}{OTHER_SERVER}/{leg}"}


CASES = {
    "issuer-not-checked": Case(
        broken=[
            (asked().token(), f"has the iss {WRONG}, and its code was redeemed"),
            (asked("2025-11-25").token(), "and its code was redeemed 998 ms later"),
        ],
        kept=[
            asked().wait(60),
            asked().token(code="c0000009"),
            story().granted(),
            story().found().register().authorize(facts={"fault": "issuer iss-missing"}).token(),
        ],
    ),
    "resource-not-checked": Case(
        broken=[
            (misled().server().register(), f"is that of {WRONG}/mcp, and register came 2.0 s later"),
            (misled().authorize(), "and authorize came 998 ms later"),
            (misled().authorize(resource=(f"{WRONG}/mcp",), facts=ELSEWHERE), "and authorize came"),
        ],
        kept=[
            misled().wait(60),
            misled().server(),
            misled().read().register(),
            misled().register(**ELSEWHERE),
            read_before().register(),
            story().granted(),
        ],
    ),
    "credentials-carried-over": Case(
        broken=[
            (
                moved().authorize(None, facts={"status": 400, **at_other("authorize")}),
                "c-1 is one of /t/{trace}, and comes to /t/{trace}/other-issuer/authorize as the same",
            ),
            (moved("2025-11-25").token(None, facts=at_other("token")), "other-issuer/token as the same"),
            (moved().refresh(None, facts=at_other("token")), "other-issuer/token as the same"),
            (
                story()
                .found()
                .authorize(client_id="known")
                .authorize(client_id="known", facts=at_other("authorize")),
                "The client known is one of /t/{trace}, and",
            ),
        ],
        kept=[
            moved().register("c-2", **at_other("register")),
            moved()
            .register("c-2", **at_other("register"))
            .authorize(client_id="c-2", facts=at_other("authorize"))
            .token(client_id="c-2", facts=at_other("token")),
            story().found().register("c-2", **at_other("register")),
            moved().register("c-2", **ELSEWHERE, **at_other("register")),
            story()
            .found()
            .authorize(client_id="https://app.example/client.json")
            .authorize(client_id="https://app.example/client.json", facts=at_other("authorize")),
            story()
            .found()
            .authorize(None, client_id="x", facts={"status": 400, **at_other("authorize")})
            .authorize(client_id="x"),
            story().granted(),
        ],
    ),
}
