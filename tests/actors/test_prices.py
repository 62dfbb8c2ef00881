"""The actor that owns the last prices: who is told what, and what is asked where the feed says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from actors.addresses import Addresses
from actors.prices import Prices
from actors.strategy import Strategy
from core.instruments import InstrumentIndex
from core.messages import (
    Alert,
    BandRead,
    FeedState,
    FeedStatus,
    FindInstruments,
    GetMissedFills,
    GetQuote,
    InstrumentsFound,
    Message,
    MoreTicks,
    PlaceOrder,
    QuoteRead,
    QuoteUnreadable,
    ReadHistory,
    ReadQuote,
    SubscribePrices,
    TicksPushed,
    TicksTold,
    UnsubscribePrices,
    UnwatchPrices,
    WatchPrices,
)
from core.model.broker import PriceSource, Quote, Ticks, WrongQuote
from core.model.instrument import Instrument, Kind
from core.model.order import OrderType
from core.rules.prices import PriceBook
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, an_intent, an_order

INFY, SBIN = "INFY-EQ", "SBIN-EQ"
SILENCE_S = 10.0


class Told(Actor):
    """Whoever is told something: the test reads what."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[tuple[str, Message]]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(
        self,
        message: Alert
        | ReadHistory
        | ReadQuote
        | BandRead
        | PlaceOrder
        | FindInstruments
        | WatchPrices
        | UnwatchPrices
        | MoreTicks
        | TicksTold
        | QuoteRead
        | QuoteUnreadable,
    ) -> None:
        self._kept.append((self.name, message))


class Harness:
    """Prices between a feed, a broker and a follower of the test's own."""

    def __init__(self, *, index: bool = True, is_open: bool = True) -> None:
        self.kept: list[tuple[str, Message]] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        self._index = InstrumentIndex.in_memory()
        for token, symbol in (("1", INFY), ("2", SBIN)):
            self._index.remember(Instrument(exchange="NSE", symbol=symbol, token=token, kind=Kind.SHARE))
        for name in ("notifier", "broker_proxy", "command_service", "history", "order_feed", "alpha", "beta"):
            self.runtime.spawn(Told, name, kept=self.kept)
        self.runtime.spawn(
            Prices,
            "prices",
            addresses=Addresses.of(self.runtime),
            book=PriceBook(Decimal("0.1")),
            silence_s=SILENCE_S,
            open_index=self._open if index else None,
            is_open=lambda _exchange, _at: is_open,
            tells_bands=True,
        )

    @contextmanager
    def _open(self) -> Iterator[InstrumentIndex | None]:
        yield self._index

    def heard(self, name: str, kind: type[Message]) -> list[Message]:
        """What one was told of this kind since this was last asked."""
        self.runtime.run_until_idle()
        found = [message for to, message in self.kept if to == name and isinstance(message, kind)]
        self.kept[:] = [(to, message) for to, message in self.kept if not (to == name and isinstance(message, kind))]
        return found

    def tell(self, message: Message, sender: str | None = None) -> None:
        if sender is None:
            self.runtime.tell("prices", message)
        else:
            self.runtime._actors[sender].tell_name("prices", message)
        self.runtime.run_until_idle()

    def subscribe(self, *symbols: str, who: str = "alpha") -> None:
        self.tell(SubscribePrices("NSE", symbols, who))

    def feed(self, standing: FeedStatus) -> None:
        self.tell(FeedState(standing, self.clock.now(), "", None))

    def push(self, rupees: str, symbol: str = INFY, **fields: object) -> None:
        self.tell(TicksPushed(Ticks((self.quote(rupees, symbol, PriceSource.FEED, **fields),))))

    def answer(self, rupees: str, symbol: str = INFY) -> None:
        self.tell(QuoteRead(self.quote(rupees, symbol, PriceSource.QUOTE)))

    def quote(self, rupees: str, symbol: str, source: PriceSource, **fields: object) -> Quote:
        now = self.clock.now()
        plain = Quote(
            exchange="NSE", symbol=symbol, last_price=Decimal(rupees), bid=None, ask=None, at=now, received_at=now
        )
        return replace(plain, source=source, **fields)  # type: ignore[arg-type]

    def prices(self, who: str = "alpha") -> list[tuple[str, str, int]]:
        """Symbol, price and missed of each tick told since this was last asked."""
        told = [quote for message in self.heard(who, TicksTold) for quote in message.quotes]  # type: ignore[attr-defined]
        return [(quote.symbol, str(quote.last_price), quote.missed) for quote in told]

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.runtime.advance(1.0)
            self.runtime.run_until_idle()

    def alerts(self) -> list[str]:
        return [message.text for message in self.heard("notifier", Alert)]  # type: ignore[attr-defined]


def asked(messages: list[Message]) -> list[str]:
    return [message.symbol for message in messages if isinstance(message, ReadQuote)]


def carried(messages: list[Message]) -> list[list[str]]:
    return [
        [one.symbol for one in message.instruments]
        for message in messages
        if isinstance(message, WatchPrices | UnwatchPrices)
    ]


def test_what_is_subscribed_is_carried_once_and_dropped_with_the_last_who_wants_it() -> None:
    harness = Harness()
    harness.subscribe(INFY, SBIN)
    harness.subscribe(INFY, who="beta")
    assert carried(harness.heard("order_feed", WatchPrices)) == [[INFY, SBIN]]
    harness.tell(UnsubscribePrices("NSE", (INFY, SBIN), "alpha"))
    assert carried(harness.heard("order_feed", UnwatchPrices)) == [[SBIN]]
    harness.push("1500")
    assert harness.prices("alpha") == []
    assert harness.prices("beta") == [(INFY, "1500", 0)]
    harness.tell(UnsubscribePrices("NSE", (INFY,), "beta"))
    assert carried(harness.heard("order_feed", UnwatchPrices)) == [[INFY]]
    assert harness.runtime.timers.next_due() is None


def test_depth_is_carried_for_all_once_one_wants_it() -> None:
    harness = Harness()
    harness.subscribe(INFY)
    harness.tell(SubscribePrices("NSE", (INFY, SBIN), "beta", depth=True))
    watched = [one for one in harness.heard("order_feed", WatchPrices) if isinstance(one, WatchPrices)]
    told = [([one.symbol for one in message.instruments], message.depth) for message in watched]
    assert told == [([INFY], False), ([INFY], True), ([SBIN], True)]
    assert carried(harness.heard("order_feed", UnwatchPrices)) == [[INFY]]
    harness.push("1500", bids=((Decimal(1499), 5),))
    assert harness.prices("alpha") == [(INFY, "1500", 0)]


def test_a_slow_follower_gets_the_newest_and_the_number_of_those_it_missed_and_holds_up_nobody() -> None:
    harness = Harness()
    harness.subscribe(INFY, SBIN)
    harness.subscribe(INFY, who="beta")
    for number in range(5):
        harness.push(f"150{number}", missed=2)
        harness.tell(MoreTicks(), "beta")
    harness.push("800", SBIN)
    assert len(harness.prices("beta")) == 5
    assert harness.prices("alpha") == [(INFY, "1500", 2)]
    harness.tell(MoreTicks(), "alpha")
    # Four more came, each of which stands for three.
    assert harness.prices("alpha") == [(INFY, "1504", 11), (SBIN, "800", 0)]
    assert harness.runtime.health()["prices"].depth == 0


def test_each_batch_is_taken_before_the_feed_sends_the_next() -> None:
    harness = Harness()
    harness.subscribe(INFY)
    harness.push("1500")
    assert harness.heard("order_feed", MoreTicks) == [MoreTicks()]


def test_t23_a_quote_asked_for_each_second_costs_no_call_while_the_feed_has_it() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    for second in range(60):
        harness.tell(GetQuote("NSE", INFY, "alpha", every_s=1.0))
        harness.push(f"15{second:02}")
        harness.pass_time(1)
    assert len(asked(harness.heard("broker_proxy", ReadQuote))) == 1
    assert len(harness.heard("alpha", QuoteRead)) >= 59
    assert carried(harness.heard("order_feed", WatchPrices)) == [[INFY]]
    harness.pass_time(5)
    assert carried(harness.heard("order_feed", UnwatchPrices)) == [[INFY]]


@pytest.mark.parametrize("standing", [FeedStatus.DOWN, FeedStatus.CONNECTED])
def test_a_price_that_is_old_or_of_a_feed_that_is_down_is_asked_from_the_broker(standing: FeedStatus) -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500")
    harness.feed(standing)
    harness.runtime.advance(SILENCE_S + 1 if standing is FeedStatus.CONNECTED else 0.5)
    harness.heard("broker_proxy", ReadQuote)
    harness.tell(GetQuote("NSE", INFY, "beta"))
    harness.tell(GetQuote("NSE", INFY, "beta"))
    harness.answer("1501")
    (first, second) = harness.heard("beta", QuoteRead)
    assert first == second
    assert isinstance(first, QuoteRead)
    assert (first.quote.source, str(first.quote.last_price)) == (PriceSource.QUOTE, "1501")


def test_who_asks_for_many_waits_for_the_feed_and_costs_no_call() -> None:
    harness = Harness()
    ask = GetQuote("NSE", INFY, "beta", every_s=60.0, patient=True)
    harness.tell(ask)
    [refused] = harness.heard("beta", QuoteUnreadable)
    assert isinstance(refused, QuoteUnreadable)
    assert refused.reason == "the feed does not carry it"
    harness.feed(FeedStatus.CONNECTED)
    harness.tell(ask)
    assert harness.heard("beta", QuoteRead) == []
    harness.push("1500")
    harness.runtime.advance(SILENCE_S + 1)
    harness.tell(ask)
    told = harness.heard("beta", QuoteRead)
    assert [str(one.quote.last_price) for one in told if isinstance(one, QuoteRead)] == ["1500", "1500"]
    assert harness.heard("broker_proxy", ReadQuote) == []


def test_depth_that_the_feed_does_not_carry_is_asked_from_the_broker() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500")
    harness.tell(GetQuote("NSE", INFY, "beta", depth=True))
    assert harness.heard("beta", QuoteRead) == []
    assert len(asked(harness.heard("broker_proxy", ReadQuote))) == 1


def test_an_answer_that_fails_reaches_who_asked() -> None:
    harness = Harness()
    harness.tell(GetQuote("NSE", "NO-SUCH", "beta"))
    harness.tell(QuoteUnreadable("NSE", "NO-SUCH", "no data"))
    assert harness.heard("beta", QuoteUnreadable) == [QuoteUnreadable("NSE", "NO-SUCH", "no data")]


def test_silence_is_noticed_by_instrument_when_the_broker_s_quote_has_moved() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY, SBIN)
    harness.push("1500")
    harness.push("800", SBIN)
    harness.heard("order_feed", WatchPrices)
    for _ in range(60):
        harness.pass_time(1)
        for symbol in asked(harness.heard("broker_proxy", ReadQuote)):
            # Nobody trades in SBIN; INFY has moved on, and the feed does not say so.
            harness.answer("1510" if symbol == INFY else "800", symbol)
    (alert,) = harness.alerts()
    assert alert.startswith("the push feed is silent of NSE:INFY-EQ: no tick for ")
    assert carried(harness.heard("order_feed", WatchPrices)) == [[INFY]]
    harness.tell(MoreTicks(), "alpha")
    assert (INFY, "1510", 0) in [(symbol, price, 0) for symbol, price, _ in harness.prices()]
    harness.push("1511")
    assert harness.alerts() == ["the push feed has ticks of NSE:INFY-EQ again"]


def test_quotes_that_fill_in_are_few_whatever_is_subscribed() -> None:
    harness = Harness()
    harness.subscribe(INFY, SBIN)
    harness.feed(FeedStatus.DOWN)
    calls = []
    for _ in range(60):
        harness.pass_time(1)
        for symbol in asked(harness.heard("broker_proxy", ReadQuote)):
            calls.append(symbol)
            harness.answer("1500" if symbol == INFY else "800", symbol)
    assert 4 <= len(calls) <= 30
    assert set(calls) == {INFY, SBIN}


def test_a_closed_market_is_silent_and_nobody_asks() -> None:
    harness = Harness(is_open=False)
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.pass_time(60)
    assert harness.heard("broker_proxy", ReadQuote) == []


def test_g11_a_jump_is_said_and_reaches_nobody_until_the_broker_s_quote_agrees() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500")
    harness.tell(MoreTicks(), "alpha")
    harness.prices()
    for _ in range(5):
        harness.push("1800")
    assert harness.prices() == []
    (alert,) = harness.alerts()
    assert alert == "NSE:INFY-EQ 1800 (push feed) is not used: 20 % off the last price 1500"
    assert asked(harness.heard("broker_proxy", ReadQuote)) == [INFY]
    harness.answer("1800")
    assert harness.prices() == [(INFY, "1800", 0)]
    assert harness.alerts() == ["NSE:INFY-EQ: 1800 is believed again"]


def test_g11_a_false_feed_costs_few_quotes() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500")
    calls = 0
    for _ in range(60):
        harness.push("1800")
        for _symbol in asked(harness.heard("broker_proxy", ReadQuote)):
            calls += 1
            harness.answer("1500")
        harness.pass_time(1)
    assert calls <= 14


def test_g11_a_false_quote_is_asked_again_and_then_refused() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500")
    harness.runtime.advance(SILENCE_S + 1)
    harness.tell(GetQuote("NSE", INFY, "beta"))
    for rupees in ("1800", "2200", "2900"):
        harness.answer(rupees)
        harness.pass_time(1)
    (told,) = harness.heard("beta", QuoteUnreadable)
    assert isinstance(told, QuoteUnreadable)
    assert "is not used" in told.reason


def test_g11_a_quote_that_stays_is_believed_at_its_second_reading() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500")
    harness.runtime.advance(SILENCE_S + 1)
    harness.tell(GetQuote("NSE", INFY, "beta"))
    harness.answer("1800")
    assert harness.heard("beta", QuoteRead) == []
    harness.heard("broker_proxy", ReadQuote)
    harness.pass_time(1)
    assert asked(harness.heard("broker_proxy", ReadQuote)) == [INFY]
    harness.answer("1801")
    (told,) = harness.heard("beta", QuoteRead)
    assert isinstance(told, QuoteRead)
    assert str(told.quote.last_price) == "1801"


def test_g11_a_wrong_instrument_is_said_once_and_subscribed_anew_now_and_then() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.heard("order_feed", WatchPrices)
    for _ in range(9):
        harness.tell(TicksPushed(Ticks((), (WrongQuote("NSE", INFY, "the push feed has Nifty 50"),))))
    assert harness.alerts() == ["the push feed has Nifty 50: its prices are not used"]
    assert carried(harness.heard("order_feed", WatchPrices)) == [[INFY]] * 2
    assert harness.prices() == []


def test_an_instrument_no_file_has_is_asked_from_the_broker_and_an_unknown_one_is_said() -> None:
    harness = Harness()
    harness.subscribe("NEW-EQ")
    assert harness.heard("order_feed", WatchPrices) == []
    harness.pass_time(12)
    (search,) = harness.heard("broker_proxy", FindInstruments)
    assert isinstance(search, FindInstruments)
    assert (search.exchange, search.text) == ("NSE", "NEW-EQ")
    harness.tell(InstrumentsFound((Instrument(exchange="NSE", symbol="NEWGEN-EQ", token="7"),)))
    text = "there is no instrument NSE:NEW-EQ; near it: NSE:NEWGEN-EQ: nobody gets prices of it"
    assert harness.alerts() == [text]
    harness.pass_time(301)
    assert len(harness.heard("broker_proxy", FindInstruments)) == 1
    harness.tell(InstrumentsFound((Instrument(exchange="NSE", symbol="NEW-EQ", token="8"),)))
    assert carried(harness.heard("order_feed", WatchPrices)) == [["NEW-EQ"]]


def test_more_than_a_connection_takes_are_filled_in_by_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.prices.MOST_WATCHED", 1)
    harness = Harness()
    harness.subscribe(INFY, SBIN)
    assert carried(harness.heard("order_feed", WatchPrices)) == [[INFY]]
    harness.pass_time(12)
    assert SBIN in asked(harness.heard("broker_proxy", ReadQuote))
    harness.tell(UnsubscribePrices("NSE", (INFY,), "alpha"))
    harness.pass_time(1)
    assert carried(harness.heard("order_feed", WatchPrices)) == [[SBIN]]


def test_t23_an_order_without_a_price_goes_on_with_the_last_that_is_believed() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    harness.push("1500", bid=Decimal(1499), ask=Decimal(1501), tick_size=Decimal("0.05"))
    harness.push("1900")
    harness.runtime.advance(2.0)
    order = PlaceOrder(an_order(an_intent(order_type=OrderType.MARKET, price=None)))
    harness.tell(order)
    other = PlaceOrder(an_order(an_intent(symbol="TCS-EQ", order_type=OrderType.MARKET, price=None)))
    harness.tell(other)
    priced, bare = harness.heard("broker_proxy", PlaceOrder)
    assert isinstance(priced, PlaceOrder)
    assert priced.price is not None
    assert (str(priced.price.last_price), priced.price.age_s, priced.priced_at) == ("1500", 2.0, harness.clock.steady())
    assert bare == other


def test_a_quote_of_what_nobody_follows_is_kept_for_the_orders_of_some_minutes() -> None:
    harness = Harness()
    harness.answer("1500")
    order = PlaceOrder(an_order(an_intent(order_type=OrderType.MARKET, price=None)))
    for known in (True, False):
        harness.tell(order)
        (passed,) = harness.heard("broker_proxy", PlaceOrder)
        assert isinstance(passed, PlaceOrder)
        assert (passed.price is not None) is known
        harness.runtime.advance(301.0)


def test_the_day_s_band_is_told_from_pushes_when_it_changes_and_each_half_minute() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    harness.subscribe(INFY)
    for upper in ("1650", "1650", "1700"):
        harness.push("1500", lower_limit=Decimal(1350), upper_limit=Decimal(upper))
    told = harness.heard("command_service", BandRead)
    assert [(one.symbol, str(one.band.upper)) for one in told if isinstance(one, BandRead)] == [
        (INFY, "1650"),
        (INFY, "1700"),
    ]
    harness.runtime.advance(31.0)
    harness.push("1500", lower_limit=Decimal(1350), upper_limit=Decimal(1700))
    assert len(harness.heard("command_service", BandRead)) == 1


def test_a_handler_that_failed_leaves_nobody_without_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness()
    harness.subscribe(INFY)
    harness.push("1500")
    harness.heard("order_feed", MoreTicks)
    harness.prices()
    with monkeypatch.context() as planted:
        planted.setattr(PriceBook, "take", lambda *_, **__: 1 / 0)
        harness.push("1501")
    assert MoreTicks() in harness.heard("order_feed", MoreTicks)
    harness.push("1502")
    assert harness.prices() == [(INFY, "1502", 0)]


class Follows(Strategy):
    """Keeps what it is told, and raises when the test wants it to."""

    def __init__(self, runtime: Runtime, name: str, *, addresses: Addresses, strategy: str) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self.told: list[Quote] = []
        self.raising = False

    def on_tick(self, quote: Quote) -> None:
        self.told.append(quote)
        if self.raising:
            raise ArithmeticError("planted")


class Repo(Actor):
    def on_get_missed_fills(self, _: GetMissedFills) -> None:
        pass


def a_strategy(harness: Harness) -> Follows:
    harness.runtime.spawn(Repo, "order_repo")
    addresses = Addresses.of(harness.runtime)
    harness.runtime.spawn(Follows, "strategy:follows", addresses=addresses, strategy="follows")
    strategy = harness.runtime._actors["strategy:follows"]
    assert isinstance(strategy, Follows)
    return strategy


def test_a_strategy_is_told_ticks_with_their_age_and_can_look_at_the_last() -> None:
    harness = Harness()
    strategy = a_strategy(harness)
    strategy.subscribe(INFY)
    assert strategy.quote(INFY) is None
    late = harness.clock.now() - timedelta(seconds=30)
    harness.push("1500")
    harness.push("1501", at=late)
    assert [(str(one.last_price), one.age_s) for one in strategy.told] == [("1500", 0.0), ("1501", 30.0)]
    harness.runtime.advance(4.0)
    last = strategy.quote(INFY)
    assert last is not None
    assert (str(last.last_price), last.age_s) == ("1501", 34.0)
    strategy.unsubscribe(INFY)
    harness.push("1502")
    assert len(strategy.told) == 2
    assert strategy.quote(INFY) is None


def test_candles_of_an_outage_are_asked_from_the_broker_once_the_feed_stays_up() -> None:
    harness = Harness()
    harness.feed(FeedStatus.CONNECTED)
    strategy = a_strategy(harness)
    strategy.candles(INFY, "5m")
    strategy.candles(INFY, "10s")
    harness.push("1500")
    assert len(harness.heard("history", ReadHistory)) == 1
    for _ in range(3):
        harness.feed(FeedStatus.DOWN)
        harness.feed(FeedStatus.CONNECTED)
        harness.pass_time(3)
    assert harness.heard("history", ReadHistory) == []
    harness.pass_time(3)
    (asked,) = harness.heard("history", ReadHistory)
    assert isinstance(asked, ReadHistory)
    assert (asked.symbol, asked.minutes, asked.reply_to) == (INFY, 5, "strategy:follows")


def test_a_hook_that_raises_is_told_the_next_tick() -> None:
    harness = Harness()
    strategy = a_strategy(harness)
    strategy.subscribe(INFY)
    strategy.raising = True
    harness.push("1500")
    strategy.raising = False
    harness.push("1501")
    assert [str(one.last_price) for one in strategy.told] == ["1500", "1501"]


def test_ticks_are_in_no_trace_but_for_one_that_made_a_strategy_act() -> None:
    harness = Harness()
    strategy = a_strategy(harness)
    strategy.subscribe(INFY)
    for number in range(10):
        harness.push(f"150{number}")
    kinds = {record.type for record in harness.runtime.tracer.recent()}
    assert not kinds & {"TicksPushed", "TicksTold", "MoreTicks"}
    strategy.on_tick = lambda quote: strategy.subscribe(SBIN)  # type: ignore[method-assign] # noqa: ARG005
    harness.push("1520")
    records = harness.runtime.tracer.recent()
    (told,) = [record for record in records if record.type == "TicksTold"]
    assert [record.type for record in records if record.cause == told.id] == ["SubscribePrices"]


def test_without_symbol_files_every_price_is_a_quote() -> None:
    harness = Harness(index=False)
    harness.feed(FeedStatus.CONNECTED)
    harness.tell(GetQuote("NSE", INFY, "beta", every_s=1.5))
    harness.answer("1500")
    harness.tell(GetQuote("NSE", INFY, "beta", every_s=1.5))
    assert asked(harness.heard("broker_proxy", ReadQuote)) == [INFY, INFY]
    assert harness.heard("order_feed", WatchPrices) == []
