"""The JSON Schemas that tools publish, in the part of JSON Schema that every client reads.

Clients turn them into other things: Inspector into a form, mcporter into types, others into what Gemini or
OpenAI take. What all of them read is one ``type`` a schema, written out where it is used: ``anyOf``, lists of
types, ``$ref`` and null each stop one of them. So a member that may be missing is published as optional, and
in a result a member that is None is missing.
https://ai.google.dev/api/caching#Schema
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
https://ajv.js.org/strict-mode.html#strict-types
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

Schema = dict[str, Any]

_NULL = {"type": "null"}
_TYPES = {str: "string", int: "integer"}
"""The types of the values of a `typing.Literal`, but for None."""


def input_schema(of: type[msgspec.Struct]) -> Schema:
    """Return the schema of what a tool takes; what may be missing may be null as well (`decoding.read`)."""
    components = _components(of)
    return _written_out(components[of.__name__], components, sent=False)


def output_schema(of: type[msgspec.Struct]) -> Schema:
    """Return the schema of what a tool answers, as `without_nulls` leaves it.

    Models read it with every list, so only the root says which plain values are always there: an empty list
    or object says no more than none.
    """
    components = _components(of)
    root = components[of.__name__]
    always_sent = _always_sent(root, of.__struct_config__.omit_defaults)
    return {**_written_out(root, components, sent=True), "required": always_sent}


def without_nulls(result: Any) -> Any:
    """Return a result without the members that are None; dicts in it are data and stay as they are."""
    if isinstance(result, msgspec.Struct):
        names = zip(result.__struct_encode_fields__, result.__struct_fields__, strict=True)
        members = ((name, getattr(result, field)) for name, field in names)
        return {name: without_nulls(value) for name, value in members if value is not None}
    if isinstance(result, list):
        return [without_nulls(each) for each in result]
    return result


@cache
def _components(of: type[msgspec.Struct]) -> dict[str, Schema]:
    """Return the schemas of a struct and those in it by name, as msgspec has them.

    Looking into the types is most of what a server takes to start, and each revision lists the same tools.
    """
    (_, components) = msgspec.json.schema_components([of], ref_template="{name}")
    # A struct's description is its docstring, which is for whoever reads the code.
    return {
        name: {key: value for key, value in each.items() if key != "description"}
        for name, each in components.items()
    }


def _written_out(schema: Schema, components: dict[str, Schema], sent: bool) -> Schema:
    """Return a schema without references, null and the names of types.

    Args:
        schema: What msgspec says.
        components: What its references lead to.
        sent: Whether it is of a result; else it is of arguments.
    """
    plain = _without_null(schema)
    plain = _typed({**components.get(plain.pop("$ref", ""), {}), **plain})
    if "properties" in plain:
        properties = plain["properties"].items()
        plain["properties"] = {name: _written_out(each, components, sent) for name, each in properties}
    for member in ("items", "additionalProperties"):
        if isinstance(plain.get(member), dict):
            plain[member] = _written_out(plain[member], components, sent)
    return {name: value for name, value in plain.items() if not _is_noise(name, value, sent)}


def _without_null(schema: Schema) -> Schema:
    """Return a schema that takes everything but null."""
    choices = [each for each in schema.get("anyOf", []) if each != _NULL]
    if len(choices) > 1:
        raise TypeError(f"a member of several types cannot be published for every client: {schema}")
    return {**(choices[0] if choices else {}), **{k: v for k, v in schema.items() if k != "anyOf"}}


def _typed(schema: Schema) -> Schema:
    """Return a schema that says the type of its values if it lists them."""
    if "enum" not in schema:
        return schema
    values = [value for value in schema["enum"] if value is not None]
    (kind,) = {type(value) for value in values}
    return {"type": _TYPES[kind], **schema, "enum": values}


def _always_sent(schema: Schema, omits_defaults: bool) -> list[str]:
    """Return the plain values of a result that are always there: those that are neither None nor omitted."""
    required = schema["required"]
    return [
        name
        for name, each in schema["properties"].items()
        if _is_plain(each) and (name in required or ("default" in each and not omits_defaults))
    ]


def _is_plain(schema: Schema) -> bool:
    """Return whether a member is a single value, and never null."""
    if "enum" in schema:
        return None not in schema["enum"]
    return schema.get("type", "array") not in ("array", "object")


def _is_noise(name: str, value: Any, sent: bool) -> bool:
    """Return whether a keyword tells a client nothing."""
    if name == "default":
        return sent or value is None
    if name == "required":
        return sent or not value
    # propertyNames is what newer releases of msgspec say of a dict whose keys are a Literal.
    return name in ("title", "propertyNames")
