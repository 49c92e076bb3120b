"""The schemas made from structs: what every client reads, and true of what is taken and sent."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw

from mcp_echo.protocol.params import read
from mcp_echo.tools.schemas import input_schema, output_schema, without_nulls
from tests.tools import schema_rules


class Place(msgspec.Struct, rename="camel"):
    """Where something is; None where it is nowhere."""

    latitude: float
    nick_name: str | None


class Everything(msgspec.Struct, rename="camel"):
    """What a result may have."""

    name: str
    kind: Literal["a", "b"]
    maybe_kind: Literal["a", "b", None]
    count: int | None
    here: Place
    elsewhere: Place | None
    places: list[Place]
    counts: dict[Literal["x", "y"], int]
    data: dict[str, Any] | None
    anything: Any
    flag: bool = False
    words: list[str] = []


NULLS: Any = st.none()
places = st.builds(Place, st.floats(allow_nan=False, allow_infinity=False), st.text() | NULLS)
data = st.dictionaries(st.text(), NULLS | st.integers() | st.lists(NULLS), max_size=3)
everything = st.builds(
    Everything,
    name=st.text(),
    kind=st.sampled_from(["a", "b"]),
    maybe_kind=st.sampled_from(["a", "b", None]),
    count=st.integers(-(2**53), 2**53) | NULLS,
    here=places,
    elsewhere=places | NULLS,
    places=st.lists(places, max_size=3),
    counts=st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 9)),
    data=data | NULLS,
    anything=data | NULLS | st.text() | st.integers(),
    flag=st.booleans(),
    words=st.lists(st.text(), max_size=3),
)
SENT = output_schema(Everything)


@given(everything)
def test_whatever_is_sent_fits_the_schema(result: Everything) -> None:
    """2025-11-25 server/tools, Output Schema: servers MUST provide results that conform."""
    sent = json.loads(msgspec.json.encode(without_nulls(result)))
    jsonschema.Draft202012Validator(SENT).validate(sent)
    assert set(SENT["required"]) <= sent.keys() <= SENT["properties"].keys()


@given(everything)
def test_only_members_that_are_none_are_left_out(result: Everything) -> None:
    """Our choice: what a client answered, or a token says, is data and is shown as it is."""
    sent = without_nulls(result)
    assert [name for name in SENT["properties"] if name not in sent] == [
        name
        for name, value in zip(
            Everything.__struct_encode_fields__, msgspec.structs.astuple(result), strict=True
        )
        if value is None
    ]
    assert sent.get("data") == result.data
    assert sent.get("anything") == result.anything


def test_the_schema_of_a_result_is_one_that_every_client_reads() -> None:
    """The rules are in `schema_rules`; written out, since a mistake in those would hide one here."""
    assert schema_rules.faults_in(SENT) == []
    place = {"type": "object", "properties": {"latitude": {"type": "number"}, "nickName": {"type": "string"}}}
    assert {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "maybeKind": {"type": "string", "enum": ["a", "b"]},
            "count": {"type": "integer"},
            "here": place,
            "elsewhere": place,
            "places": {"type": "array", "items": place},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "data": {"type": "object"},
            "anything": {},
            "flag": {"type": "boolean"},
            "words": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "kind", "flag"],
    } == SENT


class Short(msgspec.Struct, omit_defaults=True):
    """A result that leaves out its defaults by itself."""

    name: str
    label: str | None = None
    flag: bool = False


def test_a_default_that_is_left_out_is_not_always_there() -> None:
    """As above, for the structs whose encoding is quickest."""
    schema = output_schema(Short)
    assert schema["required"] == ["name"]
    jsonschema.Draft202012Validator(schema).validate(json.loads(msgspec.json.encode(Short("n"))))


class Taken(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What a tool may take."""

    text: Annotated[str, Meta(description="A text.")]
    kind: Annotated[Literal["a", "b"], Meta(description="A kind.")] = "a"
    filter: Annotated[Literal["a", "b"] | None, Meta(description="A filter.")] = None
    times: Annotated[int, Meta(ge=1, le=9, description="How often.")] = 3
    label: Annotated[Annotated[str, Meta(max_length=5)] | None, Meta(description="A label.")] = None
    loud: Annotated[bool, Meta(description="Whether loud.")] = False
    seconds: Annotated[float | None, Meta(description="How long.")] = None


TAKEN = input_schema(Taken)
_decode = msgspec.json.Decoder(Taken).decode


def test_the_schema_of_arguments_is_one_that_every_client_reads() -> None:
    """As above; a default is told, unless it is that there is none."""
    assert schema_rules.faults_in(TAKEN, of_arguments=True) == []
    assert TAKEN["required"] == ["text"]
    assert TAKEN["properties"] == {
        "text": {"type": "string", "description": "A text."},
        "kind": {"type": "string", "description": "A kind.", "enum": ["a", "b"], "default": "a"},
        "filter": {"type": "string", "description": "A filter.", "enum": ["a", "b"]},
        "times": {"type": "integer", "description": "How often.", "minimum": 1, "maximum": 9, "default": 3},
        "label": {"type": "string", "description": "A label.", "maxLength": 5},
        "loud": {"type": "boolean", "description": "Whether loud.", "default": False},
        "seconds": {"type": "number", "description": "How long."},
    }


VALUES = st.sampled_from(["a", "b", "c", "too long", 0, 1, 9, 10, 1.5, True, [], {}])


@given(st.dictionaries(st.sampled_from([*TAKEN["properties"], "more"]), VALUES | NULLS))
def test_what_is_taken_is_what_the_schema_takes_and_null_for_what_is_absent(arguments: Any) -> None:
    """2025-11-25 server/tools, Security Considerations: servers MUST validate all tool inputs."""
    present = {name: value for name, value in arguments.items() if name == "more" or value is not None}
    # JSON knows one kind of number, Python's True is none of them, and 1.0 is no integer to msgspec.
    fits = jsonschema.Draft202012Validator(TAKEN).is_valid(present)
    try:
        taken = read(_decode, Raw(json.dumps(arguments).encode()))
    except msgspec.ValidationError:
        assert not fits
    else:
        assert fits
        assert taken == _decode(json.dumps(present).encode())


def test_a_member_of_several_types_is_refused_when_the_tool_is_made() -> None:
    """Our choice: no client that turns a schema into a form or a type knows what to do with it."""

    class Torn(msgspec.Struct):
        either: str | int | None = None

    for publish in (input_schema, output_schema):
        with pytest.raises(TypeError, match="several types"):
            publish(Torn)
