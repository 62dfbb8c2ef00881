"""A person with a phone, who trades in the same account and knows nothing of strategies; and the market's moods."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from core.paper.orders import Order, Status
from tests.simulation.account import Place
from tests.simulation.event import Event
from tests.simulation.exchange import ACCOUNT, WatchedExchange
from tests.simulation.network import OutsideClock
from tests.simulation.schedule import Schedule

__all__ = ["Phone", "on_tick"]

_OTHER_PRODUCT = {"I": "C", "C": "I"}
_OTHER_FUTURE_PRODUCT = {"I": "M", "M": "I"}


class Phone:
    """Does what a plan's events of the kinds `phone:…` and `market:…` say.

    Args:
        exchange: Where it calls.
        clock: The exchange's time.
        agenda: Where the second half of a round trip is noted.
        chance: Decides which, and how much.
    """

    def __init__(
        self, exchange: WatchedExchange, clock: OutsideClock, schedule: Schedule, *, chance: random.Random
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._schedule = schedule
        self._chance = chance

    def act(self, event: Event) -> None:
        """Do what the event says."""
        acts: dict[str, Callable[[Event], None]] = {
            "cancel": self._cancel,
            "partial_fill": self._partial_fill,
            "late_fill": self._late_fill,
            "order": self._order,
            "close": self._close,
            "trip": self._trip,
            "convert": self._convert,
            "modify": self._modify,
            "circuit": self._circuit,
            "jump": self._jump,
        }
        acts[event.kind.partition(":")[2]](event)

    # Orders of the service, handled by somebody else

    def _which(self, event: Event, found: list[Order]) -> Order | None:
        return found[int(event.number("which")) % len(found)] if found else None

    def _cancel(self, event: Event) -> None:
        order = self._which(event, self._exchange.open_orders())
        if order is not None:
            self.control("cancel_order", norenordno=order.number, reason="by phone")

    def _partial_fill(self, event: Event) -> None:
        """A part of a resting order trades; the rest may be cancelled, or trade later (scenarios B1, B2)."""
        lot = 2
        order = self._which(event, [o for o in self._exchange.open_orders() if o.remaining >= lot * o.instrument.lot])
        if order is not None:
            quantity = order.remaining // (lot * order.instrument.lot) * order.instrument.lot
            self.control("fill_order", norenordno=order.number, qty=quantity)

    def _late_fill(self, event: Event) -> None:
        """The exchange fills an order that it has cancelled (scenario B12)."""
        found = [o for o in self._exchange.ours() if o.status is Status.CANCELED and o.remaining]
        order = self._which(event, found)
        if order is not None:
            self.control("late_fill", norenordno=order.number)

    def _modify(self, event: Event) -> None:
        """Another price, which trades at once or never, and sometimes another quantity."""
        order = self._which(event, self._exchange.open_orders())
        if order is None:
            return
        last = Decimal(self._exchange.last_price(order.instrument.exch, order.instrument.tsym))
        sign = 1 if order.entry.side == "B" else -1
        price = last * (1 + sign * self._chance.choice((Decimal("0.01"), Decimal("-0.03"))))
        lot = order.instrument.lot
        lots = order.entry.qty // lot
        quantity = lot * max(1, self._chance.choice((lots, lots, lots // 2, lots + 1)))
        self._exchange.modify(order, quantity, Decimal(on_tick(price)), self._clock.now())
        self._told()

    # Orders of its own

    def _order(self, event: Event) -> None:
        product = "I" if event.value("exchange") == "NSE" else "M"
        symbol = self._exchange.symbol(str(event.value("exchange")), str(event.value("symbol")))
        self._place((str(event.value("exchange")), symbol, product), str(event.value("side")), event.number("quantity"))

    def _place(self, place: Place, side: str, quantity: float) -> None:
        self.control(
            "external_order",
            account=ACCOUNT,
            exch=place[0],
            tsym=place[1],
            trantype=side,
            qty=int(quantity),
            prd=place[2],
            ordersource=self._chance.choice(("WEB", "MOB")),
        )

    def _somewhere(self, event: Event) -> tuple[Place, int] | None:
        """A place where the account has something."""
        found = sorted(self._exchange.net_positions().items())
        return found[int(event.number("which")) % len(found)] if found else None

    def _close(self, event: Event) -> None:
        """Take off what the account has, in whole, in part, or beyond; or add to it."""
        found = self._somewhere(event)
        if found is None:
            return
        place, net = found
        lot = 65 if place[0] != "NSE" else 1
        share = event.number("share")
        quantity = max(lot, int(abs(net) * abs(share)) // lot * lot)
        closing = share > 0
        self._place(place, "S" if (net > 0) == closing else "B", quantity)

    def _trip(self, event: Event) -> None:
        """In and out again, before, around or after somebody else's entry in the symbol."""
        place = self._place_of(event)
        side, quantity = str(event.value("side")), event.number("quantity")
        self._place(place, side, quantity)
        back = "S" if side == "B" else "B"
        self._schedule.at(self._clock.monotonic() + event.number("seconds"), lambda: self._place(place, back, quantity))

    def _place_of(self, event: Event) -> Place:
        exchange = str(event.value("exchange"))
        symbol = self._exchange.symbol(exchange, str(event.value("symbol")))
        return exchange, symbol, "I" if exchange == "NSE" else "M"

    def _convert(self, event: Event) -> None:
        found = self._somewhere(event)
        if found is None:
            return
        place, net = found
        after = (_OTHER_PRODUCT if place[0] == "NSE" else _OTHER_FUTURE_PRODUCT).get(place[2])
        if after is not None:
            self._exchange.convert(place, after, max(1, int(abs(net) * event.number("share"))), self._clock.now())
            self._told()

    # The market

    def _circuit(self, event: Event) -> None:
        """The price stands at its band for a while: nobody is on one side of the book."""
        exchange = str(event.value("exchange"))
        symbol = self._exchange.symbol(exchange, str(event.value("symbol")))
        self._exchange.stand_at_the_circuit(exchange, symbol, event.value("side") == "B", self._clock.now())
        self._told()
        self._schedule.at(
            self._clock.monotonic() + event.number("seconds"),
            lambda: self.control("hold_price", exch=exchange, tsym=symbol, hold=False),
        )

    def _jump(self, event: Event) -> None:
        """The price jumps."""
        exchange = str(event.value("exchange"))
        symbol = self._exchange.symbol(exchange, str(event.value("symbol")))
        price = Decimal(self._exchange.last_price(exchange, symbol)) * Decimal(str(event.number("factor")))
        self.control("set_price", exch=exchange, tsym=symbol, price=on_tick(price))

    # The line

    def control(self, command: str, **arguments: object) -> None:
        """Speak to the exchange as an operator of it would; what it refuses is nobody's fault here."""
        try:
            self._exchange.control(command, arguments, self._clock.now())
        except ValueError:
            return
        self._told()

    def _told(self) -> None:
        self._exchange.look()


def on_tick(price: Decimal) -> str:
    """A price on the grid of five paise, as text."""
    return str((price / Decimal("0.05")).to_integral_value() * Decimal("0.05"))
