"""What HTTP and OAuth ask of the credentials of a request. No I/O."""

from __future__ import annotations

from mcp_echo.watch.records import AuthorizationForm, ExchangeRecord
from mcp_echo.watch.rules.facts import broken, held, is_mcp
from mcp_echo.watch.rules.pages import R2026_07_28, SESSIONS, pages, rfc
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

_CREDENTIALS = frozenset({"access_token", "token", "api_key", "api-key", "apikey", "jwt"})


def token_in_query(x: ExchangeRecord) -> Outcome | None:
    """Keep credentials out of the URL."""
    if not is_mcp(x):
        return None
    name = next((name for name, text in x.query if name.lower() in _CREDENTIALS and text), None)
    if name is None:
        return held(x)
    return broken(
        x,
        f"The URL has the credential {name}, and so may each log on the way",
        f"query:{name}",
        found=f"{name} in the query",
        wanted="the header Authorization",
    )


_AUTHORIZATION: dict[AuthorizationForm, str] = {
    "empty": "has no value",
    "no-credential": "is one word, and no scheme with a credential",
    "undefined": "has a scheme, and where its credential belongs the name of a value that was not there",
    "doubled": "names its scheme twice",
    "quoted": "is in quotation marks",
    "malformed": "breaks the grammar of credentials",
}


def authorization_malformed(x: ExchangeRecord) -> Outcome | None:
    """Send credentials as their grammar has them."""
    if x.authorization == "none":
        return None
    if x.authorization == "well-formed":
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"Authorization {_AUTHORIZATION[x.authorization]}: that is not a credential",
        subject=x.line_of("Authorization"),
        found=x.authorization,
        wanted="a scheme, one blank and the credential: Bearer eyJ…",
    )


ROWS = (
    Rule(
        id="token-in-query",
        level="error",
        keyword="MUST NOT",
        title="Credentials are not in the URL.",
        advice="Send the credential in Authorization, take it out of the URL, and replace it: it may be in "
        "the logs of whatever passed it on.",
        pages=pages("basic/authorization#token-requirements", *SESSIONS, R2026_07_28),
        check=token_in_query,
    ),
    Rule(
        id="authorization-malformed",
        level="error",
        title="Authorization has a scheme and a credential.",
        advice="Send Authorization: Bearer, one blank and the token, with nothing around it. Look at where "
        "the token is put in: a variable may be empty, or the scheme may be in it already.",
        url=rfc(9110, "11.6.2"),
        check=authorization_malformed,
    ),
)
