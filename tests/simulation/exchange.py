"""The paper exchange, looked at from above: every order that ever reached it, and what became of it.

The exchange forgets a day's orders when the day ends; the books kept here do not. They are what the laws about the
broker are judged by, and not our own database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from core.paper.config import ExchangeConfig
from core.paper.exchange import Exchange
from core.paper.faults import FaultKind
from core.paper.instruments import Instrument
from core.paper.memory import Row
from core.paper.orders import Order, Status
from core.paper.wire import Out, Request, Step
from tests.simulation.account import AccountJudge, Place

__all__ = ["ACCOUNT", "API", "FUTURE", "WatchedExchange"]

FUTURE = "NIFTY-FUTURE"
"""Stands for whichever index future is listed on the day."""

API = "API"
"""The `ordersource` of orders that came by the API."""

ACCOUNT = "SIM1"
"""The one account."""

# A reply that met one of these does not show what is.
_LIES = frozenset(
    {FaultKind.BOOK_LAG, FaultKind.BOOK_MISSING_ORDER, FaultKind.BOOK_NO_DATA, FaultKind.POSITION_MISSING}
)


class WatchedExchange(Exchange):
    """An exchange that tells of each order that reaches it, and of all that moves the account.

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

        self.account: AccountJudge | None = None
        """Told of all that moves the account."""

        self.served: dict[str, tuple[float, bool]] = {}
        """Of each endpoint's last request: when it was answered, in seconds since the start, and whether truly."""

        self.positions_since: float | None = None
        """Since when the position book has had rows."""

        self._began = now
        self._setup = (config, seed)
        self._kept: dict[Row, str] = {}
        self._lied = False
        self._seen = 0
        self._watch_inside()

    def _watch_inside(self) -> None:
        """Look at each fill, each fault and each change of the day as it happens."""
        fill, hit, settle = self._oms.fill, self._state.faults.hit, self._day.roll

        def filled(order: Order, quantity: int, price: Decimal, beyond: int = 0) -> None:
            late = order.status.is_final
            fill(order, quantity, price, beyond)
            if self.positions_since is None:
                self.positions_since = self._seconds()
            if self.account is not None:
                self.account.traded(order, order.trades[-1], self._seconds(), ours=order.source == API, late=late)

        def hit_seen(kind: FaultKind, *arguments: Any, **more: Any) -> Any:
            rule = hit(kind, *arguments, **more)
            self._lied = self._lied or (rule is not None and kind in _LIES)
            return rule

        def rolled(tomorrow: date) -> None:
            settle(tomorrow)
            rows = any(p.traded for a in self._state.accounts.values() for p in a.positions.values())
            self.positions_since = self._seconds() if rows else None
            if self.account is not None:
                self.account.day_ends(self.net_positions())
            self._forget_expired(tomorrow)

        vars(self._oms)["fill"] = filled
        vars(self._state.faults)["hit"] = hit_seen
        vars(self._day)["roll"] = rolled

    def restart(self, now: datetime) -> None:
        """Its process ends and begins anew, from what it has kept; its sockets, faults and switches are gone."""
        self._advance(now)
        changes = self.take_changes()
        if changes is not None:
            kept = {row: text for row, text in self._kept.items() if row[0] not in changes.cleared}
            self._kept = kept | changes.rows
        config, seed = self._setup
        Exchange.__init__(self, config, now=now, seed=seed, kept=self._kept)
        self._watch_inside()
        self._seen = self._state.counters["orders"]
        again = self._state.orders
        self.orders = [again.get(order.number, order) for order in self.orders]
        self.by_tag = {tag: [again.get(o.number, o) for o in orders] for tag, orders in self.by_tag.items()}
        if self.account is not None:
            self.account.made_anew(again)

    def _seconds(self) -> float:
        """The exchange's present moment, in seconds since the start."""
        return (self._state.now - self._began).total_seconds()

    def _forget_expired(self, tomorrow: date) -> None:
        for instrument in self._state.master:
            if self.account is not None and instrument.expiry is not None and instrument.expiry < tomorrow:
                for product in ("M", "I"):
                    self.account.expired((instrument.exch, instrument.tsym, product))

    def handle(self, request: Request, now: datetime) -> Step:
        """Answer one POST; orders it brought are told before the answer leaves."""
        self._lied = False
        step = super().handle(request, now)
        self.served[request.path.rpartition("/")[2]] = (self._seconds(), not self._lied)
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

    # What there is

    def ours(self) -> Iterator[Order]:
        """The orders that came by the API."""
        return (order for order in self.orders if order.source == API)

    def open_orders(self) -> list[Order]:
        """Orders of the API that have not ended."""
        return [order for order in self._state.orders.values() if not order.status.is_final and order.source == API]

    @property
    def day(self) -> date:
        """The broker's trading day."""
        return self._state.day

    @property
    def day_roll_time(self) -> time:
        """When the broker's day begins, in India."""
        return self._state.config.day_roll_time

    def is_today(self, order: Order) -> bool:
        """Whether the order is in today's book."""
        return order.number in self._state.orders

    def net_positions(self) -> dict[Place, int]:
        """Net quantity by exchange, symbol and product code, flat ones left out; holdings are no positions."""
        net: Counter[Place] = Counter()
        for account in self._state.accounts.values():
            for position in account.positions.values():
                net[position.instrument.exch, position.instrument.tsym, position.prd] += position.net_qty
        return {key: quantity for key, quantity in net.items() if quantity}

    def holding(self, place: Place) -> int:
        """Shares of this contract that lie in the account from earlier days; none for a product but delivery."""
        return sum(
            holding.quantity
            for account in self._state.accounts.values()
            for holding in account.holdings.values()
            if (holding.instrument.exch, holding.instrument.tsym, "C") == place
        )

    def tokens(self) -> tuple[str, ...]:
        """Session tokens: secrets that nobody may show."""
        return tuple(self._state.sessions._tokens)

    def symbol(self, exch: str, name: str) -> str:
        """The trading symbol meant by a plan: `FUTURE` is the second of the listed futures, which outlives a night."""
        if name != FUTURE:
            return name
        futures = [i for i in self._state.master if i.exch == exch and i.kind == "FUTIDX" and i.symbol == "NIFTY"]
        return sorted(futures, key=lambda i: str(i.expiry))[-1].tsym

    def lists(self, exch: str, tsym: str) -> bool:
        """Whether a contract can be traded today; a restart on a later day lists others."""
        return self._state.master.by_tsym(exch, tsym) is not None

    def last_price(self, exch: str, tsym: str) -> str:
        """The last traded price of a contract, as text."""
        return str(self._state.last(self._instrument(exch, tsym)))

    def _instrument(self, exch: str, tsym: str) -> Instrument:
        instrument = self._state.master.by_tsym(exch, tsym)
        if instrument is None:
            raise ValueError(f"{exch}:{tsym} is not listed")
        return instrument

    # What only a person with a phone, or the market, can do

    def convert(self, place: Place, after: str, quantity: int, now: datetime) -> None:
        """Move open units of today from one product to another, as ProductConversion does."""
        self._advance(now)
        account = self._state.account(ACCOUNT)
        instrument = self._instrument(place[0], place[1])
        position = account.positions.get((instrument.exch, instrument.token, place[2]))
        net = position.net_qty if position is not None else 0
        side = "B" if net > 0 else "S"
        bought, sold = (position.day_buy_qty, position.day_sell_qty) if position is not None else (0, 0)
        quantity = min(quantity, abs(net), bought if net > 0 else sold)
        if position is None or not quantity:
            return
        cost = position.take_out(side, quantity, carried=False)
        account.position(instrument, after).put_in(side, quantity, cost, carried=False)
        account.recount()
        if self.account is not None:
            signed = quantity if net > 0 else -quantity
            self.account.converted(place, (place[0], place[1], after), signed, self._seconds())

    def modify(self, order: Order, quantity: int, price: Decimal, now: datetime) -> None:
        """Change quantity and price of an order that rests, as ModifyOrder from a phone does."""
        self._advance(now)
        entry = order.entry
        if order.status.is_final or order.status is Status.PENDING or entry.is_stop or quantity <= order.filled:
            return
        prc = entry.prc if entry.is_market else price
        self._oms.modify(order, type(entry)(entry.side, quantity, entry.prctyp, prc, ret=entry.ret, prd=entry.prd))

    def stand_at_the_circuit(self, exch: str, tsym: str, upper: bool, now: datetime) -> None:
        """The price stands at its band: nobody offers beyond it, until `hold_price` lets it go."""
        self._advance(now)
        instrument = self._instrument(exch, tsym)
        prices, step = self._state.prices, self._state.step
        band = prices.band(instrument)
        prices.set_price(instrument, band[1] if upper else band[0], step)
        prices._band[instrument.key] = band
        prices.hold(instrument, True, step)
        self._commands._after_price()
