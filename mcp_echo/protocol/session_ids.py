"""The ids of protocol sessions: which node made one is read from the id itself. No I/O.

An id is a UUID of version 8 (RFC 9562 section 5.8), ``rrrrrrrr-tttt-8rrr-vrrr-rrrrrrrrrrrr``: the second
group is the tag of the node that made it, all else but version and variant are 106 random bits. Versions
before this one made ids of version 4, which tell nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets

_TAGGED = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4})-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


_UNNAMED = "node"


def new_node(name: str | None = None) -> str:
    """Return a name for this process that no other one has.

    Args:
        name: What the operator calls it, or None.
    """
    return f"{name or _UNNAMED}-{secrets.token_hex(4)}"


def is_named(node: str) -> bool:
    """Return whether a node has the name that its operator has given it, so that a restart keeps its tag."""
    return node.rpartition("-")[0] not in ("", _UNNAMED)


def node_tag(node: str) -> str:
    """Return the four hex digits that name a node in the ids of its sessions.

    Args:
        node: The name of the node, as `new_node` makes it. Of what an operator has given it the tag stays
            when the process is started again; without that it is another one with each start.
    """
    name = node.rpartition("-")[0] if is_named(node) else node
    return hashlib.sha256(name.encode()).hexdigest()[:4]


def tag_in(session_id: str) -> str | None:
    """Return the tag of the node that made an id; None where the id names none."""
    found = _TAGGED.fullmatch(session_id)
    return None if found is None else found[1]


def is_untagged(session_id: str) -> bool:
    """Return whether an id is of version 4, as a version before this one made them."""
    return _RANDOM.fullmatch(session_id) is not None
