"""The official Python SDK 2.x talks to the daemon, in both eras."""

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("mode", "revision"), [("legacy", conversation.LEGACY), ("auto", conversation.MODERN)]
)
def test_the_python_sdk_2_client_holds_a_stateful_conversation(
    daemon: Daemon, client_environment: Needs, mode: str, revision: str
) -> None:
    """Our choice: what the SDK's users see is the measure, whatever our own tests say.

    Left to itself the client asks for ``server/discover`` and then speaks the newest revision.
    """
    python = environments.python(client_environment(environments.SDK_2))
    client = conversation.CLIENTS / "python_sdk_2.py"
    conversation.hold([python, str(client), daemon.url, mode], revision, "python-sdk-2")
