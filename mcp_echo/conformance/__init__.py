"""The fixtures that the official conformance suite asks servers for, in sets that are added to the offer.

They add tools, prompts, resources and extensions after the diagnostic ones and change nothing else.
https://github.com/modelcontextprotocol/conformance
"""

from __future__ import annotations

from collections.abc import Iterable

from mcp_echo.conformance import client, core, skills, tasks
from mcp_echo.offer import Offer

SETS = {"core": core.add, "tasks": tasks.add, "skills": skills.add, "client": client.add}
"""Set → adds it to an offer."""


def add(offer: Offer, sets: Iterable[str]) -> Offer:
    """Return ``offer`` with the fixtures of ``sets``.

    Raises:
        ValueError: There is no such set.
    """
    wanted = set(sets)
    if unknown := wanted - {*SETS, "all"}:
        raise ValueError(
            f"{', '.join(sorted(unknown))} is no set of fixtures; sets are {', '.join(SETS)}, all"
        )
    for name, add_set in SETS.items():
        if name in wanted or "all" in wanted:
            offer = add_set(offer)
    return offer
