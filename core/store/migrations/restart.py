"""Version 2: fills that strategies have not taken yet, and what others closed of what strategies hold."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["RESTART"]


def _statements(engine: Engine) -> Sequence[str]:
    integer = "INTEGER" if engine is Engine.SQLITE else "BIGINT"
    identity = "INTEGER PRIMARY KEY" if engine is Engine.SQLITE else "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return (
        f"CREATE TABLE fills_to_deliver (fill_id {integer} NOT NULL PRIMARY KEY REFERENCES fills (id), "
        "strategy TEXT NOT NULL)",
        f"CREATE TABLE external_closes (id {identity}, account TEXT NOT NULL, trading_day TEXT NOT NULL, "
        "strategy TEXT NOT NULL, exchange TEXT NOT NULL, symbol TEXT NOT NULL, product TEXT NOT NULL, "
        f"quantity {integer} NOT NULL CHECK (quantity <> 0), price TEXT NOT NULL, broker_order_id TEXT NOT NULL, "
        "at TEXT NOT NULL)",
    )


RESTART = Migration(2, "fills to deliver, external closes", _statements)
