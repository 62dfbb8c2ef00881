"""Putting messages and errors into words without giving secrets away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

__all__ = ["HIDDEN", "render", "scrub"]

HIDDEN = "***"
_SECRET = re.compile(r"password|secret|token|totp|key", re.IGNORECASE)
_NOT_SECRET = frozenset({"idempotency_key", "conflation_key"})
# name=value and "name": "value" in free text, such as the text of an exception that quotes a request.
_IN_TEXT = re.compile(
    r"""(?ix) (\b[\w-]*(?:password|pwd|secret|token|totp|jkey|api_?key|vc_?code|factor2)\w*
        ["']? \s*[=:]\s* (?:bearer\s+)? ["']?) [^\s"'&,;)}\]]+"""
)
_PLAIN = (int, float, bool, Decimal, date, datetime, time, timedelta, type(None))
_DEPTH = 4


def render(value: object, limit: int = 240) -> str:
    """`value` as short text for traces: dataclass fields by name, secrets hidden, no memory addresses.

    A field is hidden if its name contains password, secret, token, totp or key (not `idempotency_key`), unless its
    class lists it in `shown`; so are entries of mappings by such names. What will not fit is not put into words: an
    order passes through twenty letters, and the trace must not cost more than the order.

    Args:
        value: a message, as a rule.
        limit: characters; what is longer is cut, with an ellipsis.
    """
    paper = _Paper(limit)
    with suppress(_Full):
        _write(value, _DEPTH, paper.put)
    text = "".join(paper.parts)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def scrub(text: str) -> str:
    """`text` with the values of what looks like `password=…`, `"jKey": "…"` and the like hidden."""
    if "=" not in text and ":" not in text:
        return text
    return _IN_TEXT.sub(rf"\1{HIDDEN}", text)


class _Full(Exception):
    """There is more text than fits."""


class _Paper:
    """Takes text until there is more than fits."""

    __slots__ = ("_room", "parts")

    def __init__(self, room: int) -> None:
        self.parts: list[str] = []
        self._room = room

    def put(self, text: str) -> None:
        self.parts.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise _Full


def _is_secret(name: str) -> bool:
    return name not in _NOT_SECRET and _SECRET.search(name) is not None


_Shape: TypeAlias = tuple[tuple[str, str | None], ...]
_shapes: dict[type, _Shape | None] = {}


def _shape(kind: type) -> _Shape | None:
    """How a dataclass is written: what stands before each field, and the field's name unless it is hidden."""
    if kind not in _shapes:
        _shapes[kind] = _shape_of(kind) if is_dataclass(kind) else None
    return _shapes[kind]


def _shape_of(kind: type) -> _Shape:
    shown: frozenset[str] = getattr(kind, "shown", frozenset())
    shape: list[tuple[str, str | None]] = []
    for field in fields(kind):
        hidden = not field.repr or (_is_secret(field.name) and field.name not in shown)
        shape.append((f"{', ' if shape else ''}{field.name}=", None if hidden else field.name))
    return tuple(shape)


def _write(value: object, depth: int, put: Callable[[str], None]) -> None:
    if isinstance(value, Enum):
        put(value.name)
    elif isinstance(value, str):
        put(repr(scrub(value)))
    elif isinstance(value, _PLAIN):
        put(str(value))
    elif depth == 0:
        put("…")
    elif (shape := _shape(type(value))) is not None:
        put(f"{type(value).__name__}(")
        for before, name in shape:
            put(before)
            if name is None:
                put(HIDDEN)
            else:
                _write(getattr(value, name), depth - 1, put)
        put(")")
    else:
        _write_collection(value, depth - 1, put)


def _write_collection(value: object, depth: int, put: Callable[[str], None]) -> None:
    if isinstance(value, Mapping):
        put("{")
        for place, (name, item) in enumerate(value.items()):
            put(f", {name}: " if place else f"{name}: ")
            if _is_secret(str(name)):
                put(HIDDEN)
            else:
                _write(item, depth, put)
        put("}")
    elif isinstance(value, tuple | list):
        put("(")
        for place, item in enumerate(value):
            if place:
                put(", ")
            _write(item, depth, put)
        put(")")
    elif isinstance(value, frozenset | set):
        # Sorted, because the order of a set differs between runs and a trace must not.
        put("{" + ", ".join(sorted(_whole(item, depth) for item in value)) + "}")
    else:
        put(f"<{type(value).__name__}>")


def _whole(value: object, depth: int) -> str:
    parts: list[str] = []
    _write(value, depth, parts.append)
    return "".join(parts)
