"""The schemes of HTTP authentication, which are shown, and the credentials after them, which are not."""

from __future__ import annotations

from typing import NamedTuple


class Scheme(NamedTuple):
    """A scheme, and where it is registered or documented."""

    name: str
    source: str


REGISTERED = tuple(
    """Basic Bearer Concealed Digest DPoP GNAP HOBA Mutual Negotiate OAuth PrivateToken SCRAM-SHA-1
    SCRAM-SHA-256 vapid""".split()
)
"""The registered schemes, as they are written in the registry."""

SCHEMES = (
    *(Scheme(name, "https://www.iana.org/assignments/http-authschemes") for name in REGISTERED),
    Scheme("ApiKey", "Elasticsearch, REST API authentication"),
    Scheme("Api-Key", "several vendors, as ApiKey"),
    Scheme("AWS", "AWS Signature Version 2"),
    Scheme("AWS4-HMAC-SHA256", "AWS Signature Version 4"),
    Scheme("AWS4-ECDSA-P256-SHA256", "AWS Signature Version 4A"),
    Scheme("Bot", "Discord, API reference"),
    Scheme("Discogs", "Discogs, API documentation"),
    Scheme("GenieKey", "Opsgenie, API authentication"),
    Scheme("GoogleLogin", "Google ClientLogin"),
    Scheme("Hawk", "Mozilla Hawk"),
    Scheme("JWT", "Discourse, django-rest-framework-jwt and others"),
    Scheme("KakaoAK", "Kakao, REST API"),
    Scheme("Key", "fal, LiteLLM and others"),
    Scheme("Klaviyo-API-Key", "Klaviyo, API authentication"),
    Scheme("NTLM", "MS-NTHT"),
    Scheme("PVEAPIToken", "Proxmox VE, API"),
    Scheme("SharedAccessSignature", "Azure Service Bus"),
    Scheme("SharedKey", "Azure Storage"),
    Scheme("SharedKeyLite", "Azure Storage"),
    Scheme("Splunk", "Splunk, HTTP Event Collector"),
    Scheme("SSWS", "Okta, API tokens"),
    Scheme("Token", "GitHub, Django REST framework and others"),
    Scheme("Zoho-oauthtoken", "Zoho, API authentication"),
)

NAMES = frozenset(scheme.name.lower() for scheme in SCHEMES)


def split_credentials(value: str) -> tuple[str | None, str]:
    """Return the scheme of an ``Authorization`` style value, None if it has none, and the rest.

    A first word that is no known scheme is part of the credentials: it may be the beginning of a secret
    that has a blank in it.
    """
    scheme, _, rest = value.replace("\t", " ").partition(" ")
    if scheme.lower() in NAMES:
        return scheme, rest.strip(" ")
    return None, value
