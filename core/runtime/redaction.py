"""Putting messages and errors into words without giving secrets away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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
    class lists it in `shown`; so are entries of mappings by such names.

    Args:
        value: a message, as a rule.
        limit: characters; what is longer is cut, with an ellipsis.
    """
    text = _render(value, _DEPTH)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def scrub(text: str) -> str:
    """`text` with the values of what looks like `password=…`, `"jKey": "…"` and the like hidden."""
    return _IN_TEXT.sub(rf"\1{HIDDEN}", text)


def _is_secret(name: str) -> bool:
    return name not in _NOT_SECRET and _SECRET.search(name) is not None


def _render(value: object, depth: int) -> str:
    if isinstance(value, Enum):
        text = value.name
    elif isinstance(value, str):
        text = repr(scrub(value))
    elif isinstance(value, _PLAIN):
        text = str(value)
    elif depth == 0:
        text = "…"
    elif is_dataclass(value) and not isinstance(value, type):
        text = f"{type(value).__name__}({', '.join(_fields(value, depth))})"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(_entries(value, depth)) + "}"
    elif isinstance(value, tuple | list):
        text = "(" + ", ".join(_render(item, depth - 1) for item in value) + ")"
    elif isinstance(value, frozenset | set):
        # Sorted, because the order of a set differs between runs and a trace must not.
        text = "{" + ", ".join(sorted(_render(item, depth - 1) for item in value)) + "}"
    else:
        text = f"<{type(value).__name__}>"
    return text


def _fields(value: DataclassInstance, depth: int) -> Iterator[str]:
    shown: frozenset[str] = getattr(value, "shown", frozenset())
    for field in fields(value):
        hidden = not field.repr or (_is_secret(field.name) and field.name not in shown)
        yield f"{field.name}={HIDDEN if hidden else _render(getattr(value, field.name), depth - 1)}"


def _entries(value: Mapping[object, object], depth: int) -> Iterator[str]:
    for name, item in value.items():
        yield f"{name}: {HIDDEN if _is_secret(str(name)) else _render(item, depth - 1)}"
