"""What strategies hold, kept up to date with each fill, so that no start has to read all of history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from core.model.order import Fill, Order, Product
from core.model.positions import Holding
from core.store.errors import IllegalChange
from core.store.rows import OrderRows
from core.store.values import time_from, time_text

__all__ = ["Lot", "Positions", "after_fill", "position_product", "weighted_average"]

# Wide enough that sums of money are exact; the division is rounded once, to the places asked for.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ENTRY_PLACES = Decimal("0.00000001")

_HELD = (
    "SELECT quantity, average_price, basket, opened_at FROM positions "
    "WHERE account = ? AND strategy = ? AND exchange = ? AND symbol = ? AND product = ?"
)
_PUT = (
    "INSERT INTO positions (account, strategy, exchange, symbol, product, quantity, average_price, basket, updated_at, "
    "opened_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (account, strategy, exchange, symbol, product) DO UPDATE SET "
    "quantity = excluded.quantity, average_price = excluded.average_price, basket = excluded.basket, "
    "updated_at = excluded.updated_at, opened_at = excluded.opened_at"
)
_FLAT = "DELETE FROM positions WHERE account = ? AND strategy = ? AND exchange = ? AND symbol = ? AND product = ?"
_ALL_HELD = "SELECT strategy, exchange, symbol, product, quantity, basket, average_price, opened_at FROM positions"
_CORRECTED = (
    "SELECT COALESCE(SUM(quantity), 0) FROM external_closes "
    "WHERE account = ? AND strategy = ? AND exchange = ? AND symbol = ? AND product = ?"
)
_SORTED = " ORDER BY account, strategy, exchange, symbol, product"


@dataclass(frozen=True, slots=True)
class Lot:
    """A signed quantity, its average entry price, and the basket of the order that opened it."""

    quantity: int
    average_price: Decimal
    basket: str | None


def weighted_average(parts: tuple[tuple[int, Decimal], ...], places: Decimal) -> Decimal:
    """The average price of `parts`, each a quantity and its price: summed exactly, rounded once."""
    value = Decimal(0)
    for quantity, price in parts:
        value = _EXACT.add(value, _EXACT.multiply(quantity, price))
    average = _EXACT.divide(value, sum(quantity for quantity, _ in parts))
    return average.quantize(places, context=_EXACT)


def after_fill(lot: Lot | None, quantity: int, price: Decimal, basket: str | None) -> Lot | None:
    """What is held after a fill of signed `quantity`; None is flat.

    Adding averages the price; reducing leaves it; what goes through zero is opened anew by this fill.
    """
    if lot is None or (lot.quantity > 0) != (quantity > 0):
        left = quantity + (lot.quantity if lot else 0)
        if left == 0:
            return None
        if lot is not None and (left > 0) == (lot.quantity > 0):
            return Lot(left, lot.average_price, lot.basket)
        return Lot(left, price.quantize(_ENTRY_PLACES, context=_EXACT), basket)
    average = weighted_average(((lot.quantity, lot.average_price), (quantity, price)), _ENTRY_PLACES)
    return Lot(lot.quantity + quantity, average, lot.basket)


def position_product(order: Order) -> Product:
    """The product a fill of this order counts in."""
    product = order.product or order.intent.product
    if product is None:
        # An EXIT gets its product from the guard before it is sent, so one without it was never sent by us.
        raise IllegalChange(f"{order.command_id} has no product and cannot have been filled")
    return product


class Positions(OrderRows):
    """Reading and keeping `positions`."""

    def holdings(self, *, account: str | None = None) -> tuple[Holding, ...]:
        """What strategies hold by their fills; nothing that is flat. All accounts, or one."""
        return tuple(holding for holding, _ in self.lots(account=account))

    def lots(self, *, account: str | None = None) -> tuple[tuple[Holding, Decimal], ...]:
        """Each holding with its average entry price."""
        if account is None:
            found = self._db.execute(_ALL_HELD + _SORTED)
        else:
            found = self._db.execute(f"{_ALL_HELD} WHERE account = ?{_SORTED}", (account,))
        return tuple(
            (
                Holding(
                    *(strategy, exchange, symbol, Product(product), int(quantity), basket),
                    opened_at=None if opened_at is None else time_from(opened_at),
                ),
                Decimal(average),
            )
            for strategy, exchange, symbol, product, quantity, basket, average, opened_at in found.fetchall()
        )

    def _add_to_position(self, order: Order, fill: Fill, at: datetime) -> None:
        key = (order.account, order.strategy, order.exchange, order.symbol, position_product(order).value)
        held = self._db.execute(_HELD, key).fetchone()
        before = None if held is None else Lot(int(held[0]), Decimal(held[1]), held[2])
        signed = order.side.sign * fill.quantity
        after = after_fill(before, signed, fill.price, order.intent.basket)
        if after is None:
            self._db.write(_FLAT, key)
        else:
            opened_at = time_text(fill.at)
            if held is not None and before is not None:
                # What others closed of it is not in the fills: a holding may have begun anew after such a close.
                was = before.quantity + int(self._db.execute(_CORRECTED, key).fetchone()[0])
                opened_at = held[3] if was * (was + signed) > 0 else opened_at
            values = (after.quantity, format(after.average_price, "f"), after.basket, time_text(at), opened_at)
            self._db.write(_PUT, key + values)
