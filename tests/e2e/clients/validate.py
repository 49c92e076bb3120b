"""Validates recorded messages with the models of the official mcp_types package.

Reads a JSON list of {"revision", "method", "message"} from standard input, where the method is the one that
the message belongs to: its own, or that of the request it answers. Prints
{"errors": [...], "methods": {revision: [request methods of the schema]}}.
"""

import json
import sys
from typing import Any

from mcp_types import _v2025_11_25 as legacy
from mcp_types import _v2026_07_28 as modern
from mcp_types import methods
from pydantic import TypeAdapter

MODERN = "2026-07-28"

# Errors that the schema has a model of its own for: of the error alone, or of the whole response.
BARE_ERRORS = {
    -32700: modern.ParseError,
    -32600: modern.InvalidRequestError,
    -32601: modern.MethodNotFoundError,
    -32602: modern.InvalidParamsError,
    -32603: modern.InternalError,
}
WHOLE_ERRORS = {
    -32020: modern.HeaderMismatchError,
    -32021: modern.MissingRequiredClientCapabilityError,
    -32022: modern.UnsupportedProtocolVersionError,
}


def fits(model: Any, value: Any) -> None:
    """Raise what is wrong with a value; no type stands for another, as in "16" for 16."""
    TypeAdapter(model).validate_json(json.dumps(value), strict=True, by_name=False)


def validate(revision: str, method: str, message: dict[str, Any]) -> None:
    """Raise what is wrong with a message."""
    schema = modern if revision == MODERN else legacy
    kind = (method, revision)
    fits(schema.JSONRPCMessage, message)
    if "error" in message:
        code = message["error"]["code"]
        fits(schema.JSONRPCErrorResponse, message)
        fits(BARE_ERRORS.get(code, schema.Error), message["error"])
        if revision == MODERN:
            fits(WHOLE_ERRORS.get(code, modern.JSONRPCErrorResponse), message)
    elif "result" in message:
        fits(methods.SERVER_RESULTS[kind], message["result"])
        if message["result"].get("resultType") == "input_required":
            fits(modern.InputRequiredResult, message["result"])
    elif "id" in message:
        fits(methods.SERVER_REQUESTS[kind], message)
    else:
        fits(methods.SERVER_NOTIFICATIONS[kind], message)


def fault(entry: dict[str, Any]) -> str | None:
    """Return what is wrong with an entry, or None."""
    try:
        validate(**entry)
    except Exception as reason:
        return f"{entry['revision']} {entry['method']}: {type(reason).__name__}: {reason}"
    return None


recorded = json.load(sys.stdin)
revisions = {entry["revision"] for entry in recorded}
json.dump(
    {
        "errors": [found for entry in recorded if (found := fault(entry)) is not None],
        "methods": {
            revision: sorted(method for method, spoken in methods.CLIENT_REQUESTS if spoken == revision)
            for revision in revisions
        },
    },
    sys.stdout,
)
