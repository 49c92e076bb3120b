"""Every setting of the daemon, one row each: variable, default, unit, help. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mcp_echo.settings import values


class ConfigError(ValueError):
    """A setting has a value it cannot have; the message names the setting and where the value came from."""


def _setting(
    parse: Callable[[str], Any],
    default: str,
    variables: str,
    help_text: str,
    *,
    unit: str = "",
    secret: bool = False,
    address: bool = False,
) -> Any:
    return field(
        metadata={
            "parse": parse,
            "default": default,
            "variables": tuple(variables.split()),
            "help": help_text,
            "unit": unit,
            "secret": secret,
            "address": address,
        }
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Each field's metadata says how; `declared` lists them."""

    host: str = _setting(
        values.text, "127.0.0.1", "MCP_ECHO_HOST", "Address to bind when --port is a number."
    )
    port: str = _setting(
        values.port,
        "3000",
        "MCP_ECHO_PORT",
        "TCP port, or any Twisted endpoint description such as unix:/run/mcp.sock.",
    )
    metrics_port: str | None = _setting(
        values.optional_port,
        "",
        "MCP_ECHO_METRICS_PORT",
        "Port for Prometheus to scrape at /metrics, on 127.0.0.1 when it is a number, or any Twisted "
        "endpoint description; empty for none.",
    )
    debug: bool = _setting(
        values.flag, "false", "MCP_ECHO_DEBUG", "Log every request and its answer whole, secrets redacted."
    )
    store: str = _setting(
        values.store,
        "memory:",
        "MCP_ECHO_STORE",
        "Where sessions live: memory:, sqlite:PATH (they survive a restart), or redis://HOST (any server "
        "with the same one serves any session); docs/scaling.md has the details.",
        address=True,
    )
    node: str | None = _setting(
        values.node,
        "",
        "MCP_ECHO_NODE",
        "What to call this server where it tells which one has served a request; a few random characters are "
        "added, so that no two have one name.",
    )
    workers: int = _setting(
        values.whole(1, 256),
        "1",
        "MCP_ECHO_WORKERS",
        "Processes that share the port and the store; more than one needs a store that they can share.",
        unit="processes",
    )
    session_timeout: float = _setting(
        values.seconds,
        "3600",
        "MCP_SESSION_TIMEOUT",
        "Idle time after which a session is gone.",
        unit="seconds",
    )
    session_cleanup_interval: float = _setting(
        values.seconds,
        "60",
        "MCP_SESSION_CLEANUP_INTERVAL ECHO_CLEANUP_INTERVAL",
        "Time between two sweeps for expired sessions.",
        unit="seconds",
    )
    max_sessions: int = _setting(
        values.whole(1, 10_000_000),
        "1000",
        "MCP_MAX_SESSIONS",
        "Sessions that may live at once.",
        unit="sessions",
    )
    max_sessions_per_principal: int = _setting(
        values.whole(1, 10_000_000),
        "50",
        "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL",
        "Sessions and handles that one principal may have, where a trusted proxy names one.",
        unit="sessions",
    )
    max_sessions_per_address: int = _setting(
        values.whole(0, 10_000_000),
        "0",
        "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS",
        "Sessions and handles that one address, or one IPv6 /64, may have where no principal is known; 0 for "
        "half of MCP_MAX_SESSIONS.",
        unit="sessions",
    )
    max_streams_per_session: int = _setting(
        values.whole(1, 10_000),
        "4",
        "MCP_ECHO_MAX_STREAMS_PER_SESSION",
        "GET streams that one session may have open.",
        unit="streams",
    )
    max_requests_in_flight: int = _setting(
        values.whole(1, 100_000),
        "16",
        "MCP_ECHO_MAX_REQUESTS_IN_FLIGHT",
        "Requests of one session that may be worked on at once; without a session those of one principal, "
        "or 16 times as many from one address.",
        unit="requests",
    )
    max_held_bytes: int = _setting(
        values.whole(65536, 1 << 40),
        "33554432",
        "MCP_ECHO_MAX_HELD_BYTES",
        "What requests that wait and streams that are open may hold together, each counted with its params "
        "and some KiB more.",
        unit="bytes",
    )
    max_held_bytes_per_client: int = _setting(
        values.whole(0, 1 << 40),
        "0",
        "MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT",
        "What those of one principal may hold, or one address or IPv6 /64 where no principal is known; 0 for "
        "half of MCP_ECHO_MAX_HELD_BYTES.",
        unit="bytes",
    )
    initialize_rate: int = _setting(
        values.whole(0, 1_000_000),
        "50",
        "MCP_ECHO_INITIALIZE_RATE",
        "Sessions and handles that one address may make, with bursts of 20 seconds' worth; 0 for any number.",
        unit="sessions a second",
    )
    call_rate: int = _setting(
        values.whole(0, 10_000_000),
        "1000",
        "MCP_ECHO_CALL_RATE",
        "Tool calls and completions in one session, or 16 times as many from one address where there is "
        "none, with bursts of 10 seconds' worth; 0 for any number.",
        unit="calls a second",
    )
    protocol_version: str | None = _setting(
        values.optional_text,
        "",
        "MCP_PROTOCOL_VERSION",
        "Revision offered to a client that asks for one not supported; empty for the newest.",
    )
    protocol_versions_supported: tuple[str, ...] = _setting(
        values.words,
        "",
        "MCP_PROTOCOL_VERSIONS_SUPPORTED",
        "Revisions spoken, comma-separated; empty for all.",
    )
    enable_binary: bool = _setting(
        values.flag, "true", "ECHO_ENABLE_BINARY", "Let echo take data in base64 and answer with it."
    )
    enable_compression: bool = _setting(
        values.flag,
        "false",
        "ECHO_ENABLE_COMPRESSION",
        "Gzip JSON answers of 1 KiB and more for clients that accept it; never event streams.",
    )
    max_message_size: int = _setting(
        values.whole(1024, 1 << 30), "1048576", "ECHO_MAX_MESSAGE_SIZE", "Largest request body.", unit="bytes"
    )
    max_json_values: int = _setting(
        values.whole(10, 10_000_000),
        "50000",
        "MCP_ECHO_MAX_JSON_VALUES",
        "JSON values in one request body: arrays, objects, names of members, strings, numbers, true, false "
        "and null; each may take 100 bytes of memory, however short it is written.",
        unit="values",
    )
    max_connections: int = _setting(
        values.whole(0, 1_000_000),
        "0",
        "MCP_ECHO_MAX_CONNECTIONS",
        "Connections that may be open at once; 0 for the soft limit on open files less 64, at least 16.",
        unit="connections",
    )
    max_connections_per_address: int = _setting(
        values.whole(0, 1_000_000),
        "0",
        "MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS",
        "Connections that one address, or one IPv6 /64, may have open; 0 for half of them. Trusted proxies "
        "and Unix sockets may have all.",
        unit="connections",
    )
    max_headers: int = _setting(
        values.whole(1, 10_000), "100", "MCP_ECHO_MAX_HEADERS", "Header lines of one request.", unit="lines"
    )
    max_header_bytes: int = _setting(
        values.whole(256, 1 << 20),
        "16384",
        "MCP_ECHO_MAX_HEADER_BYTES",
        "Size of the request line and all header lines of one request.",
        unit="bytes",
    )
    header_timeout: float = _setting(
        values.seconds,
        "10",
        "MCP_ECHO_HEADER_TIMEOUT",
        "How long the whole head of a request may take from its first byte on.",
        unit="seconds",
    )
    body_timeout: float = _setting(
        values.seconds,
        "30",
        "MCP_ECHO_BODY_TIMEOUT",
        "How long the whole body of a request may take from the end of its head on.",
        unit="seconds",
    )
    idle_timeout: float = _setting(
        values.seconds,
        "65",
        "MCP_ECHO_IDLE_TIMEOUT",
        "How long a connection may stay open without a request.",
        unit="seconds",
    )
    stall_timeout: float = _setting(
        values.seconds,
        "10",
        "MCP_ECHO_STALL_TIMEOUT",
        "How long a client may take nothing of what waits for it before its connection is dropped.",
        unit="seconds",
    )
    strict: bool = _setting(
        values.flag,
        "false",
        "MCP_ECHO_STRICT",
        "Refuse what breaks a MUST or SHOULD on clients and can be seen in a message, instead of being "
        "lenient where that harms nobody.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        values.words,
        "localhost,127.0.0.1,[::1]",
        "MCP_ECHO_ALLOWED_HOSTS",
        "Host names answered for, comma-separated, each with or without a port; * for any.",
    )
    allowed_origins: tuple[str, ...] = _setting(
        values.words,
        "http://localhost:*,https://localhost:*,http://127.0.0.1:*,https://127.0.0.1:*,"
        "http://[::1]:*,https://[::1]:*",
        "MCP_ECHO_ALLOWED_ORIGINS",
        "Origins of web pages let in, comma-separated; a port of * is any port, * alone any origin.",
    )
    cors_credentials: bool = _setting(
        values.flag,
        "false",
        "MCP_ECHO_CORS_CREDENTIALS",
        "Let browsers send cookies and read the answer; not together with an origin of *.",
    )
    cors_max_age: int = _setting(
        values.whole(0, 86400),
        "86400",
        "MCP_ECHO_CORS_MAX_AGE",
        "How long browsers may keep a preflight answer.",
        unit="seconds",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        values.peers,
        "",
        "MCP_ECHO_TRUSTED_PROXIES",
        "Peers believed about who is calling, comma-separated: addresses, networks, unix for a Unix socket; "
        "they must overwrite what clients send in X-User-Id and add to X-Forwarded-For.",
    )
    principal_from: Literal["x-user-id", "subject"] = _setting(
        values.one_of("x-user-id", "subject"),
        "x-user-id",
        "MCP_ECHO_PRINCIPAL_FROM",
        "What names the principal behind a trusted proxy: x-user-id (the header), or subject (iss and sub of "
        "the bearer token, which the proxy must have verified, for this server never does).",
    )
    legacy_sse: bool = _setting(
        values.flag,
        "false",
        "MCP_ECHO_LEGACY_SSE",
        "Serve the transport of revision 2024-11-05 on /sse and /messages as well.",
    )
    reveal_secrets: bool = _setting(
        values.flag,
        "false",
        "MCP_ECHO_REVEAL_SECRETS",
        "Show tokens, cookies and keys in full: for a lab only.",
    )
    keepalive_style: Literal["auto", "event", "comment"] = _setting(
        values.one_of("auto", "event", "comment"),
        "auto",
        "MCP_ECHO_KEEPALIVE_STYLE",
        "Keep-alives on GET streams: event (event: keep-alive), comment (an SSE comment line), or auto: the "
        "event for readers of /mcp whose Accept lists text/event-stream and takes no JSON, else the comment.",
    )
    keepalive_interval: float = _setting(
        values.seconds, "15", "MCP_ECHO_KEEPALIVE_INTERVAL", "Time between two keep-alives.", unit="seconds"
    )
    max_queue_messages: int = _setting(
        values.whole(1, 100_000),
        "100",
        "MCP_ECHO_MAX_QUEUE_MESSAGES",
        "Messages kept per session; the oldest is dropped for one more.",
        unit="messages",
    )
    max_queue_bytes: int = _setting(
        values.whole(1024, 1 << 30),
        "262144",
        "MCP_ECHO_MAX_QUEUE_BYTES",
        "Size of the messages kept per session; the oldest are dropped for one more.",
        unit="bytes",
    )
    max_state_bytes: int = _setting(
        values.whole(65536, 1 << 40),
        "67108864",
        "MCP_ECHO_MAX_STATE_BYTES",
        "Size of the queued messages and last echoes of all sessions; what does not fit is not kept.",
        unit="bytes",
    )
    max_state_bytes_per_client: int = _setting(
        values.whole(0, 1 << 40),
        "0",
        "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT",
        "Size of those of one principal, or one address or IPv6 /64 where no principal is known; 0 for half "
        "of MCP_ECHO_MAX_STATE_BYTES.",
        unit="bytes",
    )
    drain_timeout: float = _setting(
        values.seconds,
        "10",
        "MCP_ECHO_DRAIN_TIMEOUT",
        "How long requests in flight may take to finish when the server stops.",
        unit="seconds",
    )
    client_timeout: float = _setting(
        values.seconds,
        "60",
        "MCP_ECHO_CLIENT_TIMEOUT",
        "How long a client has to answer a question of the server's.",
        unit="seconds",
    )
    page_size: int = _setting(
        values.whole(1, 10_000),
        "1000",
        "MCP_ECHO_PAGE_SIZE",
        "Entries on one page of a list.",
        unit="entries",
    )
    state_key: str | None = _setting(
        values.state_key,
        "",
        "MCP_ECHO_STATE_KEY",
        "Key that seals what modern clients carry for the server, 32 bytes in URL-safe base64; the same on "
        "servers that share clients, empty for a new one at each start.",
        secret=True,
    )
    conformance: tuple[str, ...] = _setting(
        values.words,
        "",
        "MCP_ECHO_CONFORMANCE",
        "Sets of fixtures of the official conformance suite to add: core, tasks, skills, client, all; the "
        "option alone means core.",
    )
    max_batch: int = _setting(
        values.whole(1, 100_000),
        "100",
        "MCP_ECHO_MAX_BATCH",
        "Longest JSON-RPC batch; only revision 2025-03-26 has batches.",
        unit="messages",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = _setting(
        values.log_level,
        "INFO",
        "ECHO_LOG_LEVEL LOG_LEVEL",
        "Least level that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL, in any usual spelling.",
    )
    log_file: str | None = _setting(
        values.optional_text,
        "",
        "LOG_FILE",
        "File to log to, its directories made; empty for standard output.",
    )
    log_format: Literal["text", "json"] = _setting(
        values.one_of("text", "json"),
        "text",
        "MCP_ECHO_LOG_FORMAT",
        "Log lines for people or one JSON object each.",
    )
    access_log: Literal["auto", "on", "off"] = _setting(
        values.one_of("auto", "on", "off"),
        "auto",
        "MCP_ECHO_ACCESS_LOG",
        "One log line for each request: on, off, or auto: for each where standard output is a terminal, "
        "and else for those that are refused or have findings.",
    )

    def __post_init__(self) -> None:
        if self.cors_credentials and "*" in self.allowed_origins:
            raise ConfigError(
                "MCP_ECHO_CORS_CREDENTIALS cannot be true while MCP_ECHO_ALLOWED_ORIGINS is *: "
                "any web page could use its visitors' cookies here; list the origins instead"
            )


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting as it is declared in `Settings`."""

    name: str
    """The field's name."""
    option: str
    """The command-line option, without dashes."""
    variables: tuple[str, ...]
    """Environment variables that set it; the first one set wins."""
    default: str
    """The default as one would write it."""
    parse: Callable[[str], Any]
    help: str
    unit: str
    secret: bool
    """Whether its value must not be shown."""
    address: bool
    """Whether its value is an address that may have a password in it."""

    @property
    def is_flag(self) -> bool:
        """Whether the setting is true or false, and its option takes no value."""
        return self.parse is values.flag


def declared() -> tuple[Declared, ...]:
    """Return every setting, in the order of `Settings`."""
    return tuple(
        Declared(
            name=each.name,
            option=each.name.replace("_", "-"),
            variables=each.metadata["variables"],
            default=each.metadata["default"],
            parse=each.metadata["parse"],
            help=each.metadata["help"],
            unit=each.metadata["unit"],
            secret=each.metadata["secret"],
            address=each.metadata["address"],
        )
        for each in fields(Settings)
    )


DECLARED = declared()
