"""What registries and package indexes are told of the project agrees with the project."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mcp_echo import __version__
from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED
from tests.documents.pages import ROOT

SCHEMA = json.loads(Path(__file__).with_name("server.schema.json").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    declared: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return declared


@pytest.fixture(name="server")
def _server() -> dict[str, Any]:
    """What the MCP registry is told."""
    told: dict[str, Any] = json.loads(read("server.json"))
    return told


def test_the_registry_takes_what_it_is_told(server: dict[str, Any]) -> None:
    """https://github.com/modelcontextprotocol/registry, docs/reference/server-json."""
    jsonschema.Draft202012Validator(SCHEMA).validate(server)


@pytest.mark.parametrize(
    "wrong", [{"name": "mcp-echo"}, {"description": "x" * 101}, {"packages": [{"registryType": "pypi"}]}]
)
def test_the_schema_refuses_what_the_registry_refuses(server: dict[str, Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate({**server, **wrong})


def test_the_registry_is_told_of_this_package(server: dict[str, Any]) -> None:
    (package,) = server["packages"]
    (argument,) = package["packageArguments"]
    assert {server["version"], package["version"]} == {__version__}
    assert package["identifier"] == project()["name"]
    assert argument["name"] in {f"--{setting.option}" for setting in DECLARED}
    assert argument["default"] == load({}, {}).settings.port


def test_the_readme_proves_that_the_package_is_the_server(server: dict[str, Any]) -> None:
    """The registry looks for this in the description on PyPI: whoever has the one has the other."""
    assert f"<!-- mcp-name: {server['name']} -->" in read("README.md")


def test_the_newest_release_in_the_changelog_is_this_version() -> None:
    """https://keepachangelog.com: a version and the day of its release."""
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    assert releases[0][0] == __version__
    headings = set(re.findall(r"^### (\w+)$", read("CHANGELOG.md"), re.MULTILINE))
    assert headings <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_dependency_has_an_upper_bound() -> None:
    """A new major version is looked at before it is taken; stubs of types follow what they describe."""
    groups = [project()["dependencies"], *project()["optional-dependencies"].values()]
    named = {each for group in groups for each in group if not each.startswith(("mcp-echo-daemon", "types-"))}
    assert named
    assert [each for each in named if not re.search(r">=[\d.]+,<\d+", each)] == []


def test_ci_starts_what_the_readme_starts() -> None:
    """.ci/run takes the first block of commands, and gives it another port."""
    first = re.findall(r"^```sh$\n(.*)$", read("README.md"), re.MULTILINE)[0]
    assert shlex.split(first)[-2:] == ["--port", "3000"]


def test_a_report_of_a_fault_asks_for_evidence() -> None:
    form = read(".github/ISSUE_TEMPLATE/fault.yml")
    assert "evidence.md" in form
    assert "mcp-echo report" in form
