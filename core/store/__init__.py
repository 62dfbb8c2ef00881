"""The order store: tables, transitions, fills, positions, on SQLite or PostgreSQL."""

from __future__ import annotations

from core.store.check import check
from core.store.errors import (
    CommandIdTaken,
    ConstraintViolated,
    DatabaseNotOpened,
    ForeignDatabase,
    IllegalChange,
    KeyTaken,
    StoreError,
    StoreUnavailable,
    UnknownOrder,
)
from core.store.owner import Owner
from core.store.reporting import Reported
from core.store.rows import Evidence
from core.store.sending import NotMarked, NumberConflict
from core.store.store import Store

__all__ = [
    "CommandIdTaken",
    "ConstraintViolated",
    "DatabaseNotOpened",
    "Evidence",
    "ForeignDatabase",
    "IllegalChange",
    "KeyTaken",
    "NotMarked",
    "NumberConflict",
    "Owner",
    "Reported",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "UnknownOrder",
    "check",
]
