"""A server that has traces and judges nothing: python stub.py LOG

What is posted to an endpoint of a trace is its findings. Each request is written to LOG, a line of JSON each.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FINDINGS: dict[str, list[dict[str, Any]]] = {}


class Stub(BaseHTTPRequestHandler):
    """Answers as the daemon does."""

    def do_POST(self) -> None:
        body = self.read()
        if self.path == "/t":
            trace = f"trace-{len(FINDINGS)}"
            FINDINGS[trace] = []
            base = f"http://{self.headers['Host']}/t/{trace}"
            self.answer(201, {"trace": trace, "mcpUrl": f"{base}/mcp", "pageUrl": f"{base}/"}, body)
        else:
            FINDINGS[self.trace] = [finding(**each) for each in body]
            self.answer(202, {}, body)

    def do_GET(self) -> None:
        found = FINDINGS[self.trace]
        self.answer(200, {"verdict": "…", "findings": found, "held": 3, "notApplicable": 2, "flows": []})

    def do_DELETE(self) -> None:
        self.answer(204 if FINDINGS.pop(self.trace, None) is not None else 404, {})

    @property
    def trace(self) -> str:
        return self.path.split("/")[2]

    def read(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status: int, body: Any, asked: Any = None) -> None:
        if self.command != "GET" and self.headers["Content-Type"] != "application/json":
            status = 415
        with Path(sys.argv[1]).open("a") as log:
            log.write(json.dumps([self.command, self.path, status, asked]) + "\n")
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if status != 204:
            self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def finding(id: str, level: str, **members: Any) -> dict[str, Any]:  # noqa: A002
    """Return a finding as a report has it."""
    return {
        "id": id,
        "level": level,
        "confidence": "certain",
        "summary": f"{id} was found",
        "advice": "Send what is right.",
        "rule": {"title": "Rules", "url": f"https://example.org/rules#{id}", "keyword": "MUST"},
        "count": 1,
        "first": "2026-01-01T00:00:00.000Z",
        "last": "2026-01-01T00:00:00.000Z",
        **members,
    }


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    print(f"[mcp_echo#info] Serving MCP at http://127.0.0.1:{server.server_port}/mcp", flush=True)
    server.serve_forever()
