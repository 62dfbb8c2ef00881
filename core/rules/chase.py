"""Protected orders that the market has left behind: when, and how far, their limit follows it (scenario G20).

What goes at the market goes as a limit, and a limit can be left behind. An EXIT follows through the touch and in any
case by a step, as far as the day's band, where a person is told. What opens follows by one step at a time, never beyond
the touch, and within bounds of number, time and price; then it rests, and a person is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.model.broker import BrokerOrderReport, BrokerStatus, Quote
from core.model.order import ExecutionType, Order, OrderType, Side, Terms
from core.rules.market_protection import CannotPrice, protected

__all__ = ["ChaseRules", "Chases", "Ended", "Moved", "Working"]

_PROTECTED = frozenset({OrderType.MARKET, OrderType.SL_M})
_AS = frozenset({OrderType.LIMIT, OrderType.SL})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaseRules:
    """`[chase]`.

    Attributes:
        exits: Whether EXITs are chased.
        entries: Whether what opens is.
        every_s: Seconds between two steps, and before the first.
        step_percent: How far a step goes, of the price.
        step_ticks: The same in price steps; zero: by `step_percent`.
        steps: Steps after which a person is told.
        within_s: Seconds since it was registered in which what opens is chased.
        most_percent: How far from its first limit what opens is chased.
    """

    exits: bool = False
    entries: bool = False
    every_s: float = 2.0
    step_percent: Decimal = Decimal("0.25")
    step_ticks: int = 0
    steps: int = 20
    within_s: float = 30.0
    most_percent: Decimal = Decimal(1)

    def chases(self, order: Order) -> bool:
        """Whether these rules are for an order of this kind. One that went out in slices is left alone."""
        on = self.exits if order.execution_type is ExecutionType.EXIT else self.entries
        return on and order.parts == 1 and order.intent.order_type in _PROTECTED


@dataclass(frozen=True, slots=True)
class Working:
    """An order at the broker, and the last row of the order book that shows it."""

    order: Order
    row: BrokerOrderReport | None

    @property
    def limit(self) -> Decimal | None:
        """The limit it rests at, with nothing in doubt; None while it is not at the exchange, or being changed."""
        row = self.row
        if row is None or row.status is not BrokerStatus.OPEN or row.order_type not in _AS:
            return None
        return row.price if self.order.modifying is None else None


@dataclass(frozen=True, slots=True)
class Moved:
    """The limit is to be this; `steps` have been made with it."""

    order: Order
    terms: Terms
    steps: int


@dataclass(frozen=True, slots=True)
class Ended:
    """It is not chased any further, and rests."""

    order: Order
    reason: str


@dataclass(slots=True)
class _Chase:
    first: Decimal
    next_at: float
    steps: int = 0
    ended: bool = False


class Chases:
    """The orders that are chased. Times are monotonic seconds."""

    def __init__(self, rules: ChaseRules) -> None:
        self._rules = rules
        self._chases: dict[str, _Chase] = {}
        self._working: dict[str, Working] = {}

    def look(self, working: Iterable[Working], now: float) -> list[tuple[str, str]]:
        """Exchange and symbol of the orders of an order book whose next step is due: their prices are wanted."""
        self._working = {one.order.command_id: one for one in working if self._rules.chases(one.order)}
        self._chases = {name: chase for name, chase in self._chases.items() if name in self._working}
        due = set()
        for name, one in self._working.items():
            if (limit := one.limit) is None:
                continue
            chase = self._chases.setdefault(name, _Chase(limit, now + self._rules.every_s))
            if not chase.ended and now >= chase.next_at:
                due.add((one.order.exchange, one.order.symbol))
        return sorted(due)

    def priced(self, quote: Quote, now: float, at: datetime) -> list[Moved | Ended]:
        """The steps that are due in an instrument, by a price of it."""
        found: list[Moved | Ended] = []
        for name, one in self._working.items():
            order, chase, limit = one.order, self._chases.get(name), one.limit
            here = (order.exchange, order.symbol) == (quote.exchange, quote.symbol)
            if not here or chase is None or limit is None or chase.ended or now < chase.next_at:
                continue
            chase.next_at = now + self._rules.every_s
            step = self._step(order, limit, chase, quote, at)
            if isinstance(step, Decimal):
                chase.steps += 1
                found.append(Moved(order, replace(order.terms, price=step), chase.steps))
                # Nothing further by this row: the next one shows what became of it.
                self._working[name] = Working(order, None)
            elif step:
                chase.ended = True
                found.append(Ended(order, step))
        return found

    def _step(self, order: Order, limit: Decimal, chase: _Chase, quote: Quote, at: datetime) -> Decimal | str | None:
        """The next limit; or why there is none any more; or None where it stays for now."""
        rules, side, exits = self._rules, order.side, order.execution_type is ExecutionType.EXIT
        if chase.steps >= rules.steps:
            return f"{chase.steps} steps have not filled it; it rests at {limit}"
        if not exits and (at - order.created_at).total_seconds() > rules.within_s:
            return f"{rules.within_s:g} s have passed; it rests at {limit}"
        if quote.tick_size is None:
            return None
        length = quote.tick_size * rules.step_ticks or limit * rules.step_percent / 100
        further = _on_tick(limit + side.sign * length, side, quote.tick_size)
        if exits:
            return _step_of_exit(order, limit, further, quote)
        return _step_of_entry(side, limit, further, quote, chase.first * (1 + side.sign * rules.most_percent / 100))


def _step_of_exit(order: Order, limit: Decimal, further: Decimal, quote: Quote) -> Decimal | str:
    side = order.side
    band = quote.upper_limit if side is Side.BUY else quote.lower_limit
    if band is not None and (limit - band) * side.sign >= 0:
        return f"it rests at the day's band, {limit}: nobody takes it there"
    return _within(_further(further, _market_price(order, quote), side), band, side)


def _step_of_entry(side: Side, limit: Decimal, further: Decimal, quote: Quote, bound: Decimal) -> Decimal | str | None:
    touch = quote.ask if side is Side.BUY else quote.bid
    if touch is None or (limit - touch) * side.sign >= 0:
        return None
    if (further - bound) * side.sign > 0:
        return f"the next step would be beyond {bound:f}, as far off its first limit as it may go; it rests at {limit}"
    return _within(further, touch, side)


def _market_price(order: Order, quote: Quote) -> Decimal | None:
    """The limit that a new order at the market would get."""
    asked = replace(order, intent=replace(order.intent, order_type=OrderType.MARKET, price=None))
    try:
        return protected(asked, quote).intent.price
    except CannotPrice:
        return None


def _on_tick(price: Decimal, side: Side, tick: Decimal) -> Decimal:
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return max(tick, (price / tick).to_integral_value(rounding) * tick)


def _further(one: Decimal, other: Decimal | None, side: Side) -> Decimal:
    """The one nearer to a fill."""
    return one if other is None or (one - other) * side.sign >= 0 else other


def _within(price: Decimal, bound: Decimal | None, side: Side) -> Decimal:
    return price if bound is None or (bound - price) * side.sign >= 0 else bound
