"""The official TypeScript SDKs talk to the daemon, the newer one in both eras."""

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("major", "mode", "revision"),
    [
        (1, "", conversation.LEGACY),
        (2, "legacy", conversation.LEGACY),
        (2, "auto", conversation.MODERN),
    ],
)
def test_the_typescript_clients_hold_a_stateful_conversation(
    daemon: Daemon, client_environment: Needs, program: Needs, major: int, mode: str, revision: str
) -> None:
    """Our choice: both published lines, ``@modelcontextprotocol/sdk`` and ``…/client``, check every answer.

    They validate structured content against the output schema, and refuse what does not fit.
    """
    project = environments.cache() / client_environment(environments.NODE)
    client = conversation.CLIENTS / f"typescript_sdk_{major}.mjs"
    command = [program("node"), str(client), daemon.url, mode]
    conversation.hold(command, revision, f"typescript-sdk-{major}", cwd=project)
