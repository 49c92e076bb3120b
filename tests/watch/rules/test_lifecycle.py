"""One message: its id, its method, its revision, and what the handshake asks."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.rule import Broken
from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import LEGACY, MODERN, exchange, message_of, refused
from tests.watch.rules.cases import Case, assert_case, outcome_of

OLD, BATCHES, HEADER = "2024-11-05", "2025-03-26", "2025-06-18"
VERSION = "MCP-Protocol-Version"
NO_VERSION = {VERSION: None}


def batch(revision: str, **facts: Any) -> ExchangeRecord:
    messages = (message_of("tools/list", revision), message_of("tools/call", revision))
    return exchange(revision=revision, batch=True, messages=messages, **facts)


CASES = {
    "id-null": Case(
        broken=[
            (exchange(message={"id": None, "id_form": "null"}), "The id of tools/list is null"),
            (exchange(message={"id": None, "id_form": "fraction"}), "is a fraction; it must be a string"),
            (
                exchange(revision=OLD, message={"kind": "unreadable", "method": None, "id_form": "other"}),
                "The id is neither a string nor a number",
            ),
            (exchange(revision=MODERN, message={"id": None, "id_form": "null"}), "The id of tools/list"),
        ],
        held=[exchange(), exchange(message={"id": "a", "id_form": "string"})],
        silent=[
            exchange("notifications/initialized"),
            # The error response to what had no readable id.
            exchange(message={"kind": "response", "method": None, "id": None, "id_form": "null"}),
        ],
    ),
    "batch-not-in-revision": Case(
        broken=[
            (batch(LEGACY), "The body is an array; 2025-11-25 has one message in each POST"),
            (batch(HEADER), "2025-06-18 has one message"),
            (batch(MODERN), "2026-07-28 has one message"),
            (replace(batch(LEGACY), messages=()), "The body is an array"),
        ],
        held=[exchange(), exchange(revision=MODERN)],
        silent=[
            batch(BATCHES),
            batch(OLD),
            batch(LEGACY, path="/t/{trace}/register"),
            exchange(None),
            # Nobody knows what it speaks, and what is assumed then has arrays.
            replace(batch(LEGACY, headers=NO_VERSION, known=False), revision=None),
        ],
    ),
    "method-of-other-era": Case(
        broken=[
            (exchange("ping", MODERN), "ping was sent, which 2026-07-28 does not have"),
            (exchange("initialize", MODERN), "initialize was sent, which 2026-07-28"),
            (exchange("server/discover"), "server/discover was sent, which 2025-11-25 does not have"),
            (exchange("subscriptions/listen", OLD), "which 2024-11-05 does not have"),
        ],
        held=[
            exchange("ping"),
            exchange("server/discover", MODERN),
            exchange("initialize"),
            # Asks which era the server is of.
            exchange("server/discover", known=False, session=None, headers={"Mcp-Session-Id": None}),
        ],
        silent=[exchange(None), exchange("ping", MODERN, path="/messages")],
    ),
    "initialize-incomplete": Case(
        broken=[
            (
                exchange("initialize", message={"params": {"lacks": ("clientInfo.version", "capabilities")}}),
                "The params of initialize lack clientInfo.version and capabilities",
            ),
            (exchange("initialize", OLD, message={"params": {"lacks": ("clientInfo",)}}), "lack clientInfo"),
        ],
        held=[exchange("initialize"), exchange("initialize", OLD)],
        silent=[exchange(), exchange("initialize", MODERN, message={"params": {"lacks": ("clientInfo",)}})],
    ),
    "version-header-missing": Case(
        broken=[
            (
                exchange(headers=NO_VERSION),
                "tools/list came without MCP-Protocol-Version; 2025-11-25 was negotiated",
            ),
            (exchange("notifications/initialized", HEADER, NO_VERSION), "2025-06-18 was negotiated"),
            (exchange(None, headers=NO_VERSION, http_method="DELETE"), "DELETE came without"),
            (
                exchange(headers=NO_VERSION, message={"kind": "response", "method": None}),
                "POST came without",
            ),
            (
                exchange(
                    revision=MODERN,
                    headers=NO_VERSION,
                    message={"error": -32020, "outcome": 400, "revision": None},
                ),
                "2026-07-28 is spoken",
            ),
        ],
        held=[exchange(), exchange(revision=HEADER), exchange(revision=MODERN)],
        silent=[
            exchange("initialize"),
            exchange(revision=BATCHES),
            exchange(revision=OLD),
            # Nobody knows what a session that is not here has negotiated.
            exchange(headers=NO_VERSION, known=False, status=404),
            exchange(None, headers=NO_VERSION, http_method="OPTIONS"),
        ],
    ),
    "version-header-differs": Case(
        broken=[
            (exchange(headers={VERSION: HEADER}), f"{VERSION} is 2025-06-18, and 2025-11-25 was negotiated"),
            (exchange(headers={VERSION: BATCHES}), f"{VERSION} is 2025-03-26"),
        ],
        held=[exchange(), exchange(revision=HEADER)],
        silent=[
            exchange(headers=NO_VERSION),
            exchange(headers={VERSION: "1.0"}),
            exchange(revision=BATCHES, headers={VERSION: LEGACY}),
            exchange(revision=MODERN),
            exchange(headers={VERSION: HEADER}, known=False),
            replace(exchange(headers={VERSION: HEADER}), revision=None),
            exchange("initialize", headers={VERSION: HEADER}, known=True),
        ],
    ),
    "version-header-unsupported": Case(
        broken=[
            (
                exchange(headers={VERSION: "1.0"}),
                f"{VERSION} is 1.0, which is not spoken here",
            ),
            # Answered as if it were of the modern era, which is the one that says what is spoken.
            (
                exchange(
                    headers={VERSION: "1.0"},
                    message={"error": -32022, "outcome": 400, "era": "modern", "revision": "1.0"},
                    era="modern",
                    known=False,
                ),
                f"{VERSION} is 1.0",
            ),
            (
                refused(
                    exchange(None, http_method="GET", headers={VERSION: HEADER}), "UnsupportedRevision", 400
                ),
                f"{VERSION} is 2025-06-18, which is not spoken here",
            ),
            (
                exchange(
                    headers={VERSION: HEADER},
                    message={"error": -32600, "outcome": 400, "result": {"supported": (LEGACY,)}},
                ),
                f"{VERSION} is 2025-06-18, which is not spoken here; spoken are 2025-11-25",
            ),
        ],
        held=[exchange(), exchange(revision=HEADER)],
        silent=[
            exchange(headers=NO_VERSION),
            # A client may ask for what it likes best, and be told what is spoken.
            exchange("initialize", headers={VERSION: "2099-01-01"}),
            exchange(revision=MODERN, headers={VERSION: "2099-01-01"}),
            exchange(None, path="/.well-known/oauth-protected-resource", headers={VERSION: "1.0"}),
        ],
    ),
    "version-header-on-initialize": Case(
        broken=[(exchange("initialize", headers={VERSION: LEGACY}), f"initialize came with {VERSION}")],
        held=[exchange("initialize")],
        silent=[exchange(), exchange("initialize", MODERN)],
    ),
    "capability-undeclared-used": Case(
        broken=[
            (
                exchange("notifications/roots/list_changed", declared=("roots", "sampling")),
                "list_changed was sent, and the client does not declare roots.listChanged",
            ),
            (
                exchange("tasks/get", MODERN, message={"error": -32021, "outcome": 400}),
                "does not declare extensions.io.modelcontextprotocol/tasks",
            ),
        ],
        held=[
            exchange("notifications/roots/list_changed", declared=("roots", "roots.listChanged")),
            exchange("tasks/get", MODERN),
        ],
        silent=[
            exchange(),
            exchange("notifications/roots/list_changed"),
            # The tasks of that revision belong to a capability of the server.
            exchange("tasks/get", declared=()),
            # A tool may need what no client can know of.
            exchange("tools/call", MODERN, message={"error": -32021, "outcome": 400}),
        ],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_a_message_is_judged_by_its_rules(rule_id: str) -> None:
    """The specification: basic, Requests; basic/lifecycle; basic/transports, Protocol Version Header."""
    assert_case(RULES[rule_id], CASES[rule_id])


@pytest.mark.parametrize(("revision", "found"), [(BATCHES, False), (HEADER, True), (LEGACY, True)])
def test_a_missing_version_header_is_a_fault_from_the_revision_that_brought_it(
    revision: str, found: bool
) -> None:
    """2025-06-18 basic/transports, Protocol Version Header; 2025-03-26 has no such heading."""
    outcome = outcome_of(RULES["version-header-missing"], exchange(revision=revision, headers=NO_VERSION))
    assert isinstance(outcome, Broken) is found
    link = RULES["version-header-missing"].link(revision)
    assert (link is not None) is found
    assert link is None or f"/{revision}/basic/transports#protocol-version-header" in link


@pytest.mark.parametrize(("revision", "bound"), [(HEADER, HEADER), (LEGACY, LEGACY), (BATCHES, LEGACY)])
def test_whoever_sends_a_version_header_is_bound_by_a_revision_that_has_it(revision: str, bound: str) -> None:
    """2025-06-18 and 2025-11-25 basic/transports, Protocol Version Header; nothing before it has one."""
    outcome = outcome_of(
        RULES["version-header-unsupported"], exchange(revision=revision, headers={VERSION: "1.0"})
    )
    assert isinstance(outcome, Broken)
    assert outcome.revision == bound
