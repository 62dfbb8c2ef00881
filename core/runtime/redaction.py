"""Putting messages and errors into words without giving secrets away."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

from core.rules.secrets import NO_SECRETS, Secrets

__all__ = ["HIDDEN", "render", "scrub"]

HIDDEN = "***"
_SECRET = re.compile(r"password|secret|token|totp|key", re.IGNORECASE)
_NOT_SECRET = frozenset({"idempotency_key", "conflation_key"})
# name=value and "name": "value" in free text, such as the text of an exception that quotes a request.
_IN_TEXT = re.compile(
    r"""(?ix) (\b[\w-]*(?:password|pwd|secret|token|totp|jkey|api_?key|vc_?code|factor2)\w*
        ["']? \s*[=:]\s* (?:bearer\s+)? ["']?) [^\s"'&,;)}\]]+"""
)
# One of these is in all that `_IN_TEXT` finds; it takes thirty times as long to find nothing.
_IN_ALL = ("password", "pwd", "secret", "token", "totp", "jkey", "api", "vc", "factor2")
_PLAIN = (int, float, bool, Decimal, date, datetime, time, timedelta, type(None))
_DEPTH = 4
_WHOLE = sys.maxsize


def render(value: object, limit: int = 240, secrets: Secrets = NO_SECRETS) -> str:
    """`value` as short text for traces: dataclass fields by name, secrets hidden, no memory addresses.

    A class with a method `trace_text` words itself. A field is hidden if its name contains password, secret, token,
    totp or key (not `idempotency_key`), unless its class lists it in `shown`; so are entries of mappings by such names.
    What will not fit is not put into words: an order passes through twenty envelopes, and the trace must not cost more
    than the order.

    Args:
        value: a message, as a rule.
        limit: characters; what is longer is cut, with an ellipsis.
        secrets: hidden by their value too, whatever the field they are in is called.
    """
    # Before anything is cut: half a secret is not found.
    text = secrets.text(_text(value, _DEPTH, limit))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def scrub(text: str, secrets: Secrets = NO_SECRETS) -> str:
    """`text` without `secrets`, and with the values of what looks like `password=…`, `"jKey": "…"` hidden."""
    text = secrets.text(text)
    if "=" not in text and ":" not in text:
        return text
    if text.isascii():
        lower = text.lower()
        if not any(word in lower for word in _IN_ALL):
            return text
    return _IN_TEXT.sub(rf"\1{HIDDEN}", text)


def _is_secret(name: str) -> bool:
    return name not in _NOT_SECRET and _SECRET.search(name) is not None


def _text(value: object, depth: int, room: int) -> str:
    """`value` in words; of what takes more than `room` characters, the beginning, cut anywhere beyond them."""
    kind = type(value)
    writer = _writers.get(kind)
    if writer is None:
        writer = _writers[kind] = _writer_of(kind)
    return writer(value, depth, room)


# Puts a value of one type into words, as `_text` does. Found once for each type: asking a value what it is, again for
# each field of each envelope, cost more than the words.
_Writer: TypeAlias = Callable[[Any, int, int], str]
_writers: dict[type, _Writer] = {}


def _writer_of(kind: type) -> _Writer:
    if hasattr(kind, "trace_text"):
        # Its own short words: what matters of an order, how much there is of a book.
        return lambda value, depth, _room: scrub(value.trace_text()) if depth else "…"
    if is_dataclass(kind) and not issubclass(kind, Enum):
        return _writer_of_fields(kind)
    for base, writer in _WRITERS_OF_BASES:
        if issubclass(kind, base):
            return writer
    name = f"<{kind.__name__}>"
    return lambda _value, depth, _room: name if depth else "…"


def _writer_of_fields(kind: type) -> _Writer:
    """For a dataclass: what stands before each field, and the field unless it is hidden."""
    shown: frozenset[str] = getattr(kind, "shown", frozenset())
    shape: list[tuple[str, str | None]] = []
    before = f"{kind.__name__}("
    for field in fields(kind):
        hidden = not field.repr or (_is_secret(field.name) and field.name not in shown)
        shape.append((f"{before}{field.name}=", None if hidden else field.name))
        before = ", "
    end = ")" if shape else f"{before})"

    def write(value: object, depth: int, room: int) -> str:
        if depth == 0:
            return "…"
        text = ""
        for before, name in shape:
            text += before
            text += HIDDEN if name is None else _text(getattr(value, name), depth - 1, room - len(text))
            if len(text) > room:
                return text
        return text + end

    return write


def _mapping_text(value: Mapping[Any, object], depth: int, room: int) -> str:
    if depth == 0:
        return "…"
    text = "{"
    for name, item in value.items():
        text += f"{name}: " if len(text) == 1 else f", {name}: "
        text += HIDDEN if _is_secret(str(name)) else _text(item, depth - 1, room - len(text))
        if len(text) > room:
            return text
    return text + "}"


def _sequence_text(value: tuple[object, ...] | list[object], depth: int, room: int) -> str:
    if depth == 0:
        return "…"
    if len(value) == 2 and isinstance(value[0], str) and _is_secret(value[0]):
        # A field of a body, as its name and its value: a secret in a leg, or where none is asked for.
        return f"({value[0]!r}, {HIDDEN})"
    text = "("
    for item in value:
        if len(text) > 1:
            text += ", "
        text += _text(item, depth - 1, room - len(text))
        if len(text) > room:
            return text
    return text + ")"


def _set_text(value: frozenset[object] | set[object], depth: int, _room: int) -> str:
    if depth == 0:
        return "…"
    # Sorted, because the order of a set differs between runs and a trace must not; and so written in whole.
    return "{" + ", ".join(sorted(_text(item, depth - 1, _WHOLE) for item in value)) + "}"


_WRITERS_OF_BASES: tuple[tuple[type | tuple[type, ...], _Writer], ...] = (
    (Enum, lambda value, _depth, _room: str(value._name_)),
    (str, lambda value, _depth, _room: repr(scrub(value))),
    (_PLAIN, lambda value, _depth, _room: str(value)),
    (Mapping, _mapping_text),
    ((tuple, list), _sequence_text),
    ((frozenset, set), _set_text),
)
