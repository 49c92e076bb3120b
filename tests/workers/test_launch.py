"""The command line that a worker is started with."""

from __future__ import annotations

import os
from unittest import mock

from mcp_echo.settings.table import DECLARED
from mcp_echo.tap import Options
from mcp_echo.workers.launch import arguments_of
from tests.settings.test_settings import SAMPLES


def parsed(*arguments: str) -> Options:
    """Return what the daemon makes of a command line."""
    with mock.patch.dict(os.environ, {}, clear=True):
        options = Options()
        options.parseOptions(list(arguments))
    return options


def test_a_worker_gets_every_option_that_its_parent_was_given() -> None:
    """An option wins over the environment, so that it must reach the workers as an option."""
    for each in DECLARED:
        for value, _ in SAMPLES[each.name]:
            given = {each.name: ("true" if value.lower() in ("true", "1", "yes", "on") else "false")}
            given = given if each.is_flag else {each.name: value}
            assert parsed(*arguments_of(given)).given() == given, each.option


def test_the_set_of_fixtures_that_is_meant_without_a_word_reaches_the_workers() -> None:
    """``--conformance`` alone is the core set."""
    assert parsed(*arguments_of(parsed("--conformance", "--strict").given())).given() == {
        "strict": "true",
        "conformance": "core",
    }
