"""The whole state in one canonical text, and its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from pydantic import BaseModel

from core.paper.instruments import Instrument
from core.paper.sockets import Sockets
from core.paper.state import ExchangeState

__all__ = ["digest"]


def digest(state: ExchangeState, sockets: Sockets) -> str:
    """SHA-256 over everything that can change what the exchange will say; caches are left out."""
    whole = {
        "config": state.config.model_dump_json(exclude={"instruments", "ticks"}),
        "now": state.now,
        "day": state.day,
        "step": state.step,
        "chance": state.rng.getstate(),
        "prices": state.prices.memory(),
        "faults": list(state.faults),
        "sessions": state.sessions.memory(),
        "accounts": state.accounts,
        "orders": state.orders,
        "books": {"|".join(key): book.memory() for key, book in state.books.items()},
        "stages": sorted(state.stages, key=lambda stage: stage[:2]),
        "numbers": state.numbers(),
        "calls": state.calls,
        "counters": dict(state.counters),
        "sockets": list(sockets),
        "outbox": state.outbox,
    }
    text = json.dumps(_plain(whole), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """`value` in JSON's own types, with nothing that differs between two equal runs."""
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Instrument):
        return f"{value.exch}|{value.token}"
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if is_dataclass(value):
        # What is not compared says what is to be written down, not what the exchange is.
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.compare}
    return _scalar(value)


def _scalar(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Decimal):
        # 10.0 and 10.00 are one price; how it was written is no part of the state.
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return f"{value.timestamp():.6f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"digest: {type(value).__name__} has no canonical form")


def _key(key: object) -> str:
    return "|".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
