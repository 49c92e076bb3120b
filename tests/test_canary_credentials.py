"""Every known kind of credential in every place of a request, and all that comes out looked through.

Our choice: a secret is masked by its shape where its name tells nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from tests.credentials import CREDENTIALS, WRAPPINGS, one_line
from tests.test_canaries import CanaryCase
from tests.transport.support import modern_message, routing_headers, send

AT_ONCE = 40
"""Headers of one request; fewer than may come."""

HEADERS = (
    "X-Whatever",
    "Remote-Name",
    "X-Forwarded-Groups",
    "User-Agent",
    "Referer",
    "X-GitHub-User",
    "Forwarded",
)
"""Headers that are no secrets by their names, some of which authContext puts into its own words."""

PREFIXED = [kind for kind in CREDENTIALS if kind.endswith(")")]
OTHERS = [kind for kind in CREDENTIALS if not kind.endswith(")")]

Message = Callable[[str], dict[str, Any]]

MEMBERS: dict[str, Message] = {
    "a method": lambda text: {"method": text},
    "a tool": lambda text: {"method": "tools/call", "params": {"name": text}},
    "an argument's name": lambda text: called("echo", {text: 1}),
    "a choice": lambda text: called("printHeader", {"category": text}),
    "a feature": lambda text: called("clientProbe", {"feature": text}),
    "a handle": lambda text: called("replayLastEcho", {"session": text}),
    "a media type": lambda text: called("echo", {"message": "", "mimeType": text}),
    "a prompt": lambda text: {"method": "prompts/get", "params": {"name": text}},
    "an argument of a prompt": lambda text: {
        "method": "prompts/get",
        "params": {"name": "diagnose-auth", "arguments": {text: "x"}},
    },
    "a URI": lambda text: {"method": "resources/read", "params": {"uri": text}},
    "a level": lambda text: {"method": "logging/setLevel", "params": {"level": text}},
    "a reference": lambda text: {
        "method": "completion/complete",
        "params": {"ref": {"type": text, "name": text}, "argument": {"name": text, "value": ""}},
    },
    "a revision": lambda text: {"method": "initialize", "params": {"protocolVersion": text}},
    "a client": lambda text: {
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "clientInfo": {"name": text, "version": text}},
    },
}
"""Place → the message with the credential there; those that exist to be shown as they are have no line."""


def called(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"method": "tools/call", "params": {"name": tool, "arguments": arguments}}


class CredentialTests(CanaryCase):
    """One server that writes every kind of log, and a client that carries what it should not."""

    def credentials(self, where: str, prefixed: Sequence[str] | None = None) -> Iterator[str]:
        """Yield a credential of every kind, each wrapped in another way, around a secret of its own.

        Of the many with a published prefix a few at each place, others at the next, unless told which.
        """
        wrappings = list(WRAPPINGS.items())
        if prefixed is None:
            prefixed = [PREFIXED[(len(where) + place) % len(PREFIXED)] for place in range(0, 60, 12)]
        kinds = [*OTHERS, *prefixed]
        for place, kind in enumerate(kinds):
            make = CREDENTIALS[kind]
            wrapping, wrap = wrappings[place % len(wrappings)]
            planted = f"{kind} {wrapping} in {where}"
            credential = make(self.canaries.plant(planted))
            for secret in credential.secrets:
                self.canaries.watch(secret, planted)
            yield wrap(credential.text)

    def test_no_header_of_any_name_shows_a_credential(self) -> None:
        session = self.open_legacy()
        credentials = self.credentials("a header", PREFIXED)
        while batch := list(islice(credentials, AT_ONCE)):
            fields = {f"X-Whatever-{place}": one_line(text) for place, text in enumerate(batch)}
            for tool in ("printHeader", "authContext", "corsAnalysis"):
                self.call(tool, session=session, Origin="https://app.example", **fields)
        self.check()

    def test_no_known_header_shows_a_credential(self) -> None:
        session = self.open_legacy()
        for text in self.credentials("a known header"):
            fields = {name.replace("-", "_"): one_line(text) for name in HEADERS}
            self.call("printHeader", session=session, **fields)
            self.call("authContext", session=session, **fields)
        self.check()

    def test_no_member_shows_a_credential(self) -> None:
        session = self.open_legacy()
        for where, message in MEMBERS.items():
            for text in self.credentials(where):
                told = message(text)
                self.request(
                    "POST",
                    body={"jsonrpc": "2.0", "id": 1, **told},
                    headers={} if told["method"] == "initialize" else {"Mcp-Session-Id": session},
                )
        self.check()

    def test_no_modern_member_or_routing_header_shows_a_credential(self) -> None:
        for where, message in MEMBERS.items():
            for text in self.credentials(where):
                told = message(one_line(text))
                whole = modern_message(told["method"], told.get("params"))
                headers = {**routing_headers(whole), "Mcp-Name": one_line(text)}
                self.request("POST", body=whole, headers=headers)
        self.check()

    def test_no_routing_header_shows_a_credential(self) -> None:
        session = self.open_legacy()
        for name in ("MCP-Protocol-Version", "Mcp-Method", "Last-Event-ID", "Accept", "Origin", "Host"):
            for text in self.credentials(name):
                fields = {"Mcp-Session-Id": session, name: one_line(text)}
                self.request("POST", body={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=fields)
                whole = modern_message("ping")
                self.request("POST", body=whole, headers={**routing_headers(whole), name: one_line(text)})
        self.check()

    def test_no_path_shows_a_credential(self) -> None:
        for text in self.credentials("a path"):
            target = "".join(character if "!" <= character <= "~" else "+" for character in text)
            for path in (f"/{target}", f"/mcp?{target}", f"/mcp/{target}"):
                head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                self.answers.append(send(self.service.site, head.encode()).decode())
        self.rpc("ping")
        self.check()

    def test_no_client_shows_a_credential_in_what_it_says_of_itself(self) -> None:
        for text in self.credentials("clientInfo"):
            session = self.initialize(clientInfo={"name": text, "version": text, "title": text})
            self.call("sessionInfo", session=session)
            self.call("conformanceReport", session=session)
            self.request("DELETE", headers={"Mcp-Session-Id": session})
        self.check()

    def test_no_body_that_cannot_be_read_shows_a_credential(self) -> None:
        session = {"Mcp-Session-Id": self.open_legacy()}
        for text in self.credentials("a body"):
            for body in (text, f'{{"jsonrpc":"2.0","id":{json.dumps(text)}', json.dumps([text])):
                self.request("POST", body=body.encode(), headers=session)
        self.check()
