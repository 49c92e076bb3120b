"""Which names say that what they name is a secret: of headers, JSON members, URL parameters, cookies, forms.

A name is read as the words it is made of, however it is written: ``X-Api-Key``, ``xApiKey`` and ``x_api_key``
are the same three words. It names a secret when one of its words does (`NOUNS`), unless the whole name tells
something about the secret instead of being it (`ABOUT`, `OTHERWISE`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_WORD = re.compile(r"[A-Z]{1,64}(?![a-z])|[A-Z]?[a-z]{1,64}|[0-9]{1,64}", re.ASCII)

_ONE_WORD = ("DPoP", "OAuth")
"""Words with capitals inside."""

LONGEST_NAME = 128
"""Characters of a name that are looked at, its last ones: what it is comes last."""


class Noun(NamedTuple):
    """A word that names a secret, and where it is used so."""

    word: str
    source: str


_OAUTH = "RFC 6749 section 11.2, OAuth parameters"
_COMMON = "how applications call it in forms and settings"
_AWS = "AWS Signature Version 4, query parameters"

NOUNS = (
    Noun("token", _OAUTH),
    Noun("secret", _OAUTH),
    Noun("password", _OAUTH),
    Noun("assertion", "RFC 7521 section 4.2"),
    Noun("verifier", "RFC 7636 section 4.5"),
    Noun("bearer", "RFC 6750 section 2"),
    Noun("dpop", "RFC 9449 section 4.1"),
    Noun("jwt", "RFC 7519"),
    Noun("authorization", "RFC 9110 section 11.6.2"),
    Noun("authorisation", "RFC 9110 section 11.6.2, as the British write it"),
    Noun("cookie", "RFC 6265 section 4.2"),
    Noun("signature", "RFC 9421 section 4.2, and every signed URL"),
    Noun("credential", _AWS),
    Noun("passwd", _COMMON),
    Noun("passphrase", _COMMON),
    Noun("passcode", _COMMON),
    Noun("pwd", _COMMON),
    Noun("otp", "RFC 6238"),
    Noun("hmac", "signed requests of several vendors"),
    Noun("accesskeyid", _AWS),
    Noun("sessionid", "MCP, Mcp-Session-Id, and the cookies of web frameworks"),
    Noun("sessid", "PHP, PHPSESSID"),
    Noun("samlresponse", "SAML 2.0 bindings, section 3.5"),
    Noun("samlrequest", "SAML 2.0 bindings, section 3.5"),
    Noun("samlart", "SAML 2.0 bindings, section 3.6"),
    Noun("ticket", "CAS protocol 3.0, section 2.5"),
    Noun("hdnts", "Akamai token authentication"),
    Noun("hdnea", "Akamai token authentication"),
)
"""Words that name a secret wherever they stand in a name, also as the end of a word and in the plural."""

LAST = (
    Noun("auth", "Docker registry API, X-Registry-Auth"),
    Noun("pass", _COMMON),
    Noun("pin", _COMMON),
    Noun("sid", "cookies of web frameworks"),
    Noun("sig", "Azure shared access signatures"),
    Noun("mac", "RFC 9635 section 7.3"),
    Noun("mnemonic", "BIP 39"),
    Noun("key", "API keys and key material of every kind"),
)
"""Words that name a secret as the whole end of a name, and something else before another word."""

CODES = frozenset({"code", "pw", "state"})
"""Parameters of URLs that carry a secret; a JSON member of this name does not (RFC 6749 section 4.1.2)."""

_KEYS = frozenset(
    """access account admin api app application auth client consumer crypto customer decryption deploy
    encryption function functions host license master private pass project publishable registry root
    secret service shared signing ssh storage subscription symmetric user webhook""".split()
)
"""Words before ``key`` that say in one word that the key is a secret: ``apikey``."""

ABOUT = frozenset(
    """algorithm alg aud audience bits claim claims count date email enabled endpoint exp expiration
    expires expiry format groups iat id in input issued issuer iss kid kind len length limit max
    method methods min name names nbf path policy prefix present provider required role roles scope
    scopes size source status sub subject supported time timestamp ttl type types uri url user
    username valid verified version""".split()
)
"""Last words that make a name tell something about a secret: ``X-Token-Type``, ``Signature-Input``."""

OTHERWISE = {
    "token": frozenset(
        """budget cached completion continuation cursor input limit max min next num output page
        pagination previous progress prompt reasoning sync total usage used""".split()
    ),
    "key": frozenset(
        """cache column composite correlation dedup deduplication dictionary event foreign group hash
        idempotency lookup map message object order partition primary public routing row shard
        socket sort surrogate trace translation websocket""".split()
    ),
}
"""Noun → the words before it that make it something else: a page token, an idempotency key."""

_ENDINGS = frozenset(
    """again b64 base base64 confirm confirmation current digits encoded encrypted hash header new old
    plain plaintext raw repeat string text value""".split()
)
"""Last words that say how a secret is written, or which of several it is: ``password_confirmation``."""

_NOUNS = tuple(noun.word for noun in NOUNS)
_LAST = frozenset(noun.word for noun in LAST)
_PLURALS = tuple(f"{noun}s" for noun in _NOUNS)
_PLURAL_LAST = frozenset({"keys"})


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case, the numbers left out."""
    for spelling in _ONE_WORD:
        name = name.replace(spelling, spelling.title())
    return [word.lower() for word in _WORD.findall(name) if not word.isdigit()]


def is_secret_name(name: str) -> bool:
    """Return whether what has this name is a secret.

    Args:
        name: A header's, a JSON member's, a cookie's or a parameter's.
    """
    # Cut before it is kept: a member's name may be as long as a body.
    return _is_secret_name(name[-LONGEST_NAME:])


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    words = words_of(name)
    while len(words) > 1 and words[-1] in _ENDINGS:
        words.pop()
    if not words:
        return False
    # A noun may be written apart, as in Mcp-Session-Id, where the last word alone would say otherwise.
    if any("".join(words[-count:]) in _NOUNS for count in (2, 3)):
        return True
    return words[-1] not in ABOUT and (_names_key(words) or _has_noun(words))


def _names_key(words: list[str]) -> bool:
    last = words[-1].removesuffix("s") if words[-1] in _PLURAL_LAST else words[-1]
    before = words[-2] if len(words) > 1 else ""
    if last in _LAST:
        return before not in OTHERWISE.get(last, ())
    return any(
        (word.endswith("key") and word[:-3] in _KEYS) or (word == "key" and first in _KEYS)
        for first, word in zip(["", *words], words, strict=False)
    )


def _has_noun(words: list[str]) -> bool:
    for place, word in enumerate(words):
        if word.endswith(_NOUNS) or word.endswith(_PLURALS):
            before = words[place - 1] if place else ""
            if before not in OTHERWISE.get(word.removesuffix("s"), ()):
                return True
    return False


def is_secret_parameter(name: str) -> bool:
    """Return whether a parameter of a URL or a form with this name carries a secret."""
    return name.lower() in CODES or is_secret_name(name)
