"""The environment file that is shipped for systemd, made of the table of settings.

python -m tests.settings.env_example > systemd/mcp-echo.env.example
"""

from __future__ import annotations

from textwrap import wrap

from mcp_echo.settings.help import GROUPS
from mcp_echo.settings.table import DECLARED, Declared

WIDTH = 110

HEAD = (
    "Settings of mcp-echo, each with its default. Copy to /etc/mcp-echo/mcp-echo.env, take the # off a line "
    "to change it, and restart the service. An option on the command line wins over a line here."
)

UNDER_THE_UNIT = {
    "port": "With mcp-echo.socket the port is set there.",
    "store": "The unit lets the service write below /var/lib/mcp-echo, as in "
    "sqlite:/var/lib/mcp-echo/sessions.db.",
    "workers": "As many as the machine has cores.",
    "trace_file": "The unit lets the service write below /var/lib/mcp-echo.",
    "state_key": "It is a secret: let nobody but root read this file then.",
    "log_file": "The unit lets the service write below /var/log/mcp-echo; systemctl reload reopens it.",
}
"""Setting → what is so under the unit that is shipped."""


def example() -> str:
    """Return the file."""
    rows = {each.name: each for each in DECLARED}
    lines = _comment(HEAD)
    for title, names in GROUPS.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", *_entry(rows[name])]
    return "\n".join([*lines, ""])


def _entry(setting: Declared) -> list[str]:
    said = [setting.help]
    if setting.unit:
        said.append(f"In {setting.unit}.")
    if setting.name in UNDER_THE_UNIT:
        said.append(UNDER_THE_UNIT[setting.name])
    if setting.also:
        said.append(f"Also read from {', '.join(setting.also)}.")
    return [*_comment(" ".join(said)), f"#{setting.variable}={setting.default}"]


def _comment(text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


if __name__ == "__main__":
    print(example(), end="")
