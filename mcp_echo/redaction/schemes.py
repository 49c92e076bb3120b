"""The schemes of HTTP authentication, which are shown, and the credentials after them, which are not."""

from __future__ import annotations

import re
from typing import NamedTuple


class Scheme(NamedTuple):
    """A scheme, in lower case, and where it is registered or documented."""

    name: str
    source: str


_IANA = "https://www.iana.org/assignments/http-authschemes"

SCHEMES = (
    Scheme("basic", _IANA),
    Scheme("bearer", _IANA),
    Scheme("concealed", _IANA),
    Scheme("digest", _IANA),
    Scheme("dpop", _IANA),
    Scheme("gnap", _IANA),
    Scheme("hoba", _IANA),
    Scheme("mutual", _IANA),
    Scheme("negotiate", _IANA),
    Scheme("oauth", _IANA),
    Scheme("privatetoken", _IANA),
    Scheme("scram-sha-1", _IANA),
    Scheme("scram-sha-256", _IANA),
    Scheme("vapid", _IANA),
    Scheme("apikey", "Elasticsearch, REST API authentication"),
    Scheme("api-key", "several vendors, as ApiKey"),
    Scheme("aws", "AWS Signature Version 2"),
    Scheme("aws4-hmac-sha256", "AWS Signature Version 4"),
    Scheme("aws4-ecdsa-p256-sha256", "AWS Signature Version 4A"),
    Scheme("bot", "Discord, API reference"),
    Scheme("discogs", "Discogs, API documentation"),
    Scheme("geniekey", "Opsgenie, API authentication"),
    Scheme("googlelogin", "Google ClientLogin"),
    Scheme("hawk", "Mozilla Hawk"),
    Scheme("kakaoak", "Kakao, REST API"),
    Scheme("key", "fal, LiteLLM and others"),
    Scheme("klaviyo-api-key", "Klaviyo, API authentication"),
    Scheme("ntlm", "MS-NTHT"),
    Scheme("pveapitoken", "Proxmox VE, API"),
    Scheme("sharedaccesssignature", "Azure Service Bus"),
    Scheme("sharedkey", "Azure Storage"),
    Scheme("sharedkeylite", "Azure Storage"),
    Scheme("splunk", "Splunk, HTTP Event Collector"),
    Scheme("ssws", "Okta, API tokens"),
    Scheme("token", "GitHub, Django REST framework and others"),
    Scheme("zoho-oauthtoken", "Zoho, API authentication"),
)

NAMES = frozenset(scheme.name for scheme in SCHEMES)

_PLACEHOLDER = re.compile(
    r"\$\{[\w.:-]{1,64}\}|\$\(\w{1,64}\)|\$[a-z_]{0,32}(?:token|key|secret|pass|password|auth|jwt|bearer|pat|var)"
    r"|%[a-z_]{1,64}%|\{\{ ?[\w.]{1,64} ?\}\}|\{[a-z_]{1,64}\}|<[a-z_ -]{1,64}>"
    r"|undefined|null|none|nil|nan|\[object object\]|your[_-][a-z_-]{1,64}",
    re.IGNORECASE | re.ASCII,
)
"""What a client sends that has put nothing in the place of a variable: no secret, and the fault itself."""


def is_placeholder(text: str) -> bool:
    """Return whether ``text`` stands for a value that a client was to put in its place."""
    return _PLACEHOLDER.fullmatch(text) is not None


def split_credentials(value: str) -> tuple[str | None, str]:
    """Return the scheme of an ``Authorization`` style value, None if it has none, and the rest.

    A first word that is no known scheme is part of the credentials: it may be the beginning of a secret
    that has a blank in it.
    """
    scheme, _, rest = value.replace("\t", " ").partition(" ")
    if scheme.lower() in NAMES:
        return scheme, rest.strip(" ")
    return None, value
