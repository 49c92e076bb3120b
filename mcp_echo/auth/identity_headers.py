"""The headers in which gateways say who is calling: data and decoding, without I/O. Nothing is verified.

Each row says who sets a header, what it tells, how it is written and where that is documented. Whoever can
reach the server past the gateway can send each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Literal, NamedTuple, cast

from mcp_echo.http.headers import Headers

Fact = Literal[
    "user_id", "user_name", "github_user", "email", "groups", "credential", "claims", "proof", "more"
]
"""What a header tells. Claims are what a gateway states of the caller, a proof is one of a key (RFC 9449)."""

Form = Literal["text", "words", "prefixed", "jwt", "json"]
"""How a header is written: as it is, in the words of RFC 2047, behind ``accounts.google.com:``, as a JWT, as
JSON in base64."""


ANY_SERVICE = "a service that the gateway asks (ForwardAuth)"
"""The hop of headers that no product has for itself."""


class IdentityHeader(NamedTuple):
    """A header by which a hop says who is calling."""

    name: str
    """As the hop writes it; with a ``*`` at its end, all names that begin so."""
    hop: str
    """Who sets it."""
    fact: Fact
    form: Form
    source: str
    """Where it is documented."""


def _hop(hop: str, source: str, **names: str) -> Iterator[IdentityHeader]:
    """Yield the rows of one hop.

    Args:
        hop: Who sets the headers.
        source: Where they are documented.
        names: Fact → names of headers, each with the form behind a colon where that is not text.
    """
    for fact, listed in names.items():
        for each in listed.split():
            name, _, form = each.partition(":")
            yield IdentityHeader(name, hop, cast(Fact, fact), cast(Form, form or "text"), source)


IDENTITY_HEADERS = (
    *_hop(
        ANY_SERVICE,
        "https://doc.traefik.io/traefik/middlewares/http/forwardauth/",
        user_id="X-User-Id",
        user_name="X-User-Name",
        github_user="X-GitHub-User",
        email="X-User-Email",
        groups="X-User-Groups",
        credential="X-Auth-Token",
    ),
    *_hop(
        "oauth2-proxy or a service like it",
        "https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview",
        user_id="X-Auth-Request-User X-Forwarded-User",
        user_name="X-Auth-Request-Preferred-Username X-Forwarded-Preferred-Username",
        email="X-Auth-Request-Email X-Forwarded-Email",
        groups="X-Auth-Request-Groups X-Forwarded-Groups",
        credential="X-Auth-Request-Access-Token X-Forwarded-Access-Token",
        more="X-Auth-Request-*",
    ),
    *_hop(
        "Authelia",
        "https://www.authelia.com/integration/trusted-header-sso/introduction/",
        user_id="Remote-User",
        user_name="Remote-Name",
        email="Remote-Email",
        groups="Remote-Groups",
        more="Remote-*",
    ),
    *_hop(
        "a proxy in front of Grafana",
        "https://grafana.com/docs/grafana/latest/setup-grafana/configure-access/configure-authentication/auth-proxy/",
        user_id="X-WEBAUTH-USER",
        user_name="X-WEBAUTH-NAME",
        email="X-WEBAUTH-EMAIL",
        groups="X-WEBAUTH-GROUPS",
        more="X-WEBAUTH-*",
    ),
    *_hop(
        "AWS Application Load Balancer",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html",
        user_id="X-Amzn-Oidc-Identity",
        credential="X-Amzn-Oidc-Accesstoken",
        claims="X-Amzn-Oidc-Data:jwt",
        more="X-Amzn-Oidc-*",
    ),
    *_hop(
        "Azure App Service",
        "https://learn.microsoft.com/en-us/azure/app-service/configure-authentication-user-identities",
        user_id="X-MS-CLIENT-PRINCIPAL-ID",
        user_name="X-MS-CLIENT-PRINCIPAL-NAME",
        claims="X-MS-CLIENT-PRINCIPAL:json",
        more="X-MS-CLIENT-PRINCIPAL-IDP",
    ),
    *_hop(
        "Google Identity-Aware Proxy",
        "https://cloud.google.com/iap/docs/identity-howto",
        user_id="X-Goog-Authenticated-User-Id:prefixed",
        email="X-Goog-Authenticated-User-Email:prefixed",
        more="X-Goog-Authenticated-User-*",
    ),
    *_hop(
        "Tailscale Serve",
        "https://tailscale.com/kb/1312/serve",
        user_id="Tailscale-User-Login:words",
        user_name="Tailscale-User-Name:words",
        more="Tailscale-User-*:words",
    ),
    *_hop(
        "authentik",
        "https://docs.goauthentik.io/add-secure-apps/providers/proxy/",
        user_id="X-authentik-uid X-authentik-username",
        user_name="X-authentik-name",
        email="X-authentik-email",
        groups="X-authentik-groups",
        claims="X-authentik-jwt:jwt",
        more="X-authentik-*",
    ),
    *_hop(
        "Pomerium",
        "https://www.pomerium.com/docs/reference/jwt-claim-headers",
        user_id="X-Pomerium-Claim-Sub X-Pomerium-Claim-User",
        user_name="X-Pomerium-Claim-Name",
        email="X-Pomerium-Claim-Email",
        groups="X-Pomerium-Claim-Groups",
        more="X-Pomerium-*",
    ),
    *_hop(
        "Istio",
        "https://istio.io/latest/docs/reference/config/security/jwt/",
        user_id="X-Jwt-Claim-Sub",
        email="X-Jwt-Claim-Email",
        groups="X-Jwt-Claim-Groups",
        claims="Sec-Istio-Auth-Userinfo:json",
        more="X-Jwt-Claim-*",
    ),
    *_hop(
        "Kong",
        "https://developer.konghq.com/plugins/key-auth/",
        user_id="X-Consumer-Custom-Id X-Consumer-Id X-Authenticated-Userid",
        user_name="X-Consumer-Username",
        groups="X-Authenticated-Groups X-Consumer-Groups",
        more="X-Credential-Identifier X-Credential-* X-Consumer-* X-Anonymous-Consumer X-Authenticated-*",
    ),
    *_hop(
        "Gatekeeper (Keycloak)",
        "https://gogatekeeper.github.io/gatekeeper/userguide/",
        user_id="X-Auth-Subject X-Auth-Userid",
        user_name="X-Auth-Username",
        email="X-Auth-Email",
        groups="X-Auth-Groups X-Auth-Roles",
    ),
    *_hop(
        "Vouch",
        "https://github.com/vouch/vouch-proxy",
        user_id="X-Vouch-User",
        credential="X-Vouch-IdP-AccessToken X-Vouch-IdP-IdToken:jwt",
        more="X-Vouch-*",
    ),
    *_hop(
        "a proxy that authenticates for Kubernetes",
        "https://kubernetes.io/docs/reference/access-authn-authz/authentication/",
        user_id="X-Remote-User",
        groups="X-Remote-Group",
        more="X-Remote-Extra-*",
    ),
    *_hop(
        "Caddy with AuthCrunch",
        "https://docs.authcrunch.com/",
        user_id="X-Token-Subject",
        user_name="X-Token-User-Name",
        email="X-Token-User-Email",
        groups="X-Token-User-Roles",
    ),
    *_hop(
        "Apache with mod_auth_openidc",
        "https://github.com/OpenIDC/mod_auth_openidc/blob/master/auth_openidc.conf",
        user_id="OIDC_CLAIM_sub",
        email="OIDC_CLAIM_email",
        credential="OIDC_access_token",
        more="OIDC_CLAIM_*",
    ),
    *_hop(
        "Grafana",
        "https://grafana.com/developers/plugin-tools/how-to-guides/data-source-plugins/add-authentication-for-data-source-plugins",
        user_id="X-Grafana-User",
        claims="X-Grafana-Id:jwt",
    ),
    *_hop(
        "Cloudflare Access",
        "https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/",
        email="Cf-Access-Authenticated-User-Email",
        claims="Cf-Access-Jwt-Assertion:jwt",
        more="Cf-Access-*",
    ),
    *_hop(
        "Azure App Service",
        "https://learn.microsoft.com/en-us/azure/app-service/configure-authentication-oauth-tokens",
        credential="X-MS-TOKEN-AAD-ACCESS-TOKEN X-MS-TOKEN-AAD-ID-TOKEN:jwt X-MS-TOKEN-GOOGLE-ID-TOKEN:jwt",
        more="X-MS-TOKEN-*",
    ),
    *_hop(
        "Kong with kong-oidc",
        "https://github.com/revomatico/kong-oidc",
        credential="X-Id-Token X-Access-Token",
        claims="X-Userinfo:json",
    ),
    *_hop(
        "Google API Gateway",
        "https://cloud.google.com/api-gateway/docs/authenticating-users-jwt",
        credential="X-Forwarded-Authorization",
    ),
    *_hop(
        "Google Cloud Run",
        "https://cloud.google.com/run/docs/authenticating/service-to-service",
        credential="X-Serverless-Authorization:jwt",
    ),
    *_hop(
        "Vercel",
        "https://vercel.com/docs/oidc",
        credential="X-Vercel-Oidc-Token:jwt",
    ),
    *_hop(
        "AWS Verified Access",
        "https://docs.aws.amazon.com/verified-access/latest/ug/user-claims-passing.html",
        claims="X-Amzn-Ava-User-Context:jwt",
    ),
    *_hop(
        "Google Identity-Aware Proxy",
        "https://cloud.google.com/iap/docs/signed-headers-howto",
        claims="X-Goog-IAP-JWT-Assertion:jwt",
    ),
    *_hop(
        "Google API Gateway",
        "https://cloud.google.com/api-gateway/docs/authenticating-users-jwt",
        claims="X-Apigateway-Api-Userinfo:json",
    ),
    *_hop(
        "Google Cloud Endpoints",
        "https://cloud.google.com/endpoints/docs/openapi/authenticating-users-custom",
        claims="X-Endpoint-API-UserInfo:json",
    ),
    *_hop(
        "Pomerium",
        "https://www.pomerium.com/docs/capabilities/getting-users-identity",
        claims="X-Pomerium-Jwt-Assertion:jwt",
    ),
    *_hop(
        "Envoy or Istio",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/jwt_authn_filter",
        claims="X-Jwt-Payload:json",
    ),
    *_hop(
        "Teleport",
        "https://goteleport.com/docs/enroll-resources/application-access/jwt/introduction/",
        claims="Teleport-Jwt-Assertion:jwt",
    ),
    *_hop(
        "the client, which proves that it has a key",
        "https://www.rfc-editor.org/rfc/rfc9449",
        proof="DPoP:jwt",
    ),
    *_hop(
        "Envoy or Istio",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers",
        more="X-Forwarded-Client-Cert",
    ),
    *_hop(
        "Istio",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers",
        more="X-Envoy-Peer-Metadata-Id X-Envoy-Peer-Metadata",
    ),
    *_hop(
        "a gateway that ends TLS",
        "https://www.rfc-editor.org/rfc/rfc9440",
        more="Client-Cert Client-Cert-Chain",
    ),
    *_hop(
        "nginx",
        "https://nginx.org/en/docs/http/ngx_http_ssl_module.html",
        more="X-SSL-Client-*",
    ),
    *_hop(
        "AWS Application Load Balancer",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html",
        more="X-Amzn-Mtls-Clientcert*",
    ),
    *_hop(
        "AWS API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html",
        more="X-Amzn-Apigateway-Api-Id",
    ),
)  # fmt: skip
"""Every header that is known; of those that tell one fact the first that is present counts."""

_BY_NAME = {row.name.lower(): row for row in IDENTITY_HEADERS if not row.name.endswith("*")}
_BY_PREFIX = tuple((row.name[:-1].lower(), row) for row in IDENTITY_HEADERS if row.name.endswith("*"))
_GOOGLE_PREFIX = "accounts.google.com:"


def row_of(name: str) -> IdentityHeader | None:
    """Return what is known of a header of this name, in any spelling."""
    name = name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    return next((row for prefix, row in _BY_PREFIX if name.startswith(prefix)), None)


def rows_of(*facts: Fact) -> tuple[IdentityHeader, ...]:
    """Return the headers of a single name that tell one of these facts, those first that count first."""
    return tuple(
        row for fact in facts for row in IDENTITY_HEADERS if row.fact == fact and not row.name.endswith("*")
    )


def joined(headers: Headers, name: str) -> str | None:
    """Return the value of a field, several lines of it joined by commas (RFC 9110 section 5.3), or None."""
    values = headers.all(name)
    return ", ".join(filter(None, values)) if values else None


def plain(row: IdentityHeader, value: str) -> str:
    """Return a value without what its form adds to it."""
    if row.form == "prefixed":
        return value.removeprefix(_GOOGLE_PREFIX)
    if row.form == "words" and "=?" in value:
        try:
            return str(make_header(decode_header(value)))
        except (HeaderParseError, LookupError, ValueError):
            return value
    return value
