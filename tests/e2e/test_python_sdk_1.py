"""The official Python SDK 1.x talks to the daemon."""

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon


def test_the_python_sdk_1_client_holds_a_stateful_conversation(
    daemon: Daemon, client_environment: Needs
) -> None:
    """Our choice: most installed clients are of this line, and they must find what the newest one finds."""
    python = environments.python(client_environment(environments.SDK_1))
    client = conversation.CLIENTS / "python_sdk_1.py"
    heard = conversation.hold([python, str(client), daemon.url])
    conversation.check(heard, "python-sdk-1")
