"""Validates recorded messages with the models of the official mcp_types package.

Reads a JSON list of {"revision", "method", "result"} and {"revision", "method", "params"} (a notification)
from standard input; prints {"errors": [...], "methods": {revision: [request methods of the schema]}}.
"""

import json
import sys
from typing import Any

from mcp_types import methods


def error(entry: dict[str, Any]) -> str | None:
    """Return what is wrong with a message, or None."""
    method, revision = entry["method"], entry["revision"]
    try:
        if "result" in entry:
            methods.parse_server_result(method, revision, entry["result"])
        else:
            methods.parse_server_notification(method, revision, entry["params"])
    except Exception as reason:
        return f"{revision} {method}: {type(reason).__name__}: {reason}"
    return None


recorded = json.load(sys.stdin)
revisions = {entry["revision"] for entry in recorded}
json.dump(
    {
        "errors": [found for entry in recorded if (found := error(entry)) is not None],
        "methods": {
            revision: sorted(method for method, spoken in methods.CLIENT_REQUESTS if spoken == revision)
            for revision in revisions
        },
    },
    sys.stdout,
)
