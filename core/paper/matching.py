"""The order book of one contract: what users left there, the strangers' levels around it, and who trades with whom."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from core.paper.instruments import Instrument
from core.paper.orders import Entry, Order
from core.paper.prices import Depth, Level

__all__ = ["Book", "Match"]

_MARKET = Decimal(10**12)


@dataclass(frozen=True, slots=True)
class Match:
    """One execution.

    Attributes:
        order: The order that trades.
        counter: The user's order on the other side; None for a stranger's level.
        qty: Units.
        prc: Price in rupees: that of whoever was there first.
    """

    order: Order
    counter: Order | None
    qty: int
    prc: Decimal


class Book:
    """Price-time priority over users' orders and strangers' levels; at one price users stand before strangers.

    The strangers' levels are handed in anew at each price step; what users take from them is gone until then. An order
    that rests is filled when strangers' prices reach it, at its own price, as whoever rests is.

    Args:
        instrument: The contract.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.step: int | None = None
        self._last = Decimal(0)
        self._strangers: Depth = ([], [])
        self._resting: dict[str, list[tuple[Decimal, int, str]]] = {"B": [], "S": []}
        self._orders: dict[str, Order] = {}
        self._stops: dict[str, Order] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no order waits here."""
        return not self._orders and not self._stops

    def refresh(self, step: int, depth: Depth, last: Decimal) -> None:
        """Put the strangers' levels of a price step in place of the old ones."""
        self.step = step
        self._last = last
        self._strangers = depth

    def add_stop(self, order: Order) -> None:
        """Let a stop wait for its trigger."""
        self._stops[order.number] = order

    def rest(self, order: Order) -> None:
        """Let what is left of an order stand at its price."""
        insort(self._resting[order.entry.side], _rank(order))
        self._orders[order.number] = order

    def remove(self, order: Order) -> None:
        """Take an order out; nothing happens if it is not here."""
        self._stops.pop(order.number, None)
        if self._orders.pop(order.number, None) is None:
            return
        queue = self._resting[order.entry.side]
        place = bisect_left(queue, _rank(order))
        assert queue[place][2] == order.number, "an order's rank changed while it rested"
        del queue[place]

    def triggered(self, last: Decimal) -> list[Order]:
        """The stops that a last price sets off, oldest first; they leave the waiting room."""
        hit = [order for order in self._stops.values() if is_triggered(order.entry, last)]
        for order in hit:
            del self._stops[order.number]
        return sorted(hit, key=lambda order: order.priority)

    def take(self, order: Order) -> Iterator[Match]:
        """What an arriving order executes against, best price first, until it is filled or nothing fits.

        The caller books each match before it asks for the next.
        """
        other = "S" if order.entry.side == "B" else "B"
        queue = self._resting[other]
        strangers = self._strangers[1 if order.entry.side == "B" else 0]
        while order.remaining > 0:
            counter = self._orders[queue[0][2]] if queue else None
            level = strangers[0] if strangers else None
            if counter is not None and (level is None or not _better(level[0], counter, other)):
                price = self._resting_price(counter, order, level)
                if not accepts(order, price):
                    return
                quantity = min(order.remaining, counter.remaining)
                yield Match(order, counter, quantity, price)
                if counter.remaining == 0:
                    self.remove(counter)
            elif level is not None and accepts(order, level[0]):
                yield Match(order, None, self._eat(strangers, min(order.remaining, level[1])), level[0])
            else:
                return

    def reached(self) -> Iterator[Match]:
        """What strangers' new prices execute of the orders that rest, in price-time priority."""
        for side, strangers in (("B", self._strangers[1]), ("S", self._strangers[0])):
            queue = self._resting[side]
            while queue and strangers:
                order = self._orders[queue[0][2]]
                level = strangers[0]
                if not accepts(order, level[0]):
                    break
                price = level[0] if order.entry.is_market else order.entry.prc
                yield Match(order, None, self._eat(strangers, min(order.remaining, level[1])), price)
                if order.remaining == 0:
                    self.remove(order)

    def depth(self, strangers: Depth | None = None) -> Depth:
        """Bids and asks with users' orders in them, best first.

        Args:
            strangers: Levels to show instead of the present ones, for a step not refreshed to.
        """
        bids, asks = self._strangers if strangers is None else strangers
        return self._merged("B", bids, descending=True), self._merged("S", asks, descending=False)

    def memory(self) -> dict[str, object]:
        """All that is remembered."""
        return {
            "step": self.step,
            "strangers": self._strangers,
            "resting": self._resting,
            "stops": list(self._stops),
        }

    def _merged(self, side: str, strangers: list[Level], descending: bool) -> list[Level]:
        total = dict(strangers)
        for _, _, number in self._resting[side]:
            order = self._orders[number]
            if not order.entry.is_market:
                total[order.entry.prc] = total.get(order.entry.prc, 0) + order.remaining
        return sorted(total.items(), reverse=descending)

    def _resting_price(self, counter: Order, order: Order, level: Level | None) -> Decimal:
        """The price of a resting order; a market order that found nobody takes the price of who comes."""
        if not counter.entry.is_market:
            return counter.entry.prc
        if not order.entry.is_market:
            return order.entry.prc
        return level[0] if level is not None else self._last

    def _eat(self, strangers: list[Level], quantity: int) -> int:
        price, left = strangers[0]
        if left > quantity:
            strangers[0] = (price, left - quantity)
        else:
            del strangers[0]
        return quantity


def accepts(order: Order, price: Decimal) -> bool:
    """Whether an order may trade at a price."""
    if order.entry.is_market:
        return True
    return price <= order.entry.prc if order.entry.side == "B" else price >= order.entry.prc


def is_triggered(entry: Entry, last: Decimal) -> bool:
    """Whether a last price sets off a stop."""
    return last >= entry.trgprc if entry.side == "B" else last <= entry.trgprc


def _rank(order: Order) -> tuple[Decimal, int, str]:
    price = order.entry.prc
    if order.entry.is_market:
        return (-_MARKET, order.priority, order.number)
    return (-price if order.entry.side == "B" else price, order.priority, order.number)


def _better(price: Decimal, counter: Order, side: str) -> bool:
    """Whether a stranger's price on `side` comes before a user's order there."""
    if counter.entry.is_market:
        return False
    return price > counter.entry.prc if side == "B" else price < counter.entry.prc
