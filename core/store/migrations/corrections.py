"""Version 5: when a holding began, what kind of correction a correction is, and what of the account is nobody's."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["CORRECTIONS"]


def _statements(engine: Engine) -> Sequence[str]:
    integer = "INTEGER" if engine is Engine.SQLITE else "BIGINT"
    clustered = " WITHOUT ROWID" if engine is Engine.SQLITE else ""
    return (
        "ALTER TABLE positions ADD COLUMN opened_at TEXT",
        "ALTER TABLE external_closes ADD COLUMN kind TEXT NOT NULL DEFAULT 'EXTERNAL_ORDER'",
        "ALTER TABLE external_closes ADD COLUMN note TEXT",
        "CREATE TABLE baselines (account TEXT NOT NULL, exchange TEXT NOT NULL, symbol TEXT NOT NULL, "
        f"product TEXT NOT NULL, quantity {integer} NOT NULL, fills TEXT NOT NULL, at TEXT NOT NULL, "
        f"PRIMARY KEY (account, exchange, symbol, product)){clustered}",
    )


CORRECTIONS = Migration(5, "corrections of positions, baselines", _statements)
