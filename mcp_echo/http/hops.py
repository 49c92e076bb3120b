"""Header fields that gateways, proxies and meshes are known to add on the way. No I/O.

Who reads a request at its end cannot tell a field that a hop has added from one that the client has sent;
these names say where it is likely to have come from.
"""

from __future__ import annotations

KNOWN_FROM_HOPS: dict[str, str] = {
    "via": "proxies (RFC 9110 7.6.3)",
    "forwarded": "proxies (RFC 7239)",
    "x-forwarded-": "proxies",
    "x-real-ip": "nginx and others",
    "x-client-ip": "proxies",
    "x-cluster-client-ip": "proxies",
    "x-original-": "proxies",
    "x-request-id": "proxies",
    "x-request-start": "Heroku and others",
    "x-correlation-id": "gateways",
    "x-scheme": "nginx ingress",
    "proxy-": "proxies",
    "remote-": "Authelia and others",
    "x-auth-request-": "oauth2-proxy",
    "x-authentik-": "authentik",
    "x-pomerium-": "Pomerium",
    "x-webauth-": "proxies that log in for Grafana",
    "x-github-user": "proxies that log in",
    "x-user-": "proxies that log in",
    "tailscale-": "Tailscale",
    "x-amzn-": "AWS load balancers and API Gateway",
    "x-amz-": "AWS",
    "cloudfront-": "Amazon CloudFront",
    "cf-": "Cloudflare",
    "cdn-loop": "content delivery networks (RFC 8586)",
    "true-client-ip": "Cloudflare, Akamai",
    "akamai-": "Akamai",
    "x-akamai-": "Akamai",
    "fastly-": "Fastly",
    "x-varnish": "Varnish",
    "x-goog-": "Google Cloud",
    "x-cloud-trace-context": "Google Cloud",
    "x-azure-": "Azure Front Door",
    "x-fd-": "Azure Front Door",
    "x-ms-": "Azure App Service",
    "x-arr-": "Azure App Service",
    "x-appgw-": "Azure Application Gateway",
    "x-site-deployment-id": "Azure App Service",
    "disguised-host": "Azure App Service",
    "was-default-hostname": "Azure App Service",
    "client-ip": "Azure App Service",
    "fly-": "Fly.io",
    "x-vercel-": "Vercel",
    "x-railway-": "Railway",
    "rndr-": "Render",
    "x-nf-": "Netlify",
    "do-connecting-ip": "DigitalOcean",
    "x-kong-": "Kong",
    "x-consumer-": "Kong",
    "x-credential-": "Kong",
    "x-envoy-": "Envoy",
    "l5d-": "Linkerd",
    "x-b3-": "tracing meshes",
    "b3": "tracing meshes",
    "x-ot-": "tracing meshes",
    "uber-trace-id": "Jaeger",
    "x-datadog-": "Datadog",
    "newrelic": "New Relic",
    "elastic-apm-traceparent": "Elastic APM",
    "traceparent": "tracing meshes (W3C Trace Context)",
    "tracestate": "tracing meshes (W3C Trace Context)",
    "baggage": "tracing meshes (W3C Baggage)",
}
"""Name of a field, in lower case, or, ending in a hyphen, what names begin with → who is known to add it."""


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
