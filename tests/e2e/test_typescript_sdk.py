"""The official TypeScript SDKs talk to the daemon."""

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon


@pytest.mark.parametrize("major", [1, 2])
def test_the_typescript_clients_hold_a_stateful_conversation(
    daemon: Daemon, client_environment: Needs, program: Needs, major: int
) -> None:
    """Our choice: both published lines, ``@modelcontextprotocol/sdk`` and ``…/client``, check every answer.

    They validate structured content against the output schema, and refuse what does not fit.
    """
    project = environments.cache() / client_environment(environments.NODE)
    client = conversation.CLIENTS / f"typescript_sdk_{major}.mjs"
    heard = conversation.hold([program("node"), str(client), daemon.url], cwd=project)
    conversation.check(heard, f"typescript-sdk-{major}")
