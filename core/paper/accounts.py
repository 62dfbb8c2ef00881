"""Accounts: cash, holdings, positions and the margin they block (protocol sections 7.7 and 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from core.paper.config import AccountConfig
from core.paper.instruments import Instrument
from core.paper.orders import Order, Trade
from core.paper.positions import Position

__all__ = ["INTRADAY_SHARE", "ROW_BLOCK", "SPAN_SHARE", "Account", "Holding", "unit_margin"]

INTRADAY_SHARE = Decimal("0.20")
"""Margin of an intraday share position as a share of its value."""

SPAN_SHARE = Decimal("0.12")
"""Margin of a future or a written option as a share of price or strike: near what SPAN and exposure come to."""

ROW_BLOCK = 128
"""How many orders of the day are told together, and written anew together once one of them changes."""

_ZERO = Decimal(0)


@dataclass(slots=True, eq=False)
class Holding:
    """Settled shares of one company.

    Attributes:
        instrument: The contract they were handed in under.
        quantity: Shares.
        cost: Cost of one in rupees.
    """

    instrument: Instrument
    quantity: int
    cost: Decimal


@dataclass(slots=True, eq=False)
class Account:
    """One client.

    Attributes:
        uid: User and account id.
        config: How it was named; None for one that came with an open login.
        cash: Opening cash of the day in rupees.
        positions: By (exch, token, product).
        holdings: By symbol, so that NSE and BSE shares of a company are one stock.
        orders: The day's orders, oldest first; `add` and `begin_day` change them.
        rows: The rows of the order book as they were told last, `ROW_BLOCK` orders together, but for blocks in which
            an order changed since.
        trades: The day's trades, oldest first, each with its order.
        order_margin: Rupees blocked by pending orders.
        position_margin: Rupees blocked by positions.
        realised: Sum of the positions' realised results in rupees.
        changed: Whether cash or holdings changed since the state was kept last.
        changed_positions: The positions that changed since.
    """

    uid: str
    config: AccountConfig | None
    cash: Decimal
    positions: dict[tuple[str, str, str], Position] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    rows: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)
    trades: list[tuple[Order, Trade]] = field(default_factory=list)
    order_margin: Decimal = _ZERO
    position_margin: Decimal = _ZERO
    realised: Decimal = _ZERO
    changed: bool = field(default=True, compare=False)
    changed_positions: set[tuple[str, str, str]] = field(default_factory=set, compare=False)

    @property
    def margin_used(self) -> Decimal:
        """Rupees blocked in all."""
        return self.order_margin + self.position_margin

    @property
    def available(self) -> Decimal:
        """Rupees left for new exposure."""
        return self.cash + self.realised - self.margin_used

    def add(self, order: Order) -> None:
        """Take up an order of the day."""
        order.place = len(self.orders)
        self.orders.append(order)
        self.row_changed(order)

    def row_changed(self, order: Order) -> None:
        """The row of an order says something else from now on."""
        self.rows.pop(order.place // ROW_BLOCK, None)

    def begin_day(self, orders: Iterable[Order]) -> None:
        """Begin a trading day with these orders and no trades."""
        self.orders, self.trades = [], []
        self.rows.clear()
        for order in orders:
            self.add(order)

    def position(self, instrument: Instrument, prd: str) -> Position:
        """The position in a contract and product, to be changed; made if there is none."""
        key = (instrument.exch, instrument.token, prd)
        self.changed_positions.add(key)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position(instrument, prd)
        return position

    def book_trade(self, order: Order, trade: Trade) -> None:
        """Let one trade change position, result and margin."""
        position = self.position(order.instrument, order.entry.prd)
        self.position_margin -= position_margin(position)
        self.realised -= position.realised
        position.trade(order.entry.side, trade.qty, trade.prc)
        self.position_margin += position_margin(position)
        self.realised += position.realised
        self.trades.append((order, trade))

    def recount(self) -> None:
        """Reckon margin and result of all positions anew, after they were changed from outside."""
        self.changed = True
        self.changed_positions.update(self.positions)
        self.position_margin = sum((position_margin(p) for p in self.positions.values()), _ZERO)
        self.realised = sum((p.realised for p in self.positions.values()), _ZERO)

    def reserve(self, order: Order, price: Decimal, reference: Decimal) -> None:
        """Block margin for the rest of an order and count it among the pending ones.

        Args:
            order: The order, not reserved for at present.
            price: Its limit, or the price it is valued at.
            reference: The price margin is reckoned from: the last price for market orders, else the limit.
        """
        position = self.position(order.instrument, order.entry.prd)
        order.unit_margin = unit_margin(order.instrument, order.entry.prd, order.entry.side, reference)
        order.margin_units = opening_units(position, order.entry.side, order.remaining)
        order.reserved = order.remaining
        order.reserved_price = price
        self.row_changed(order)
        position.pend(order.entry.side, order.reserved, price)
        self.order_margin += order.unit_margin * order.margin_units

    def release(self, order: Order, units: int | None = None) -> None:
        """Free what an order blocks: `units` of it when they have traded, or all."""
        gone = order.reserved if units is None else min(units, order.reserved)
        if not order.reserved:
            return
        order.reserved -= gone
        position = self.position(order.instrument, order.entry.prd)
        position.pend(order.entry.side, -gone, order.reserved_price)
        # Units that only close exposure are taken to trade first: they block nothing.
        still = min(order.margin_units, order.reserved)
        self.order_margin -= order.unit_margin * (order.margin_units - still)
        order.margin_units = still

    def sellable(self, instrument: Instrument) -> int:
        """Shares that may be sold for delivery: held and bought today, less what is sold or about to be."""
        holding = self.holdings.get(instrument.symbol)
        total = holding.quantity if holding else 0
        for (exch, _token, prd), position in self.positions.items():
            if prd == "C" and exch in ("NSE", "BSE") and position.instrument.symbol == instrument.symbol:
                total += position.net_qty - position.open_sell_qty
        return total

    def sold_from_holding(self, symbol: str) -> int:
        """Shares of a holding sold today, `usedqty`."""
        net = sum(
            position.net_qty
            for (exch, _token, prd), position in self.positions.items()
            if prd == "C" and exch in ("NSE", "BSE") and position.instrument.symbol == symbol
        )
        return max(0, -net)


def unit_margin(instrument: Instrument, prd: str, side: str, price: Decimal) -> Decimal:
    """Rupees blocked for one unit of new exposure at `price`."""
    if instrument.option:
        return price if side == "B" else instrument.strike * SPAN_SHARE
    if not instrument.is_cash:
        return price * SPAN_SHARE
    if prd == "C":
        return price if side == "B" else _ZERO
    return price * INTRADAY_SHARE


def opening_units(position: Position, side: str, quantity: int) -> int:
    """How many of `quantity` units would open exposure, when those pending on the same side go first."""
    net = position.net_qty
    closable = max(0, -net) - position.open_buy_qty if side == "B" else max(0, net) - position.open_sell_qty
    return max(0, quantity - max(0, closable))


def position_margin(position: Position) -> Decimal:
    """Rupees a position blocks."""
    net = position.net_qty
    if not net:
        return _ZERO
    side = "B" if net > 0 else "S"
    return abs(net) * unit_margin(position.instrument, position.prd, side, position.net_average)
