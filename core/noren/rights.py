"""What the account may trade, as UserDetails tells it (protocol 7.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Rights", "rights"]


@dataclass(frozen=True, slots=True)
class Rights:
    """Exchanges, products and order types in the broker's codes; empty where it is silent."""

    exchanges: tuple[str, ...]
    products: tuple[str, ...]
    order_types: tuple[str, ...]


def rights(answer: Mapping[str, Any]) -> Rights:
    """The answer of UserDetails; what is not as documented is left out."""
    return Rights(_codes(answer, "exarr"), _codes(answer, "prarr"), _codes(answer, "orarr"))


def _codes(answer: Mapping[str, Any], field: str) -> tuple[str, ...]:
    found = answer.get(field)
    entries = found if isinstance(found, list) else []
    # Products come as objects that name their alias and exchanges too.
    codes = [entry.get("prd") if isinstance(entry, dict) else entry for entry in entries]
    return tuple(code for code in codes if isinstance(code, str))
