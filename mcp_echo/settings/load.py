"""From the command line, the environment and the defaults to the settings in force. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcp_echo.settings.names import unknown_variables
from mcp_echo.settings.table import DECLARED, ConfigError, Declared, Settings


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force and where they came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Field name → ``option --max-sessions``, ``environment MCP_ECHO_MAX_SESSIONS`` or ``default``."""
    values: Mapping[str, str]
    """Field name → the value as it was written."""
    warnings: tuple[str, ...] = ()

    def without(self, name: str, problem: str) -> Effective:
        """Return the settings with the default for one whose value cannot be used.

        Args:
            name: The field.
            problem: What is wrong with its value.

        Raises:
            ConfigError: The value is meant for this program and no other.
        """
        variable = self.origins[name].rpartition(" ")[2]
        if not _may_be_foreign(self.origins[name]):
            raise ConfigError(problem)
        (setting,) = (each for each in DECLARED if each.name == name)
        return replace(
            self,
            settings=replace(self.settings, **{name: setting.parse(setting.default)}),
            origins={**self.origins, name: "default"},
            values={**self.values, name: setting.default},
            warnings=(*self.warnings, _passed_over(setting, variable, problem)),
        )

    def as_given(self, text: str) -> str:
        """Return a message with each setting called as it was given: by its option, or another variable."""
        return _as_given(text, self.origins)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values, and parts of them, that must not be shown."""
        whole = [self.values[each.name] for each in DECLARED if each.secret]
        passwords = [password_in(self.values[each.name]) for each in DECLARED if each.address]
        return tuple(value for value in (*whole, *passwords) if value)


def password_in(address: str) -> str:
    """Return the password that is written in a URL, or nothing."""
    before, at, _ = address.partition("://")[2].rpartition("@")
    return before.partition(":")[2] if at else ""


def load(options: Mapping[str, str], environ: Mapping[str, str]) -> Effective:
    """Return the settings from ``options`` over ``environ`` over the defaults.

    Args:
        options: Field name → value as written on the command line, only for options that were given.
        environ: The environment variables.

    Raises:
        ConfigError: A value is not possible.
    """
    parsed: dict[str, Any] = {}
    origins: dict[str, str] = {}
    values: dict[str, str] = {}
    warnings = (*unknown_variables(environ), *_overruled(environ))
    for setting in DECLARED:
        origin, value = _written(setting, options, environ)
        try:
            meant = setting.parse(value)
        except ValueError as error:
            where = origin.rpartition(" ")[2]
            found = "" if setting.secret or setting.address else f", not {value!r}"
            problem = f"{where} {error}{found}"
            if not _may_be_foreign(origin):
                raise ConfigError(problem) from None
            warnings += (_passed_over(setting, where, problem),)
            origin, value, meant = "default", setting.default, setting.parse(setting.default)
        parsed[setting.name], origins[setting.name], values[setting.name] = meant, origin, value
    try:
        settings = Settings(**parsed)
    except ConfigError as error:
        raise ConfigError(_as_given(str(error), origins)) from None
    return Effective(settings, origins, values, (*warnings, *_dangers(settings)))


def _as_given(text: str, origins: Mapping[str, str]) -> str:
    for setting in DECLARED:
        given = origins[setting.name].rpartition(" ")[2]
        if given not in ("default", setting.variable):
            text = re.sub(rf"\b{setting.variable}\b", given, text)
    return text


def _dangers(settings: Settings) -> Iterator[str]:
    """Yield what the settings open that is closed otherwise."""
    if settings.reveal_secrets:
        yield (
            "Tokens, cookies and keys are shown in full to every client (MCP_ECHO_REVEAL_SECRETS): "
            "for a lab only"
        )
    if "*" in settings.allowed_hosts:
        yield (
            "Every Host is answered (MCP_ECHO_ALLOWED_HOSTS has *), so that a web page can reach this server "
            "through a name of its own (DNS rebinding): list the names that clients use"
        )


def _written(setting: Declared, options: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, str]:
    if setting.name in options:
        return f"option --{setting.option}", options[setting.name]
    for variable in setting.variables:
        if variable in environ:
            return f"environment {variable}", environ[variable]
    return "default", setting.default


def _may_be_foreign(origin: str) -> bool:
    """Return whether a value comes from a variable that may be set for other programs: LOG_LEVEL, LOG_FILE.

    Names that begin with MCP_ or ECHO_ are this program's: what is wrong there was meant for it, and a limit
    that is passed over would be a hole.
    """
    kind, _, variable = origin.partition(" ")
    return kind == "environment" and not variable.startswith(("MCP_", "ECHO_"))


def _passed_over(setting: Declared, variable: str, problem: str) -> str:
    used = setting.default or "none"
    return (
        f"{problem}; {variable} may be meant for another program, so the default ({used}) is used instead: "
        f"set --{setting.option} for this one"
    )


def _overruled(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each variable that another one of the same setting overrules.

    One that may be meant for another program is no contradiction.
    """
    for setting in DECLARED:
        first, *others = [each for each in setting.variables if each in environ] or [""]
        for other in others:
            if environ[other] != environ[first] and not _may_be_foreign(f"environment {other}"):
                yield f"{other} changes nothing: {first} is set as well, and wins"
