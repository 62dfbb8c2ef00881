"""Version 8: other terms that were asked for at the broker, and the terms an order had before it was first modified."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["MODIFYING"]


def _statements(_: Engine) -> Sequence[str]:
    return ("ALTER TABLE orders ADD COLUMN modifying TEXT", "ALTER TABLE orders ADD COLUMN first_terms TEXT")


MODIFYING = Migration(8, "modifications of orders", _statements)
