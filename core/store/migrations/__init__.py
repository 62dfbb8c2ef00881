"""Numbered changes of the schema, applied at start. A migration that has been released is never edited."""

from __future__ import annotations

from core.store.migrations.accounts import ACCOUNTS
from core.store.migrations.broker_orders import BROKER_ORDERS
from core.store.migrations.corrections import CORRECTIONS
from core.store.migrations.day import DAY
from core.store.migrations.day_pnl import DAY_PNL
from core.store.migrations.initial import INITIAL
from core.store.migrations.modifying import MODIFYING
from core.store.migrations.protections import PROTECTIONS
from core.store.migrations.restart import RESTART
from core.store.migrations.runner import Migration, migrate, schema_version

__all__ = ["MIGRATIONS", "Migration", "migrate", "schema_version"]

MIGRATIONS: tuple[Migration, ...] = (
    INITIAL,
    RESTART,
    DAY_PNL,
    ACCOUNTS,
    CORRECTIONS,
    DAY,
    BROKER_ORDERS,
    MODIFYING,
    PROTECTIONS,
)
