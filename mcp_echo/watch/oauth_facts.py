"""What rules want to know of the exchanges of OAuth: queries, forms, JSON and header fields, masked. No I/O.

Whatever cannot be read says nothing: what is wrong with it is told by what it was answered with.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from mcp_echo.auth import jwt
from mcp_echo.redaction import split_credentials
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.oauth_records import (
    ClientAuthentication,
    OauthAnswered,
    OauthAsked,
    OauthRecord,
    TokenCheck,
    TokenClaims,
    TokenRecord,
)
from mcp_echo.watch.seen import Head, Leg

MOST_READ = 64 * 1024
"""Bytes of a query or a body that is read."""

MOST_VALUES = 20
"""Values of one kind that are kept: redirect URIs, words of a scope, audiences."""

_MOST_FIELDS = 100
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"?')
_PLAIN = re.compile(r"[^,]*+")
_BEARER = re.compile(r"(?:^|[,\s])(?:Bearer|DPoP)\s", re.IGNORECASE)
_USUAL = frozenset(get_args(ClientAuthentication))

_PUBLIC_CHECKS = frozenset({"issuer", "audience", "scope"})

Fields = Mapping[str, list[str]]


class OauthFacts:
    """Reads the exchanges of one trace.

    Args:
        masker: Hides what nobody may read.
        trace_id: The id of the trace, which is shown as ``{trace}``.
    """

    def __init__(self, masker: Masker, trace_id: str) -> None:
        self._masker = masker
        self._trace = trace_id

    # Requests.

    def asked(self, leg: Leg, head: Head, body: bytes) -> OauthAsked:
        """Return what a request of a leg says.

        Args:
            leg: Which one; see `mcp_echo.watch.seen.Seen.leg`.
            head: Its head.
            body: Its body.
        """
        if leg == "register":
            return self._registration(_object(body))
        fields = _fields(body if head.method == b"POST" else head.query)
        basic = _basic(head) if leg != "authorize" else None
        verifier, token = _first(fields, "code_verifier"), _first(fields, "token")
        client_id = _first(fields, "client_id") or basic
        return OauthAsked(
            client_id=self._public(client_id),
            redirect_uris=self._publics(fields.get("redirect_uri", [])),
            resource=self._publics(fields.get("resource", [])),
            scope=self._words(_first(fields, "scope")),
            grant=self._public(_first(fields, "grant_type")),
            state=self._secret(_first(fields, "state")),
            code=self._secret(_first(fields, "code")),
            code_challenge=self._public(_first(fields, "code_challenge")),
            code_challenge_method=self._public(_first(fields, "code_challenge_method")),
            proves=None if verifier is None else s256(verifier),
            refresh_token=self._secret(_first(fields, "refresh_token")),
            token=self._secret(token),
            claims=self._claims(token),
            authentication=_authentication(fields, basic) if leg == "token" else None,
        )

    def _registration(self, said: dict[str, Any]) -> OauthAsked:
        names = [said[key] for key in ("client_name", "software_id") if isinstance(said.get(key), str)]
        return OauthAsked(
            redirect_uris=self._publics(_texts(said.get("redirect_uris"))),
            scope=self._words(said.get("scope")),
            authentication=_method(said.get("token_endpoint_auth_method")),
            software=self._masker.name(" ".join(names)) if names else None,
            application_type=self._public(said.get("application_type")),
        )

    # Answers.

    def answered(self, leg: Leg, status: int, lines: Iterable[bytes], body: bytes) -> OauthAnswered:
        """Return what the answer to a request of a leg says.

        Args:
            leg: Which one.
            status: The HTTP status.
            lines: Header lines.
            body: The body.
        """
        if leg in ("authorize", "consent"):
            return self._authorization(status, _header(lines, b"location"))
        said = _object(body)
        if status >= 400:
            return OauthAnswered(
                error=self._public(said.get("error")), description=self._text(said.get("error_description"))
            )
        if leg == "token":
            return self._issued(said)
        if leg == "register":
            return OauthAnswered(
                client_id=self._public(said.get("client_id")),
                redirect_uris=self._publics(_texts(said.get("redirect_uris"))),
                authentication=_method(said.get("token_endpoint_auth_method")),
            )
        return self._metadata(leg, said)

    def _authorization(self, status: int, location: str | None) -> OauthAnswered:
        if location is None:
            return OauthAnswered(asks=status == 200)
        there, _, query = location.partition("?")
        fields = _fields(query.encode("latin-1", "replace"))
        return OauthAnswered(
            redirect_uris=self._publics([there]),
            code=self._secret(_first(fields, "code")),
            state=self._secret(_first(fields, "state")),
            issuer=self._public(_first(fields, "iss")),
            error=self._public(_first(fields, "error")),
            description=self._text(_first(fields, "error_description")),
        )

    def _issued(self, said: dict[str, Any]) -> OauthAnswered:
        lasts = said.get("expires_in")
        return OauthAnswered(
            token=self._secret(said.get("access_token")),
            claims=self._claims(said.get("access_token")),
            refresh_token=self._secret(said.get("refresh_token")),
            scope=self._words(said.get("scope")),
            seconds=float(lasts) if isinstance(lasts, int | float) else None,
        )

    def _metadata(self, leg: Leg, said: dict[str, Any]) -> OauthAnswered:
        if leg == "resource-metadata":
            scopes = _texts(said.get("scopes_supported"))
            return OauthAnswered(
                resource=self._public(said.get("resource")),
                servers=self._publics(_texts(said.get("authorization_servers"))),
                scope=self._publics(scopes) if scopes else None,
            )
        if leg == "server-metadata":
            return OauthAnswered(
                issuer=self._public(said.get("issuer")),
                takes_documents=said.get("client_id_metadata_document_supported") is True,
            )
        return OauthAnswered()

    # Tokens.

    def token(self, checks: Iterable[Any], *, taken: bool) -> TokenRecord:
        """Return what became of an access token.

        Args:
            checks: What was looked at; see `mcp_echo.watch.seen.Seen.checks`.
            taken: Whether it is good.
        """
        return TokenRecord(taken=taken, checks=tuple(map(self._check, checks)))

    def _check(self, check: Any) -> TokenCheck:
        # Whom a token is of and for, and its scope, is public wherever else it is kept.
        shown = self._public if check.name in _PUBLIC_CHECKS else self._text
        return TokenCheck(
            name=check.name,
            held=check.held,
            found=shown(check.found),
            wanted=shown(check.wanted),
            differs_in=tuple(check.differs_in),
            note=self._text(check.note),
        )

    # Challenges.

    def challenge(self, head: Head, status: int | None, lines: Iterable[bytes]) -> OauthRecord | None:
        """Return what a request to the MCP endpoint was challenged with; None where it was not.

        RFC 6750 section 3, RFC 9728 section 5.1.
        """
        header = _header(lines, b"www-authenticate") if status in (401, 403) else None
        begins = None if header is None else _BEARER.search(header)
        if header is None or begins is None:
            return None
        said = _parameters(header[begins.end() :])
        token = _token(head)
        return OauthRecord(
            leg="challenge",
            asked=OauthAsked(token=self._secret(token), claims=self._claims(token)),
            answered=OauthAnswered(
                error=self._public(said.get("error")),
                description=self._text(said.get("error_description")),
                scope=self._words(said.get("scope")),
                resource_metadata=self._public(said.get("resource_metadata")),
            ),
        )

    # Values.

    def _claims(self, token: Any) -> TokenClaims | None:
        if not isinstance(token, str) or token.count(".") < 2:
            return None
        try:
            read = jwt.read(token)
        except jwt.NotAToken:
            return None
        said = read.payload or {}
        audience = said.get("aud")
        scope = said.get("scope", said.get("scp"))
        return TokenClaims(
            algorithm=self._public(read.header.get("alg")),
            issuer=self._public(said.get("iss")),
            audience=self._publics([audience] if isinstance(audience, str) else _texts(audience)),
            scope=self._publics(_texts(scope)) if isinstance(scope, list) else self._words(scope),
            expires=read.expires,
            not_before=read.not_before,
        )

    def _public(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        return self._masker.public(value.replace(self._trace, "{trace}"))

    def _publics(self, values: Iterable[str]) -> tuple[str, ...]:
        return tuple(self._public(value) or "" for value in list(values)[:MOST_VALUES])

    def _words(self, value: Any) -> tuple[str, ...] | None:
        return self._publics(value.split()) if isinstance(value, str) else None

    def _text(self, value: Any) -> str | None:
        return self._masker.text(value.replace(self._trace, "{trace}")) if isinstance(value, str) else None

    def _secret(self, value: Any) -> str | None:
        return self._masker.secret(value) if isinstance(value, str) else None


def size_of(token: TokenRecord) -> int:
    """Return how many characters there are in what became of a token."""
    texts = ((each.name, each.found, each.wanted, each.note) for each in token.checks)
    return sum(len(text or "") for each in texts for text in each)


def s256(verifier: str) -> str:
    """Return the code challenge that a verifier fits (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _fields(text: bytes) -> Fields:
    """Return the parameters of a query or a form, as far as they are read."""
    found: dict[str, list[str]] = {}
    if len(text) <= MOST_READ and text.count(b"&") < _MOST_FIELDS:
        for name, value in parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True):
            found.setdefault(name, []).append(value)
    return found


def _first(fields: Fields, name: str) -> str | None:
    return next(iter(fields.get(name, [])), None) or None


def _object(body: bytes) -> dict[str, Any]:
    if not body or len(body) > MOST_READ:
        return {}
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _header(lines: Iterable[bytes], name: bytes) -> str | None:
    """Return the value of the first header line of a name, in lower case."""
    for line in lines:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return None


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters of a challenge, the first of each name (RFC 9110 section 11.2)."""
    found: dict[str, str] = {}
    while "=" in text and len(found) < MOST_VALUES:
        names, _, text = text.partition("=")
        text = text.lstrip(" ")
        quoted = _QUOTED.match(text)
        taken = quoted or _PLAIN.match(text)
        value = "" if taken is None else taken[0].strip() if quoted is None else quoted[1]
        text = "" if taken is None else text[taken.end() :]
        found.setdefault(names.strip(" ,").rpartition(" ")[2].lower(), re.sub(r"\\(.)", r"\1", value))
    return found


def _credentials(head: Head) -> tuple[str, str]:
    """Return the scheme of ``Authorization``, in lower case, and what comes behind it."""
    scheme, rest = split_credentials(next(iter(head.values(b"authorization")), ""))
    return (scheme or "").lower(), rest


def _token(head: Head) -> str | None:
    scheme, rest = _credentials(head)
    return rest if scheme in ("bearer", "dpop") and rest else None


def _basic(head: Head) -> str | None:
    """Return the client that authenticates with ``Basic`` (RFC 6749 section 2.3.1); None for no such."""
    scheme, rest = _credentials(head)
    if scheme != "basic":
        return None
    try:
        return unquote_plus(b64decode(rest, validate=True).decode("utf-8", "replace").partition(":")[0])
    except (NotBase64, ValueError):
        return ""


def _authentication(fields: Fields, basic: str | None) -> ClientAuthentication:
    if basic is not None:
        return "client_secret_basic"
    if _first(fields, "client_assertion") is not None:
        return "private_key_jwt"
    return "none" if _first(fields, "client_secret") is None else "client_secret_post"


def _method(value: Any) -> ClientAuthentication | None:
    if not isinstance(value, str):
        return None
    return value if value in _USUAL else "other"  # type: ignore[return-value]  # it is one of these
