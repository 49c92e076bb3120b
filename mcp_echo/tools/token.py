"""tokenExplain: why a token is taken here, or is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.auth.identity_headers import row_of
from mcp_echo.auth.token_search import FoundToken, in_argument, in_request
from mcp_echo.http.urls import server_url
from mcp_echo.oauth.proof import ProvenRequest, judge_proof
from mcp_echo.oauth.verify import Check, Expected, Explained, NoKeys, judge
from mcp_echo.redaction import mask_tokens, printable
from mcp_echo.redaction.prefixes import prefix_of
from mcp_echo.tools.base import Answer, Call, Tool
from mcp_echo.tools.traces import named_trace
from mcp_echo.watch.traces import Trace

_MARKS = {True: "✅", False: "❌", None: "❔"}


class TokenExplainArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What tokenExplain takes."""

    token: Annotated[str | None, Meta(description="Token; else the request's.")] = None
    trace: Annotated[str | None, Meta(description="Else this address's.")] = None


class TokenExplainResult(msgspec.Struct, rename="camel"):
    """What tokenExplain answers."""

    source: str
    hop: str | None
    """Who has put it there, where the header tells."""
    kind: str
    """``JWT``, ``none``, what an opaque token is by its prefix, or else ``opaque``."""
    taken: bool
    """Whether everything holds that has to, scopes aside."""
    verdict: str
    resource: str
    """What it has to be for."""
    checks: list[Check]


async def token_explain(call: Call, arguments: TokenExplainArguments) -> Answer:
    """Say of each thing that has to be true of a token whether it is.

    Raises:
        ToolError: There is no such trace.
    """
    found = in_request(call.headers) if arguments.token is None else in_argument(arguments.token)
    trace = await _trace_of(call, arguments.trace)
    token = found.token or ""
    explained = await _explained(call, token, trace)
    claims = explained.judged.claims
    checks = [Check("around", False, note=each) for each in found.problems]
    checks += explained.judged.checks if token else ()
    if arguments.token is None:
        checks += _of_proof(call, token or None, claims)
    failed = None if not token else explained.judged.failed
    kind = _kind(token, claims)
    result = TokenExplainResult(
        source=found.source,
        hop=_hop(found),
        kind=kind,
        taken=bool(token) and failed is None,
        verdict=_verdict(kind, failed),
        resource=explained.resource,
        checks=[_masked(each) for each in checks],
    )
    return Answer(_text(result), result)


async def _trace_of(call: Call, named: str | None) -> Trace | None:
    if named is not None:
        return await named_trace(call, named)
    trace: Trace | None = call.request.seen.trace
    return trace


async def _explained(call: Call, token: str, trace: Trace | None) -> Explained:
    host, secure = call.headers.get("Host"), call.request.is_secure
    tokens = call.context.tokens
    if tokens is not None:
        return await tokens.explained(token, trace, host, secure=secure)
    resource = f"{server_url(call.context.settings.public_url, host, secure=secure)}/mcp"
    expected = Expected((), resource, (), _no_keys, lambda _: None, call.context.wall())
    return Explained(judge(token, expected), resource)


def _no_keys(issuer: str) -> Any:
    raise NoKeys(f"the keys of {issuer} are not fetched where nothing is recorded")


def _of_proof(call: Call, token: str | None, claims: Mapping[str, Any]) -> list[Check]:
    """Return what a DPoP proof says that came with the call."""
    proof = call.headers.get("DPoP")
    if proof is None:
        return []
    scheme = "https" if call.request.is_secure else "http"
    head = call.request.seen.head
    path = "" if head is None else head.path.decode("latin-1")
    url = f"{scheme}://{call.headers.get('Host') or 'localhost'}{path}"
    return judge_proof(proof, ProvenRequest(call.http_method, url, token, claims, call.context.wall()))


def _hop(found: FoundToken) -> str | None:
    """Return who sets the header that a token came in."""
    if found.source == "Authorization header":
        return "the client, or a gateway that sets Authorization"
    row = row_of(found.source.removesuffix(" header"))
    return None if row is None else row.hop


def _masked(check: Check) -> Check:
    """Return a check without tokens in what it quotes."""
    texts = {name: getattr(check, name) for name in ("found", "wanted", "note")}
    shown = {name: None if text is None else printable(mask_tokens(text)) for name, text in texts.items()}
    return msgspec.structs.replace(check, **shown)


def _kind(token: str, claims: Mapping[str, Any]) -> str:
    if not token:
        return "none"
    if claims:
        return "JWT"
    prefix = prefix_of(token)
    return "opaque" if prefix is None else prefix.kind


def _verdict(kind: str, failed: Check | None) -> str:
    if kind == "none":
        return "There is no token"
    if kind != "JWT":
        return f"It is no JWT ({kind}): only its issuer can say what it is worth"
    if failed is None:
        return "It is good here"
    if failed.held is None:
        return f"Nobody can tell here: {failed.note}"
    return f"It is not taken: {failed.name}"


def _text(result: TokenExplainResult) -> str:
    lines = [
        "🔎 Token Explained",
        "",
        f"- Source: {result.source}{f' ({result.hop})' if result.hop else ''}",
        f"- For: {result.resource}",
        f"- Kind: {result.kind}",
        "",
        *map(_line, result.checks),
        "",
        f"Verdict: {_MARKS[result.taken]} {result.verdict}",
    ]
    return printable("\n".join(lines))


def _line(check: Check) -> str:
    said = [] if check.found is None else [f"found {check.found}"]
    if check.wanted is not None and check.held is not True:
        said.append(f"wanted {check.wanted}")
    if check.differs_in:
        said.append(f"differs in {', '.join(check.differs_in)}")
    if check.note is not None:
        said.append(check.note)
    return f"- {_MARKS[check.held]} {check.name}{': ' if said else ''}{'; '.join(said)}"


TOKEN_EXPLAIN = Tool(
    name="tokenExplain",
    title="Explain token",
    description="Return what is right and wrong in a token. Call it when one is refused.",
    arguments=TokenExplainArguments,
    result=TokenExplainResult,
    run=token_explain,
)
