"""Ids of sessions: of version 8, with the tag of the node that made them."""

from __future__ import annotations

import uuid

from mcp_echo.protocol.session_ids import is_named, is_untagged, new_node, node_tag, tag_in
from mcp_echo.sessions.key import SessionKey, handle_key, session_key

TAG = node_tag("a-01234567")


def test_an_id_is_a_uuid_of_version_8_that_names_its_node() -> None:
    """RFC 9562 section 5.8: the version and the variant are fixed, all else is the maker's."""
    for _ in range(50):
        key = session_key("alice", TAG)
        parsed = uuid.UUID(key.id)
        assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, key.id)
        assert (tag_in(key.id), key.owner, key.handle) == (TAG, "alice", False)
        assert key.is_possible


def test_all_else_of_an_id_is_random() -> None:
    """2025-11-25 basic/transports, Session Management: an id SHOULD be cryptographically secure."""
    numbers = [uuid.UUID(session_key(None, TAG).id).int for _ in range(256)]
    ever = always = numbers[0]
    for number in numbers:
        ever |= number
        always &= number
    # The chance that one of the bits is the same in all of them is 106 / 2^255.
    assert (ever ^ always).bit_count() == 106
    assert len(set(numbers)) == 256


def test_two_nodes_have_other_tags() -> None:
    """Our choice: an id that reaches another node says so."""
    assert node_tag("node-01234567") != node_tag("node-01234568")
    assert node_tag("node-01234567") == node_tag("node-01234567")
    assert len(TAG) == 4
    assert set(TAG) <= set("0123456789abcdef")


def test_a_node_that_has_a_name_keeps_its_tag() -> None:
    """docs: MCP_ECHO_NODE. What its sessions are known by stays when it is started again."""
    first, second = new_node("a-b"), new_node("a-b")
    assert first != second
    assert node_tag(first) == node_tag(second) != node_tag(new_node("a-c"))
    assert is_named(first)
    assert not is_named(new_node())
    assert node_tag(new_node()) != node_tag(new_node())


def test_an_id_of_the_version_before_is_an_id() -> None:
    """Our choice: a store that was written before opens, and nodes of both versions serve together."""
    before = str(uuid.uuid4())
    assert SessionKey(before, None, False).is_possible
    assert (tag_in(before), is_untagged(before)) == (None, True)


def test_what_is_no_id_has_no_tag() -> None:
    """Our choice: an id is as it was made, to the letter."""
    made = session_key(None, TAG).id
    others = ("", "undefined", f'"{made}"', made.upper(), f"{made}, {made}", made + "\n", handle_key(None).id)
    for text in others:
        assert (tag_in(text), is_untagged(text)) == (None, False), text
    assert not is_untagged(made)
