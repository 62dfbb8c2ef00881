"""The paper exchange, looked at from above: every order that ever reached it, and what became of it.

The exchange forgets a day's orders when the day ends; the books kept here do not. They are what the laws about the
broker are judged by, and not our own database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

from core.paper.config import ExchangeConfig
from core.paper.exchange import Exchange
from core.paper.orders import Order
from core.paper.wire import Out, Request, Step
from core.simulation.plan import FUTURE

__all__ = ["API", "WatchedExchange"]

API = "API"
"""The `ordersource` of orders that came by the API."""


class WatchedExchange(Exchange):
    """An exchange that tells of each order that reaches it.

    Args:
        config: How it is set up.
        now: When it starts.
        seed: Its own chance.
    """

    def __init__(self, config: ExchangeConfig, *, now: datetime, seed: int) -> None:
        super().__init__(config, now=now, seed=seed)
        self.orders: list[Order] = []
        """Every order, oldest first."""

        self.by_tag: dict[str, list[Order]] = {}
        self.on_order: Callable[[Order], object] = lambda _: None
        """Told of each order as it is taken."""

        self.on_out: Callable[[tuple[Out, ...]], object] = lambda _: None
        """Told of what is done on sockets, as soon as it is known."""

        self._seen = 0

    def handle(self, request: Request, now: datetime) -> Step:
        """Answer one POST; orders it brought are told before the answer leaves."""
        step = super().handle(request, now)
        self.look()
        self.on_out(step.out)
        return step

    def advance(self, now: datetime) -> tuple[Out, ...]:
        """Let everything happen that is due."""
        out = super().advance(now)
        self.on_out(out)
        return out

    def connect(self, connection: str, now: datetime) -> Step:
        """A socket has opened."""
        step = super().connect(connection, now)
        self.on_out(step.out)
        return step

    def receive(self, connection: str, text: str, now: datetime) -> Step:
        """A text frame has come from a socket."""
        step = super().receive(connection, text, now)
        self.on_out(step.out)
        return step

    def look(self) -> None:
        """Note the orders that are new since the last look."""
        taken = self._state.counters["orders"]
        if taken == self._seen:
            return
        fresh = list(self._state.orders.values())[-(taken - self._seen) :]
        self._seen = taken
        for order in fresh:
            self.orders.append(order)
            if order.source == API:
                self.by_tag.setdefault(order.remarks, []).append(order)
                self.on_order(order)

    def ours(self) -> Iterator[Order]:
        """The orders that came by the API."""
        return (order for order in self.orders if order.source == API)

    def open_orders(self) -> list[Order]:
        """Orders of the API that have not ended."""
        return [order for order in self._state.orders.values() if not order.status.is_final and order.source == API]

    def is_today(self, order: Order) -> bool:
        """Whether the order is in today's book."""
        return order.number in self._state.orders

    def net_positions(self) -> dict[tuple[str, str, str], int]:
        """Net quantity by exchange, symbol and product code, flat ones left out; holdings are no positions."""
        net: Counter[tuple[str, str, str]] = Counter()
        for account in self._state.accounts.values():
            for position in account.positions.values():
                net[position.instrument.exch, position.instrument.tsym, position.prd] += position.net_qty
        return {key: quantity for key, quantity in net.items() if quantity}

    def tokens(self) -> tuple[str, ...]:
        """Session tokens: secrets that nobody may show."""
        return tuple(self._state.sessions._tokens)

    def symbol(self, exch: str, name: str) -> str:
        """The trading symbol meant by a plan: `FUTURE` is the second of the listed futures, which outlives a night."""
        if name != FUTURE:
            return name
        futures = [i for i in self._state.master if i.exch == exch and i.kind == "FUTIDX" and i.symbol == "NIFTY"]
        return sorted(futures, key=lambda i: str(i.expiry))[-1].tsym

    def last_price(self, exch: str, tsym: str) -> str:
        """The last traded price of a contract, as text."""
        instrument = self._state.master.by_tsym(exch, tsym)
        if instrument is None:
            raise ValueError(f"{exch}:{tsym} is not listed")
        return str(self._state.last(instrument))
