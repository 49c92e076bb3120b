"""A gateway that loses a header: it passes on what it gets, without Mcp-Session-Id.

python3 lossy_gateway.py PORT SERVER:PORT
"""

import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, SERVER = int(sys.argv[1]), sys.argv[2]
LOST = {"mcp-session-id"}
OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


class Gateway(BaseHTTPRequestHandler):
    """Sends each request to the server, and its answer back as it comes."""

    def pass_on(self):
        server = HTTPConnection(SERVER)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.request(self.command, self.path, body, self.without(self.headers.items(), LOST))
        answer = server.getresponse()
        self.send_response(answer.status)
        for name, value in self.without(answer.getheaders(), set()).items():
            self.send_header(name, value)
        self.end_headers()
        while piece := answer.read1():
            self.wfile.write(piece)

    do_GET = do_POST = do_DELETE = pass_on

    def without(self, headers, names):
        return {name: value for name, value in headers if name.lower() not in names | OF_ONE_CONNECTION}

    def log_message(self, format, *words):  # noqa: A002  # the base class's name
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Gateway).serve_forever()
