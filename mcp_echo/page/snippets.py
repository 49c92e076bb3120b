"""How each client is pointed at an address: a command, a file, or a few lines of a program. No I/O."""

from __future__ import annotations

import msgspec

URL = "{url}"
"""Stands in a snippet for the address."""


class Snippet(msgspec.Struct, frozen=True):
    """How one client is pointed at an address."""

    client: str
    """What people call it."""
    where: str
    """Where the text belongs: a terminal, or a file."""
    text: str
    """With `URL` in the place of the address."""


TERMINAL = "in a terminal"

SNIPPETS = (
    Snippet("Claude Code", TERMINAL, 'claude mcp add --transport http mcp-echo "{url}"\nclaude mcp list'),
    Snippet("Codex", TERMINAL, 'codex mcp add mcp-echo --url "{url}"\ncodex mcp list'),
    Snippet("Gemini CLI", TERMINAL, 'gemini mcp add --transport http mcp-echo "{url}"\ngemini mcp list'),
    Snippet(
        "VS Code",
        "in .vscode/mcp.json",
        '{\n  "servers": {\n    "mcp-echo": {\n      "type": "http",\n      "url": "{url}"\n    }\n  }\n}',
    ),
    Snippet(
        "Cursor",
        "in .cursor/mcp.json",
        '{\n  "mcpServers": {\n    "mcp-echo": {\n      "url": "{url}"\n    }\n  }\n}',
    ),
    Snippet("opencode", TERMINAL, 'opencode mcp add mcp-echo --url "{url}"\nopencode mcp list'),
    Snippet(
        "Inspector",
        TERMINAL,
        'npx @modelcontextprotocol/inspector --cli "{url}" --transport http --method tools/list',
    ),
    Snippet(
        "mcp-remote",
        "in the configuration of a client that speaks stdio alone",
        '{\n  "mcpServers": {\n    "mcp-echo": {\n      "command": "npx",\n'
        '      "args": ["-y", "mcp-remote", "{url}"]\n    }\n  }\n}',
    ),
    Snippet(
        "Python",
        "with pip install mcp (2.x)",
        "import asyncio\n"
        "from mcp import Client\n\n"
        "async def main():\n"
        '    async with Client("{url}") as client:\n'
        '        print(await client.call_tool("echo", {"message": "Hello"}))\n\n'
        "asyncio.run(main())",
    ),
    Snippet(
        "TypeScript",
        "with npm install @modelcontextprotocol/client (2.x)",
        'import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";\n\n'
        'const client = new Client({ name: "my-client", version: "1.0.0" });\n'
        'await client.connect(new StreamableHTTPClientTransport(new URL("{url}")));\n'
        'console.log(await client.callTool({ name: "echo", arguments: { message: "Hello" } }));\n'
        "await client.close();",
    ),
)
"""One for each client that people use, in the order in which they are shown."""


def as_text(url: str, version: str, made_at: str | None) -> str:
    """Return for a terminal where the server is, and how clients are pointed at it.

    Args:
        url: The MCP endpoint.
        version: Of the server.
        made_at: Where traces are made; None where there are none.
    """
    lines = [
        f"mcp-echo {version}: an MCP server that shows what your client sends, and what it gets wrong.",
        "",
        f"MCP endpoint (Streamable HTTP): {url}",
    ]
    if made_at is not None:
        lines += [
            "",
            "Make a trace, which is an endpoint of your own with a page that shows what comes to it:",
            f"  curl -s {made_at} -H 'Content-Type: application/json' -d '{{\"label\":\"my client\"}}'",
        ]
    for snippet in SNIPPETS:
        lines += ["", f"{snippet.client}, {snippet.where}:"]
        lines += [f"  {each}".rstrip() for each in snippet.text.replace(URL, url).splitlines()]
    return "\n".join([*lines, ""])
