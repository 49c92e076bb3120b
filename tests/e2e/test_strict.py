"""The official SDKs keep every rule that strict mode enforces: a strict daemon serves them like any other."""

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs, Start

pytestmark = pytest.mark.slow

LEGACY, MODERN = conversation.LEGACY, conversation.MODERN


@pytest.mark.parametrize(
    ("environment", "client", "mode", "revision"),
    [
        (environments.SDK_1, "python_sdk_1", "", LEGACY),
        (environments.SDK_2, "python_sdk_2", "legacy", LEGACY),
        (environments.SDK_2, "python_sdk_2", "auto", MODERN),
    ],
)
def test_the_python_clients_are_served_by_a_strict_server(
    start: Start, client_environment: Needs, environment: str, client: str, mode: str, revision: str
) -> None:
    """Our choice: what refuses a client that keeps the rules is a rule misread."""
    python = environments.python(client_environment(environment))
    program = str(conversation.CLIENTS / f"{client}.py")
    command = [python, program, start("--strict").url, *([mode] if mode else [])]
    conversation.hold(command, revision, client.replace("_", "-"))


@pytest.mark.parametrize(
    ("major", "mode", "revision"), [(1, "", LEGACY), (2, "legacy", LEGACY), (2, "auto", MODERN)]
)
def test_the_typescript_clients_are_served_by_a_strict_server(
    start: Start, client_environment: Needs, program: Needs, major: int, mode: str, revision: str
) -> None:
    """Our choice, as above."""
    project = environments.cache() / client_environment(environments.NODE)
    client = conversation.CLIENTS / f"typescript_sdk_{major}.mjs"
    command = [program("node"), str(client), start("--strict").url, mode]
    conversation.hold(command, revision, f"typescript-sdk-{major}", cwd=project)
