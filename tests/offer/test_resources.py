"""The ``echo://`` resources and the templates of those that are named by a handle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_echo.offer.offer import diagnostic_offer
from mcp_echo.offer.prompts import PROMPTS
from mcp_echo.offer.resources import RESOURCES, TEMPLATES, Template
from mcp_echo.offer.trace_resources import TRACE_RESOURCES, TRACE_TEMPLATES
from mcp_echo.protocol.errors import ResourceNotFound
from mcp_echo.protocol.revisions import KNOWN, Revision
from tests.tools.support import Scene, wire

MODERN = "2026-07-28"
STATE, MESSAGES = TEMPLATES
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

revisions = pytest.mark.parametrize("revision", KNOWN, ids=lambda revision: revision.name)
eras = pytest.mark.parametrize("revision", ["2025-11-25", MODERN])


def read(scene: Scene, uri: str) -> Any:
    return json.loads(RESOURCES[uri].read(scene.request())["text"])


def read_by(template: Template, scene: Scene, handle: str) -> Any:
    return json.loads(template.read(scene.request(), handle)["text"])


def create(scene: Scene) -> str:
    return str(wire(scene.call("createEchoSession", {"label": "mine"}))["session"])


def test_the_server_offers_its_tools_resources_and_prompts_and_nothing_else() -> None:
    """Our choice: without further sets this is all there is."""
    scene = Scene()
    offer = diagnostic_offer(scene.context.settings)
    assert list(offer.tools) == list(scene.tools)
    assert list(offer.resources) == ["echo://server", "echo://session", "echo://findings"]
    assert offer.templates == (*TEMPLATES, *TRACE_TEMPLATES)
    assert list(offer.prompts) == list(PROMPTS)
    assert (dict(offer.extensions), dict(offer.methods)) == ({}, {})


@revisions
def test_an_entry_has_only_what_its_revision_knows(revision: Revision) -> None:
    """Changelog of 2025-06-18: title; schema, Resource and ResourceTemplate: name and uri are required."""
    title = {"title"} if revision.name >= "2025-06-18" else set()
    for resource in (*RESOURCES.values(), *TRACE_RESOURCES.values()):
        entry = resource.describe(revision)
        assert set(entry) == {"uri", "name", "description", "mimeType"} | title
        assert (entry["uri"], entry["mimeType"]) == (resource.uri, "application/json")
    for template in (*TEMPLATES, *TRACE_TEMPLATES):
        assert set(template.describe(revision)) == {"uriTemplate", "name", "description", "mimeType"} | title


def test_every_entry_explains_itself() -> None:
    """Our choice: what a person chooses from has a title and a sentence."""
    things = (*RESOURCES.values(), *TRACE_RESOURCES.values(), *TEMPLATES, *TRACE_TEMPLATES)
    for thing in things:
        assert thing.description.endswith(".")
        assert thing.title
        assert thing.name not in {other.name for other in things if other != thing}


# Reading.


@eras
def test_the_server_shows_its_settings_and_its_health(revision: str) -> None:
    """Our choice: the facts of environmentDump and healthProbe, for programs."""
    scene = Scene({"max_sessions": "7"}, {"MCP_ECHO_STATE_KEY": KEY}, revision=revision)
    shown = read(scene, "echo://server")
    assert set(shown) == {"settings", "health"}
    settings = {each["name"]: each for each in shown["settings"]}
    assert settings["MCP_MAX_SESSIONS"] == {
        "name": "MCP_MAX_SESSIONS",
        "value": "7",
        "origin": "option --max-sessions",
    }
    assert shown["health"]["activeSessions"] == 1
    assert KEY[:8] not in json.dumps(shown)


def test_a_session_shows_itself() -> None:
    """Our choice: the facts of sessionInfo."""
    scene = Scene()
    scene.call("echo", {"message": "m"})
    assert read(scene, "echo://session") == wire(scene.call("sessionInfo"))
    assert read(scene, "echo://session")["echoCount"] == 1


def test_where_there_is_no_session_there_is_none_to_read() -> None:
    """2026-07-28 basic, Statelessness: no request belongs to a session."""
    with pytest.raises(ResourceNotFound) as refusal:
        read(Scene(revision=MODERN), "echo://session")
    assert refusal.value.data == {"uri": "echo://session"}


@eras
def test_a_handle_s_state_can_be_read_in_both_eras(revision: str) -> None:
    """Our choice: the facts of sessionInfo about the handle, and reading is a use of it."""
    scene = Scene({"session_timeout": "600"}, revision=revision)
    handle = create(scene)
    scene.call("echo", {"message": "m", "session": handle})
    scene.advance(599)
    shown = read_by(STATE, scene, handle)
    assert (shown["session"], shown["label"], shown["echoCount"], shown["isHandle"]) == (
        handle,
        "mine",
        1,
        True,
    )
    scene.advance(599)
    assert read_by(STATE, scene, handle)["timeUntilExpiry"] == 600


@eras
def test_a_handle_s_messages_can_be_read_oldest_first(revision: str) -> None:
    """Our choice: the queue behind the handle, with how many it had no room for."""
    scene = Scene({"max_queue_messages": "2"}, revision=revision)
    handle = create(scene)
    assert read_by(MESSAGES, scene, handle) == {"dropped": 0, "messages": []}
    for _ in range(2):
        scene.call("echo", {"message": "m", "session": handle})
    shown = read_by(MESSAGES, scene, handle)
    assert [message["params"]["data"]["echoCount"] for message in shown["messages"]] == [1, 2]
    assert {message["method"] for message in shown["messages"]} == {"notifications/message"}
    # Reading takes nothing out.
    assert read_by(MESSAGES, scene, handle) == shown


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_handle_that_leads_nowhere_is_no_resource(template: Template) -> None:
    """2025-11-25 server/resources, Error Handling; unknown, expired, closed and foreign read the same, so
    that a guess learns nothing."""
    scene = Scene({"session_timeout": "600"})
    expired, closed = create(scene), create(scene)
    scene.call("closeEchoSession", {"session": closed})
    scene.advance(600)
    scene.principal = "alice"
    foreign = create(scene)
    scene.principal = None
    for handle in ("es_unheard-of", "{session}", expired, closed, foreign, scene.session.id):
        with pytest.raises(ResourceNotFound) as refusal:
            read_by(template, scene, handle)
        uri = template.uri.replace("{session}", handle)
        assert (refusal.value.message, refusal.value.data) == (f"Resource not found: {uri}", {"uri": uri})
    assert foreign in {each.id for each in scene.store}


# Templates.


@pytest.mark.parametrize(
    ("uri", "state", "messages"),
    [
        ("echo://session/es_a", "es_a", None),
        ("echo://session/es_a/messages", None, "es_a"),
        ("echo://session/es_a%2F", "es_a%2F", None),
        ("echo://session/", None, None),
        ("echo://session", None, None),
        ("echo://session/a/b", None, None),
        ("echo://session/a/", None, None),
        ("echo://session//messages", None, None),
        ("echo://session/a?b", None, None),
        ("echo://session/a#b", None, None),
        ("xecho://session/a", None, None),
        ("echo://session/a/messages/", None, None),
        ("ECHO://session/a", None, None),
    ],
)
def test_a_template_fits_the_uris_that_fill_it(uri: str, state: str | None, messages: str | None) -> None:
    """RFC 6570 section 3.2.2: a simple expansion has no reserved characters."""
    assert (STATE.match(uri), MESSAGES.match(uri)) == (state, messages)


def test_the_rest_of_a_template_is_no_pattern() -> None:
    """Our choice: signs that mean something in a pattern mean themselves in a URI."""
    template = Template("x://a.b+c/{id}.json", "n", "t", "d", lambda *_: {})
    assert template.match("x://a.b+c/7.json") == "7"
    assert template.match("x://aXb+c/7.json") is None
    assert template.match("x://a.b+c/7Xjson") is None
