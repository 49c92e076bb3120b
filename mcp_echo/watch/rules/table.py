"""The table of rules. No I/O."""

from __future__ import annotations

from mcp_echo.watch.rules import (
    cors,
    cors_over_time,
    credentials,
    hops,
    http,
    lifecycle,
    lifecycle_over_time,
    modern,
    modern_over_time,
    oauth_claims,
    oauth_codes,
    oauth_discovery,
    oauth_faults,
    oauth_refusals,
    oauth_registration,
    oauth_requests,
    oauth_step_up,
    oauth_tokens,
    sessions,
    sessions_over_time,
    stream_probes,
    streams,
    streams_over_time,
    use,
    use_over_time,
)
from mcp_echo.watch.rules.rule import Rule


def by_id(*rows: Rule) -> dict[str, Rule]:
    """Return rules by their ids, in their order.

    Raises:
        ValueError: Two have one id, or one has no way to be held, or two.
    """
    rules: dict[str, Rule] = {}
    for rule in rows:
        if rule.id in rules:
            raise ValueError(f"two rules are called {rule.id}")
        if (rule.check is None) is (rule.begin is None):
            raise ValueError(f"{rule.id} needs check or begin, and one of them")
        rules[rule.id] = rule
    return rules


RULES = by_id(
    *http.ROWS,
    *credentials.ROWS,
    *hops.ROWS,
    *cors.ROWS,
    *cors_over_time.ROWS,
    *lifecycle.ROWS,
    *lifecycle_over_time.ROWS,
    *sessions.ROWS,
    *sessions_over_time.ROWS,
    *streams.ROWS,
    *streams_over_time.ROWS,
    *stream_probes.ROWS,
    *modern.ROWS,
    *modern_over_time.ROWS,
    *use.ROWS,
    *use_over_time.ROWS,
    *oauth_discovery.ROWS,
    *oauth_registration.ROWS,
    *oauth_requests.ROWS,
    *oauth_codes.ROWS,
    *oauth_tokens.ROWS,
    *oauth_refusals.ROWS,
    *oauth_claims.ROWS,
    *oauth_step_up.ROWS,
    *oauth_faults.ROWS,
)
"""Each rule by its id: what a client, a proxy or a browser is held to."""

SINGLE = {rule.id: rule for rule in RULES.values() if rule.check is not None}
"""Those about one exchange: they may be asked where not all is known that came before and after it."""
