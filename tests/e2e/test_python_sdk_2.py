"""The official Python SDK 2.x talks to the daemon."""

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon


def test_the_python_sdk_2_client_holds_a_stateful_conversation(
    daemon: Daemon, client_environment: Needs
) -> None:
    """Our choice: what the SDK's users see is the measure, whatever our own tests say.

    The client is told to open with ``initialize``, so that its newer handshake does not change the subject.
    """
    python = environments.python(client_environment(environments.SDK_2))
    client = conversation.CLIENTS / "python_sdk_2.py"
    heard = conversation.hold([python, str(client), daemon.url])
    conversation.check(heard, "python-sdk-2")
