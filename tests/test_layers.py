"""What may import what, read from the syntax trees, and some rules that keep a layout from breaking."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

import pytest

import mcp_echo
import twisted

PACKAGE = Path(mcp_echo.__file__).parent
ROOT = Path(__file__).parents[1]

# Each room imports only what stands to its left; rooms in one place know nothing of each other.
ROOMS = [
    # What connects the daemon with its machine knows no MCP, and what clients' tests use knows no daemon.
    "host|http|testing",
    "protocol",
    "auth",
    "watch",
    "oauth",
    "faults",
    "sessions",
    "tools",
    "offer",
    "fixtures|eras|cluster|page",
    "transport|stores",
    "metrics",
    "workers|report",
    "check",
    "service",
    "tap",
    "__main__",
]
PLACE = {name: place for place, names in enumerate(ROOMS) for name in names.split("|")}
# May be imported from anywhere, and import nothing of the rooms.
LEAVES = {"settings", "redaction"}
# Rooms that nobody else may import.
ONLY_FOR = {
    "cluster": {"service", "stores"},
    "fixtures": {"service"},
    "stores": {"service"},
    "testing": {"testing"},
}

GROUND_FLOOR = {
    "http",
    "protocol",
    "auth",
    "watch",
    "oauth",
    "faults",
    "sessions",
    "tools",
    "offer",
    "fixtures",
    "eras",
    "page",
    "testing",
}
GROUND_FLOOR |= LEAVES
TWISTED_FLOOR = {"twisted", "klein", "treq", "zope"}

SOURCES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
)
sources = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))

# A revision or a list of them; a sentence that speaks of one compares nothing.
REVISION_STRING = re.compile(r"[\s,]*(?:20\d\d-\d\d-\d\d[\s,]*)+")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(tree: ast.AST, path: Path) -> Iterator[str]:
    """Yield the full name of everything imported anywhere in a file, inside functions too."""
    package = ("mcp_echo", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            # `from mcp_echo import resources` names a module, `from mcp_echo import __version__` none.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    names = (name.split(".") for name in imported(ast.parse(path.read_text()), path))
    return {name[1] for name in names if name[0] == "mcp_echo" and name[1] != "__version__"}


@sources
def test_a_room_imports_only_what_stands_to_its_left(path: Path) -> None:
    """Our choice: the directions of the layout; a module without a place in it needs one here.

    The fixtures are an addition that the service makes, and it chooses the store: nothing else may come to
    depend on either.
    """
    here = room(path)
    wanted = rooms_imported(path)
    if here in LEAVES:
        assert wanted == set() or wanted == {here}
        return
    left = {name for name in PLACE if PLACE[name] < PLACE[here] and here in ONLY_FOR.get(name, {here})}
    neighbours = left | {here} | LEAVES
    assert wanted <= neighbours, f"{here} must not import {wanted - neighbours}"


@sources
def test_the_ground_floor_knows_nothing_of_twisted(path: Path) -> None:
    """Our choice: what MCP means is a function of messages, not of a network."""
    if room(path) not in GROUND_FLOOR:
        return
    tops = {name.partition(".")[0] for name in imported(ast.parse(path.read_text()), path)}
    assert not tops & TWISTED_FLOOR


EDGE = PACKAGE / "transport" / "edge"
UNDER_THE_EDGE = (
    "auth.networks",
    "auth.proxies",
    "http",
    "protocol",
    "redaction",
    "settings",
    "sessions.limits",
    "host.twisted_private",
    "transport.edge",
    "watch.observer",
    "watch.seen",
    "__version__",
)


@pytest.mark.parametrize("path", sorted(EDGE.glob("*.py")), ids=lambda path: path.name)
def test_the_edge_knows_http_and_nothing_of_mcp(path: Path) -> None:
    """Our choice: a connection is the same for clients and for those who scrape, in short files."""
    ours = [name.removeprefix("mcp_echo.") for name in imported(ast.parse(path.read_text()), path)]
    ours = [name for name in ours if name.split(".")[0] in PLACE or name.split(".")[0] in LEAVES]
    assert [name for name in ours if not name.startswith(UNDER_THE_EDGE)] == []
    assert len(path.read_text().splitlines()) <= 300


def private_names(tree: ast.AST) -> set[str]:
    """Return the private attributes that a file reaches for in what is not its own object."""
    own = {"self", "cls"}
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in own)
    }


OF_NAMED_TUPLES = {"_make", "_replace", "_asdict", "_fields"}


@sources
def test_private_names_of_others_stand_in_one_module(path: Path) -> None:
    """Our choice: a new Twisted is looked at in one place."""
    if path == PACKAGE / "host/twisted_private.py":
        return
    known = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    found = private_names(ast.parse(path.read_text())) - OF_NAMED_TUPLES
    # What a file defines itself it may use of another object of its own class, and the exit is the system's.
    assert {name for name in found if name not in known and name != "_exit"} == set()


def test_redaction_needs_nothing_but_the_standard_library() -> None:
    """Our choice: a leaf, so that nothing stands between a secret and its mask."""
    for path in (*(PACKAGE / "redaction").glob("*.py"), *(PACKAGE / "settings").glob("*.py")):
        names = list(imported(ast.parse(path.read_text()), path))
        tops = {
            each.partition(".")[0]
            for each in names
            if not each.startswith(("mcp_echo.redaction.", "mcp_echo.settings."))
        }
        assert tops <= sys.stdlib_module_names


def test_every_room_has_a_place() -> None:
    """A new or renamed room must not slip out of the tests above."""
    assert {room(path) for path in SOURCES} == {*PLACE, *LEAVES}


def test_the_root_holds_what_begins_the_program_and_nothing_else() -> None:
    """Our choice: whoever looks for a line looks for its room."""
    assert {path.name for path in PACKAGE.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "service.py",
        "tap.py",
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_room_says_what_it_is_for_and_has_its_code_in_modules(path: Path) -> None:
    """Our choice: a name is found in the module that is called like it."""
    body = ast.parse(path.read_text()).body
    assert isinstance(body[0], ast.Expr)
    assert not any(isinstance(node, (ast.ClassDef, ast.FunctionDef)) for node in body)


def test_the_server_runs_without_twisted() -> None:
    """Our choice, as above, by doing it: with Twisted made unimportable the ground floor still imports."""
    program = "; ".join(
        [
            "import sys",
            "sys.modules.update(dict.fromkeys(['twisted', 'klein', 'treq', 'zope']))",
            "import mcp_echo.eras.server",
            "import mcp_echo.tools.catalogue",
            "import mcp_echo.fixtures.sets",
            "print(mcp_echo.eras.server.Server.__name__)",
        ]
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (ran.returncode, ran.stdout.strip()) == (0, "Server"), ran.stderr


def test_no_init_file_stands_in_the_twisted_directory() -> None:
    """A wheel with twisted/plugins/__init__.py overwrites Twisted's own, and every plugin is gone."""
    assert shipped_in_twisted() == {"twisted/plugins/mcp_echo_plugin.py"}


def shipped_in_twisted() -> set[str]:
    """Return our modules in the directory that Twisted and we have in common once we are installed."""
    beside = PACKAGE.parent / "twisted"
    if beside == Path(twisted.__file__).parent:
        names = [str(path) for path in files("mcp-echo-daemon") or ()]
        return {name for name in names if name.startswith("twisted/") and name.endswith(".py")}
    return {str(path.relative_to(PACKAGE.parent)) for path in beside.rglob("*.py")}


def without_docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the string literals of a file that are not statements of their own."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node


@sources
def test_revisions_are_named_in_one_file(path: Path) -> None:
    """Our choice: code asks a revision for a feature and never compares version strings."""
    if path == PACKAGE / "protocol/revisions.py":
        return
    named = [
        node.value
        for node in without_docstrings(ast.parse(path.read_text()))
        if REVISION_STRING.fullmatch(node.value)
    ]
    assert named == []


def test_the_search_for_revision_strings_finds_them() -> None:
    """The test above must be able to fail."""
    tree = ast.parse(
        '"""of 2025-06-18"""\nif revision >= "2025-06-18":\n    "2025-06-18"\n    f"{x} 2025-03-26"'
    )
    assert [node.value for node in without_docstrings(tree)] == ["2025-06-18", " 2025-03-26"]
