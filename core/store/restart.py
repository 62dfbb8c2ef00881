"""What a start needs beside open orders: fills not taken, orders that ended today, what was closed by others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from core.model.order import NEVER_AT_BROKER, ExecutionType, Fill, Order, Product, Side, Tag
from core.model.positions import Baseline, Correction, Departure, ExternalClose, ExternalFill, Holding
from core.rules.departures import Change, Key, departures, opened_by_exits
from core.store.positions import Positions
from core.store.rows import ALL
from core.store.values import COLUMNS, clean_text, day_text, decimal_text, order_from, time_from, time_text

__all__ = ["Restart"]

_DELIVER_LATER = (
    "INSERT INTO fills_to_deliver (fill_id, strategy) SELECT id, ? FROM fills "
    "WHERE command_id = ? AND broker_trade_id = ? ON CONFLICT DO NOTHING"
)
_TAKEN = (
    "DELETE FROM fills_to_deliver WHERE fill_id IN (SELECT id FROM fills WHERE command_id = ? AND broker_trade_id = ?)"
)
_MINE = ", ".join(f"o.{name}" for name in COLUMNS)
_TO_DELIVER = (
    f"SELECT f.broker_trade_id, f.quantity, f.price, f.at, {_MINE} FROM fills_to_deliver AS d "
    "JOIN fills AS f ON f.id = d.fill_id JOIN orders AS o ON o.command_id = f.command_id "
    "WHERE o.account = ? AND d.strategy = ? ORDER BY d.fill_id"
)
# Orders for which the broker was never called cannot be in its books.
_NEVER_CALLED_FOR = ", ".join(f"'{tag.value}'" for tag in sorted(NEVER_AT_BROKER - {Tag.BROKER_NOT_SENT}))
_ENDED = (
    f"SELECT {ALL} FROM orders WHERE trading_day >= ? AND account = ? AND status IN ('EXECUTED', 'FAILED') "
    f"AND (broker_order_id IS NOT NULL OR tag NOT IN ({_NEVER_CALLED_FOR})) ORDER BY created_at, command_id"
)
_CLOSE = (
    "INSERT INTO external_closes (account, trading_day, strategy, exchange, symbol, product, quantity, price, "
    "broker_order_id, at, kind, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CLOSED = (
    "SELECT strategy, exchange, symbol, product, SUM(quantity) FROM external_closes WHERE account = ? "
    "GROUP BY strategy, exchange, symbol, product"
)
_USED = "SELECT broker_order_id, SUM(ABS(quantity)) FROM external_closes WHERE account = ? GROUP BY broker_order_id"


_FILLED = (
    "SELECT f.at, o.side, f.quantity FROM fills AS f JOIN orders AS o ON o.command_id = f.command_id "
    "WHERE f.account = ? AND o.strategy = ? AND o.exchange = ? AND o.symbol = ? AND o.product = ? AND f.at >= ? "
    "ORDER BY f.at, f.id"
)
_CORRECTED_SINCE = (
    "SELECT at, quantity, broker_order_id FROM external_closes WHERE account = ? AND strategy = ? AND exchange = ? "
    "AND symbol = ? AND product = ? AND at >= ? ORDER BY at, id"
)
_LAST_CORRECTION = (
    "SELECT price, at FROM external_closes WHERE account = ? AND strategy = ? AND exchange = ? AND symbol = ? "
    "AND product = ? ORDER BY id DESC LIMIT 1"
)
_SUM_OF_CORRECTIONS = (
    "SELECT exchange, symbol, product, SUM(quantity) FROM external_closes WHERE account = ? "
    "GROUP BY exchange, symbol, product ORDER BY exchange, symbol, product"
)
_FILLED_ON = (
    "SELECT f.booked_at, o.strategy, o.exchange, o.symbol, COALESCE(o.product, o.requested_product), o.side, "
    "f.quantity, f.at, o.execution_type FROM fills AS f JOIN orders AS o ON o.command_id = f.command_id "
    "WHERE f.account = ? AND f.trading_day >= ? ORDER BY f.id"
)
_CORRECTED_ON = (
    "SELECT at, strategy, exchange, symbol, product, quantity, kind FROM external_closes "
    "WHERE account = ? AND trading_day >= ? ORDER BY id"
)
_FIRST_DAY = (
    "SELECT MIN(day) FROM (SELECT MIN(trading_day) AS day FROM fills WHERE account = ? "
    "UNION ALL SELECT MIN(trading_day) AS day FROM external_closes WHERE account = ?) AS days"
)
# A fill may be booked on a later day than its order's: what is held is looked for over a weekend at least.
_LOOK_BACK_DAYS = 4
_PUT_BASELINE = (
    "INSERT INTO baselines (account, exchange, symbol, product, quantity, fills, at) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (account, exchange, symbol, product) DO UPDATE SET quantity = excluded.quantity, "
    "fills = excluded.fills, at = excluded.at"
)
_BASELINES = (
    "SELECT exchange, symbol, product, quantity, fills FROM baselines WHERE account = ? "
    "ORDER BY exchange, symbol, product"
)


class Restart(Positions):
    """Operations that carry one run of the service over into the next."""

    def deliver_fill_later(self, strategy: str, command_id: str, fill: Fill) -> None:
        """Remember that a strategy is to be told of a booked fill, until `fill_taken` (scenario B10)."""
        self._db.write(_DELIVER_LATER, (strategy, command_id, fill.broker_trade_id))

    def fill_taken(self, command_id: str, broker_trade_id: str) -> None:
        """The strategy has handled this fill."""
        self._db.write(_TAKEN, (command_id, broker_trade_id))

    def fills_to_deliver(self, account: str, strategy: str) -> tuple[tuple[Order, Fill], ...]:
        """The fills a strategy has not taken, in the order they were booked, each with its order as it stands."""
        found = self._db.execute(_TO_DELIVER, (account, strategy)).fetchall()
        return tuple(
            (order_from(row), Fill(trade, int(quantity), Decimal(price), time_from(at)))
            for trade, quantity, price, at, *row in found
        )

    def ended_orders(self, account: str, since: date) -> tuple[Order, ...]:
        """Every order since this trading day that is over and may stand in the broker's book, oldest first."""
        found = self._db.execute(_ENDED, (day_text(since), account))
        return tuple(self._loaded(values) for values in found.fetchall())

    # What others closed

    def close_externally(self, account: str, close: ExternalClose, trading_day: date, at: datetime) -> None:
        """Record that a part of a holding was closed at the broker by an order that nobody here placed."""
        values = (
            account,
            day_text(trading_day),
            close.strategy,
            close.exchange,
            close.symbol,
            close.product.value,
            close.quantity,
            decimal_text(close.price),
            close.broker_order_id,
            time_text(at),
            close.kind.value,
            clean_text(close.note) or None,
        )
        self._db.write(_CLOSE, values)

    def closes(self, account: str) -> tuple[tuple[str, int], ...]:
        """How much of each external order has explained a close."""
        found = self._db.execute(_USED, (account,)).fetchall()
        return tuple((number, int(quantity)) for number, quantity in found)

    def with_changes(self, account: str, holding: Holding) -> Holding:
        """A holding with its fills and corrections since it began."""
        if holding.opened_at is None:
            return holding
        key = (account, holding.strategy, holding.exchange, holding.symbol, holding.product.value)
        since = (*key, time_text(holding.opened_at))
        changes: list[tuple[datetime | None, int]] = [
            (time_from(at), Side(side).sign * int(quantity))
            for at, side, quantity in self._db.execute(_FILLED, since).fetchall()
        ]
        # What an external order took off was gone when that order filled, and not when it was recorded; so what an
        # EXIT opened is there from the EXIT's fill on.
        place = key[2:]
        bases = [base for base in self.baselines(account) if (base.exchange, base.symbol, base.product.value) == place]
        filled_at = {fill.number: fill.at for base in bases for fill in base.fills}
        for at, quantity, number in self._db.execute(_CORRECTED_SINCE, since).fetchall():
            changes.append((filled_at.get(number) or time_from(at), int(quantity)))
        return replace(holding, changes=tuple(changes))

    def _by_corrections(
        self, account: str, key: tuple[str, str, str, Product], quantity: int
    ) -> tuple[Holding, Decimal]:
        strategy, exchange, symbol, product = key
        price, at = self._db.execute(_LAST_CORRECTION, (account, strategy, exchange, symbol, product.value)).fetchone()
        return Holding(*key, quantity, opened_at=time_from(at)), Decimal(price)

    def corrections(self, account: str) -> tuple[tuple[str, str, Product, int], ...]:
        """The sum of all corrections of each position: exchange, symbol, product, signed quantity."""
        found = self._db.execute(_SUM_OF_CORRECTIONS, (account,)).fetchall()
        return tuple((exchange, symbol, Product(product), int(total)) for exchange, symbol, product, total in found)

    def departures(self, account: str, day: date) -> tuple[Departure, ...]:
        """What EXITs have filled since a trading day began."""
        changes = self._changes_since(account, day)
        return departures(changes, _quantities(self.held(account)), datetime.combine(day, time.min, UTC))

    def opened_by_exits(self, account: str, day: date) -> frozenset[Key]:
        """The holdings that EXITs opened, on whatever day: read back to where the oldest of what is held began."""
        held = self.held(account)
        back = _LOOK_BACK_DAYS
        while True:
            since = day - timedelta(days=back)
            opened, older = opened_by_exits(self._changes_since(account, since), _quantities(held))
            [(first,)] = self._db.execute(_FIRST_DAY, (account, account)).fetchall() if older else [(None,)]
            if first is None or day_text(since) <= first:
                return opened
            began = [h.opened_at.date() for h, _ in held if _key_of(h) in older and h.opened_at is not None]
            # That may be the time of a later correction: if so, it is twice as far next time.
            back = max([2 * back, *((day - one).days + _LOOK_BACK_DAYS for one in began)])

    def _changes_since(self, account: str, day: date) -> list[Change]:
        """Fills and corrections since a trading day began, in the order they were recorded."""
        since = (account, day_text(day))
        filled = [
            (booked, Change((*place, Product(product)), Side(side).sign * int(q), time_from(at), ExecutionType(kind)))
            for booked, *place, product, side, q, at, kind in self._db.execute(_FILLED_ON, since).fetchall()
        ]
        corrected = [
            (at, Change((*place, Product(product)), int(q), time_from(at), external=Correction(kind).shows_exit))
            for at, *place, product, q, kind in self._db.execute(_CORRECTED_ON, since).fetchall()
        ]
        recorded = sorted((*filled, *corrected), key=lambda one: time_from(one[0]))
        return [change for _, change in recorded]

    def put_baselines(self, account: str, baselines: Iterable[Baseline], at: datetime) -> None:
        """Keep what of each position was nobody's when it was reconciled."""
        for baseline in baselines:
            place = (account, baseline.exchange, baseline.symbol, baseline.product.value)
            fills = [
                (f.number, f.quantity, f.at and time_text(f.at), decimal_text(f.price), f.settled)
                for f in baseline.fills
            ]
            self._db.write(_PUT_BASELINE, (*place, baseline.quantity, json.dumps(fills), time_text(at)))

    def baselines(self, account: str) -> tuple[Baseline, ...]:
        """What of each position was nobody's when it was last reconciled."""
        found = self._db.execute(_BASELINES, (account,)).fetchall()
        return tuple(
            Baseline(exchange, symbol, Product(product), int(quantity), tuple(map(_fill_of, json.loads(fills))))
            for exchange, symbol, product, quantity, fills in found
        )

    def held(self, account: str) -> tuple[tuple[Holding, Decimal], ...]:
        """What strategies hold by their fills less what others closed, with average entry prices; nothing flat."""
        closed = {
            (strategy, exchange, symbol, Product(product)): int(quantity)
            for strategy, exchange, symbol, product, quantity in self._db.execute(_CLOSED, (account,)).fetchall()
        }
        if not closed:
            return self.lots(account=account)
        found = []
        for holding, price in self.lots(account=account):
            key = (holding.strategy, holding.exchange, holding.symbol, holding.product)
            quantity = holding.quantity + closed.pop(key, 0)
            if quantity:
                found.append((replace(holding, quantity=quantity), price))
        # Nothing by fills alone: adopted, or closed by others as well, so that the account stands the other way.
        found += [self._by_corrections(account, key, quantity) for key, quantity in closed.items() if quantity]
        return tuple(found)


def _key_of(holding: Holding) -> Key:
    return (holding.strategy, holding.exchange, holding.symbol, holding.product)


def _quantities(held: Iterable[tuple[Holding, Decimal]]) -> dict[Key, int]:
    return {_key_of(holding): holding.quantity for holding, _ in held}


def _fill_of(kept: list[Any]) -> ExternalFill:
    number, quantity, at, price, settled = kept
    return ExternalFill(
        number, int(quantity), at and time_from(at), None if price is None else Decimal(price), int(settled)
    )
