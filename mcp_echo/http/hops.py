"""Header fields that gateways, proxies and meshes are known to add on the way. No I/O.

Who reads a request at its end cannot tell a field that a hop has added from one that the client has sent;
these names say where it is likely to have come from.
"""

from __future__ import annotations

from collections.abc import Iterable

_HOPS = {
    "proxies (RFC 9110 7.6.3)": "via",
    "proxies (RFC 7239)": "forwarded",
    "proxies": "x-forwarded- x-client-ip x-cluster-client-ip x-original- x-request-id proxy-",
    "nginx and others": "x-real-ip",
    "Heroku and others": "x-request-start",
    "gateways": "x-correlation-id",
    "nginx ingress": "x-scheme",
    "Authelia and others": "remote-",
    "oauth2-proxy": "x-auth-request-",
    "authentik": "x-authentik-",
    "Pomerium": "x-pomerium-",
    "proxies that log in for Grafana": "x-webauth-",
    "proxies that log in": "x-github-user x-user-",
    "Tailscale": "tailscale-",
    "AWS load balancers and API Gateway": "x-amzn-",
    "AWS": "x-amz-",
    "Amazon CloudFront": "cloudfront-",
    "Cloudflare": "cf-",
    "content delivery networks (RFC 8586)": "cdn-loop",
    "Cloudflare, Akamai": "true-client-ip",
    "Akamai": "akamai- x-akamai-",
    "Fastly": "fastly-",
    "Varnish": "x-varnish",
    "Google Cloud": "x-goog- x-cloud-trace-context",
    "Azure Front Door": "x-azure- x-fd-",
    "Azure App Service": "x-ms- x-arr- x-site-deployment-id disguised-host was-default-hostname client-ip",
    "Azure Application Gateway": "x-appgw-",
    "Fly.io": "fly-",
    "Vercel": "x-vercel-",
    "Railway": "x-railway-",
    "Render": "rndr-",
    "Netlify": "x-nf-",
    "DigitalOcean": "do-connecting-ip",
    "Kong": "x-kong- x-consumer- x-credential-",
    "Envoy": "x-envoy-",
    "Linkerd": "l5d-",
    "tracing meshes": "x-b3- b3 x-ot-",
    "Jaeger": "uber-trace-id",
    "Datadog": "x-datadog-",
    "New Relic": "newrelic",
    "Elastic APM": "elastic-apm-traceparent",
    "tracing meshes (W3C Trace Context)": "traceparent tracestate",
    "tracing meshes (W3C Baggage)": "baggage",
}
"""Who adds fields → their names in lower case, or, ending in a hyphen, what their names begin with."""

KNOWN_FROM_HOPS = {name: hop for hop, names in _HOPS.items() for name in names.split()}
"""Such a name, or beginning of one → who is known to add it."""

_LONGEST = max(name.count("-") for name in KNOWN_FROM_HOPS)
"""Most hyphens of a known name: no more of a name are looked at."""


def known_hop(name: str) -> str | None:
    """Return who is known to add a field of this name on the way; None where nobody is."""
    name = name.lower()
    if name in KNOWN_FROM_HOPS:
        return KNOWN_FROM_HOPS[name]
    parts = name.split("-", _LONGEST)
    prefixes = ("-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1))
    return next((KNOWN_FROM_HOPS[prefix] for prefix in prefixes if prefix in KNOWN_FROM_HOPS), None)


def named_hop(headers: Iterable[tuple[str, str]]) -> str | None:
    """Return what the hop next to the server calls itself in ``Via`` (RFC 9110 section 7.6.3); None for none.

    Args:
        headers: Name, value of a request's header lines.
    """
    values = [value for name, value in headers if name.lower() == "via"]
    if not values:
        return None
    # Each hop adds itself at the end: the version of the protocol, and its name.
    _, _, name = values[-1].rpartition(",")[2].strip().partition(" ")
    return name.strip() or None
