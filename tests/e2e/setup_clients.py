"""Make the environments of the official clients and servers of the end-to-end tests, gateways, uv and pipx.

    python tests/e2e/setup_clients.py

They go to $MCP_ECHO_E2E_CACHE, by default ~/.cache/mcp-echo-e2e. What is there and up to date stays as it
is, so a second run takes no time. Needs pip's and npm's registries, node and npm.
"""

from __future__ import annotations

import shutil
import subprocess
import venv
from pathlib import Path

# The directory of a script is where Python looks first.
import environments


def _make_python(name: str, directory: Path) -> None:
    venv.create(directory, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-qq", environments.PYTHON[name]], check=True)


def _make_node(name: str, directory: Path) -> None:
    directory.mkdir()
    for file in environments.NODE_SOURCES[name].glob("package*.json"):
        shutil.copy(file, directory)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=directory, check=True)


def main() -> None:
    """Make what is missing or out of date."""
    environments.cache().mkdir(parents=True, exist_ok=True)
    makers = {
        **dict.fromkeys(environments.PYTHON, _make_python),
        **dict.fromkeys(environments.NODE_SOURCES, _make_node),
    }
    for name, make in makers.items():
        directory = environments.cache() / name
        if environments.is_made(name):
            print(f"{directory}: up to date")
            continue
        shutil.rmtree(directory, ignore_errors=True)
        make(name, directory)
        environments.stamp(name).write_text(environments.recipe(name), encoding="utf-8")
        print(f"{directory}: made")


if __name__ == "__main__":
    main()
