"""Positions: quantities and amounts of the day and carried, realised and unrealised result (protocol section 7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.paper.instruments import Instrument

__all__ = ["Position"]

_ZERO = Decimal(0)


@dataclass(slots=True, eq=False)
class Position:
    """One contract in one product of one account.

    The cost of the open quantity is an average: what reduces it takes its share of the cost, what turns it round begins
    a new cost. The realised result is not kept but follows from the amounts, so the identity of protocol section 7.6
    (`sold - bought + net * last` is the sum of both results) holds to the last paisa.

    Attributes:
        instrument: The contract.
        prd: Product code.
        day_buy_qty: Units bought today; likewise the other `day_` fields, amounts in rupees.
        cf_buy_qty: Units carried long from yesterday, valued at yesterday's close; likewise `cf_sell_` for short.
        cost: Signed cost in rupees of the open quantity: positive for long, negative for short.
        original_cost: Signed cost of the carried quantity at the prices once paid.
        open_buy_qty: Units of pending buy orders; likewise `open_sell_`.
    """

    instrument: Instrument
    prd: str
    day_buy_qty: int = 0
    day_buy_amt: Decimal = _ZERO
    day_sell_qty: int = 0
    day_sell_amt: Decimal = _ZERO
    cf_buy_qty: int = 0
    cf_buy_amt: Decimal = _ZERO
    cf_sell_qty: int = 0
    cf_sell_amt: Decimal = _ZERO
    cost: Decimal = _ZERO
    original_cost: Decimal = _ZERO
    open_buy_qty: int = 0
    open_buy_amt: Decimal = _ZERO
    open_sell_qty: int = 0
    open_sell_amt: Decimal = _ZERO
    traded: bool = False

    @property
    def buy_qty(self) -> int:
        """Units bought, carried ones included."""
        return self.day_buy_qty + self.cf_buy_qty

    @property
    def sell_qty(self) -> int:
        """Units sold, carried ones included."""
        return self.day_sell_qty + self.cf_sell_qty

    @property
    def buy_amt(self) -> Decimal:
        """Rupees bought for, carried ones included."""
        return self.day_buy_amt + self.cf_buy_amt

    @property
    def sell_amt(self) -> Decimal:
        """Rupees sold for, carried ones included."""
        return self.day_sell_amt + self.cf_sell_amt

    @property
    def net_qty(self) -> int:
        """Open units: positive long, negative short."""
        return self.buy_qty - self.sell_qty

    @property
    def net_average(self) -> Decimal:
        """Average price of the open units in rupees, unrounded; 0 when flat."""
        net = self.net_qty
        return self.cost / net if net else _ZERO

    @property
    def realised(self) -> Decimal:
        """Realised result of the day in rupees."""
        return self.sell_amt - self.buy_amt + self.cost

    def unrealised(self, last: Decimal) -> Decimal:
        """Result in rupees of closing the open units at `last`."""
        return self.net_qty * last - self.cost

    def trade(self, side: str, quantity: int, price: Decimal) -> None:
        """Book one trade of the day."""
        signed = quantity if side == "B" else -quantity
        self._move(signed, price)
        if side == "B":
            self.day_buy_qty += quantity
            self.day_buy_amt += quantity * price
        else:
            self.day_sell_qty += quantity
            self.day_sell_amt += quantity * price
        self.traded = True

    def _move(self, signed: int, price: Decimal) -> None:
        """Change the cost for `signed` more units at `price`; to be called before the quantities change."""
        net = self.net_qty
        if net == 0 or (net > 0) == (signed > 0):
            self.cost += signed * price
        elif abs(signed) < abs(net):
            self.cost += self.cost * signed / net
        else:
            self.cost = (net + signed) * price

    def take_out(self, side: str, quantity: int, carried: bool) -> Decimal:
        """Remove open units for a product conversion and give their cost in rupees; nothing is realised by it."""
        cost = self.net_average * quantity
        self._add(side, -quantity, -cost, carried)
        return cost

    def put_in(self, side: str, quantity: int, cost: Decimal, carried: bool) -> None:
        """Add units that another product gave up."""
        price = cost / quantity
        self._move(quantity if side == "B" else -quantity, price)
        self._quantities(side, quantity, cost, carried)
        self.traded = True

    def _add(self, side: str, quantity: int, amount: Decimal, carried: bool) -> None:
        self.cost += amount if side == "B" else -amount
        self._quantities(side, quantity, amount, carried)

    def _quantities(self, side: str, quantity: int, amount: Decimal, carried: bool) -> None:
        name = f"{'cf' if carried else 'day'}_{'buy' if side == 'B' else 'sell'}"
        setattr(self, f"{name}_qty", getattr(self, f"{name}_qty") + quantity)
        setattr(self, f"{name}_amt", getattr(self, f"{name}_amt") + amount)

    def pend(self, side: str, quantity: int, price: Decimal) -> None:
        """Count `quantity` more units, or fewer when negative, among the pending orders at `price`."""
        if side == "B":
            self.open_buy_qty += quantity
            self.open_buy_amt += quantity * price
        else:
            self.open_sell_qty += quantity
            self.open_sell_amt += quantity * price

    def carried(self, close: Decimal) -> Position:
        """The position as tomorrow begins: its open units, valued at `close`."""
        net = self.net_qty
        tomorrow = Position(self.instrument, self.prd, traded=True)
        if net > 0:
            tomorrow.cf_buy_qty, tomorrow.cf_buy_amt = net, net * close
        else:
            tomorrow.cf_sell_qty, tomorrow.cf_sell_amt = -net, -net * close
        tomorrow.cost = net * close
        tomorrow.original_cost = self.cost if not self.original_cost else self._original_after(net)
        return tomorrow

    def _original_after(self, net: int) -> Decimal:
        """Original cost of what is left of a carried position; units of today come in at their own cost."""
        was = self.cf_buy_qty - self.cf_sell_qty
        if was == net:
            return self.original_cost
        if (was > 0) == (net > 0) and abs(net) < abs(was):
            return self.original_cost * net / was
        return self.cost
