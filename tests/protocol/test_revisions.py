"""The table of revisions, and which one is chosen."""

from __future__ import annotations

import dataclasses

import pytest

from mcp_echo.protocol.revisions import KNOWN, LEGACY, MODERN, Revision, Supported

NAMES = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
STATELESS = "2026-07-28"
ALL = [*NAMES, STATELESS]

# What came with which revision, from the changelogs of the specification.
SINCE = {
    "streamable_http": "2025-03-26",
    "batches": "2025-03-26",
    "audio": "2025-03-26",
    "annotations": "2025-03-26",
    "completions_capability": "2025-03-26",
    "titles": "2025-06-18",
    "structured_content": "2025-06-18",
    "version_header": "2025-06-18",
    "meta_names": "2025-06-18",
    "elicitation": "2025-06-18",
    "implementation_details": "2025-11-25",
    "url_elicitation": "2025-11-25",
    "argument_errors_are_results": "2025-11-25",
    "priming_event": "2025-11-25",
    "stateless": "2026-07-28",
}

# What went with which revision, from the same.
UNTIL = {"batches": "2025-06-18", "priming_event": "2026-07-28"}


def test_the_revisions_are_known_oldest_first() -> None:
    """2025-11-25 basic/versioning: revisions are named for the day of their last incompatible change."""
    assert [revision.name for revision in LEGACY] == NAMES
    assert [revision.name for revision in MODERN] == [STATELESS]
    assert [revision.name for revision in KNOWN] == sorted(revision.name for revision in KNOWN)


def test_every_feature_of_a_revision_has_its_first_revision_on_record() -> None:
    """A feature added to the table needs a line in this file."""
    fields = {field.name for field in dataclasses.fields(Revision)} - {"name"}
    assert fields == set(SINCE)


@pytest.mark.parametrize(("feature", "since"), SINCE.items())
def test_a_feature_is_there_from_its_first_revision_to_its_last(feature: str, since: str) -> None:
    """Changelog pages of 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28."""
    expected = [since <= name < UNTIL.get(feature, "9999") for name in ALL]
    assert [getattr(revision, feature) for revision in KNOWN] == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_supported_revision_is_agreed_to(name: str) -> None:
    """2025-11-25 basic/lifecycle, Version Negotiation: MUST answer with the same version."""
    assert Supported().negotiate(name).name == name


@pytest.mark.parametrize("asked", ["1999-01-01", "2099-01-01", "", "latest", " 2025-06-18"])
def test_another_revision_is_answered_with_the_newest(asked: str) -> None:
    """2025-11-25 basic/lifecycle, Version Negotiation: SHOULD be the latest that the server supports."""
    supported = Supported()
    assert supported.negotiate(asked).name == NAMES[-1]
    assert supported.get(asked) is None


def test_the_handshake_never_leads_to_a_modern_revision() -> None:
    """2026-07-28 basic/versioning: a modern revision has no initialize, so none can agree on it."""
    assert Supported().negotiate(STATELESS).name == NAMES[-1]
    with pytest.raises(ValueError, match=f"{STATELESS} cannot be offered: supported are 2024-11-05"):
        Supported(offer=STATELESS)


def test_the_legacy_era_can_be_switched_off() -> None:
    """Our choice: MCP_PROTOCOL_VERSIONS_SUPPORTED may name modern revisions alone."""
    supported = Supported([STATELESS])
    assert (supported.offered, supported.assumed, supported.negotiate(NAMES[-1])) == (None, None, None)
    assert supported.names == [STATELESS]
    with pytest.raises(ValueError, match="2025-06-18 cannot be offered: supported are none"):
        Supported([STATELESS], offer="2025-06-18")


def test_the_modern_era_can_be_switched_off() -> None:
    """Our choice, as above."""
    assert Supported(NAMES).get(STATELESS) is None
    assert Supported(NAMES).modern == {}


def test_the_operator_may_offer_another_than_the_newest() -> None:
    """Our choice: MCP_PROTOCOL_VERSION."""
    supported = Supported(offer="2025-06-18")
    assert supported.negotiate("1999-01-01").name == "2025-06-18"
    assert supported.negotiate("2025-11-25").name == "2025-11-25"


def test_only_the_named_revisions_are_spoken() -> None:
    """Our choice: MCP_PROTOCOL_VERSIONS_SUPPORTED, in any order."""
    supported = Supported(["2025-06-18", "2024-11-05"])
    assert supported.names == ["2025-06-18", "2024-11-05"]
    assert supported.get("2025-11-25") is None
    assert supported.negotiate("2025-11-25").name == "2025-06-18"


def test_every_known_revision_is_spoken_newest_first_by_default() -> None:
    """Our choice: an empty setting means all."""
    assert Supported().names == ALL[::-1]
    assert [Supported().get(name).name for name in ALL] == ALL


@pytest.mark.parametrize(
    ("names", "assumed"),
    [((), "2025-03-26"), (["2025-03-26", "2025-11-25"], "2025-03-26"), (["2025-11-25"], "2025-11-25")],
)
def test_a_silent_client_is_taken_for_2025_03_26_where_that_is_spoken(names: list[str], assumed: str) -> None:
    """2025-11-25 basic/transports, Protocol Version Header: without one, SHOULD assume 2025-03-26."""
    assert Supported(names).assumed.name == assumed


def test_an_unknown_revision_is_refused_by_name() -> None:
    """Our choice: a typing error must not start a server that speaks less than meant."""
    with pytest.raises(ValueError, match="2025-06-19 is not a known MCP revision; known are 2024-11-05"):
        Supported(["2025-06-18", "2025-06-19"])


def test_an_offer_that_is_not_spoken_is_refused() -> None:
    """Our choice, as above."""
    with pytest.raises(ValueError, match="2025-11-25 cannot be offered: supported are 2025-06-18"):
        Supported(["2025-06-18"], offer="2025-11-25")
