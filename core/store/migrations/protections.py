"""Version 9: protections of positions: what is wanted, and the state that survives a restart."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["PROTECTIONS"]


def _statements(engine: Engine) -> Sequence[str]:
    integer = "INTEGER" if engine is Engine.SQLITE else "BIGINT"
    clustered = " WITHOUT ROWID" if engine is Engine.SQLITE else ""
    return (
        "CREATE TABLE protections (account TEXT NOT NULL, id TEXT NOT NULL, strategy TEXT NOT NULL, "
        "exchange TEXT NOT NULL, symbol TEXT NOT NULL, product TEXT NOT NULL, "
        f"sign {integer} NOT NULL CHECK (sign IN (1, -1)), rule TEXT NOT NULL, state TEXT NOT NULL "
        "CHECK (state IN ('PENDING', 'ACTIVE', 'FIRING', 'DONE', 'ENDED')), anchor TEXT, best TEXT, trail TEXT, "
        f"count {integer} NOT NULL, fired TEXT, fired_price TEXT, reason TEXT NOT NULL, created_at TEXT NOT NULL, "
        f"updated_at TEXT NOT NULL, PRIMARY KEY (account, id)){clustered}",
        "CREATE UNIQUE INDEX protections_one_live ON protections (account, strategy, exchange, symbol, product) "
        "WHERE state IN ('ACTIVE', 'FIRING')",
        "CREATE INDEX protections_not_over ON protections (account, created_at) "
        "WHERE state IN ('PENDING', 'ACTIVE', 'FIRING')",
    )


PROTECTIONS = Migration(9, "protections of positions", _statements)
