"""Every known kind of credential, made around a secret, and the ways it is wrapped when it is passed on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from mcp_echo.redaction.prefixes import PREFIXES


class Credential(NamedTuple):
    """A credential as it is sent, and what of it must not be seen."""

    text: str
    secrets: tuple[str, ...]


def plain(text: str) -> str:
    """Return text in standard base64, padded."""
    return base64.b64encode(text.encode()).decode()


def url_safe(text: str) -> str:
    """Return text in base64url without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def padded(text: str) -> str:
    """Return text in base64url with padding."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def jws(secret: str, encode: Callable[[str], str] = url_safe, header: str = '{"alg":"ES256"}') -> Credential:
    """Return a signed token; a secret is in its claims and in its signature."""
    claims, signature = encode(json.dumps({"sub": secret})), encode(f"{secret}-signature")
    return Credential(f"{encode(header)}.{claims}.{signature}", (claims, signature.rstrip("=")))


def jwe(secret: str) -> Credential:
    """Return an encrypted token."""
    rest = [url_safe(f"{secret}{part}") for part in range(4)]
    return Credential(".".join([url_safe('{"alg":"RSA-OAEP","enc":"A256GCM"}'), *rest]), tuple(rest))


def hidden(form: str) -> Callable[[str], Credential]:
    """Return what makes a credential of a form that has the secret in it as it is."""
    return lambda secret: Credential(form.replace("{}", secret), (secret,))


def encoded(form: str, encode: Callable[[str], str] = plain) -> Callable[[str], Credential]:
    """Return what makes a credential of a form that is encoded."""

    def make(secret: str) -> Credential:
        text = encode(form.replace("{}", secret))
        return Credential(text, (secret, text.rstrip("=")))

    return make


def _prefixed(prefix: str, shortest: int) -> Callable[[str], Credential]:
    def make(secret: str) -> Credential:
        text = prefix + (secret * (shortest // len(secret) + 1))
        return Credential(text, (text, secret))

    return make


AWS = "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F20260101&X-Amz-Signature={}"
CREDENTIALS: dict[str, Callable[[str], Credential]] = {
    "JWS": jws,
    "JWS with padding": lambda secret: jws(secret, padded),
    "JWS in standard base64": lambda secret: jws(f"{secret}??>>", plain),
    "JWS with blanks in its header": lambda secret: jws(secret, header='{ "alg": "ES256" }'),
    "JWS with lines in its header": lambda secret: jws(secret, header='{\n  "alg": "ES256"\n}'),
    "JWS that is cut": lambda secret: jws(secret)._replace(text=jws(secret).text.rpartition(".")[0]),
    "JWE": jwe,
    "bearer": hidden("Bearer {}"),
    "bearer, doubled": hidden("Bearer Bearer {}"),
    "basic": lambda secret: Credential(f"Basic {plain(f'user:{secret}')}", (plain(f"user:{secret}"),)),
    "DPoP proof": lambda secret: Credential(f"DPoP {jws(secret).text}", jws(secret).secrets),
    "AWS signature 4": hidden("AWS4-HMAC-SHA256 Credential={}/20260101, SignedHeaders=host, Signature={}"),
    "PASETO, local": encoded("{}{}{}{}", lambda text: f"v4.local.{url_safe(text)}"),
    "PASETO, public": encoded("{}{}{}{}", lambda text: f"v2.public.{url_safe(text)}"),
    "SAML": encoded('<samlp:Response xmlns:samlp="urn"><a>{}</a></samlp:Response>'),
    "SAML with a declaration": encoded('<?xml version="1.0"?><Assertion>{}</Assertion>'),
    "SAML in a form": encoded("<R>{}</R>", lambda text: f"SAMLResponse={quote(plain(text))}&RelayState=x"),
    "cookie": hidden("sessionid={}; theme=dark; csrftoken={}"),
    "URL signed for S3": hidden(AWS),
    "URL signed for Google": hidden("https://storage.googleapis.com/b/k?X-Goog-Signature={}&X-Goog-Expires=60"),
    "URL signed for Azure": hidden("https://a.blob.core.windows.net/c?sv=2024-11-04&se=2026&sig={}%3D"),
    "URL signed for CloudFront": hidden("https://d.cloudfront.net/k?Expires=1&Signature={}&Key-Pair-Id=K1"),
    "URL with a user": hidden("https://user:{}@host.example/path"),
    "URL of a database": hidden("postgres://app:{}@db.internal:5432/app"),
    "URL with a code": hidden("https://app.example/callback?state=1&code={}"),
    "URL with a token in its fragment": hidden("https://app.example/#access_token={}&token_type=bearer"),
    "URL in a URL": encoded("/cb?token={}", lambda text: f"/login?next={quote(text, safe='')}"),
    "form": hidden("grant_type=client_credentials&client_id=a&client_secret={}"),
    "form with a password": hidden("username=a&password={}"),
    "connection string": hidden("AccountName=a;AccountKey={}==;EndpointSuffix=core.windows.net"),
    "JSON": hidden('{"user":"a","password":"{}"}'),
    "JSON with blanks": hidden('{ "user": "a", "api_key": "two words {}" }'),
    "JSON, nested": hidden('{"auths":{"registry.example":{"auth":"{}"}}}'),
    "JSON, a list": hidden('[{"tokens":["{}"]}]'),
    "token response": hidden('{"access_token":"{}","token_type":"Bearer","expires_in":3600}'),
    "JSON in base64": encoded('{"username":"a","password":"{}"}'),
    "JSON in base64url": encoded('{"username":"a","identitytoken":"{}"}', url_safe),
    "JSON, percent-encoded": encoded('{"password":"{}"}', lambda text: quote(text, safe="")),
    "form in base64": encoded("client_id=abc&client_secret={}"),
    "URL in base64": encoded("https://user:{}@host.example/"),
    "private key": hidden("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----"),
    "JSON Web Key": hidden('{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"{}"}'),
    "sentence": hidden("the password: {} was refused"),
    **{f"{row.kind} ({row.prefix})": _prefixed(row.prefix, row.shortest) for row in PREFIXES},
}  # fmt: skip
"""Kind → what makes one around a secret of letters and digits."""

WRAPPINGS: dict[str, Callable[[str], str]] = {
    "alone": lambda text: text,
    "in a sentence": lambda text: f"got {text} and no more",
    "in a list": lambda text: f"first, {text}, last",
    "in parentheses": lambda text: f"({text})",
    "in quotes": lambda text: f"'{text}'",
    "in a field": lambda text: f"a={text}; b=1",
    "behind a colon": lambda text: f"x-y:{text}",
    "in a path": lambda text: f"/a/{text}?b=1",
    "in a query": lambda text: f"?a={text}&b=1",
    "behind an at sign": lambda text: f"a@{text}#b",
}
"""How a credential stands in the text that carries it."""


def one_line(text: str) -> str:
    """Return a credential as a header field can carry it."""
    return text.replace("\n", " ")
