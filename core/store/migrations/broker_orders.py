"""Version 7: the orders at the broker, one or several for a command; which of them a fill belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["BROKER_ORDERS"]

_LEGAL = (
    "OLD.status = NEW.status"
    " OR (OLD.status = 'CREATED' AND NEW.status IN ('SENT_TO_BROKER', 'FAILED'))"
    " OR (OLD.status = 'SENT_TO_BROKER' AND NEW.status IN ('EXECUTED', 'FAILED'))"
)


def _statements(engine: Engine) -> Sequence[str]:
    sqlite = engine is Engine.SQLITE
    integer, clustered = ("INTEGER", " WITHOUT ROWID") if sqlite else ("BIGINT", "")
    table = (
        "CREATE TABLE broker_orders (client_order_id TEXT NOT NULL PRIMARY KEY, "
        "command_id TEXT NOT NULL REFERENCES orders (command_id), part INTEGER NOT NULL CHECK (part > 0), "
        f"account TEXT NOT NULL, trading_day TEXT NOT NULL, quantity {integer} NOT NULL CHECK (quantity > 0), "
        "status TEXT NOT NULL CHECK (status IN ('CREATED', 'SENT_TO_BROKER', 'EXECUTED', 'FAILED')), tag TEXT, "
        "reason TEXT, unknown BOOLEAN NOT NULL CHECK (unknown IN (TRUE, FALSE)), broker_order_id TEXT, "
        f"filled_quantity {integer} NOT NULL CHECK (filled_quantity >= 0), average_price TEXT, "
        "updated_at TEXT NOT NULL, UNIQUE (command_id, part), "
        "CHECK ((status = 'FAILED') = (tag IS NOT NULL)), "
        "CHECK (unknown = FALSE OR (status = 'SENT_TO_BROKER' AND broker_order_id IS NULL))"
        f"){clustered}"
    )
    raises = (
        "WHEN NOT ({}) BEGIN SELECT RAISE(ABORT, 'illegal status transition'); END"
        if sqlite
        else "FOR EACH ROW WHEN (NOT ({})) EXECUTE FUNCTION refuse_transition()"
    )
    return (
        "ALTER TABLE orders ADD COLUMN parts INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE fills ADD COLUMN part INTEGER NOT NULL DEFAULT 1",
        table,
        "CREATE UNIQUE INDEX broker_orders_number ON broker_orders (account, trading_day, broker_order_id) "
        "WHERE broker_order_id IS NOT NULL",
        f"CREATE TRIGGER broker_orders_transition BEFORE UPDATE OF status ON broker_orders {raises.format(_LEGAL)}",
        # Until now the order at the broker was the command itself.
        "INSERT INTO broker_orders SELECT command_id, command_id, 1, account, trading_day, quantity, status, tag, "
        "reason, unknown, broker_order_id, filled_quantity, average_price, updated_at FROM orders AS o WHERE EXISTS "
        "(SELECT 1 FROM order_events AS e WHERE e.command_id = o.command_id AND e.to_status = 'SENT_TO_BROKER')",
    )


BROKER_ORDERS = Migration(7, "broker orders", _statements)
