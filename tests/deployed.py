"""What is shipped beside the package, read: the container image and the compose files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from compose_spec import PyCompose

ROOT = Path(__file__).parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# Dockerfile: one instruction a line, after comments are dropped and continued lines joined.


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in read("Dockerfile").splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def image() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, which is the image."""
    whole = instructions()
    start = max(place for place, (name, _) in enumerate(whole) if name == "FROM")
    return whole[start:]


def only(name: str) -> str:
    (value,) = [rest for each, rest in image() if each == name]
    return value


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(only("ENV")))


def compose(name: str, **variables: str) -> dict[str, Any]:
    """Return a compose file as the Compose specification reads it.

    Args:
        name: The file.
        variables: What is set where compose is started.

    Raises:
        ValueError: It breaks the specification, or a variable is missing that has no default.
    """

    def value(reference: re.Match[str]) -> str:
        default, required = reference["default"], reference["required"]
        if reference["name"] not in variables and default is None:
            raise ValueError(required or f"{reference['name']} is not set")
        return variables.get(reference["name"], default or "")

    reference = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?(?P<required>[^}]*))?\}")
    found = PyCompose.from_yaml(reference.sub(value, read(name)))
    found.validate_networks()
    found.validate_volumes()
    whole: dict[str, Any] = found.to_dict()
    return whole


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    """Return the environment variables that a service of a compose file is given."""
    return dict(each.split("=", 1) for each in service["environment"])
