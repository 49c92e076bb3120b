"""Has Codex connect without a model, as its app server does for editors: python codex_app.py CODEX URL"""

import json
import subprocess
import sys
from typing import Any


def main(codex: str, url: str) -> None:
    """Configure the server, and ask for its status until it is told."""
    subprocess.run([codex, "mcp", "add", "echo", "--url", url], check=True)
    app = subprocess.Popen([codex, "app-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert app.stdin is not None
    assert app.stdout is not None

    def send(**message: Any) -> None:
        print(json.dumps(message), file=app.stdin, flush=True)

    send(id=1, method="initialize", params={"clientInfo": {"name": "recorder", "version": "1"}})
    send(method="initialized")
    send(id=2, method="mcpServerStatus/list", params={})
    while json.loads(app.stdout.readline()).get("id") != 2:
        pass
    app.stdin.close()
    app.wait(20)


main(*sys.argv[1:])
