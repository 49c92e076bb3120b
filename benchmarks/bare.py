"""The floor: a bare twisted.web resource that decodes and encodes the JSON of an echo, and does nothing else.

python benchmarks/bare.py PORT
"""

from __future__ import annotations

import sys

import msgspec
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

_TEXT = "hello world\n\nSession: 00000000-0000-4000-8000-000000000000\nEcho count in session: 1"
_RESULT = {
    "content": [{"type": "text", "text": _TEXT}],
    "structuredContent": {
        "message": "hello world",
        "session": "00000000-0000-4000-8000-000000000000",
        "echoCount": 1,
    },
    "isError": False,
}


class Bare(Resource):
    """Answers every request like an echo that remembers nothing."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Decode the body and encode an answer of the same size as the real one."""
        message = msgspec.json.decode(request.content.read())
        request.setHeader(b"content-type", b"application/json")
        return msgspec.json.encode({"jsonrpc": "2.0", "id": message["id"], "result": _RESULT})


class QuietSite(Site):
    """A site without an access log."""

    def log(self, request: Request) -> None:
        """Write nothing."""


if __name__ == "__main__":
    site = QuietSite(Bare(), parsePOSTFormSubmission=False)
    reactor.listenTCP(int(sys.argv[1]), site, interface="127.0.0.1")
    reactor.run()
