"""Reading: for the actors when it starts, and for the entry points that show orders to people."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import peewee

from core.model.order import NEVER_AT_BROKER, Order, Status
from core.store.rows import ALL, OrderRows
from core.store.tables import BrokerOrderRow, EventRow, FillRow, OrderRow
from core.store.values import day_text

__all__ = ["ROW_NAMES", "Reading"]

# Statuses and tags stand in these statements as text: only so do the partial indexes serve them.
_CREATED = f"SELECT {ALL} FROM orders WHERE status = 'CREATED'"
_OPEN = f"SELECT {ALL} FROM orders WHERE status = 'SENT_TO_BROKER'"
_NEVER = ", ".join(f"'{tag.value}'" for tag in sorted(NEVER_AT_BROKER))
_SENT_ON = (
    "SELECT COUNT(*) FROM orders WHERE trading_day = ? AND status <> 'CREATED' "
    f"AND (tag IS NULL OR broker_order_id IS NOT NULL OR tag NOT IN ({_NEVER}))"
)

# What a row shows to the outside (design.md section 7), in this order.
ROW_NAMES = (
    "command_id",
    "idempotency_key",
    "account",
    "strategy",
    "source",
    "execution_type",
    "exchange",
    "symbol",
    "side",
    "quantity",
    "product",
    "order_type",
    "price",
    "trigger_price",
    "validity",
    "status",
    "tag",
    "reason",
    "unknown",
    "broker_order_id",
    "filled_quantity",
    "average_price",
    "created_at",
    "updated_at",
    "trading_day",
    "modifying",
)
_FIELDS = tuple(getattr(OrderRow, name) for name in ROW_NAMES)
# What each of its broker orders shows.
_PART_FIELDS = tuple(
    getattr(BrokerOrderRow, name)
    for name in (
        "client_order_id",
        "broker_order_id",
        "quantity",
        "filled_quantity",
        "average_price",
        "status",
        "tag",
        "reason",
        "unknown",
    )
)
_AGE = (OrderRow.trading_day, OrderRow.created_at, OrderRow.command_id)

_NUMBERED = "SELECT command_id FROM broker_orders WHERE account = ? AND trading_day = ? AND broker_order_id = ?"
_COUNTS = (
    "SELECT COALESCE(strategy, ''), status, tag, COUNT(*) FROM orders WHERE trading_day = ? "
    "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)


class Reading(OrderRows):
    """Operations that change nothing."""

    # For the actors

    def created_orders(self, *, account: str | None = None) -> tuple[Order, ...]:
        """Every row CREATED, oldest first. All accounts, or one."""
        return self._orders(_CREATED, account)

    def open_orders(self, *, account: str | None = None) -> tuple[Order, ...]:
        """Every row SENT_TO_BROKER, oldest first. All accounts, or one."""
        return self._orders(_OPEN, account)

    def _orders(self, sql: str, account: str | None) -> tuple[Order, ...]:
        order_by = " ORDER BY created_at, command_id"
        if account is None:
            found = self._db.execute(sql + order_by)
        else:
            found = self._db.execute(f"{sql} AND account = ?{order_by}", (account,))
        return tuple(self._loaded(values) for values in found.fetchall())

    def orders_sent_on(self, trading_day: date, *, account: str | None = None) -> int:
        """How many orders of this trading day went to the broker, whatever became of them."""
        if account is None:
            found = self._db.execute(_SENT_ON, (day_text(trading_day),))
        else:
            found = self._db.execute(f"{_SENT_ON} AND account = ?", (day_text(trading_day), account))
        return int(found.fetchone()[0])

    # For the entry points

    def rows(
        self,
        status: Status | str | None = None,
        strategy: str | None = None,
        day: date | str | None = None,
        limit: int = 500,
        before: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> list[dict[str, Any]]:
        """Rows as the outside sees them, newest first.

        Args:
            status: Only rows with this status.
            strategy: Only rows of this strategy.
            day: Only rows of this trading day.
            limit: At most so many.
            before: Only rows older than the row with this command_id: the last one of the page before.
            idempotency_key: Only the row registered under this key.
        """
        query = OrderRow.select(*_FIELDS)
        if status is not None:
            query = query.where(peewee.SQL(f"status = '{Status(status).value}'"))
        if strategy is not None:
            query = query.where(OrderRow.strategy == strategy)
        if day is not None:
            query = query.where(OrderRow.trading_day == (day if isinstance(day, str) else day_text(day)))
        if idempotency_key is not None:
            query = query.where(OrderRow.idempotency_key == idempotency_key)
        if before is not None:
            last = OrderRow.alias()
            age = last.select(last.trading_day, last.created_at, last.command_id).where(last.command_id == before)
            query = query.where(peewee.Tuple(*_AGE) < age)
        query = query.order_by(*(field.desc() for field in _AGE)).limit(limit)
        return [_shown(row) for row in self._db.rows(query)]

    def counts(self, day: date) -> list[tuple[str, str, str | None, int]]:
        """How many rows a trading day has of each strategy (empty where it was not readable), status and tag."""
        found = self._db.execute(_COUNTS, (day_text(day),)).fetchall()
        return [(strategy, status, tag, int(count)) for strategy, status, tag, count in found]

    def command_of(self, account: str, day: date, broker_order_id: str) -> str | None:
        """The command whose order has this number at the broker, on a trading day."""
        found = self._db.execute(_NUMBERED, (account, day_text(day), broker_order_id)).fetchone()
        return None if found is None else str(found[0])

    def trades(self, account: str, day: date) -> list[dict[str, Any]]:
        """The trades of a trading day with the columns of their orders, oldest first."""
        order, fill = OrderRow, FillRow
        query = (
            fill.select(
                *(
                    fill.command_id,
                    fill.exchange,
                    fill.broker_order_id,
                    fill.broker_trade_id,
                    fill.quantity,
                    fill.price,
                ),
                *(fill.at, order.strategy, order.symbol, order.side, order.product),
            )
            .join(order, on=(fill.command_id == order.command_id))
            .where(fill.account == account, fill.trading_day == day_text(day))
        )
        return self._db.rows(query.order_by(fill.id))

    def row(self, command_id: str) -> dict[str, Any] | None:
        """One row as the outside sees it, with its `events`, `fills` and `broker_orders`, oldest first."""
        with self._db.snapshot():
            found = self._db.rows(OrderRow.select(*_FIELDS).where(OrderRow.command_id == command_id))
            if not found:
                return None
            events = EventRow.select(
                EventRow.at, EventRow.from_status, EventRow.to_status, EventRow.tag, EventRow.reason
            ).where(EventRow.command_id == command_id)
            fills = FillRow.select(FillRow.at, FillRow.quantity, FillRow.price, FillRow.broker_trade_id).where(
                FillRow.command_id == command_id
            )
            parts = BrokerOrderRow.select(*_PART_FIELDS).where(BrokerOrderRow.command_id == command_id)
            return {
                **_shown(found[0]),
                "broker_orders": [_shown(part) for part in self._db.rows(parts.order_by(BrokerOrderRow.part))],
                "events": self._db.rows(events.order_by(EventRow.seq)),
                "fills": self._db.rows(fills.order_by(FillRow.id)),
            }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {**row, "unknown": bool(row["unknown"])}
    return shown | {"modifying": json.loads(row["modifying"])} if row.get("modifying") else shown
