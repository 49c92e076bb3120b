"""The part of JSON Schema that every client reads, as rules with where each comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema

Schema = dict[str, Any]

# Gemini's Schema and what OpenAI's strict mode takes, each a subset: a keyword outside of it is refused with
# 400 by the one or the other. No anyOf, oneOf, allOf, $ref, const, format, title or exclusive bounds.
# https://ai.google.dev/api/caching#Schema
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
KEYWORDS = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
}
TYPES = {"string", "integer", "number", "boolean", "array", "object"}

# https://docs.claude.com/en/docs/agents-and-tools/tool-use: what a property may be called.
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)

DEPTH = 5
"""Levels of objects that OpenAI's strict mode takes."""


def faults_in(schema: Schema, *, of_arguments: bool = False) -> list[str]:
    """Return what some client would stumble over in the schema of a tool's arguments or result."""
    # MCP's dialect is 2020-12; VS Code and others read every schema as draft 7.
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft7Validator.check_schema(schema)
    found = [
        f"{path}: {fault}" for path, node in _nodes("$", schema) for fault in _faults(node, of_arguments)
    ]
    if schema.get("type") != "object":
        found.append("$: the root is no object")
    if of_arguments:
        found += _faults_of_arguments(schema)
    return found


def _nodes(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield every schema in a schema, each with where it is."""
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from _nodes(f"{path}.{name}", each)
    for member in ("items", "additionalProperties"):
        if isinstance(schema.get(member), dict):
            yield from _nodes(f"{path}.{member}", schema[member])


def _faults(node: Schema, of_arguments: bool) -> Iterator[str]:
    if unknown := node.keys() - KEYWORDS:
        yield f"{sorted(unknown)} are not for every client"
    # A list of types, as ["string", "null"], is no type for Gemini; ajv's strict mode logs one.
    # https://ajv.js.org/strict-mode.html#strict-types
    if node.get("type") not in TYPES and (of_arguments or node):
        yield f"its type is {node.get('type')!r}"
    if "enum" in node and not (node["type"] == "string" and all(isinstance(v, str) for v in node["enum"])):
        yield "Gemini takes an enum of strings alone"
    if (node.get("type") == "array") != ("items" in node):
        yield "an array and its items belong together"
    if "properties" in node and not set(node.get("required", ())) <= node["properties"].keys():
        yield "it requires what it does not have (ajv's strictRequired)"
    if node.get("required") == []:
        yield "draft 4 refuses an empty list"
    if "default" in node and not jsonschema.Draft202012Validator(node).is_valid(node["default"]):
        yield "its default does not fit"


def _faults_of_arguments(schema: Schema) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield "$: OpenAI and linters want objects closed"
    # OpenAI: "object schema missing properties"; VS Code warns.
    if "properties" not in schema:
        yield "$: no properties"
    for path, _ in _nodes("$", schema):
        if path.count(".") > DEPTH:
            yield f"{path}: deeper than {DEPTH} levels"
    for name, each in schema.get("properties", {}).items():
        if not NAME.fullmatch(name):
            yield f"$.{name}: its name is not one for every client"
        if not each.get("description", "").endswith("."):
            yield f"$.{name}: no description"
