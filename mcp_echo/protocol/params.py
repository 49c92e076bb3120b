"""Decoding what clients send: null stands for an absent member. No I/O.

Many clients fill in every optional argument that a schema names, with null for what nobody gave. JSON Schema
has no other word for "not given" than leaving a member out, and the schemas published here know no null; so
what a client sends is taken for what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import Raw, inspect

Decode = Callable[[Raw], Any]
"""The ``decode`` of a `msgspec.json.Decoder`."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for JSON that does not fit."""

_read_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read(decode: Decode, raw: Raw) -> Any:
    """Return decoded JSON; a null member is taken for an absent one where nothing else fits.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: It does not fit.
    """
    try:
        return decode(raw)
    except msgspec.ValidationError:
        return read_without_nulls(decode, raw)


def read_without_nulls(decode: Decode, raw: Raw) -> Any:
    """Return JSON that did not fit, decoded without its null members.

    Only those go, at every depth, that the decoder's type names. What it leaves open, as a dict of anything
    does, is data: a null in it is not touched.

    Args:
        decode: What has refused it.
        raw: Undecoded JSON, without space around it.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: It still does not fit.
    """
    # A bound method knows its decoder, which knows its type.
    return decode(_read(raw, _type_of(cast(Any, decode).__self__)))


@cache
def _type_of(decoder: msgspec.json.Decoder[Any]) -> inspect.Type:
    """Return what a decoder takes. To look into a type takes ten times as long as to decode."""
    return inspect.type_info(decoder.type)


def _read(raw: Raw, kind: inspect.Type) -> Raw:
    kind = _object_in(kind)
    if not isinstance(kind, (inspect.StructType, inspect.DictType)):
        return raw
    if _is_null(raw):
        return Raw(b"{}")
    if bytes(raw)[:1] != b"{":
        return raw
    return Raw(msgspec.json.encode(_kept(_read_members(raw), kind)))


def _kept(members: dict[str, Raw], kind: inspect.StructType | inspect.DictType) -> dict[str, Raw]:
    if isinstance(kind, inspect.DictType):
        named = dict.fromkeys(members, kind.value_type)
    else:
        named = {each.encode_name: each.type for each in kind.fields}
    return {
        name: _read(value, named[name]) if name in named else value
        for name, value in members.items()
        if not (_is_null(value) and name in named and not isinstance(named[name], inspect.AnyType))
    }


def _object_in(kind: inspect.Type) -> inspect.Type:
    """Return the object among the types of a union, or the type itself."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    objects = (each for each in kind.types if isinstance(each, (inspect.StructType, inspect.DictType)))
    return next(objects, kind)


def _is_null(raw: Raw) -> bool:
    return bytes(raw) == b"null"
