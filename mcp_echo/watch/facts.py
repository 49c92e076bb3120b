"""What rules want to know of the bodies of requests and answers. No I/O.

A body is read as anything that is JSON, since what is wrong with it is what is looked for. Nothing of a
client's text stays but names, which are masked, and fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from mcp_echo.protocol.modern import CAPABILITIES_KEY, PREFIX, VERSION_KEY
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.records import IdForm, JsonId, Params, Result, TokenForm

MOST_READ = 64 * 1024
"""Bytes of a body that is read; of a larger one only what the server has learned is known."""

MOST_MESSAGES = 100
"""Messages of one array that are looked at."""

_CLIENT_KEY = f"{PREFIX}clientInfo"
_LISTS = ("tools", "prompts", "resources", "resourceTemplates")
_NAMED_BY = ("name", "uri", "taskId")


class Message(NamedTuple):
    """What is known of one message of a request."""

    id_form: IdForm = "absent"
    method: str | None = None
    name: str | None = None
    params: Params = Params()


def of_request(body: bytes, masker: Masker) -> list[Message]:
    """Return what is known of each message in a body, in order; nothing where it cannot be read."""
    return [_message(each, masker) for each in _objects(body)]


def of_answer(body: bytes, masker: Masker) -> dict[JsonId | None, Result]:
    """Return what is known of each response in a body, by the id it answers."""
    found: dict[JsonId | None, Result] = {}
    for each in _objects(body):
        message_id = each.get("id")
        known = message_id if isinstance(message_id, int | str) else None
        found[known] = _result(each, masker)
    return found


def _objects(body: bytes) -> Iterator[dict[str, Any]]:
    if not body or len(body) > MOST_READ:
        return
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for each in whole[:MOST_MESSAGES] if isinstance(whole, list) else (whole,):
        yield each if isinstance(each, dict) else {}


def _message(message: dict[str, Any], masker: Masker) -> Message:
    params, method = message.get("params"), message.get("method")
    name = None
    known = Params()
    if isinstance(params, dict):
        named = next((params[key] for key in _NAMED_BY if isinstance(params.get(key), str)), None)
        name = None if named is None else masker.name(named)
        known = _params(method, params, masker)
    return Message(_id_form(message), _name(method, masker), name, known)


def _id_form(message: dict[str, Any]) -> IdForm:
    if "id" not in message:
        return "absent"
    value = message["id"]
    if value is None:
        return "null"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int) and not isinstance(value, bool):
        return "integer"
    return "fraction" if isinstance(value, float) else "other"


def _params(method: Any, params: dict[str, Any], masker: Masker) -> Params:
    meta = _object(params.get("_meta"))
    modern = VERSION_KEY in meta
    info = _object(meta[_CLIENT_KEY] if _CLIENT_KEY in meta else params.get("clientInfo"))
    declared = meta.get(CAPABILITIES_KEY) if modern else params.get("capabilities")
    version = meta.get(VERSION_KEY) if modern else params.get("protocolVersion")
    inputs = params.get("inputResponses")
    return Params(
        client=_name(info.get("name"), masker),
        client_version=_name(info.get("version"), masker),
        capabilities=capabilities(declared, masker) if isinstance(declared, dict) else None,
        protocol_version=_name(version, masker),
        modern=modern,
        lacks=tuple(_lacking(method, params, meta)),
        progress=_token_form(meta),
        cursor=_print(params.get("cursor"), masker),
        arguments=_print(params.get("arguments"), masker),
        state=_print(params.get("requestState"), masker),
        inputs=tuple(masker.text(key) for key in list(inputs)[:16]) if isinstance(inputs, dict) else None,
        cancels=_cancelled(method, params),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any, masker: Masker) -> str | None:
    return masker.name(value) if isinstance(value, str) else None


def _print(value: Any, masker: Masker) -> str | None:
    """Return a fingerprint of a JSON value, equal for equal ones however their members are ordered."""
    return None if value is None else masker.fingerprint(msgspec.json.encode(value, order="sorted"))


def capabilities(declared: Mapping[str, Any], masker: Masker) -> tuple[str, ...]:
    """Return what a client declares, with dots; see `Params.capabilities`."""
    found: list[str] = []
    for name, value in list(declared.items())[:16]:
        found.append(masker.name(name))
        inner = list(value.items())[:16] if isinstance(value, dict) else []
        found += [masker.name(f"{name}.{key}") for key, on in inner if on is not False]
    return tuple(found)


def _lacking(method: Any, params: dict[str, Any], meta: dict[str, Any]) -> Iterator[str]:
    """Yield the members that are missing where they are required.

    basic/lifecycle, Initialization; 2026-07-28 basic, _meta.
    """
    if any(key.startswith(PREFIX) for key in meta):
        yield from (key for key in (VERSION_KEY, CAPABILITIES_KEY, _CLIENT_KEY) if key not in meta)
    elif method == "initialize":
        yield from (key for key in ("protocolVersion", "capabilities") if key not in params)
        info = _object(params.get("clientInfo"))
        yield from (f"clientInfo.{key}" for key in ("name", "version") if not isinstance(info.get(key), str))


def _token_form(meta: dict[str, Any]) -> TokenForm:
    if "progressToken" not in meta:
        return "absent"
    token = meta["progressToken"]
    if isinstance(token, str):
        return "string"
    return "integer" if isinstance(token, int) and not isinstance(token, bool) else "other"


def _cancelled(method: Any, params: dict[str, Any]) -> JsonId | None:
    named = params.get("requestId")
    known = method == "notifications/cancelled" and isinstance(named, int | str)
    return named if known and not isinstance(named, bool) else None


def _result(message: dict[str, Any], masker: Masker) -> Result:
    error, result = message.get("error"), _object(message.get("result"))
    if isinstance(error, dict):
        supported = _object(error.get("data")).get("supported")
        return Result(
            message=_name(error.get("message"), masker),
            supported=tuple(each for each in supported if isinstance(each, str))
            if isinstance(supported, list)
            else (),
        )
    listed = next((result[key] for key in _LISTS if isinstance(result.get(key), list)), None)
    asks = result.get("inputRequests")
    return Result(
        message=_name(_error_text(result), masker) if result.get("isError") is True else None,
        protocol_version=_name(result.get("protocolVersion"), masker),
        next_cursor=_print(result.get("nextCursor"), masker),
        entries=None if listed is None else len(listed),
        state=_print(result.get("requestState"), masker),
        asks=tuple(asks) if isinstance(asks, dict) else (),
    )


def _error_text(result: dict[str, Any]) -> Any:
    """Return what a tool says of its failure."""
    content = result.get("content")
    first = content[0] if isinstance(content, list) and content else None
    return _object(first).get("text")
