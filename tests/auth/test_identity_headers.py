"""Which headers say who is calling, and who sets them."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth.identity_headers import (
    IDENTITY_HEADERS,
    Fact,
    Form,
    IdentityHeader,
    joined,
    plain,
    row_of,
    rows_of,
)
from mcp_echo.http.headers import Headers

# Header → its hop and what it tells, as the gateways in use document them.
DOCUMENTED = {
    "x-amzn-oidc-identity": ("AWS Application Load Balancer", "user_id"),
    "x-amzn-oidc-accesstoken": ("AWS Application Load Balancer", "credential"),
    "x-amzn-oidc-data": ("AWS Application Load Balancer", "claims"),
    "x-amzn-mtls-clientcert-subject": ("AWS Application Load Balancer", "more"),
    "x-amzn-apigateway-api-id": ("AWS API Gateway", "more"),
    "X-MS-CLIENT-PRINCIPAL": ("Azure App Service", "claims"),
    "X-MS-CLIENT-PRINCIPAL-ID": ("Azure App Service", "user_id"),
    "X-MS-CLIENT-PRINCIPAL-NAME": ("Azure App Service", "user_name"),
    "X-MS-CLIENT-PRINCIPAL-IDP": ("Azure App Service", "more"),
    "X-MS-TOKEN-AAD-ID-TOKEN": ("Azure App Service", "credential"),
    "X-MS-TOKEN-AAD-ACCESS-TOKEN": ("Azure App Service", "credential"),
    "X-MS-TOKEN-AAD-EXPIRES-ON": ("Azure App Service", "more"),
    "X-Goog-IAP-JWT-Assertion": ("Google Identity-Aware Proxy", "claims"),
    "X-Goog-Authenticated-User-Email": ("Google Identity-Aware Proxy", "email"),
    "X-Goog-Authenticated-User-Id": ("Google Identity-Aware Proxy", "user_id"),
    "Cf-Access-Jwt-Assertion": ("Cloudflare Access", "claims"),
    "Cf-Access-Authenticated-User-Email": ("Cloudflare Access", "email"),
    "X-Auth-Request-User": ("oauth2-proxy or a service like it", "user_id"),
    "X-Forwarded-Groups": ("oauth2-proxy or a service like it", "groups"),
    "Remote-Groups": ("Authelia", "groups"),
    "X-authentik-username": ("authentik", "user_id"),
    "X-authentik-jwt": ("authentik", "claims"),
    "X-authentik-meta-app": ("authentik", "more"),
    "X-Pomerium-Jwt-Assertion": ("Pomerium", "claims"),
    "X-Pomerium-Claim-Email": ("Pomerium", "email"),
    "X-Pomerium-Claim-Anything": ("Pomerium", "more"),
    "Tailscale-User-Login": ("Tailscale Serve", "user_id"),
    "Tailscale-User-Profile-Pic": ("Tailscale Serve", "more"),
    "X-Forwarded-Client-Cert": ("Envoy or Istio", "more"),
    "x-jwt-payload": ("Envoy or Istio", "claims"),
    "X-Consumer-Username": ("Kong", "user_name"),
    "X-Consumer-Custom-ID": ("Kong", "user_id"),
    "X-Credential-Identifier": ("Kong", "more"),
    "X-Userinfo": ("Kong with kong-oidc", "claims"),
    "X-WEBAUTH-USER": ("a proxy in front of Grafana", "user_id"),
    "X-Grafana-Id": ("Grafana", "claims"),
    "DPoP": ("the client, which proves that it has a key", "proof"),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_headers_of_the_gateways_in_use_are_known(name: str) -> None:
    """Each gateway's documentation; its page is in the row. Names are case-insensitive (RFC 9110 5.1)."""
    for spelled in (name, name.lower(), name.upper()):
        row = row_of(spelled)
        assert row is not None
        assert (row.hop, row.fact) == DOCUMENTED[name]


@pytest.mark.parametrize(
    "name", ["", "Accept", "X-Forwarded-For", "X-Request-Id", "Remote", "Cf-Ray", "X-User-Agent"]
)
def test_other_headers_say_nothing_of_the_caller(name: str) -> None:
    """Our choice: an address, a trace and a connection are no identity."""
    assert row_of(name) is None


@pytest.mark.parametrize("row", IDENTITY_HEADERS, ids=lambda row: row.name)
def test_every_row_can_be_found_and_names_its_source(row: IdentityHeader) -> None:
    """Our choice: whoever doubts a row can look it up."""
    assert row.source.startswith("https://")
    assert row.fact in get_args(Fact)
    assert row.form in get_args(Form)
    found = row_of(row.name.replace("*", "zz"))
    assert found == row
    assert row.name.endswith("*") or row in rows_of(row.fact)


def test_no_header_is_listed_twice() -> None:
    """Our choice: one row says what a header means."""
    names = [row.name.lower() for row in IDENTITY_HEADERS]
    assert len(set(names)) == len(names)


def test_several_lines_are_one_list() -> None:
    """RFC 9110 section 5.3; an empty line adds nothing."""
    headers = Headers([("X-Groups", "g1"), ("Other", "o"), ("x-groups", ""), ("X-GROUPS", "g2, g3")])
    assert joined(headers, "X-Groups") == "g1, g2, g3"
    assert (joined(headers, "Other"), joined(headers, "None")) == ("o", None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("X-Goog-Authenticated-User-Email", "accounts.google.com:a@b.example", "a@b.example"),
        ("X-Goog-Authenticated-User-Email", "a@b.example", "a@b.example"),
        ("Tailscale-User-Name", "=?utf-8?q?J=C3=BCrgen_M?=", "Jürgen M"),
        ("Tailscale-User-Name", "=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="),
        ("Tailscale-User-Name", "Plain Name", "Plain Name"),
        ("X-User-Id", "accounts.google.com:x", "accounts.google.com:x"),
    ],
)
def test_a_value_is_shown_without_its_form(name: str, value: str, said: str) -> None:
    """Google IAP puts a namespace before the value; Tailscale writes RFC 2047 words beyond ASCII."""
    row = row_of(name)
    assert row is not None
    assert plain(row, value) == said


@given(st.text(max_size=40) | st.text(max_size=20).map("=?utf-8?b?{}?=".format))
def test_no_value_raises(value: str) -> None:
    """Our choice: it is whatever a client sends."""
    for row in IDENTITY_HEADERS:
        assert isinstance(plain(row, value), str)
