"""Every setting of the daemon, one row each: default, bounds, unit, help. Pure.

The option and the environment variable are called as the field is; a row may name further variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mcp_echo.settings import values

PREFIX = "MCP_ECHO_"
"""What the names of this program's environment variables begin with."""


class ConfigError(ValueError):
    """A setting has a value it cannot have; the message names the setting and where the value came from."""


def _setting(parse: Callable[[str], Any], default: str, help_text: str, **more: Any) -> Any:
    """Return a field of `Settings`; what is said of it are the members of `Declared`."""
    return field(metadata={"parse": parse, "default": default, "help": help_text, **more})


def _flag(help_text: str, default: str = "false", **more: Any) -> Any:
    return _setting(values.flag, default, help_text, **more)


def _seconds(default: str, help_text: str, **more: Any) -> Any:
    return _setting(values.seconds, default, help_text, unit="seconds", **more)


def _whole(default: str, bounds: tuple[int, int], unit: str, help_text: str, **more: Any) -> Any:
    return _setting(values.whole(*bounds), default, help_text, unit=unit, **more)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Each field's metadata says how; `DECLARED` lists them."""

    host: str = _setting(values.text, "127.0.0.1", "Address to bind when --port is a number.")
    port: str = _setting(
        values.port, "3000", "TCP port, or any Twisted endpoint description such as unix:/run/mcp.sock."
    )
    metrics_port: str | None = _setting(
        values.optional_port,
        "",
        "Port for Prometheus to scrape at /metrics, on 127.0.0.1 when it is a number, or any Twisted "
        "endpoint description; empty for none.",
    )
    debug: bool = _flag("Log every request and its answer whole, secrets redacted.")
    store: str = _setting(
        values.store,
        "memory:",
        "Where sessions live: memory:, sqlite:PATH (they survive a restart), or redis://HOST (any server "
        "with the same one serves any session); docs/scaling.md has the details.",
        address=True,
    )
    node: str | None = _setting(
        values.node,
        "",
        "What to call this server where it tells which one has served a request; a few random characters are "
        "added, so that no two have one name. The tag in the ids of its sessions is that of this name, and "
        "stays when the server is started again: give each node its own.",
    )
    workers: int = _whole(
        "1",
        (1, 256),
        "processes",
        "Processes that share the port and the store; more than one needs a store that they can share.",
    )
    session_timeout: float = _seconds(
        "3600", "Idle time after which a session is gone.", also=("MCP_SESSION_TIMEOUT",)
    )
    session_cleanup_interval: float = _seconds(
        "60",
        "Time between two sweeps for expired sessions.",
        also=("MCP_SESSION_CLEANUP_INTERVAL", "ECHO_CLEANUP_INTERVAL"),
    )
    max_sessions: int = _whole(
        "1000",
        (1, 10_000_000),
        "sessions",
        "Sessions that may live at once.",
        also=("MCP_MAX_SESSIONS",),
    )
    max_sessions_per_principal: int = _whole(
        "50",
        (1, 10_000_000),
        "sessions",
        "Sessions and handles that one principal may have, where a trusted proxy names one.",
    )
    max_sessions_per_address: int = _whole(
        "0",
        (0, 10_000_000),
        "sessions",
        "Sessions and handles that one address, or one IPv6 /64, may have where no principal is known; 0 for "
        "half of MCP_ECHO_MAX_SESSIONS.",
    )
    max_streams_per_session: int = _whole(
        "4", (1, 10_000), "streams", "GET streams that one session may have open."
    )
    max_requests_in_flight: int = _whole(
        "16",
        (1, 100_000),
        "requests",
        "Requests of one session that may be worked on at once; without a session those of one principal, "
        "or 16 times as many from one address.",
    )
    max_held_bytes: int = _whole(
        "33554432",
        (65536, 1 << 40),
        "bytes",
        "What requests that wait and streams that are open may hold together, each counted with its params "
        "and some KiB more.",
    )
    max_held_bytes_per_client: int = _whole(
        "0",
        (0, 1 << 40),
        "bytes",
        "What those of one principal may hold, or one address or IPv6 /64 where no principal is known; 0 for "
        "half of MCP_ECHO_MAX_HELD_BYTES.",
    )
    initialize_rate: int = _whole(
        "50",
        (0, 1_000_000),
        "sessions a second",
        "Sessions and handles that one address may make, with bursts of 20 seconds' worth; 0 for any number.",
    )
    call_rate: int = _whole(
        "1000",
        (0, 10_000_000),
        "calls a second",
        "Tool calls and completions in one session, or 16 times as many from one address where there is "
        "none, with bursts of 10 seconds' worth; 0 for any number.",
    )
    protocol_version: str | None = _setting(
        values.optional_text,
        "",
        "Revision offered to a client that asks for one not supported; empty for the newest.",
        also=("MCP_PROTOCOL_VERSION",),
    )
    protocol_versions_supported: tuple[str, ...] = _setting(
        values.words,
        "",
        "Revisions spoken, comma-separated; empty for all.",
        also=("MCP_PROTOCOL_VERSIONS_SUPPORTED",),
    )
    enable_binary: bool = _flag(
        "Let echo take data in base64 and answer with it.", default="true", also=("ECHO_ENABLE_BINARY",)
    )
    enable_compression: bool = _flag(
        "Gzip JSON answers of 1 KiB and more for clients that accept it; never event streams.",
        also=("ECHO_ENABLE_COMPRESSION",),
    )
    max_message_size: int = _whole(
        "1048576", (1024, 1 << 30), "bytes", "Largest request body.", also=("ECHO_MAX_MESSAGE_SIZE",)
    )
    max_json_values: int = _whole(
        "50000",
        (10, 10_000_000),
        "values",
        "JSON values in one request body: arrays, objects, names of members, strings, numbers, true, false "
        "and null; each may take 100 bytes of memory, however short it is written.",
    )
    max_connections: int = _whole(
        "0",
        (0, 1_000_000),
        "connections",
        "Connections that may be open at once; 0 for the soft limit on open files less 64, at least 16.",
    )
    max_connections_per_address: int = _whole(
        "0",
        (0, 1_000_000),
        "connections",
        "Connections that one address, or one IPv6 /64, may have open; 0 for half of them. Trusted proxies "
        "and Unix sockets may have all.",
    )
    max_headers: int = _whole("100", (1, 10_000), "lines", "Header lines of one request.")
    max_header_bytes: int = _whole(
        "16384", (256, 1 << 20), "bytes", "Size of the request line and all header lines of one request."
    )
    header_timeout: float = _seconds(
        "10", "How long the whole head of a request may take from its first byte on."
    )
    body_timeout: float = _seconds(
        "30", "How long the whole body of a request may take from the end of its head on."
    )
    idle_timeout: float = _seconds("65", "How long a connection may stay open without a request.")
    stall_timeout: float = _seconds(
        "10", "How long a client may take nothing of what waits for it before its connection is dropped."
    )
    strict: bool = _flag(
        "Refuse what breaks a MUST or SHOULD on clients and can be seen in a message, instead of being "
        "lenient where that harms nobody."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        values.words,
        "localhost,127.0.0.1,[::1]",
        "Host names answered for, comma-separated, each with or without a port; * for any.",
    )
    allowed_origins: tuple[str, ...] = _setting(
        values.words,
        "http://localhost:*,https://localhost:*,http://127.0.0.1:*,https://127.0.0.1:*,http://[::1]:*,https://[::1]:*",
        "Origins of web pages let in, comma-separated; a port of * is any port, * alone any origin.",
    )
    cors_credentials: bool = _flag(
        "Let browsers send cookies and read the answer; not together with an origin of *."
    )
    cors_max_age: int = _whole(
        "86400", (0, 86400), "seconds", "How long browsers may keep a preflight answer."
    )
    trusted_proxies: tuple[str, ...] = _setting(
        values.peers,
        "",
        "Peers believed about who is calling, comma-separated: addresses, networks, unix for a Unix socket; "
        "they must overwrite what clients send in X-User-Id and add to X-Forwarded-For.",
    )
    principal_from: Literal["x-user-id", "subject"] = _setting(
        values.one_of("x-user-id", "subject"),
        "x-user-id",
        "What names the principal behind a trusted proxy: x-user-id (the header), or subject (iss and sub of "
        "the bearer token, which the proxy must have verified, for this server never does).",
    )
    legacy_sse: bool = _flag("Serve the transport of revision 2024-11-05 on /sse and /messages as well.")
    reveal_secrets: bool = _flag("Show tokens, cookies and keys in full: for a lab only.")
    keepalive_style: Literal["auto", "event", "comment"] = _setting(
        values.one_of("auto", "event", "comment"),
        "auto",
        "Keep-alives on GET streams: event (event: keep-alive), comment (an SSE comment line), or auto: the "
        "event for readers of /mcp whose Accept lists text/event-stream and takes no JSON, else the comment.",
    )
    keepalive_interval: float = _seconds("15", "Time between two keep-alives.")
    max_queue_messages: int = _whole(
        "100", (1, 100_000), "messages", "Messages kept per session; the oldest is dropped for one more."
    )
    max_queue_bytes: int = _whole(
        "262144",
        (1024, 1 << 30),
        "bytes",
        "Size of the messages kept per session; the oldest are dropped for one more.",
    )
    max_state_bytes: int = _whole(
        "67108864",
        (65536, 1 << 40),
        "bytes",
        "Size of the queued messages and last echoes of all sessions; what does not fit is not kept.",
    )
    max_state_bytes_per_client: int = _whole(
        "0",
        (0, 1 << 40),
        "bytes",
        "Size of those of one principal, or one address or IPv6 /64 where no principal is known; 0 for half "
        "of MCP_ECHO_MAX_STATE_BYTES.",
    )
    drain_timeout: float = _seconds(
        "10", "How long requests in flight may take to finish when the server stops."
    )
    client_timeout: float = _seconds("60", "How long a client has to answer a question of the server's.")
    page_size: int = _whole("1000", (1, 10_000), "entries", "Entries on one page of a list.")
    state_key: str | None = _setting(
        values.state_key,
        "",
        "Key that seals what modern clients carry for the server, 32 bytes in URL-safe base64; the same on "
        "servers that share clients, empty for a new one at each start.",
        secret=True,
    )
    conformance: tuple[str, ...] = _setting(
        values.words,
        "",
        "Sets of fixtures of the official conformance suite to add: core, tasks, skills, client, all; the "
        "option alone means core.",
    )
    max_batch: int = _whole(
        "100", (1, 100_000), "messages", "Longest JSON-RPC batch; only revision 2025-03-26 has batches."
    )
    watch: Literal["auto", "on", "off"] = _setting(
        values.one_of("auto", "on", "off"),
        "auto",
        "Record what comes to /mcp: on, or auto, which does so only on a loopback address without trusted "
        "proxies and public URL; off records nothing, and there are no traces.",
    )
    traces: int = _whole(
        "100",
        (1, 100_000),
        "traces",
        "Traces at a time; one principal may have 10 of them, one address 20.",
    )
    trace_ttl: int = _whole(
        "86400", (1, 604_800), "seconds", "How long a trace lasts that is not made for another time."
    )
    trace_exchanges: int = _whole(
        "500", (1, 100_000), "records", "Exchanges and stream events that a trace keeps; the oldest give way."
    )
    trace_bytes: int = _whole(
        "1048576", (16_384, 1_073_741_824), "bytes", "Bytes of records that a trace keeps."
    )
    max_trace_bytes: int = _whole(
        "33554432",
        (16_384, 17_179_869_184),
        "bytes",
        "Bytes of the records of all traces; the one of the biggest holder that was idle longest gives way.",
    )
    record_body: int = _whole(
        "0", (0, 16_384), "bytes", "Bytes of each request's body that a trace keeps, masked."
    )
    trace_file: str | None = _setting(
        values.optional_text,
        "",
        "File with a name in each line, for traces that keep their addresses over restarts; the server adds "
        "the addresses. Empty for none.",
    )
    faults: Literal["trace", "off"] = _setting(
        values.one_of("trace", "off"),
        "trace",
        "Whether a trace that was made can be had misbehave on order, by whoever knows its address: trace or "
        "off. /mcp itself never does.",
    )
    challenge: Literal["off", "on"] = _setting(
        values.one_of("off", "on"),
        "off",
        "Whether /mcp itself asks for an access token: on takes those of MCP_ECHO_ISSUERS, and where none is "
        "set those of an authorization server of its own, which lets everybody in.",
    )
    issuers: tuple[values.OutsideIssuer, ...] = _setting(
        values.issuers,
        "",
        "Outside issuers whose access tokens are verified, comma-separated, spelled as their iss; their keys "
        "are fetched from their own hosts and from no other. ISSUER=ADDRESS names a JWKS that is elsewhere: "
        "https://accounts.google.com=https://www.googleapis.com/oauth2/v3/certs.",
    )
    redirect_hosts: tuple[str, ...] = _setting(
        values.hosts,
        "",
        "Hosts that the authorization servers of traces send a browser to without asking, comma-separated; "
        "loopback addresses always are, and for others a page asks.",
    )
    client_hosts: tuple[str, ...] = _setting(
        values.hosts,
        "",
        "Hosts of client id metadata documents, comma-separated; empty for none, and then such clients are "
        "not taken.",
    )
    tombstones: int = _whole(
        "10000",
        (0, 1_000_000),
        "sessions",
        "Ended sessions that are remembered, to tell their owners when and why they ended; the oldest give "
        "way.",
    )
    public_url: str | None = _setting(
        values.public_url,
        "",
        "Where clients reach the server, https://mcp.example.com, for the addresses it tells them; empty for "
        "the scheme and Host of the request.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = _setting(
        values.log_level,
        "INFO",
        "Least level that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL, in any usual spelling.",
        also=("ECHO_LOG_LEVEL", "LOG_LEVEL"),
    )
    log_file: str | None = _setting(
        values.optional_text,
        "",
        "File to log to, its directories made; empty for standard output.",
        also=("LOG_FILE",),
    )
    log_format: Literal["text", "json"] = _setting(
        values.one_of("text", "json"), "text", "Log lines for people or one JSON object each."
    )
    access_log: Literal["auto", "on", "off"] = _setting(
        values.one_of("auto", "on", "off"),
        "auto",
        "One log line for each request: on, off, or auto: for each where standard output is a terminal, "
        "and else for those that are refused or have findings.",
    )

    def __post_init__(self) -> None:
        if self.challenge == "on" and "*" in self.allowed_hosts and self.public_url is None:
            raise ConfigError(
                "MCP_ECHO_CHALLENGE cannot be on while MCP_ECHO_ALLOWED_HOSTS is * and MCP_ECHO_PUBLIC_URL "
                "is empty: tokens are bound to the server's name, and anybody could choose it"
            )
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
    parse: Callable[[str], Any]
    default: str
    """The default as one would write it."""
    help: str
    unit: str = ""
    secret: bool = False
    """Whether its value must not be shown."""
    address: bool = False
    """Whether its value is an address that may have a password in it."""
    also: tuple[str, ...] = ()
    """Other environment variables that set it: those that it had before, and those of other programs."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{PREFIX}{self.name.upper()}"

    @property
    def called(self) -> str:
        """What environmentDump calls it: the variable that it always had."""
        return self.also[0] if self.also else self.variable

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that sets it; the first one set wins."""
        return (self.variable, *self.also)

    @property
    def option(self) -> str:
        """The command-line option, without dashes."""
        return self.name.replace("_", "-")

    @property
    def is_flag(self) -> bool:
        """Whether the setting is true or false, and its option takes no value."""
        return self.parse is values.flag


DECLARED = tuple(Declared(each.name, **each.metadata) for each in fields(Settings))
"""Every setting, in the order of `Settings`."""
