"""The help of the command line: what matters first, and every setting in its group. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill, wrap

from mcp_echo.settings.table import DECLARED, Declared

WIDTH = 80
"""Columns of a terminal that nobody has made wider."""

FIRST = (
    "port",
    "host",
    "allowed_hosts",
    "allowed_origins",
    "trusted_proxies",
    "store",
    "strict",
    "log_level",
    "log_file",
    "debug",
)
"""The settings that most people look for."""

GROUPS = {
    "Where it listens": ("host", "port", "public_url", "workers", "node", "metrics_port"),
    "Who may call": (
        "allowed_hosts",
        "allowed_origins",
        "cors_credentials",
        "cors_max_age",
        "trusted_proxies",
        "principal_from",
    ),
    "Protocol": (
        "strict",
        "protocol_version",
        "protocol_versions_supported",
        "legacy_sse",
        "enable_binary",
        "enable_compression",
        "keepalive_style",
        "keepalive_interval",
        "client_timeout",
        "page_size",
        "max_batch",
        "conformance",
    ),
    "Sessions": (
        "store",
        "session_timeout",
        "session_cleanup_interval",
        "max_sessions",
        "max_sessions_per_principal",
        "max_sessions_per_address",
        "max_queue_messages",
        "max_queue_bytes",
        "max_state_bytes",
        "max_state_bytes_per_client",
        "tombstones",
        "state_key",
    ),
    "Limits on requests": (
        "max_message_size",
        "max_json_values",
        "max_headers",
        "max_header_bytes",
        "max_requests_in_flight",
        "max_streams_per_session",
        "max_held_bytes",
        "max_held_bytes_per_client",
        "initialize_rate",
        "call_rate",
    ),
    "Connections": (
        "max_connections",
        "max_connections_per_address",
        "header_timeout",
        "body_timeout",
        "idle_timeout",
        "stall_timeout",
        "drain_timeout",
    ),
    "Traces": (
        "watch",
        "traces",
        "trace_ttl",
        "trace_exchanges",
        "trace_bytes",
        "max_trace_bytes",
        "record_body",
        "trace_file",
        "faults",
    ),
    "OAuth": ("challenge", "issuers", "redirect_hosts", "client_hosts"),
    "Log": ("log_level", "log_file", "log_format", "access_log", "debug", "reveal_secrets"),
}
"""Title → the settings of the group."""

_WORDS = {
    "host": "ADDRESS",
    "port": "PORT",
    "metrics_port": "PORT",
    "public_url": "URL",
    "store": "STORE",
    "node": "NAME",
    "allowed_hosts": "HOSTS",
    "allowed_origins": "ORIGINS",
    "trusted_proxies": "PEERS",
    "principal_from": "SOURCE",
    "protocol_version": "REVISION",
    "protocol_versions_supported": "REVISIONS",
    "keepalive_style": "STYLE",
    "conformance": "SETS",
    "state_key": "KEY",
    "watch": "WHEN",
    "trace_file": "PATH",
    "faults": "WHERE",
    "challenge": "WHEN",
    "issuers": "URLS",
    "redirect_hosts": "HOSTS",
    "client_hosts": "HOSTS",
    "log_level": "LEVEL",
    "log_file": "PATH",
    "log_format": "FORMAT",
    "access_log": "WHEN",
}
"""What stands for the value of a setting without a unit."""

_SHORT = {"port": "-p"}


def overview(program: str) -> str:
    """Return the help for those who begin.

    Args:
        program: How the program was called.
    """
    rows = {each.name: each for each in DECLARED}
    lines = [
        *_head(program),
        "The options that matter first:",
        *(line for name in FIRST for line in _entry(rows[name], variables=False)),
        "",
        "All options, by group:",
    ]
    for title, names in GROUPS.items():
        flat = "  ".join(_usage(rows[name]).replace(" ", "\0") for name in names)
        lines += ["", f"  {title}", *_indented(flat, 4)]
    return "\n".join([*lines, "", *_foot(program)]).replace("\0", " ")


def everything(program: str) -> str:
    """Return the help for every setting, with its variables."""
    rows = {each.name: each for each in DECLARED}
    lines = _head(program)
    for title, names in GROUPS.items():
        lines += [f"{title}:", ""]
        for name in names:
            lines += [*_entry(rows[name], variables=True), ""]
    return "\n".join([*lines, *_paragraph(_RULES), "", *_others(program)])


_RULES = (
    "An option wins over its environment variable, and of several variables the first one. Flags have an "
    "opposite: --no-strict."
)


def _head(program: str) -> list[str]:
    usage = [f"Usage: {program} [options]"]
    if not program.startswith("twist"):
        usage.append(f"       {program} report URL [options]")
    about = (
        "A stateful diagnostic MCP server: shows exactly what a client, gateway or OAuth proxy sent, and "
        "what it got wrong."
    )
    return [*usage, "", *_paragraph(about), ""]


def _foot(program: str) -> list[str]:
    told = f"{program} --help-all tells what each one does, its default and its environment variables. "
    return [*_paragraph(told + _RULES), "", *_others(program)]


def _others(program: str) -> list[str]:
    others = ["  -h, --help      Show the options that matter, and the names of all.",
              "      --help-all  Show every setting.",
              "  -V, --version   Show the version."]  # fmt: skip
    return others if program.startswith("twist") else [*others, f"  {program} report --help"]


def _usage(setting: Declared) -> str:
    """Return an option with what stands for its value."""
    if setting.is_flag:
        return f"--{setting.option}"
    word = _WORDS.get(setting.name) or setting.unit.upper().replace(" A ", "/").replace(" ", "-")
    return f"--{setting.option} {word}"


def _entry(setting: Declared, *, variables: bool) -> Iterator[str]:
    """Yield the lines on one setting."""
    yield f"  {_SHORT.get(setting.name, '  ')}{',' if setting.name in _SHORT else ' '} {_usage(setting)}"
    default = setting.default.replace(",", ", ") or "none"
    facts = [f"default: {default}"]
    if variables:
        facts.append(", ".join(setting.variables))
    yield from _indented(setting.help, 10)
    yield from _indented(f"[{'; '.join(facts)}]", 10)


def _indented(text: str, by: int) -> list[str]:
    return wrap(
        text,
        WIDTH,
        initial_indent=" " * by,
        subsequent_indent=" " * by,
        break_on_hyphens=False,
    )


def _paragraph(text: str) -> list[str]:
    return fill(text, WIDTH).split("\n")
