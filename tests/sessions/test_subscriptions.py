"""Who is told of what changes."""

from __future__ import annotations

import pytest

from mcp_echo.sessions.subscriptions import LISTS, Changes


class Ear:
    """Notes what it is told, and leaves after the first word if it was made to."""

    reader = "somebody"

    def __init__(self, changes: Changes | None = None) -> None:
        self._changes = changes
        self.told: list[str] = []

    def hear(self, what: str) -> None:
        self.told.append(what)
        if self._changes is not None:
            self._changes.forget(self)

    list_changed = resource_updated = hear


@pytest.fixture
def changes() -> Changes:
    return Changes()


def test_a_listener_is_told_of_what_it_asked_for_and_nothing_else(changes: Changes) -> None:
    """2026-07-28 basic/patterns/subscriptions: nothing that was not asked for MUST be sent."""
    tools, prompts, resource = Ear(), Ear(), Ear()
    changes.watch_list("tools", tools)
    changes.watch_list("prompts", prompts)
    changes.watch("echo://a", resource)
    changes.list_changed("tools")
    changes.list_changed("resources")
    changes.resource_updated("echo://a")
    changes.resource_updated("echo://a/b")
    assert (tools.told, prompts.told, resource.told) == (["tools"], [], ["echo://a"])


def test_everybody_who_asked_is_told_once(changes: Changes) -> None:
    """Our choice: asking twice is asking once."""
    ears = [Ear(), Ear()]
    for ear in (*ears, *ears):
        changes.watch_list("tools", ear)
        changes.watch("echo://a", ear)
    changes.list_changed("tools")
    changes.resource_updated("echo://a")
    assert [ear.told for ear in ears] == [["tools", "echo://a"]] * 2
    assert len(changes) == 4


def test_a_listener_that_leaves_is_told_nothing_more(changes: Changes) -> None:
    """2026-07-28 basic/transports/streamable-http, Cancellation: no message after the stream is closed."""
    leaving, staying = Ear(), Ear()
    for ear in (leaving, staying):
        changes.watch_list("tools", ear)
        changes.watch_list("prompts", ear)
        changes.watch("echo://a", ear)
        changes.watch("echo://b", ear)
    changes.forget(leaving)
    changes.list_changed("tools")
    changes.resource_updated("echo://b")
    assert (leaving.told, staying.told) == ([], ["tools", "echo://b"])
    changes.forget(staying)
    assert len(changes) == 0


def test_one_resource_can_be_left_alone(changes: Changes) -> None:
    """2025-11-25 server/resources, Subscriptions: unsubscribe is for one URI."""
    ear, other = Ear(), Ear()
    changes.watch("echo://a", ear)
    changes.watch("echo://b", ear)
    changes.watch("echo://a", other)
    changes.unwatch("echo://a", ear)
    changes.resource_updated("echo://a")
    changes.resource_updated("echo://b")
    assert (ear.told, other.told) == (["echo://b"], ["echo://a"])


def test_who_never_came_may_leave(changes: Changes) -> None:
    """Our choice: a stream's end needs no knowledge of what it asked for."""
    changes.unwatch("echo://a", Ear())
    changes.watch("echo://a", Ear())
    changes.unwatch("echo://a", Ear())
    changes.forget(Ear())
    assert len(changes) == 1


def test_listeners_may_leave_while_they_are_told(changes: Changes) -> None:
    """Our choice: a stream that cannot take a message ends at once, and the others are told all the same."""
    ears = [Ear(changes) for _ in range(5)]
    for ear in ears:
        changes.watch_list("tools", ear)
        changes.watch("echo://a", ear)
    changes.list_changed("tools")
    changes.resource_updated("echo://a")
    assert [ear.told for ear in ears] == [["tools"]] * 5
    assert len(changes) == 0


def test_an_exercise_is_told_to_one_reader_alone(changes: Changes) -> None:
    """clientProbe announces lists that have not changed: to its caller, and to nobody else."""
    mine, also_mine, other = Ear(), Ear(), Ear()
    other.reader = "somebody else"
    changes.watch_list("resources", mine)
    changes.watch_list("tools", also_mine)
    for which in LISTS:
        changes.watch_list(which, other)
    assert changes.announce("somebody") == ["tools", "resources"]
    assert (mine.told, also_mine.told, other.told) == (["resources"], ["tools"], [])
    assert changes.announce("nobody") == []


def test_reads_are_counted_while_somebody_wants_to_know(changes: Changes) -> None:
    """Our choice: clientProbe sees whether its caller asks for a list again, and not what came before."""
    changes.note_read("a")
    with changes.watching_reads("a") as reads:
        assert reads() == 0
        changes.note_read("a")
        changes.note_read("a")
        changes.note_read("b")
        assert reads() == 2
    with changes.watching_reads("a") as reads:
        assert reads() == 0


def test_two_may_count_one_reader_s_lists(changes: Changes) -> None:
    """Our choice: a client may run two probes at once, and one's end is not the other's."""
    with changes.watching_reads("a") as first:
        changes.note_read("a")
        with changes.watching_reads("a") as second:
            changes.note_read("a")
            assert (first(), second()) == (2, 1)
        changes.note_read("a")
        assert first() == 3


def test_a_reader_is_forgotten_when_watching_fails(changes: Changes) -> None:
    """Our choice, as above: a cancelled probe leaves nothing behind that the next would count."""
    watching = changes.watching_reads("a")
    watching.__enter__()
    changes.note_read("a")
    failure = ZeroDivisionError()
    assert not watching.__exit__(ZeroDivisionError, failure, None)
    changes.note_read("a")
    with changes.watching_reads("a") as reads:
        assert reads() == 0
