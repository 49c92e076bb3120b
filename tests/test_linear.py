"""Whatever looks at a client's text takes time in proportion to its length.

The public functions are collected from the rooms that read such texts, and called with what their signatures
ask for: a new one is measured without being named anywhere, and one that cannot be called fails until `MADE`
says how. Tools, which take a `Call`, are reached by whole requests in `tests/test_linear_requests.py`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import Raw

import mcp_echo
from mcp_echo.auth.identity_headers import IdentityHeader, row_of
from mcp_echo.http.headers import Headers
from mcp_echo.http.origins import AllowedHosts, AllowedOrigins
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.params import read_without_nulls
from mcp_echo.protocol.revisions import Revision, Supported
from mcp_echo.sessions.memory import MemoryStore
from mcp_echo.sessions.store import SessionStore, StoreLimits
from mcp_echo.settings.load import load
from mcp_echo.settings.table import Settings
from mcp_echo.tools.base import Call
from mcp_echo.transport.edge.reader import RequestLimits, RequestReader
from tests.growth import FAMILIES, ONE_AT_A_TIME, check_linear, repeated

pytestmark = [pytest.mark.slow, ONE_AT_A_TIME]

ROOMS = (
    "mcp_echo.auth.credentials",
    "mcp_echo.auth.identity_headers",
    "mcp_echo.auth.jwt",
    "mcp_echo.auth.jwt_claims",
    "mcp_echo.auth.jwt_problems",
    "mcp_echo.auth.lookalikes",
    "mcp_echo.auth.proxies",
    "mcp_echo.auth.token_search",
    "mcp_echo.http",
    "mcp_echo.protocol",
    "mcp_echo.redaction",
    "mcp_echo.sessions.event_log",
    "mcp_echo.tools.auth",
    "mcp_echo.tools.handles",
    "mcp_echo.tools.headers",
    "mcp_echo.tools.identity",
    "mcp_echo.tools.misnamed",
    "mcp_echo.transport.edge.answer",
    "mcp_echo.transport.edge.head",
    "mcp_echo.transport.edge.misread",
    "mcp_echo.transport.sse",
)
"""Where client texts are read; a package stands for all its modules."""

LONGEST = 32 * 1024

Make = Callable[[str], Any]

SETTINGS = load({}, {}).settings

MADE: Mapping[Any, Make] = {
    str: lambda text: text,
    bytes: lambda text: text.encode("utf-8", "surrogatepass"),
    Any: lambda text: {text: [text]},
    bool: lambda _: True,
    int: lambda _: 100,
    float: lambda _: 0.0,
    Raw: lambda text: Raw(
        ('{"name":"' + text + '","_meta":{"a":"' + text + '"}}').encode("utf-8", "replace")
    ),
    Headers: lambda text: Headers(
        [("X-A", text), ("Authorization", text), ("Accept", text), ("Origin", text)]
    ),
    Revision: lambda _: Supported().offered,
    Supported: lambda _: Supported(),
    Settings: lambda _: SETTINGS,
    AllowedHosts: lambda _: AllowedHosts(["localhost"]),
    AllowedOrigins: lambda _: AllowedOrigins(["http://localhost"]),
    McpError: McpError,
    IdentityHeader: lambda _: row_of("X-MS-CLIENT-PRINCIPAL"),
    SessionStore: lambda _: MemoryStore(StoreLimits(3600, 10), lambda: 0.0),
    type(None): lambda _: None,
}
"""Type → how to make one that has the text in it."""

_CHARACTER = "is given one character"
_OURS = "is given a method or a schema of the server's own"
NOT_A_CLIENT_S = {
    "mcp_echo.auth.credentials.hint_at": _CHARACTER,
    "mcp_echo.auth.credentials.is_invisible": _CHARACTER,
    "mcp_echo.auth.credentials.name_of": _CHARACTER,
    "mcp_echo.protocol.params.read_without_nulls": "is given a decoder; see below",
    "mcp_echo.protocol.modern.is_answer": _OURS,
    "mcp_echo.protocol.modern.is_declared": _OURS,
    "mcp_echo.protocol.modern.required_capability": _OURS,
    "mcp_echo.tools.handles.with_handle": _OURS,
    "mcp_echo.protocol.modern.read_params": "is given a decoder; the methods' own are tried over HTTP",
    "mcp_echo.redaction.masking.mask_known": "its bound is on text and secrets together",
}
"""Function → why it is not fed."""


def modules() -> Iterator[ModuleType]:
    for name in ROOMS:
        module = importlib.import_module(name)
        yield module
        for each in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
            yield importlib.import_module(each.name)


def takes_text(function: Callable[..., Any]) -> bool:
    """Return whether a function is given something that a client has written."""
    hints = typing.get_type_hints(function)
    given = [hint for name, hint in hints.items() if name != "return"]
    if Call in given:
        return False
    return any(part in (str, bytes, Raw, Any, Headers) for hint in given for part in parts(hint))


def parts(hint: Any) -> Iterator[Any]:
    """Yield a type and those that it is made of, but not what a function takes."""
    yield hint
    if typing.get_origin(hint) is not Callable and "Callable" not in str(typing.get_origin(hint)):
        for each in typing.get_args(hint):
            yield from parts(each)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in modules():
        for name, each in vars(module).items():
            whole = f"{module.__name__}.{name}"
            plain = inspect.unwrap(each) if callable(each) else each
            own = inspect.isfunction(plain) and plain.__module__ == module.__name__
            if own and not name.startswith("_") and takes_text(plain):
                yield whole, plain


FED = {name: each for name, each in functions() if name not in NOT_A_CLIENT_S}


def made(hint: Any, text: str) -> Any:
    """Return a value of a type with the text in it."""
    if hint in MADE:
        return MADE[hint](text)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return arguments[0]
    if origin is typing.Annotated:
        return made(arguments[0], text)
    if "Union" in str(origin):
        return made(next(each for each in arguments if each is not type(None)), text)
    if "Callable" in str(origin):
        # What replaces each of many parts must not be as long as the whole.
        return lambda *_: made(arguments[-1], "" if arguments[-1] is str else text)
    if origin is dict or "Mapping" in str(origin):
        return {made(arguments[0], text): made(arguments[1], text)}
    if origin is tuple:
        return tuple(made(each, text) for each in arguments if each is not ...)
    if origin is not None:
        return [made(arguments[0], text)]
    raise AssertionError(f"MADE must say how to make {hint}")


def call_with(function: Callable[..., Any], text: str) -> Callable[[], object]:
    hints = typing.get_type_hints(function)
    given = {
        name: made(hints[name], text)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty or hints[name] in (str, bytes)
    }

    def call() -> None:
        # A refusal is as good an answer as any; what it costs is what counts.
        with suppress(McpError, ValueError):
            outcome = function(**given)
            if inspect.isgenerator(outcome):
                list(outcome)

    return call


@pytest.mark.parametrize("name", FED)
def test_what_reads_a_client_s_text_takes_time_in_proportion_to_it(name: str) -> None:
    """Our choice: 3 kilobytes must not stop a server, whatever they are."""
    function = FED[name]
    for unit in FAMILIES.values():
        make = partial(lambda unit, size: call_with(function, repeated(unit, size)), unit)
        try:
            check_linear(make, LONGEST)
        except AssertionError as error:
            raise AssertionError(f"{name} of {unit!r}: {error}") from None


def test_nulls_are_left_out_in_time_proportional_to_their_number() -> None:
    """Our choice, as above."""
    decode = msgspec.json.Decoder(dict[str, str]).decode

    def make(size: int) -> Callable[[], object]:
        members = b",".join(b'"%d":null' % number for number in range(size // 12))
        return partial(read_without_nulls, decode, Raw(b"{%b}" % members))

    # Beyond that a dict outgrows the processor's caches, and takes its time for that.
    check_linear(make, 4 * LONGEST)


@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_request_is_read_in_time_proportional_to_its_length(pieces: int) -> None:
    """Our choice, as above: in one piece and in a thousand, heads and chunks, and what may end them."""
    limits = RequestLimits(head_bytes=10**9, fields=10**9, body=10**9, chunked=10**9)
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    def read(data: bytes) -> None:
        reader = RequestReader(limits)
        size = max(1, len(data) // pieces)
        with suppress(McpError):
            for start in range(0, len(data), size):
                piece, at = data[start : start + size], 0
                while at < len(piece) and not reader.complete:
                    at = reader.read(piece, at)
        reader.close()

    for before, unit in (
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"\r"),
        (b"x", b"x"),
        (b"GET /", b"/?#"),
        (chunked, b"1\r\nx\r\n"),
        (chunked + b"fffffff\r\n", b"\r\n\r\n"),
        (chunked + b"1;", b"a"),
    ):

        def make(size: int, before: bytes = before, unit: bytes = unit) -> Callable[[], object]:
            return partial(read, before + unit * (size // len(unit)))

        check_linear(make, 8 * LONGEST)


def test_everything_that_is_left_out_is_still_there() -> None:
    """A line that excuses nothing is out of date."""
    assert set(NOT_A_CLIENT_S) <= {name for name, _ in functions()}


def test_the_growth_of_a_quadratic_function_is_seen() -> None:
    """The test above must be able to fail."""

    def quadratic(text: str) -> int:
        return sum(text.count(text[place:]) for place in range(0, len(text), 2))

    with pytest.raises(AssertionError, match="characters took"):
        check_linear(lambda size: partial(quadratic, "ab" * (size // 2)), LONGEST)


def test_every_room_is_looked_through() -> None:
    """The collection must find what there is, the oldest and the newest."""
    found = {name.removeprefix(f"{mcp_echo.__name__}.") for name in FED}
    assert {
        "http.accept.parse_accept",
        "http.origins.parse_origin",
        "protocol.modern.decode_header",
        "protocol.strict_json.read",
        "redaction.masking.mask_tokens",
        "redaction.masking.mask_header",
        "sessions.event_log.event_id",
        "auth.token_search.in_request",
        "auth.jwt.read",
        "transport.edge.misread.error_for",
    } <= found
