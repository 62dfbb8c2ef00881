"""Values as JSON: decimals as strings, times in ISO 8601, nothing that could make an answer fail."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any

from starlette.responses import Response

__all__ = ["PlainResponse", "plain"]


def plain(value: object) -> Any:
    """`value` in terms of JSON. Decimals become strings, so that no reader rounds money."""
    for kinds, convert in _RULES:
        if isinstance(value, kinds):
            return convert(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)


# The first that fits is taken: an enum of texts is a text too.
_RULES: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((Enum,), lambda value: plain(value.value)),
    ((NoneType, bool, int, str), lambda value: value),
    ((float,), lambda value: value if math.isfinite(value) else None),
    ((Decimal,), lambda value: format(value, "f")),
    ((date,), lambda value: value.isoformat()),
    ((Mapping,), lambda value: {str(key): plain(item) for key, item in value.items()}),
    ((list, tuple, set, frozenset), lambda value: [plain(item) for item in value]),
)


class PlainResponse(Response):
    """A JSON answer. ASCII only: text from outside may hold lone surrogates, which UTF-8 cannot carry."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(plain(content), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
