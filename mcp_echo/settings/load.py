"""From the command line, the environment and the defaults to the settings in force. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcp_echo.settings.table import DECLARED, ConfigError, Declared, Settings


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force and where they came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Field name → ``option --max-sessions``, ``environment MCP_MAX_SESSIONS`` or ``default``."""
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
    warnings = _unknown_variables(environ)
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
    settings = Settings(**parsed)
    if origins["allowed_hosts"] == "default" and not _is_local(settings):
        warnings += (
            "The server can be reached from other machines, but MCP_ECHO_ALLOWED_HOSTS has only this one's "
            "own names: requests for any other name are answered with 421; add the names clients use",
        )
    return Effective(settings, origins, values, warnings)


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


def _unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = {variable for setting in DECLARED for variable in setting.variables}
    return tuple(
        f"{name} is no setting of mcp-echo and changes nothing"
        for name in sorted(environ)
        if name.startswith("MCP_ECHO_") and name not in known
    )


_INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])*)")


def _is_local(settings: Settings) -> bool:
    """Return whether only this machine can reach the port, as far as its description tells."""
    if settings.port.isdigit():
        return _is_loopback(settings.host)
    if settings.port.startswith("unix:") or "domain=UNIX" in settings.port:
        return True
    interface = _INTERFACE.search(settings.port)
    return interface is not None and _is_loopback(re.sub(r"\\(.)", r"\1", interface[1]))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
