"""What is looked at on the way from a protected server to its authorization server. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from mcp_echo.check.check import Check, broken, held
from mcp_echo.check.conversation import Conversation
from mcp_echo.check.metadata import AuthorizationServer, Metadata
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.rules.pages import R2025_11_25, address, rfc
from mcp_echo.watch.rules.rule import Outcome

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint")


def challenge(seen: Conversation) -> Outcome | None:
    """Say in a 401 how to get credentials."""
    answer = seen.metadata.challenge
    if answer is None:
        return None
    found = answer.value("WWW-Authenticate")
    if found is not None and found.lower().startswith("bearer"):
        return held(answer)
    return broken(
        answer, f"401 came with WWW-Authenticate {found or 'missing'}", found or "missing", "Bearer …"
    )


def challenge_names_metadata(seen: Conversation) -> Outcome | None:
    """Name the metadata in the challenge."""
    answer = seen.metadata.challenge
    if answer is None or answer.value("WWW-Authenticate") is None:
        return None
    if seen.metadata.named is not None:
        return held(answer)
    return broken(
        answer, "The challenge has no resource_metadata", "missing", 'resource_metadata="https://…"'
    )


def resource_found(seen: Conversation) -> Outcome | None:
    """Have the metadata of the resource where clients look for it."""
    metadata = seen.metadata
    if metadata.resource is not None:
        return held(metadata.resource)
    if metadata.challenge is None:
        return None
    return broken(
        metadata.challenge, f"No resource metadata: {_tried(metadata.tried)}", _tried(metadata.tried)
    )


def resource_matches(seen: Conversation) -> Outcome | None:
    """Name the resource as clients do."""
    found = seen.metadata.document.get("resource")
    if seen.metadata.resource is None:
        return None
    if isinstance(found, str) and _is_same(found, seen.url):
        return held(seen.metadata.resource)
    if isinstance(found, str) and _covers(found, seen.url):
        return held(seen.metadata.resource)
    return broken(
        seen.metadata.resource, f"The metadata is about {found!r}, and not {seen.url}", repr(found), seen.url
    )


def servers_named(seen: Conversation) -> Outcome | None:
    """Name an authorization server."""
    if seen.metadata.resource is None:
        return None
    if seen.metadata.servers:
        return held(seen.metadata.resource)
    return broken(
        seen.metadata.resource, "The resource metadata names no authorization_servers", "none", "one or more"
    )


def server_found(seen: Conversation) -> Outcome | None:
    """Have the metadata of the authorization server where clients look for it."""
    for each in seen.metadata.servers:
        if each.answer is None and seen.metadata.resource is not None:
            said = _tried(each.tried)
            return broken(seen.metadata.resource, f"No metadata of {each.issuer}: {said}", said)
    return _first_held(seen.metadata)


def issuer_matches(seen: Conversation) -> Outcome | None:
    """Name the issuer as the resource does."""
    for each, answer in _found(seen.metadata):
        issuer = (answer.document or {}).get("issuer")
        if issuer != each.issuer:
            summary = f"The metadata is of the issuer {issuer!r}, the resource names {each.issuer}"
            return broken(answer, summary, repr(issuer), each.issuer)
    return _first_held(seen.metadata)


def pkce(seen: Conversation) -> Outcome | None:
    """Say that PKCE with S256 is supported."""
    for _, answer in _found(seen.metadata):
        methods = (answer.document or {}).get("code_challenge_methods_supported")
        if not isinstance(methods, list) or "S256" not in methods:
            return broken(
                answer, f"code_challenge_methods_supported is {methods!r}", repr(methods), "S256 in it"
            )
    return _first_held(seen.metadata)


def endpoints(seen: Conversation) -> Outcome | None:
    """Have the endpoints at addresses that clients may use."""
    for _, answer in _found(seen.metadata):
        document = answer.document or {}
        for name in _ENDPOINTS:
            value = document.get(name)
            if name in document and not _is_safe(value):
                return broken(answer, f"{name} is {value!r}", repr(value), "https, or http on this machine")
        for name in _ENDPOINTS[:2]:
            if name not in document:
                return broken(answer, f"The metadata has no {name}", "missing", name)
    return _first_held(seen.metadata)


def registration(seen: Conversation) -> Outcome | None:
    """Let a client that nobody knows in."""
    for _, answer in _found(seen.metadata):
        document = answer.document or {}
        if "registration_endpoint" not in document and not document.get(
            "client_id_metadata_document_supported"
        ):
            return broken(answer, "Clients can neither register nor name a document about them", "neither")
    return _first_held(seen.metadata)


def _found(metadata: Metadata) -> Iterator[tuple[AuthorizationServer, HttpAnswer]]:
    for each in metadata.servers:
        if each.answer is not None:
            yield each, each.answer


def _first_held(metadata: Metadata) -> Outcome | None:
    return next((held(answer) for _, answer in _found(metadata)), None)


def _tried(answers: list[HttpAnswer]) -> str:
    return (
        ", ".join(f"{each.url} answered {each.status or each.error}" for each in answers) or "nothing to ask"
    )


def _is_same(one: str, other: str) -> bool:
    return one == other or (one.rstrip("/") == other.rstrip("/") and urlsplit(other).path in ("", "/"))


def _covers(resource: str, url: str) -> bool:
    """Return whether a resource is the whole server that an address is on, which clients accept."""
    return resource.rstrip("/") == "{0.scheme}://{0.netloc}".format(urlsplit(url))


def _is_safe(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


_AUTHORIZATION = "basic/authorization"


def _mcp(heading: str) -> str:
    return address(R2025_11_25, f"{_AUTHORIZATION}#{heading}")


CHECKS: tuple[Check[Conversation], ...] = (
    Check(
        id="challenge-bearer",
        level="error",
        title="A 401 has a WWW-Authenticate of the scheme Bearer.",
        advice='Send WWW-Authenticate: Bearer resource_metadata="…" with each 401.',
        url=rfc(6750, "3"),
        judge=challenge,
        keyword="MUST",
    ),
    Check(
        id="challenge-names-metadata",
        level="warning",
        title="The challenge names the metadata of the resource.",
        advice="Add resource_metadata: older clients look nowhere else.",
        url=rfc(9728, "5.1"),
        judge=challenge_names_metadata,
        keyword="SHOULD",
    ),
    Check(
        id="resource-metadata-found",
        level="error",
        title="The metadata of the resource is where clients look for it.",
        advice="Serve it at /.well-known/oauth-protected-resource, followed by the path of the endpoint.",
        url=rfc(9728, "3.1"),
        judge=resource_found,
        keyword="MUST",
    ),
    Check(
        id="resource-matches",
        level="error",
        title="The metadata is about the address that clients use.",
        advice="Set resource to the address of the endpoint, character by character.",
        url=rfc(9728, "3.3"),
        judge=resource_matches,
        keyword="MUST",
    ),
    Check(
        id="authorization-servers-named",
        level="error",
        title="The metadata of the resource names an authorization server.",
        advice="Add authorization_servers with the issuer's URL.",
        url=_mcp("authorization-server-location"),
        judge=servers_named,
        keyword="MUST",
    ),
    Check(
        id="server-metadata-found",
        level="error",
        title="The metadata of the authorization server is where clients look for it.",
        advice="Serve it at /.well-known/oauth-authorization-server, followed by the path of the issuer.",
        url=rfc(8414, "3.1"),
        judge=server_found,
        keyword="MUST",
    ),
    Check(
        id="issuer-matches",
        level="error",
        title="The metadata is of the issuer that the resource names.",
        advice="Write the issuer the same way in both documents; a slash at the end counts.",
        url=rfc(8414, "3.3"),
        judge=issuer_matches,
        keyword="MUST",
    ),
    Check(
        id="pkce-supported",
        level="error",
        title="The authorization server says that it supports PKCE with S256.",
        advice='Add code_challenge_methods_supported: ["S256"]: clients must refuse to go on without it.',
        url=_mcp("authorization-code-protection"),
        judge=pkce,
        keyword="MUST",
    ),
    Check(
        id="endpoints-safe",
        level="error",
        title="The endpoints are there, and have https addresses.",
        advice="Serve them by https; http is for this machine alone.",
        url=_mcp("communication-security"),
        judge=endpoints,
        keyword="MUST",
    ),
    Check(
        id="registration-possible",
        level="info",
        title="A client that nobody has registered can register, or name a document about itself.",
        advice="Without that each client must be registered by hand.",
        url=_mcp("client-registration-approaches"),
        judge=registration,
        keyword="SHOULD",
    ),
)
