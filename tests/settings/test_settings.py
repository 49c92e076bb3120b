"""Settings: command line over environment over default, and where each came from."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED, ConfigError, Declared, Settings
from mcp_echo.settings.values import OutsideIssuer

# 32 bytes in URL-safe base64.
KEY = "_" * 43 + "="
OTHER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

# For each setting two values as one writes them, and what they mean; neither is the default.
SAMPLES: dict[str, tuple[tuple[str, object], tuple[str, object]]] = {
    "host": (("0.0.0.0", "0.0.0.0"), ("::1", "::1")),
    "port": (("0", "0"), ("unix:/run/mcp.sock", "unix:/run/mcp.sock")),
    "metrics_port": (("9464", "9464"), ("unix:/run/metrics.sock", "unix:/run/metrics.sock")),
    "debug": (("true", True), ("ON", True)),
    "store": (("sqlite:/a/b.db", "sqlite:/a/b.db"), ("redis://h:1/2", "redis://h:1/2")),
    "node": (("east-1", "east-1"), ("b", "b")),
    "workers": (("2", 2), ("256", 256)),
    "session_timeout": (("0.5", 0.5), (" 60 ", 60.0)),
    "session_cleanup_interval": (("5", 5.0), ("7", 7.0)),
    "max_sessions": (("1", 1), ("10000000", 10_000_000)),
    "max_sessions_per_principal": (("1", 1), ("10000000", 10_000_000)),
    "max_sessions_per_address": (("1", 1), ("7", 7)),
    "max_streams_per_session": (("1", 1), ("10000", 10_000)),
    "max_requests_in_flight": (("1", 1), ("100000", 100_000)),
    "max_held_bytes": (("65536", 65_536), ("1099511627776", 1 << 40)),
    "max_held_bytes_per_client": (("1", 1), ("7", 7)),
    "initialize_rate": (("0", 0), ("1000000", 1_000_000)),
    "call_rate": (("0", 0), ("10000000", 10_000_000)),
    "protocol_version": (("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05")),
    "protocol_versions_supported": (("a, b,", ("a", "b")), ("c", ("c",))),
    "enable_binary": (("false", False), ("0", False)),
    "enable_compression": (("yes", True), ("1", True)),
    "max_message_size": (("1024", 1024), ("2048", 2048)),
    "max_json_values": (("10", 10), ("10000000", 10_000_000)),
    "max_connections": (("1", 1), ("1000000", 1_000_000)),
    "max_connections_per_address": (("1", 1), ("7", 7)),
    "max_headers": (("1", 1), ("10000", 10_000)),
    "max_header_bytes": (("256", 256), ("8192", 8192)),
    "header_timeout": (("0.5", 0.5), ("5", 5.0)),
    "body_timeout": (("1", 1.0), ("60", 60.0)),
    "idle_timeout": (("1", 1.0), ("5", 5.0)),
    "stall_timeout": (("1", 1.0), ("30", 30.0)),
    "strict": (("true", True), ("on", True)),
    "allowed_hosts": (("*", ("*",)), ("a,b:1", ("a", "b:1"))),
    "allowed_origins": (("*", ("*",)), ("https://a", ("https://a",))),
    "cors_credentials": (("true", True), ("1", True)),
    "cors_max_age": (("0", 0), ("60", 60)),
    "trusted_proxies": (
        ("10.0.0.1, 192.168.0.0/16,unix", ("10.0.0.1", "192.168.0.0/16", "unix")),
        ("::1,fd00::/8", ("::1", "fd00::/8")),
    ),
    "principal_from": (("subject", "subject"), ("SUBJECT", "subject")),
    "legacy_sse": (("true", True), ("on", True)),
    "reveal_secrets": (("true", True), ("Yes", True)),
    "keepalive_style": (("comment", "comment"), ("EVENT", "event")),
    "keepalive_interval": (("1", 1.0), ("2.5", 2.5)),
    "max_queue_messages": (("1", 1), ("7", 7)),
    "max_queue_bytes": (("1024", 1024), ("4096", 4096)),
    "max_state_bytes": (("65536", 65_536), ("1099511627776", 1 << 40)),
    "max_state_bytes_per_client": (("1", 1), ("7", 7)),
    "drain_timeout": (("1", 1.0), ("2", 2.0)),
    "client_timeout": (("0.5", 0.5), ("5", 5.0)),
    "page_size": (("1", 1), ("10000", 10_000)),
    "state_key": ((KEY, KEY), (OTHER_KEY, OTHER_KEY)),
    "conformance": (("core", ("core",)), ("tasks, skills", ("tasks", "skills"))),
    "max_batch": (("1", 1), ("2", 2)),
    "watch": (("on", "on"), ("off", "off")),
    "traces": (("1", 1), ("2", 2)),
    "trace_ttl": (("1", 1), ("604800", 604_800)),
    "trace_exchanges": (("1", 1), ("2", 2)),
    "trace_bytes": (("16384", 16_384), ("20000", 20_000)),
    "max_trace_bytes": (("16384", 16_384), ("20000", 20_000)),
    "record_body": (("1", 1), ("16384", 16_384)),
    "trace_file": (("/tmp/a", "/tmp/a"), ("b", "b")),
    "faults": (("off", "off"), ("trace", "trace")),
    "challenge": (("on", "on"), ("ON", "on")),
    "issuers": (
        ("https://a.example/x", (OutsideIssuer("https://a.example/x"),)),
        (
            "http://[::1]:8080, https://b.example=https://c.example/keys?p=a=b",
            (
                OutsideIssuer("http://[::1]:8080"),
                OutsideIssuer("https://b.example", "https://c.example/keys?p=a=b"),
            ),
        ),
    ),
    "redirect_hosts": (("A.example", ("a.example",)), ("a,b:8443", ("a", "b:8443"))),
    "client_hosts": (("a.example", ("a.example",)), ("a,b", ("a", "b"))),
    "tombstones": (("0", 0), ("1000000", 1_000_000)),
    "public_url": (("https://a.example", "https://a.example"), ("http://[::1]:80/", "http://[::1]:80")),
    "log_level": (("debug", "DEBUG"), ("Error", "ERROR"), ("warn", "WARNING")),
    "log_file": (("/tmp/a", "/tmp/a"), ("b", "b")),
    "log_format": (("json", "json"), ("JSON", "json")),
    "access_log": (("on", "on"), ("OFF", "off")),
}

BAD: dict[str, list[str]] = {
    "host": [""],
    "port": ["", "65536", "99999", "9" * 5000, "tcp:65536", "ssl:65536:privateKey=x"],
    "metrics_port": ["65536"],
    "debug": ["", "maybe", "2"],
    "store": ["", "memory:x", "sqlite:?a=b", "redis:h", "http://h", "file:///a"],
    "node": ["a b", "a.example", "x" * 41, "ä"],
    "workers": ["", "0", "257", "auto"],
    "session_timeout": ["", "0", "-1", "nan", "inf", "1e10", "an hour"],
    "session_cleanup_interval": ["0"],
    "max_sessions": ["", "0", "-1", "1.5", "10000001", "٣", "1_000"],
    "max_sessions_per_principal": ["0", "10000001"],
    "max_sessions_per_address": ["-1", "10000001"],
    "max_streams_per_session": ["0", "10001"],
    "max_requests_in_flight": ["0", "100001"],
    "max_held_bytes": ["0", "65535", str(2**40 + 1)],
    "max_held_bytes_per_client": ["-1", str(2**40 + 1)],
    "initialize_rate": ["", "-1", "0.5", "1000001"],
    "call_rate": ["", "-1", "inf", "10000001"],
    "enable_binary": ["y"],
    "enable_compression": ["gzip"],
    "max_message_size": ["1023", str(2**30 + 1)],
    "max_connections": ["", "-1", "1000001"],
    "max_connections_per_address": ["-1", "1000001"],
    "max_headers": ["0", "10001"],
    "max_header_bytes": ["255", str(2**20 + 1)],
    "header_timeout": ["0", "never"],
    "body_timeout": ["0"],
    "idle_timeout": ["", "0"],
    "stall_timeout": ["0", "nan"],
    "strict": ["strict"],
    "cors_credentials": ["include"],
    "cors_max_age": ["86401", "-1"],
    "trusted_proxies": [
        "localhost",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.1:80",
        "unix:/a",
        "*",
        "a b",
    ],
    "principal_from": ["", "x-github-user"],
    "legacy_sse": ["sse"],
    "reveal_secrets": ["please"],
    "keepalive_style": ["", "none"],
    "keepalive_interval": ["0"],
    "max_queue_messages": ["0", "100001"],
    "max_queue_bytes": ["1023"],
    "max_state_bytes": ["0", "65535", str(2**40 + 1)],
    "max_state_bytes_per_client": ["-1", str(2**40 + 1)],
    "drain_timeout": ["0", "-0"],
    "client_timeout": ["", "0", "nan"],
    "page_size": ["", "0", "10001"],
    "state_key": ["hunter2", KEY[:-1], f"{KEY}=", KEY.replace("_", "/"), f"{KEY}\n", "ä" * 43 + "="],
    "max_batch": ["0"],
    "watch": ["", "maybe"],
    "traces": ["0"],
    "trace_ttl": ["0", "604801"],
    "trace_exchanges": ["0"],
    "trace_bytes": ["16383"],
    "max_trace_bytes": ["16383"],
    "record_body": ["-1", "16385"],
    "challenge": ["token"],
    "issuers": [
        "http://a.example",
        "https://a.example?b",
        "https://a@b",
        "a",
        "https://a.example=",
        "https://a.example=http://b.example/keys",
        "https://a.example=https://b@c/keys",
        "https://a.example=https://b.example/keys#c",
        "https://a.example,https://a.example=https://b.example/keys",
    ],
    "redirect_hosts": ["https://a.example", "*.a"],
    "client_hosts": ["a/b"],
    "tombstones": ["-1", "1000001"],
    "public_url": ["a.example", "https://a.example/mcp", "ftp://a.example", "https://a@b"],
    "log_level": ["", "LOUD", "0", "15", "-10", "1", "30.0", "info,mcp=debug", "off"],
    "log_format": ["xml"],
    "access_log": ["", "yes"],
}

every_setting = pytest.mark.parametrize("setting", DECLARED, ids=lambda setting: setting.name)
bad_values = pytest.mark.parametrize(
    ("setting", "value"),
    [(setting, value) for setting in DECLARED for value in BAD.get(setting.name, [])],
    ids=lambda value: value.name if isinstance(value, Declared) else repr(value),
)


def test_every_setting_has_samples() -> None:
    """A new setting needs a line in this file, in the order of the declaration."""
    assert list(SAMPLES) == [setting.name for setting in DECLARED]
    assert set(BAD) <= set(SAMPLES)


def test_the_defaults_are_those_that_are_documented() -> None:
    """Our choice: loopback only, lenient, nothing revealed; the rest as operators have it documented."""
    settings = load({}, {}).settings
    local = tuple(
        f"{scheme}://{host}:*" for host in ("localhost", "127.0.0.1", "[::1]") for scheme in ("http", "https")
    )
    assert settings == Settings(
        host="127.0.0.1",
        port="3000",
        metrics_port=None,
        debug=False,
        store="memory:",
        node=None,
        workers=1,
        session_timeout=3600.0,
        session_cleanup_interval=60.0,
        max_sessions=1000,
        max_sessions_per_principal=50,
        max_sessions_per_address=0,
        max_streams_per_session=4,
        max_requests_in_flight=16,
        max_held_bytes=33_554_432,
        max_held_bytes_per_client=0,
        initialize_rate=50,
        call_rate=1000,
        protocol_version=None,
        protocol_versions_supported=(),
        enable_binary=True,
        enable_compression=False,
        max_message_size=1_048_576,
        max_json_values=50_000,
        max_connections=0,
        max_connections_per_address=0,
        max_headers=100,
        max_header_bytes=16_384,
        header_timeout=10.0,
        body_timeout=30.0,
        idle_timeout=65.0,
        stall_timeout=10.0,
        strict=False,
        allowed_hosts=("localhost", "127.0.0.1", "[::1]"),
        allowed_origins=local,
        cors_credentials=False,
        cors_max_age=86_400,
        trusted_proxies=(),
        principal_from="x-user-id",
        legacy_sse=False,
        reveal_secrets=False,
        keepalive_style="auto",
        keepalive_interval=15.0,
        max_queue_messages=100,
        max_queue_bytes=262_144,
        max_state_bytes=67_108_864,
        max_state_bytes_per_client=0,
        drain_timeout=10.0,
        client_timeout=60.0,
        page_size=1000,
        state_key=None,
        conformance=(),
        max_batch=100,
        watch="auto",
        traces=100,
        trace_ttl=86_400,
        trace_exchanges=500,
        trace_bytes=1_048_576,
        max_trace_bytes=33_554_432,
        record_body=0,
        trace_file=None,
        faults="trace",
        challenge="off",
        issuers=(),
        redirect_hosts=(),
        client_hosts=(),
        tombstones=10_000,
        public_url=None,
        log_level="INFO",
        log_file=None,
        log_format="text",
        access_log="auto",
    )


def test_every_variable_sets_one_setting() -> None:
    """Our choice: no name means two things."""
    variables = [variable for setting in DECLARED for variable in setting.variables]
    assert len(variables) == len(set(variables))


def test_the_variables_of_the_documentation_are_known() -> None:
    """Configuration as operators of the server know it."""
    expected = """MCP_ECHO_HOST MCP_ECHO_PORT MCP_ECHO_DEBUG MCP_SESSION_TIMEOUT MCP_SESSION_CLEANUP_INTERVAL
    MCP_MAX_SESSIONS ECHO_CLEANUP_INTERVAL MCP_PROTOCOL_VERSION MCP_PROTOCOL_VERSIONS_SUPPORTED
    ECHO_ENABLE_BINARY ECHO_ENABLE_COMPRESSION ECHO_MAX_MESSAGE_SIZE ECHO_LOG_LEVEL LOG_FILE"""
    assert set(expected.split()) <= {variable for setting in DECLARED for variable in setting.variables}


@every_setting
def test_the_default_holds_where_nothing_else_is_said(setting: Declared) -> None:
    """Our choice: the lowest of the three, and named as such."""
    effective = load({}, {"UNRELATED": "1"})
    assert getattr(effective.settings, setting.name) == setting.parse(setting.default)
    assert effective.origins[setting.name] == "default"
    assert effective.values[setting.name] == setting.default


@every_setting
def test_the_environment_goes_over_the_default(setting: Declared) -> None:
    """Our choice, by each of the setting's variables."""
    written, meant = SAMPLES[setting.name][0]
    for variable in setting.variables:
        effective = load({}, {variable: written})
        assert getattr(effective.settings, setting.name) == meant
        assert meant != setting.parse(setting.default)
        assert effective.origins[setting.name] == f"environment {variable}"
        assert effective.values[setting.name] == written


@every_setting
def test_the_command_line_goes_over_the_environment(setting: Declared) -> None:
    """Our choice: what is said last, and by hand, counts."""
    (in_environment, _), (written, meant) = SAMPLES[setting.name][:2]
    effective = load({setting.name: written}, dict.fromkeys(setting.variables, in_environment))
    assert getattr(effective.settings, setting.name) == meant
    assert effective.origins[setting.name] == f"option --{setting.name.replace('_', '-')}"
    assert effective.values[setting.name] == written


@every_setting
def test_one_setting_leaves_the_others_alone(setting: Declared) -> None:
    """Our choice: no setting has side effects."""
    changed = load({setting.name: SAMPLES[setting.name][0][0]}, {}).settings
    default = load({}, {}).settings
    differing = {
        field.name
        for field in dataclasses.fields(Settings)
        if getattr(changed, field.name) != getattr(default, field.name)
    }
    assert differing == {setting.name}


@pytest.mark.parametrize(
    ("environ", "seconds", "origin"),
    [
        ({"ECHO_CLEANUP_INTERVAL": "300"}, 300.0, "environment ECHO_CLEANUP_INTERVAL"),
        (
            {"ECHO_CLEANUP_INTERVAL": "300", "MCP_SESSION_CLEANUP_INTERVAL": "60"},
            60.0,
            "environment MCP_SESSION_CLEANUP_INTERVAL",
        ),
    ],
)
def test_the_older_cleanup_variable_counts_only_where_the_newer_is_unset(
    environ: dict[str, str], seconds: float, origin: str
) -> None:
    """Documented as legacy: the name that replaced it wins."""
    effective = load({}, environ)
    assert effective.settings.session_cleanup_interval == seconds
    assert effective.origins["session_cleanup_interval"] == origin


@bad_values
def test_a_bad_value_in_the_environment_is_named_with_its_variable(setting: Declared, value: str) -> None:
    """Our choice: the operator reads one line and knows what to change."""
    with pytest.raises(ConfigError) as refusal:
        load({}, {setting.variables[0]: value})
    assert str(refusal.value).startswith(f"{setting.variables[0]} must ")
    assert (repr(value) in str(refusal.value)) is not (setting.secret or setting.address)
    assert value == "" or (value in str(refusal.value)) is not (setting.secret or setting.address)


@bad_values
def test_a_bad_value_on_the_command_line_is_named_with_its_option(setting: Declared, value: str) -> None:
    """Our choice, as above."""
    with pytest.raises(ConfigError) as refusal:
        load({setting.name: value}, {})
    assert str(refusal.value).startswith(f"--{setting.name.replace('_', '-')} must ")
    assert (repr(value) in str(refusal.value)) is not (setting.secret or setting.address)
    assert value == "" or (value in str(refusal.value)) is not (setting.secret or setting.address)


def test_the_state_key_is_the_secret() -> None:
    """Our choice: whoever has it can make up what the server believes to have said."""
    assert [setting.name for setting in DECLARED if setting.secret] == ["state_key"]


@given(setting=st.sampled_from(DECLARED), value=st.text(max_size=12))
def test_any_value_is_taken_or_refused(setting: Declared, value: str) -> None:
    """Our choice: a typing error never ends in a traceback."""
    with contextlib.suppress(ConfigError):
        load({setting.name: value}, {})


def test_a_bad_value_that_is_overruled_does_no_harm() -> None:
    """Our choice: only the value in force is read."""
    assert load({"max_sessions": "5"}, {"MCP_MAX_SESSIONS": "many"}).settings.max_sessions == 5


@pytest.mark.parametrize(
    ("level", "spellings"),
    [
        ("DEBUG", "debug DEBUG Trace VERBOSE all 10"),
        ("INFO", "info Information notice NOTICE 20"),
        ("WARNING", "warn WARN Warning 30"),
        ("ERROR", "err ERROR 40"),
        ("CRITICAL", "critical crit FATAL alert emergency EMERG panic 50"),
    ],
)
def test_a_level_is_understood_as_other_programs_write_it(level: str, spellings: str) -> None:
    """Our choice: Python's logging and its numbers, syslog (RFC 5424 section 6.2.1), log4j and pino."""
    for spelling in [*spellings.split(), f" {spellings.split()[0]} "]:
        for effective in (
            load({"log_level": spelling}, {}),
            load({}, {"ECHO_LOG_LEVEL": spelling}),
            load({}, {"LOG_LEVEL": spelling}),
        ):
            assert (effective.settings.log_level, effective.warnings) == (level, ())
            assert effective.values["log_level"] == spelling


FOREIGN = [*BAD["log_level"], "*", "warn,error", "5", "rust=trace", "\x1b[2J", "9" * 5000]


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: repr(value[:20]))
def test_a_level_that_is_meant_for_another_program_is_passed_over(value: str) -> None:
    """Our choice: many shells set LOG_LEVEL, for whatever runs in them; what is used instead is told."""
    effective = load({}, {"LOG_LEVEL": value})
    assert effective.settings == load({}, {}).settings
    assert (effective.origins["log_level"], effective.values["log_level"]) == ("default", "INFO")
    (warning,) = effective.warnings
    assert warning.startswith(
        f"LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not {value!r}"
    )
    assert warning.endswith("so the default (INFO) is used instead: set --log-level for this one")


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: repr(value[:20]))
def test_a_level_that_is_meant_for_this_program_is_refused(value: str) -> None:
    """As above: nobody else reads the option and the variable that begin with its name."""
    for options, environ in (({"log_level": value}, {}), ({}, {"ECHO_LOG_LEVEL": value})):
        with pytest.raises(ConfigError):
            load(options, {**environ, "LOG_LEVEL": "info"})


def test_a_level_for_another_program_does_no_harm_beside_ours() -> None:
    """Our choice: only the value in force is read."""
    for options, environ in (({"log_level": "error"}, {}), ({}, {"ECHO_LOG_LEVEL": "error"})):
        effective = load(options, {**environ, "LOG_LEVEL": "LOUD"})
        assert (effective.settings.log_level, effective.warnings) == ("ERROR", ())


def test_only_names_that_others_use_may_be_foreign() -> None:
    """Our choice: a limit that is misspelt stops the start; passed over, it would be a hole."""
    foreign = {name for each in DECLARED for name in each.variables if not name.startswith(("MCP_", "ECHO_"))}
    assert foreign == {"LOG_LEVEL", "LOG_FILE"}


def test_a_log_file_that_may_be_meant_for_another_program_can_be_done_without() -> None:
    """Our choice: LOG_FILE is set for other programs too; what it is not used for is told."""
    given = load({"debug": "true"}, {"LOG_FILE": "/x"})
    left = given.without("log_file", "LOG_FILE /x cannot be written")
    assert left.settings == load({"debug": "true"}, {}).settings
    assert (left.origins["log_file"], left.values["log_file"]) == ("default", "")
    assert left.warnings == (
        "LOG_FILE /x cannot be written; LOG_FILE may be meant for another program, so the default (none) is "
        "used instead: set --log-file for this one",
    )
    with pytest.raises(ConfigError, match="/x cannot be written"):
        load({"log_file": "/x"}, {"LOG_FILE": "/y"}).without("log_file", "LOG_FILE /x cannot be written")


def test_an_unknown_variable_of_ours_is_warned_about() -> None:
    """Our choice: a misspelt setting must not be silently without effect."""
    environ = {
        "MCP_ECHO_STRCT": "1",
        "MCP_ECHO_HOST": "127.0.0.2",
        "MCP_OTHER": "1",
        "ECHO_X": "1",
        "LOG_DIRECTORY": "1",
        "MCP_ECHO_A": "",
    }
    assert load({}, environ).warnings == (
        "MCP_ECHO_A is no setting of mcp-echo and changes nothing",
        "MCP_ECHO_STRCT is no setting of mcp-echo and changes nothing; did you mean MCP_ECHO_STRICT?",
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("MCP_ECHO_ALLOWED_HOST", "MCP_ECHO_ALLOWED_HOSTS"),
        ("MCP_MAX_SESSION", "MCP_MAX_SESSIONS"),
        ("ECHO_MAX_MESSAGE_SIZES", "ECHO_MAX_MESSAGE_SIZE"),
        ("LOG_LEVLE", None),
        ("LOG_LEVELS", "LOG_LEVEL"),
        ("LOG_FILES", "LOG_FILE"),
        ("MCP_PORT", "MCP_ECHO_PORT"),
        ("ECHO_STRICT", "MCP_ECHO_STRICT"),
        ("LOG_FORMAT", "MCP_ECHO_LOG_FORMAT"),
        ("MCP_TIMEOUT", None),
        ("MCP_" + "X" * 100_000, None),
    ],
)
def test_the_setting_that_was_meant_is_named_in_each_prefix(written: str, meant: str | None) -> None:
    """Our choice: names that other programs have as well are passed over unless one of ours is very near."""
    found = load({}, {written: "1"}).warnings
    assert found == (
        ()
        if meant is None
        else (f"{written} is no setting of mcp-echo and changes nothing; did you mean {meant}?",)
    )


DANGERS = {"MCP_ECHO_REVEAL_SECRETS": "true", "MCP_ECHO_ALLOWED_HOSTS": "a,*"}


@pytest.mark.parametrize("variable", DANGERS)
def test_what_is_open_to_all_is_warned_about(variable: str) -> None:
    """Our choice: nobody leaves a lab's setting behind without being told at each start."""
    (warning,) = load({}, {variable: DANGERS[variable]}).warnings
    assert variable in warning


def test_known_variables_give_no_warning() -> None:
    """Our choice: a warning means something is wrong."""
    environ = {variable: SAMPLES[each.name][0][0] for each in DECLARED for variable in each.variables}
    calm = {name: value for name, value in environ.items() if name not in DANGERS}
    assert load({"allowed_origins": "https://a"}, calm).warnings == ()


@every_setting
def test_every_setting_has_a_variable_with_our_prefix_which_wins(setting: Declared) -> None:
    """Our choice: the name that the documentation has; the older ones stay."""
    (ours, meant), (other, _) = SAMPLES[setting.name][:2]
    assert setting.variables[0] == f"MCP_ECHO_{setting.name.upper()}"
    effective = load({}, {**dict.fromkeys(setting.also, other), setting.variable: ours})
    assert getattr(effective.settings, setting.name) == meant
    foreign = ("LOG_LEVEL", "LOG_FILE")
    overruled = [f"{each} changes nothing: {setting.variable} is set as well, and wins"
                 for each in setting.also if each not in foreign]  # fmt: skip
    assert [each for each in effective.warnings if "changes nothing" in each] == overruled


def test_a_message_calls_a_setting_as_it_was_given() -> None:
    """Our choice: the operator reads the word that is to be changed."""
    text = "MCP_ECHO_LOG_FILE and MCP_ECHO_MAX_SESSIONS, not MCP_ECHO_MAX_SESSIONS_PER_ADDRESS"
    assert load({}, {}).as_given(text) == text
    given = load({"log_file": "/x"}, {"MCP_MAX_SESSIONS": "5"}).as_given(text)
    assert given == "--log-file and MCP_MAX_SESSIONS, not MCP_ECHO_MAX_SESSIONS_PER_ADDRESS"


@pytest.mark.parametrize("origins", ["*", "https://a.example,*"])
def test_cookies_from_any_origin_are_refused(origins: str) -> None:
    """Fetch, CORS protocol and credentials: the pair is never valid, and reflecting would be a hole."""
    with pytest.raises(ConfigError, match=r"--cors-credentials .* --allowed-origins"):
        load({"cors_credentials": "true", "allowed_origins": origins}, {})
    with pytest.raises(ConfigError, match=r"--cors-credentials .* MCP_ECHO_ALLOWED_ORIGINS"):
        load({"cors_credentials": "true"}, {"MCP_ECHO_ALLOWED_ORIGINS": origins})


@every_setting
def test_every_setting_explains_itself(setting: Declared) -> None:
    """Our choice: help is one sentence, and spans and sizes have a unit."""
    assert setting.help.endswith(".")
    measured = isinstance(setting.parse(setting.default), int | float) and not setting.is_flag
    assert bool(setting.unit) is measured
    assert setting.is_flag is (setting.default in ("true", "false"))


def test_settings_cannot_be_changed() -> None:
    """Our choice: what was started is what runs."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load({}, {}).settings.host = "0.0.0.0"  # type: ignore[misc]
