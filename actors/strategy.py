"""The base class of strategies: each its own actor, in the same process, that submits intents and hears of its orders.

class Breakout(Strategy):
    def on_start(self) -> None:
        self.every("look", 5.0)
        self.subscribe("INFY-EQ", "SBIN-EQ")

    def on_tick(self, quote: Quote) -> None: ...
    def on_instrument(self, told: InstrumentTold) -> None: ...
    def on_chain(self, chain: ChainFound) -> None: ...
    def on_timer(self, key: str) -> None: ...
    def on_order_update(self, update: OrderUpdate) -> None: ...

`cancel_order` cancels an order, `modify_order` changes one, `cancel_timer` ends a timer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import ClassVar

from actors.addresses import Addresses, strategy_name
from core.instruments.hours import market_hours
from core.messages import (
    CancelAnswer,
    CancelOrder,
    ChainFound,
    FillDelivered,
    GetChain,
    GetInstrument,
    GetMissedFills,
    GetQuote,
    HistoryRead,
    InstrumentTold,
    ModifyAnswer,
    ModifyOrder,
    MoreTicks,
    OrderAnswer,
    OrderUpdate,
    ProtectionAnswer,
    ProtectPosition,
    QuoteRead,
    QuoteUnreadable,
    ReadHistory,
    Seen,
    ServiceReady,
    SubmitOrder,
    SubscribePrices,
    Tick,
    TicksLost,
    TicksTold,
    UnsubscribePrices,
)
from core.messages.envelope import Envelope
from core.model.broker import PriceSource, Quote
from core.model.calendar import INDIA
from core.model.candle import Candle
from core.model.order import OrderIntent, OrderResult, OrderType, Product, Source
from core.rules.candles import CandleBuilder, Grid, aggregated, history_minutes, interval, sessions
from core.rules.protection import read_protect
from core.runtime import Actor, Runtime

__all__ = ["Strategy", "strategy_name"]

_QUOTE = "quote:"
_HISTORY = "history:"
_HISTORY_AGAIN_S = 30.0
_STAYED_UP_S = 5.0
_SHORTEST_KEPT = interval("1m")
"""The broker keeps no candles of less."""


class Strategy(Actor):
    """Subclass it and name it in `[[strategies]]`; further keys of that table arrive as keyword arguments.

    All hooks run in this actor's own thread, one at a time. A hook that raises is logged and reported; the strategy
    goes on with the next message. A strategy that keeps raising is halted, it alone: its ENTRYs and ADJUSTs are refused
    until trading is resumed, its EXITs are sent.
    """

    paper_only: ClassVar[bool] = False
    """Refuse to start with any other broker profile than paper."""

    @classmethod
    def mistakes(cls, parameters: Mapping[str, object]) -> Iterable[tuple[str, str]]:  # noqa: ARG003
        """Parameters that cannot be meant, each with what would be right; their types are checked before."""
        return ()

    hooks = frozenset(
        {
            *("on_start", "on_tick", "on_instrument", "on_chain"),
            *("on_timer", "on_answer", "on_order_update", "on_cancel", "on_modify", "on_protection"),
        }
    )

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        strategy: str,
        addresses: Addresses | None = None,
        cast: Addresses | None = None,
    ) -> None:
        """A strategy with parameters of its own hands `addresses` and `strategy` on; `cast` is their name of 0.1."""
        super().__init__(runtime, name)
        given = addresses or cast
        if given is None:
            raise TypeError(f"{type(self).__name__}: hand addresses on to Strategy.__init__")
        self._addresses = given
        self.strategy = strategy
        self._timer_keys: set[str] = set()
        # Two underscores: a strategy of somebody's may well have names like these.
        self.__quotes: dict[str, Quote] = {}
        self.__every_s: dict[str, float] = {}
        self.__made: dict[str, dict[str, CandleBuilder]] = {}

    def started(self) -> None:
        self.tell(self._addresses.order_repo, GetMissedFills(self.strategy))

    # To be overridden

    def on_start(self) -> None:
        """The service is ready: orders are taken."""

    def on_tick(self, quote: Quote) -> None:
        """A price asked for with `subscribe` or `quotes` came: `quote.age_s` says how old it is now.

        Who is slow gets the newest price of each instrument, with `quote.missed` ticks before it left out.
        """

    def on_instrument(self, told: InstrumentTold) -> None:
        """The answer to one `instrument`: `told.instrument`, or None and `told.near`."""

    def on_chain(self, chain: ChainFound) -> None:
        """The answer to one `chain`; without `options` where the symbol files have none."""

    def on_timer(self, key: str) -> None:
        """A timer set with `every` or `after` is due."""

    def on_order_update(self, update: OrderUpdate) -> None:
        """An order of this strategy changed; `update.fill` is set when the change is a trade.

        Every fill is told until this hook has returned for it once, across restarts: after a crash one whose hook was
        running comes again, with `update.missed` set. Fills booked while the service starts come before `on_start`.
        """

    def on_answer(self, result: OrderResult) -> None:
        """The answer to one `submit`, after step 5 or where the order was stopped."""

    def on_cancel(self, answer: CancelAnswer) -> None:
        """The answer to one `cancel_order`; what then becomes of the order comes to `on_order_update`."""

    def on_modify(self, answer: ModifyAnswer) -> None:
        """The answer to one `modify_order`; when the order has the new terms comes to `on_order_update`."""

    def on_protection(self, answer: ProtectionAnswer) -> None:
        """The answer to one `protect`: `answer.protection`, or None and `answer.reason`."""

    # To be used

    def submit(self, intent: OrderIntent) -> None:
        """Submit an intent. The answer comes to `on_answer`, later changes to `on_order_update`.

        Raises:
            ValueError: It is in another strategy's name, whose positions and halts are not this one's.
        """
        if intent.strategy != self.strategy:
            raise ValueError(
                f"intent.strategy is {intent.strategy!r}; strategy {self.strategy!r} trades in its own name"
            )
        self.tell(self._addresses.command_service, SubmitOrder(intent, Source.STRATEGY, self.name))

    def cancel_order(self, command_id: str) -> None:
        """Cancel an order, sent or not. The answer comes to `on_cancel`."""
        self.tell(self._addresses.order_repo, CancelOrder(command_id, f"strategy {self.strategy}", self.name))

    def modify_order(
        self,
        command_id: str,
        *,
        quantity: int | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        order_type: OrderType | None = None,
        seen: Seen | None = None,
    ) -> None:
        """Have an order at the broker changed; what is left out stays. The answer comes to `on_modify`.

        `quantity` is the total, filled and still wanted together. With `seen` only while the order is still so.
        """
        pairs = {"quantity": quantity, "price": price, "trigger_price": trigger_price, "order_type": order_type}
        fields = tuple((name, value) for name, value in pairs.items() if value is not None)
        by = f"strategy {self.strategy}"
        self.tell(self._addresses.order_repo, ModifyOrder(command_id, fields, by, seen or Seen(), self.name))

    def protect(
        self,
        symbol: str,
        *,
        stop: Mapping[str, object] | None = None,
        target: Mapping[str, object] | None = None,
        trail: Mapping[str, object] | None = None,
        exchange: str = "NSE",
        product: Product | None = None,
    ) -> None:
        """Protect what this strategy holds of a symbol, in place of what protects it now.

        Each is one of `{"points": 5}`, `{"percent": 2}` and, but for the trail, `{"price": 95}`. The answer comes to
        `on_protection`. It is kept over restarts, and exits without this strategy.

        Raises:
            ValueError: A value is not one of these, or none is given.
        """
        rule = read_protect({"stop": stop, "target": target, "trail": trail})
        if isinstance(rule, str):
            raise ValueError(f"protect {rule}")
        wanted = ProtectPosition(self.strategy, exchange, symbol, product, rule, self.name)
        self.tell(self._addresses.position_manager, wanted)

    def cancel_timer(self, key: str) -> None:
        """Forget a timer set with `every` or `after`; no effect on one that is over.

        Raises:
            ValueError: No timer of this key was ever set.
        """
        if key not in self._timer_keys:
            raise ValueError(
                f"{key!r} is the key of no timer: cancel_timer takes a key given to every() or after(); an order is "
                "cancelled with cancel_order(command_id)"
            )
        super().cancel(key)

    def cancel(self, key: str) -> None:
        """As `cancel_timer`, under its old name. It cancels no order: `cancel_order` does."""
        self.cancel_timer(key)

    def every(self, key: str, seconds: float) -> None:
        self._timer_keys.add(key)
        super().every(key, seconds)

    def after(self, key: str, seconds: float) -> None:
        self._timer_keys.add(key)
        super().after(key, seconds)

    def subscribe(self, *symbols: str, exchange: str = "NSE", depth: bool = False) -> None:
        """Ask for each change of price of these trading symbols; it comes to `on_tick`. With `depth`, `quote.bids` and
        `quote.asks` have up to five levels.

        From the push feed, which costs no call of the broker's rate limit. While the feed is down or silent of one,
        quotes fill in, one every two seconds for all instruments together.
        """
        self.tell(self._addresses.prices, SubscribePrices(exchange, symbols, self.name, depth))

    def unsubscribe(self, *symbols: str, exchange: str = "NSE") -> None:
        """Neither ticks nor quotes of these are wanted any more."""
        self.tell(self._addresses.prices, UnsubscribePrices(exchange, symbols, self.name))
        for symbol in symbols:
            super().cancel(f"{_QUOTE}{exchange}:{symbol}")
            self.__quotes.pop(f"{exchange}:{symbol}", None)
            self.__every_s.pop(f"{exchange}:{symbol}", None)
            self.__made.pop(f"{exchange}:{symbol}", None)

    def quote(self, symbol: str, exchange: str = "NSE") -> Quote | None:
        """The last price that was told of an instrument that is subscribed, with its age now; None before the first."""
        quote = self.__quotes.get(f"{exchange}:{symbol}")
        return None if quote is None else quote.aged(self.clock.now())

    def candles(self, symbol: str, length: str, exchange: str = "NSE") -> tuple[Candle, ...]:
        """Candles of `1s` to `1d` of an instrument so far, oldest first; the last one may not be over.

        The first call subscribes, and asks for the broker's candles of today where it keeps such, each half minute
        until it tells them; before, there are those of the ticks since then. They are brought up to date before
        `on_tick`. Ticks outside the exchange's session are in none, but on paper, which trades then. What the push
        feed lost while it was down comes from the broker's candles.

        Raises:
            ValueError: There is no such length.
        """
        made = self.__made.setdefault(f"{exchange}:{symbol}", {})
        if length not in made:
            of = interval(length)
            made[length] = CandleBuilder(Grid(of, sessions(market_hours(), exchange)))
            self.subscribe(symbol, exchange=exchange)
            if of >= _SHORTEST_KEPT:
                self._ask_history(exchange, symbol, history_minutes(of))
        return made[length].candles()

    def _ask_history(self, exchange: str, symbol: str, minutes: int | None) -> None:
        now = self.clock.now().astimezone(INDIA)
        begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.tell(self._addresses.history, ReadHistory(exchange, symbol, minutes, begin, now, self.name))

    def quotes(self, exchange: str, symbol: str, *, every_s: float) -> None:
        """Ask for the price of an instrument now and every `every_s` seconds; each comes to `on_tick`.

        Where the push feed has it, this costs no call of the broker's rate limit; else it does, and gives way to
        orders. `subscribe` tells each change instead.
        """
        self._ask_quote(exchange, symbol, every_s)
        self.__every_s[f"{exchange}:{symbol}"] = every_s
        self.every(f"{_QUOTE}{exchange}:{symbol}", every_s)

    def instrument(self, name: str, exchange: str = "") -> None:
        """Ask what a symbol, or a name as other programs have it, means; the answer comes to `on_instrument`."""
        self.tell(self._addresses.instruments, GetInstrument(name, exchange, self.name))

    def chain(
        self, underlying: str, expiry: date | None = None, *, around: Decimal | None = None, strikes: int = 10
    ) -> None:
        """Ask for the options of one expiry; the answer comes to `on_chain`. It costs no call to the broker.

        Args:
            underlying: NIFTY, RELIANCE, …
            expiry: None for the nearest.
            around: A price of the underlying: only the strikes nearest to it are wanted.
            strikes: How many on each side of the one at the money; without `around` all come.
        """
        self.tell(self._addresses.instruments, GetChain(underlying, expiry, around, strikes, self.name))

    def _ask_quote(self, exchange: str, symbol: str, every_s: float) -> None:
        self.tell(self._addresses.prices, GetQuote(exchange, symbol, self.name, every_s))

    # Envelopes

    def on_update_told(self, message: OrderUpdate) -> None:
        self.on_order_update(message)
        if message.fill is not None:
            self.tell(self._addresses.order_repo, FillDelivered(message.command_id, message.fill.broker_trade_id))

    def on_service_ready(self, _: ServiceReady) -> None:
        self.on_start()

    def on_order_answer(self, message: OrderAnswer) -> None:
        self.on_answer(message.result)

    def on_protection_told(self, message: ProtectionAnswer) -> None:
        self.on_protection(message)

    def on_cancel_told(self, message: CancelAnswer) -> None:
        self.on_cancel(message)

    def on_modify_told(self, message: ModifyAnswer) -> None:
        self.on_modify(message)

    def on_quote_read(self, message: QuoteRead) -> None:
        self._tell_tick(message.quote)

    def on_ticks_told(self, message: TicksTold) -> None:
        self.__quotes.update((quote.place, quote) for quote in message.quotes)
        for quote in message.quotes:
            self._tell_tick(quote, at_all_hours=message.at_all_hours)
        self.tell(self._addresses.prices, MoreTicks())

    def handler_failed(self, envelope: Envelope) -> None:
        """A hook that raised has taken its ticks all the same."""
        if isinstance(envelope.message, TicksTold):
            self.tell(self._addresses.prices, MoreTicks())

    def on_ticks_lost(self, _: TicksLost) -> None:
        """Candles of the outage are the broker's, once the feed has stayed up for a while."""
        for place, made in self.__made.items():
            for builder in made.values():
                builder.interrupted()
                if (length := builder.grid.length) >= _SHORTEST_KEPT:
                    super().after(f"{_HISTORY}{place}:{history_minutes(length) or ''}", _STAYED_UP_S)

    def _tell_tick(self, quote: Quote, *, at_all_hours: bool = False) -> None:
        self.__quotes[quote.place] = quote
        seen = quote.missed == 0 and quote.source is PriceSource.FEED
        # The broker's clock may be ahead; a tick of tomorrow would end today's candles.
        at = min(quote.at, quote.received_at or quote.at)
        for builder in self.__made.get(quote.place, {}).values():
            builder.add(quote.last_price, quote.volume, at, all_seen=seen, at_all_hours=at_all_hours)
        self.on_tick(quote.aged(self.clock.now()))

    def on_history_read(self, message: HistoryRead) -> None:
        if message.problem is not None:
            super().after(f"{_HISTORY}{message.exchange}:{message.symbol}:{message.minutes or ''}", _HISTORY_AGAIN_S)
            return
        for builder in self.__made.get(f"{message.exchange}:{message.symbol}", {}).values():
            length = builder.grid.length
            if message.candles and length >= _SHORTEST_KEPT and history_minutes(length) == message.minutes:
                builder.seed(aggregated(message.candles, builder.grid), message.asked_at)

    def on_quote_unreadable(self, message: QuoteUnreadable) -> None:
        """A quote could not be read; the next is asked for in its time."""

    def on_instrument_told(self, message: InstrumentTold) -> None:
        self.on_instrument(message)

    def on_chain_found(self, message: ChainFound) -> None:
        self.on_chain(message)

    def on_timer_due(self, message: Tick) -> None:
        if message.key.startswith(_QUOTE):
            exchange, _, symbol = message.key.removeprefix(_QUOTE).partition(":")
            self._ask_quote(exchange, symbol, self.__every_s[f"{exchange}:{symbol}"])
        elif message.key.startswith(_HISTORY):
            place, _, minutes = message.key.removeprefix(_HISTORY).rpartition(":")
            exchange, _, symbol = place.partition(":")
            if place in self.__made:
                self._ask_history(exchange, symbol, int(minutes) if minutes else None)
        else:
            self.on_timer(message.key)
