"""The skills extension: the index tells the truth about the files.

The duty is in the extension ``io.modelcontextprotocol/skills``, as the official suite has it, unless a test
says otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from msgspec import Raw

from mcp_echo.protocol.errors import InvalidParams
from tests.conformance.support import Fixtures

FOLDER = "skill://mcp-echo/diagnose-mcp"
SKILL = f"{FOLDER}/SKILL.md"


@pytest.fixture
def scene() -> Fixtures:
    return Fixtures("skills", revision="2026-07-28")


def ask(scene: Fixtures, method: str, params: Any = None) -> Any:
    return scene.offer.methods[method](Raw(json.dumps(params or {}).encode()), scene.request())


def entry(scene: Fixtures) -> Any:
    (only,) = ask(scene, "skills/list")["skills"]
    return only


def content(scene: Fixtures, uri: str) -> str:
    return str(scene.offer.resources[uri].read(scene.request())["text"])


def test_the_extension_is_declared_with_its_methods(scene: Fixtures) -> None:
    """directoryRead says that resources/directory/read is there."""
    assert scene.offer.extensions == {"io.modelcontextprotocol/skills": {"directoryRead": True}}
    assert set(scene.offer.methods) == {"skills/list", "skills/get", "resources/directory/read"}


def test_nothing_is_declared_without_the_set() -> None:
    """2026-07-28 basic/versioning, Extension Negotiation: only what is there."""
    core = Fixtures("core").offer
    assert (core.extensions, core.methods) == ({}, {})
    assert not [uri for uri in core.resources if uri.startswith("skill:")]


def test_the_name_is_the_folder_s(scene: Fixtures) -> None:
    """1 to 64 of a-z, 0-9 and -, and the last folder of the URI."""
    name = entry(scene)["frontmatter"]["name"]
    assert re.fullmatch(r"[a-z0-9-]{1,64}", name)
    assert entry(scene)["uri"] == f"skill://mcp-echo/{name}/SKILL.md" == SKILL


def test_every_digest_and_size_is_the_file_s(scene: Fixtures) -> None:
    """Clients check what they have read against the index."""
    listed = entry(scene)["resources"]
    assert len(listed) == 2
    for each in listed:
        data = content(scene, each["uri"]).encode()
        assert each == {
            "uri": each["uri"],
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "size": len(data),
        }


def test_every_file_is_listed_once_and_can_be_read(scene: Fixtures) -> None:
    """SKILL.md itself included, and nothing outside the skill's folder."""
    uris = [each["uri"] for each in entry(scene)["resources"]]
    assert sorted(uris) == sorted(uri for uri in scene.offer.resources if uri.startswith("skill:"))
    assert len(uris) == len(set(uris))
    assert SKILL in uris
    assert all(uri.startswith(f"{FOLDER}/") for uri in uris)


def test_the_frontmatter_is_the_file_s(scene: Fixtures) -> None:
    """SKILL.md begins with it, between two lines of ---."""
    opening, frontmatter, body = content(scene, SKILL).split("---\n", 2)
    members = dict(line.split(": ", 1) for line in frontmatter.splitlines())
    assert (opening, members) == ("", entry(scene)["frontmatter"])
    assert set(members) == {"name", "description"}
    assert body.strip()
    # Plain scalars in YAML: nothing in them may mean more than itself.
    assert not any(re.search(r": | #|^[\s\"'&*!|>%@`\[\]{},?-]", value) for value in members.values())


def test_the_resource_is_described_by_the_frontmatter(scene: Fixtures) -> None:
    """SHOULD be text/markdown and have the name and description of the skill."""
    found = scene.offer.resources[SKILL]
    assert {"name": found.name, "description": found.description} == entry(scene)["frontmatter"]
    assert {each.mime_type for uri, each in scene.offer.resources.items() if uri.startswith("skill:")} == {
        "text/markdown"
    }


def test_the_skill_names_files_and_tools_that_are_there(scene: Fixtures) -> None:
    """Our choice: an instruction must not lead to nothing."""
    words = content(scene, SKILL)
    for path in re.findall(r"\S+/\S+\.md", words):
        assert f"{FOLDER}/{path}" in scene.offer.resources
    named = re.findall(r"`(\w+)`", words)
    assert len(named) >= 3
    assert set(named) <= set(scene.tools)


def test_one_skill_can_be_asked_for(scene: Fixtures) -> None:
    """skills/get answers with the entry of the list, with hints for caches and no cursor."""
    answer = ask(scene, "skills/get", {"uri": SKILL})
    assert answer == {"skill": entry(scene), "ttlMs": 300_000, "cacheScope": "public"}
    assert set(ask(scene, "skills/list")) == {"skills", "ttlMs", "cacheScope"}


@pytest.mark.parametrize("uri", ["skill://mcp-echo/other/SKILL.md", FOLDER, f"{SKILL}/", SKILL.upper(), ""])
def test_an_unknown_skill_is_invalid_params(scene: Fixtures, uri: str) -> None:
    """-32602, with the URI."""
    with pytest.raises(InvalidParams) as refusal:
        ask(scene, "skills/get", {"uri": uri})
    assert (refusal.value.code, refusal.value.data) == (-32602, {"uri": uri})


@pytest.mark.parametrize("method", ["skills/get", "resources/directory/read"])
@pytest.mark.parametrize("params", [{}, {"uri": 7}, {"uri": None}])
def test_params_without_a_uri_are_invalid(scene: Fixtures, method: str, params: Any) -> None:
    """-32602."""
    with pytest.raises(InvalidParams):
        ask(scene, method, params)


# Directories.


@pytest.mark.parametrize(
    ("folder", "children"),
    [
        (FOLDER, {"SKILL.md": "text/markdown", "references": "inode/directory"}),
        (f"{FOLDER}/", {"SKILL.md": "text/markdown", "references": "inode/directory"}),
        (f"{FOLDER}/references", {"headers.md": "text/markdown"}),
        ("skill://mcp-echo", {"diagnose-mcp": "inode/directory"}),
    ],
)
def test_a_directory_lists_its_children(scene: Fixtures, folder: str, children: dict[str, str]) -> None:
    """Files with their type, directories as inode/directory, neither with what is deeper."""
    listed = ask(scene, "resources/directory/read", {"uri": folder})["resources"]
    assert listed == [
        {"uri": f"{folder.rstrip('/')}/{name}", "name": name, "mimeType": mime_type}
        for name, mime_type in children.items()
    ]


def test_every_file_is_found_from_the_skill_s_folder(scene: Fixtures) -> None:
    """As above: a walk finds what the index lists."""
    found, folders = [], [FOLDER]
    while folders:
        for child in ask(scene, "resources/directory/read", {"uri": folders.pop()})["resources"]:
            (folders if child["mimeType"] == "inode/directory" else found).append(child["uri"])
    assert sorted(found) == sorted(each["uri"] for each in entry(scene)["resources"])


@pytest.mark.parametrize(
    "uri",
    [SKILL, f"{SKILL}/", f"{FOLDER}/none", f"{FOLDER[:-1]}", "", "/", "skill:", "skill://", "echo://server"],
)
def test_what_is_no_directory_is_invalid_params(scene: Fixtures, uri: str) -> None:
    """A file is none, either: -32602."""
    with pytest.raises(InvalidParams):
        ask(scene, "resources/directory/read", {"uri": uri})
