"""Who is told of what changes."""

from __future__ import annotations

import pytest

from mcp_echo.sessions.subscriptions import LISTS, Subscriptions


class Ear:
    """Notes what it is told, and leaves after the first word if it was made to."""

    reader = "somebody"

    def __init__(self, subscriptions: Subscriptions | None = None) -> None:
        self._subscriptions = subscriptions
        self.told: list[str] = []

    def hear(self, what: str) -> None:
        self.told.append(what)
        if self._subscriptions is not None:
            self._subscriptions.forget(self)

    list_changed = resource_updated = hear


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions()


def test_a_listener_is_told_of_what_it_asked_for_and_nothing_else(subscriptions: Subscriptions) -> None:
    """2026-07-28 basic/patterns/subscriptions: nothing that was not asked for MUST be sent."""
    tools, prompts, resource = Ear(), Ear(), Ear()
    subscriptions.watch_list("tools", tools)
    subscriptions.watch_list("prompts", prompts)
    subscriptions.watch("echo://a", resource)
    subscriptions.list_changed("tools")
    subscriptions.list_changed("resources")
    subscriptions.resource_updated("echo://a")
    subscriptions.resource_updated("echo://a/b")
    assert (tools.told, prompts.told, resource.told) == (["tools"], [], ["echo://a"])


def test_everybody_who_asked_is_told_once(subscriptions: Subscriptions) -> None:
    """Our choice: asking twice is asking once."""
    ears = [Ear(), Ear()]
    for ear in (*ears, *ears):
        subscriptions.watch_list("tools", ear)
        subscriptions.watch("echo://a", ear)
    subscriptions.list_changed("tools")
    subscriptions.resource_updated("echo://a")
    assert [ear.told for ear in ears] == [["tools", "echo://a"]] * 2
    assert len(subscriptions) == 4


def test_a_listener_that_leaves_is_told_nothing_more(subscriptions: Subscriptions) -> None:
    """2026-07-28 basic/transports/streamable-http, Cancellation: no message after the stream is closed."""
    leaving, staying = Ear(), Ear()
    for ear in (leaving, staying):
        subscriptions.watch_list("tools", ear)
        subscriptions.watch_list("prompts", ear)
        subscriptions.watch("echo://a", ear)
        subscriptions.watch("echo://b", ear)
    subscriptions.forget(leaving)
    subscriptions.list_changed("tools")
    subscriptions.resource_updated("echo://b")
    assert (leaving.told, staying.told) == ([], ["tools", "echo://b"])
    subscriptions.forget(staying)
    assert len(subscriptions) == 0


def test_one_resource_can_be_left_alone(subscriptions: Subscriptions) -> None:
    """2025-11-25 server/resources, Subscriptions: unsubscribe is for one URI."""
    ear, other = Ear(), Ear()
    subscriptions.watch("echo://a", ear)
    subscriptions.watch("echo://b", ear)
    subscriptions.watch("echo://a", other)
    subscriptions.unwatch("echo://a", ear)
    subscriptions.resource_updated("echo://a")
    subscriptions.resource_updated("echo://b")
    assert (ear.told, other.told) == (["echo://b"], ["echo://a"])


def test_who_never_came_may_leave(subscriptions: Subscriptions) -> None:
    """Our choice: a stream's end needs no knowledge of what it asked for."""
    subscriptions.unwatch("echo://a", Ear())
    subscriptions.watch("echo://a", Ear())
    subscriptions.unwatch("echo://a", Ear())
    subscriptions.forget(Ear())
    assert len(subscriptions) == 1


def test_listeners_may_leave_while_they_are_told(subscriptions: Subscriptions) -> None:
    """Our choice: a stream that cannot take a message ends at once, and the others are told all the same."""
    ears = [Ear(subscriptions) for _ in range(5)]
    for ear in ears:
        subscriptions.watch_list("tools", ear)
        subscriptions.watch("echo://a", ear)
    subscriptions.list_changed("tools")
    subscriptions.resource_updated("echo://a")
    assert [ear.told for ear in ears] == [["tools"]] * 5
    assert len(subscriptions) == 0


def test_an_exercise_is_told_to_one_reader_alone(subscriptions: Subscriptions) -> None:
    """clientProbe announces lists that have not changed: to its caller, and to nobody else."""
    mine, also_mine, other = Ear(), Ear(), Ear()
    other.reader = "somebody else"
    subscriptions.watch_list("resources", mine)
    subscriptions.watch_list("tools", also_mine)
    for which in LISTS:
        subscriptions.watch_list(which, other)
    assert subscriptions.announce("somebody") == ["tools", "resources"]
    assert (mine.told, also_mine.told, other.told) == (["resources"], ["tools"], [])
    assert subscriptions.announce("nobody") == []


def test_reads_are_counted_while_somebody_wants_to_know(subscriptions: Subscriptions) -> None:
    """Our choice: clientProbe sees whether its caller asks for a list again, and not what came before."""
    subscriptions.note_read("a")
    with subscriptions.watching_reads("a") as reads:
        assert reads() == 0
        subscriptions.note_read("a")
        subscriptions.note_read("a")
        subscriptions.note_read("b")
        assert reads() == 2
    with subscriptions.watching_reads("a") as reads:
        assert reads() == 0


def test_two_may_count_one_reader_s_lists(subscriptions: Subscriptions) -> None:
    """Our choice: a client may run two probes at once, and one's end is not the other's."""
    with subscriptions.watching_reads("a") as first:
        subscriptions.note_read("a")
        with subscriptions.watching_reads("a") as second:
            subscriptions.note_read("a")
            assert (first(), second()) == (2, 1)
        subscriptions.note_read("a")
        assert first() == 3


def test_a_reader_is_forgotten_when_watching_fails(subscriptions: Subscriptions) -> None:
    """Our choice, as above: a cancelled probe leaves nothing behind that the next would count."""
    watching = subscriptions.watching_reads("a")
    watching.__enter__()
    subscriptions.note_read("a")
    failure = ZeroDivisionError()
    assert not watching.__exit__(ZeroDivisionError, failure, None)
    subscriptions.note_read("a")
    with subscriptions.watching_reads("a") as reads:
        assert reads() == 0
