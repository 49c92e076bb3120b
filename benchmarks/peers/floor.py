"""The floor: a bare twisted.web resource that decodes the call and encodes the answer, and nothing else."""

import sys

import msgspec
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

SESSION = "00000000-0000-4000-8000-000000000000"


class Echo(Resource):
    """Answers every request as mcp-echo answers the first ``echo`` of a session."""

    isLeaf = True

    def render_POST(self, request) -> bytes:  # noqa: N802  # twisted.web's name
        """Return the answer to the call in the body."""
        call = msgspec.json.decode(request.content.read())
        message = call["params"]["arguments"]["message"]
        request.setHeader(b"content-type", b"application/json")
        return msgspec.json.encode(
            {
                "jsonrpc": "2.0",
                "id": call["id"],
                "result": {
                    "content": [
                        {"type": "text", "text": f"{message}\n\nSession: {SESSION}\nEcho count in session: 1"}
                    ],
                    "structuredContent": {"message": message, "session": SESSION, "echoCount": 1},
                    "isError": False,
                },
            }
        )


if __name__ == "__main__":
    # Without the first argument twisted.web would parse bodies of forms, which the others do not do.
    site = Site(Echo(), parsePOSTFormSubmission=False)
    site.log = lambda request: None  # noqa: ARG005  # called by name
    reactor.listenTCP(int(sys.argv[1]), site, interface="127.0.0.1")
    reactor.run()
