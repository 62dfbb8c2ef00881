"""Owns the last price of every instrument that somebody follows, and tells them to who follows it.

Prices come from the push feed by way of OrderFeed's connection, and from the broker's quotes where the feed is down,
silent, or doubted. Takes `SubscribePrices`, `UnsubscribePrices`, `MoreTicks`, `GetQuote`, `TicksPushed`, `FeedState`,
and `PlaceOrder`: an order without a price of its own passes by on its way to the broker. Who is slow gets the newest
price of each instrument and the number of those it missed; nothing piles up for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from loguru import logger

from actors.addresses import Addresses
from core.instruments import InstrumentIndex
from core.messages import (
    Alert,
    BandRead,
    FeedState,
    FeedStatus,
    FindInstruments,
    GetQuote,
    InstrumentsFound,
    MoreTicks,
    PlaceOrder,
    QuoteRead,
    QuoteUnreadable,
    ReadQuote,
    Severity,
    SubscribePrices,
    Tick,
    TicksLost,
    TicksPushed,
    TicksTold,
    UnsubscribePrices,
    UnwatchPrices,
    WatchPrices,
)
from core.model.alerts import AlertKind
from core.model.broker import PriceBand, PriceSource, Quote
from core.model.instrument import Instrument, Kind
from core.rules.followed import Follower, Watch
from core.rules.prices import APART_S, FORGET_S, Doubt, PriceBook
from core.runtime import Actor, Runtime

__all__ = ["Prices"]

_LOOK = "look"
_LOOK_EVERY_S = 1.0
_AGAIN = "again:"
_FORGET = "forget:"
MOST_WATCHED = 1000
"""Subscriptions of one connection; more are passed over by the broker, without a word."""

_ASKED_S = 30.0
"""How long a quote that was asked for may take before it is asked for again."""

_KEPT_TIMES = 3
"""A quote asked for again and again is kept up by the feed until it was not asked for so many times."""

_FILL_IN_EVERY_S = 2.0
"""One quote so often for what the feed does not carry, so that most of the call budget stays for orders and books."""

_SEARCH_AFTER_S = 10.0
"""How long an instrument that no symbol file has waits for one before the broker is asked for its number."""

_SEARCH_EVERY_S = 300.0

_LOOKS = 2
_LOOKS_S = 10.0
"""So many quotes are asked for to settle a doubt, in so many seconds."""

_ODD_READS = 2
"""So many quotes in a row that the feed has no tick for: it is silent, and not the market."""

_MOST_ALERTED = 5

_BAND_EVERY_S = 30.0
"""How often a band that has not changed is told again: a check of orders takes one of the last minute for certain."""


class Prices(Actor):
    """Keeps nothing over a restart: who follows prices says so again.

    Args:
        book: Decides which prices are believed.
        silence_s: Seconds after which a price is old where the feed carries it.
        open_index: Opens the instruments to read; None where there are no symbol files: every price is a quote.
        is_open: Whether an exchange trades at a time; while it does not, silence is in order.
        tells_bands: Whether the day's bands are told to CommandService, which checks orders.
        at_all_hours: Whether the exchange trades outside its sessions too.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        book: PriceBook,
        silence_s: float,
        open_index: Callable[[], AbstractContextManager[InstrumentIndex | None]] | None,
        is_open: Callable[[str, datetime], bool],
        tells_bands: bool = False,
        at_all_hours: bool = False,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._book = book
        self._silence_s = silence_s
        self._open_index = open_index
        self._is_open = is_open
        self._tells_bands = tells_bands
        self._at_all_hours = at_all_hours
        self._watched: dict[str, Watch] = {}
        self._passing: dict[str, Watch] = {}
        """What nobody follows, and was priced a moment ago."""
        self._followers: dict[str, Follower] = {}
        self._asked: dict[str, float] = {}
        """When the broker was asked for a quote that has not come yet."""
        self._waiting: dict[str, list[str]] = {}
        """Who waits for it."""
        self._patient: dict[str, list[str]] = {}
        """Who waits for what the feed brings."""
        self._filled_in_at = float("-inf")
        self._feed_up = False
        self._was_up = False
        self._silent: set[str] = set()
        self._doubted: dict[str, PriceSource] = {}
        self._searching: str | None = None

    def rebuild(self) -> None:
        """What a failed handler did not say is said again: nobody waits for ever."""
        for follower in self._followers.values():
            follower.ready = True
        self.tell(self._addresses.order_feed, MoreTicks())
        self.every(_LOOK, _LOOK_EVERY_S)

    # Who follows what

    def on_subscribe(self, message: SubscribePrices) -> None:
        self._followers.setdefault(message.reply_to, Follower())
        for symbol in message.symbols:
            watch = self._watch(message.exchange, symbol)
            watch.names.add(message.reply_to)
            if message.depth and not watch.depth:
                watch.depth = True
                self._subscribe_anew(watch)
            if (last := self._book.last(watch.place)) is not None:
                self._followers[message.reply_to].waiting[watch.place] = last
        self._find([watch for watch in self._watched.values() if watch.instrument is None])
        self._tell_followers()

    def on_unsubscribe(self, message: UnsubscribePrices) -> None:
        for symbol in message.symbols:
            if (watch := self._watched.get(f"{message.exchange}:{symbol}")) is not None:
                watch.names.discard(message.reply_to)
                self._followers.get(message.reply_to, Follower()).waiting.pop(watch.place, None)
        self._drop_unwanted()

    def on_more_ticks(self, _: MoreTicks) -> None:
        if (follower := self._followers.get(self.envelope.sender)) is not None:
            follower.ready = True
            self._tell_followers()

    def _watch(self, exchange: str, symbol: str) -> Watch:
        if not self._watched:
            self.every(_LOOK, _LOOK_EVERY_S)
        return self._watched.setdefault(f"{exchange}:{symbol}", Watch(exchange, symbol, self.clock.monotonic()))

    def _drop_unwanted(self) -> None:
        now = self.clock.monotonic()
        gone = [watch for watch in self._watched.values() if not watch.names and watch.keep_until <= now]
        for watch in gone:
            del self._watched[watch.place]
            self._book.forget(watch.place)
            self._silent.discard(watch.place)
            self._doubted.pop(watch.place, None)
            self._patient.pop(watch.place, None)
        if carried := tuple(watch.instrument for watch in gone if watch.instrument is not None):
            self.tell(self._addresses.order_feed, UnwatchPrices(carried))
        if not self._watched:
            self.cancel(_LOOK)

    # Numbers of instruments

    def _find(self, watches: list[Watch]) -> None:
        """Look the broker's numbers up, and have the feed carry what was found."""
        if self._open_index is None or not watches:
            return
        try:
            with self._open_index() as index:
                found = {} if index is None else {one.place: one for one in self._listed(index, watches)}
        except (sqlite3.Error, OSError) as error:
            logger.warning("prices are read by quotes, instruments cannot be looked up: {}", error)
            return
        self._carry(found)

    @staticmethod
    def _listed(index: InstrumentIndex, watches: list[Watch]) -> Iterable[Instrument]:
        for watch in watches:
            rows = index.by_symbol(watch.symbol, watch.exchange)
            yield from [one for one in rows if one.symbol == watch.symbol and one.token]

    def _carry(self, found: dict[str, Instrument]) -> None:
        room = MOST_WATCHED - sum(1 for watch in self._watched.values() if watch.instrument is not None)
        fresh: dict[bool, list[Instrument]] = {False: [], True: []}
        for place, instrument in found.items():
            watch = self._watched.get(place)
            if watch is not None and watch.instrument is None and sum(map(len, fresh.values())) < room:
                watch.instrument, watch.since = instrument, self.clock.monotonic()
                fresh[watch.depth].append(instrument)
        for depth, instruments in fresh.items():
            if instruments:
                self.tell(self._addresses.order_feed, WatchPrices(tuple(instruments), depth))

    def _search(self) -> None:
        """Ask the broker for the number of one instrument that no symbol file has."""
        now = self.clock.monotonic()
        for watch in self._watched.values() if self._open_index is not None else ():
            due = watch.since + _SEARCH_AFTER_S if watch.searched_at is None else watch.searched_at + _SEARCH_EVERY_S
            if watch.instrument is None and now >= due:
                watch.searched_at, self._searching = now, watch.place
                self.tell(self._addresses.broker_proxy, FindInstruments(watch.exchange, watch.symbol, self.name))
                return

    def on_instruments_found(self, message: InstrumentsFound) -> None:
        place, self._searching = self._searching, None
        found = {one.place: one for one in message.instruments if one.place == place and one.token}
        if place in self._watched and not found:
            # The symbol files may have it tomorrow.
            names = ", ".join(one.place for one in message.instruments[:5])
            hint = f"; near it: {names}" if names else f" ({message.problem})" if message.problem else ""
            self._alert(Severity.WARNING, f"there is no instrument {place}{hint}: nobody gets prices of it")
        self._carry(found)

    # The feed

    def on_feed_state(self, message: FeedState) -> None:
        up = message.standing is FeedStatus.CONNECTED
        if up and self._was_up and not self._feed_up:
            for name in filter(self.knows, self._followers):
                self.tell_name(name, TicksLost())
        self._feed_up, self._was_up = up, self._was_up or up
        now = self.clock.monotonic()
        for watch in self._watched.values():
            watch.since, watch.odd = now, 0

    def on_ticks_pushed(self, message: TicksPushed) -> None:
        if self.knows(self._addresses.order_feed.name):
            # While the service stops, it is gone already.
            self.tell(self._addresses.order_feed, MoreTicks())
        for quote in message.ticks.quotes:
            watch = self._watched.get(quote.place)
            if watch is not None:
                watch.odd = 0
                told = self._take(quote, watch)
                if isinstance(told, Quote):
                    for name in self._patient.pop(watch.place, ()):
                        self.tell_name(name, QuoteRead(told.aged(self.clock.now())))
                if watch.place in self._silent:
                    self._silent.discard(watch.place)
                    if not self._silent:
                        self._alert(Severity.INFO, f"the push feed has ticks of {watch.place} again")
        for wrong in message.ticks.wrong:
            watch = self._watched.get(f"{wrong.exchange}:{wrong.symbol}")
            if watch is not None:
                self._say_doubted(watch, PriceSource.FEED, f"{wrong.reason}: its prices are not used")
                if self._may_look(watch):
                    # What the first frame said stands until there is another first frame.
                    self._subscribe_anew(watch)
        self._tell_followers()

    def _take(self, quote: Quote, watch: Watch) -> Quote | Doubt:
        """Keep it for all who follow the instrument, if it is believed; a jump is held against a second source."""
        option = watch.instrument is not None and watch.instrument.kind is Kind.OPTION
        told = self._book.take(quote, self.clock.monotonic(), option=option)
        if not isinstance(told, Doubt):
            self._tell_band(told, watch)
        else:
            self._say_doubted(watch, quote.source, told.reason)
            if told.open and quote.source is PriceSource.FEED and self._may_look(watch):
                self._ask(watch.exchange, watch.symbol)
            return told
        if self._doubted.get(watch.place) in (quote.source, told.second):
            del self._doubted[watch.place]
            self._alert(Severity.INFO, f"{watch.place}: {told.last_price} is believed again")
        for name in watch.names:
            waiting = self._followers[name].waiting
            before = waiting.get(watch.place)
            missed = told.missed if before is None else told.missed + before.missed + 1
            waiting[watch.place] = told if missed == told.missed else replace(told, missed=missed)
        return told

    def _tell_band(self, quote: Quote, watch: Watch) -> None:
        lower, upper, now = quote.lower_limit, quote.upper_limit, self.clock.monotonic()
        known = (lower, upper) == watch.band and now - watch.band_at < _BAND_EVERY_S
        if self._tells_bands and not known and lower is not None and upper is not None:
            watch.band, watch.band_at = (lower, upper), now
            band = PriceBand(lower, upper, self.clock.now())
            self.tell(self._addresses.command_service, BandRead(quote.exchange, quote.symbol, band))

    def _may_look(self, watch: Watch) -> bool:
        now = self.clock.monotonic()
        if now - watch.looked_at >= _LOOKS_S:
            watch.looks, watch.looked_at = 0, now
        watch.looks += 1
        return watch.looks <= _LOOKS

    def _tell_followers(self) -> None:
        for name, follower in tuple(self._followers.items()):
            if follower.ready and follower.waiting:
                if not self.knows(name):
                    del self._followers[name]
                    for watch in self._watched.values():
                        watch.names.discard(name)
                    continue
                follower.ready = False
                waiting, follower.waiting = follower.waiting, {}
                self.tell_name(name, TicksTold(tuple(waiting.values()), self._at_all_hours))

    def _say_doubted(self, watch: Watch, source: PriceSource, reason: str) -> None:
        """Once for each instrument, until a price of it is believed again."""
        if watch.place in self._doubted:
            return
        self._doubted[watch.place] = source
        if len(self._doubted) <= _MOST_ALERTED:
            self._alert(Severity.WARNING, reason)
        else:
            logger.warning("{}", reason)

    def _subscribe_anew(self, watch: Watch) -> None:
        if watch.instrument is not None:
            self.tell(self._addresses.order_feed, UnwatchPrices((watch.instrument,)))
            self.tell(self._addresses.order_feed, WatchPrices((watch.instrument,), watch.depth))

    # Orders

    def on_place_order(self, message: PlaceOrder) -> None:
        """An order that is to be sent as a limit: it goes on at once, with the last price where there is one."""
        order = message.order
        place = f"{order.exchange}:{order.symbol}"
        last = self._book.last(place)
        if last is not None:
            one = watch.instrument if (watch := self._watched.get(place)) is not None else None
            if one is not None:
                # A push says neither always.
                kind = last.instrument or ("OPT" if one.kind is Kind.OPTION else None)
                last = replace(last, instrument=kind, tick_size=last.tick_size or one.tick_size)
            message = replace(message, price=last.aged(self.clock.now()), priced_at=self.clock.steady())
        self.tell(self._addresses.broker_proxy, message)

    # Quotes

    def on_get_quote(self, message: GetQuote) -> None:
        if message.every_s > 0 and self._open_index is not None:
            watch = self._watch(message.exchange, message.symbol)
            watch.keep_until = self.clock.monotonic() + _KEPT_TIMES * message.every_s
            self._find([watch] if watch.instrument is None else [])
        carried = self._carried(message.place)
        quote = self._book.last(message.place) if message.patient and carried else self._fresh(message.place)
        if quote is not None and not (message.depth and quote.bids == quote.asks == ()):
            self.tell_name(message.reply_to, QuoteRead(quote.aged(self.clock.now())))
            return
        if message.patient:
            if carried:
                self._patient.setdefault(message.place, []).append(message.reply_to)
            else:
                reason = "the feed does not carry it"
                self.tell_name(message.reply_to, QuoteUnreadable(message.exchange, message.symbol, reason))
            return
        self._waiting.setdefault(message.place, []).append(message.reply_to)
        # One that the feed carries will not be asked for again.
        self._ask(message.exchange, message.symbol, 0.0 if carried else message.every_s)

    def _fresh(self, place: str) -> Quote | None:
        """The last price, where the feed carries it or has just been filled in for."""
        age = self._book.age_s(place, self.clock.monotonic())
        fresh = self._carried(place) and age is not None and age <= self._silence_s
        return self._book.last(place) if fresh else None

    def _carried(self, place: str) -> bool:
        watch = self._watched.get(place)
        return self._feed_up and watch is not None and watch.instrument is not None

    def _ask(self, exchange: str, symbol: str, every_s: float = 0.0) -> None:
        place, now = f"{exchange}:{symbol}", self.clock.monotonic()
        if now - self._asked.get(place, float("-inf")) >= _ASKED_S:
            self._asked[place] = now
            self.tell(self._addresses.broker_proxy, ReadQuote(exchange, symbol, self.name, every_s))

    def on_quote_read(self, message: QuoteRead) -> None:
        quote = message.quote
        place = quote.place
        self._asked.pop(place, None)
        watch = self._watched.get(place) or self._pass(quote)
        told = self._take(quote, watch)
        if isinstance(told, Doubt) and told.open and self._may_look(watch):
            # Asked again when the answer counts as a second reading; who waits, waits for that.
            self._asked[place] = self.clock.monotonic()
            self.after(f"{_AGAIN}{place}", APART_S)
            return
        self._notice_silence(watch, quote)
        answer: QuoteRead | QuoteUnreadable = (
            QuoteUnreadable(quote.exchange, quote.symbol, told.reason)
            if isinstance(told, Doubt)
            else QuoteRead(told.aged(self.clock.now()))
        )
        for name in self._waiting.pop(place, ()):
            self.tell_name(name, answer)
        self._tell_followers()

    def _pass(self, quote: Quote) -> Watch:
        """One that nobody follows: an order of the next minutes is held against it."""
        self.after(f"{_FORGET}{quote.place}", FORGET_S)
        return self._passing.setdefault(quote.place, Watch(quote.exchange, quote.symbol, self.clock.monotonic()))

    def _forget(self, place: str) -> None:
        self._passing.pop(place, None)
        if place not in self._watched:
            self._book.forget(place)
            self._doubted.pop(place, None)

    def on_quote_unreadable(self, message: QuoteUnreadable) -> None:
        place = f"{message.exchange}:{message.symbol}"
        self._asked.pop(place, None)
        for name in self._waiting.pop(place, ()):
            self.tell_name(name, message)

    # Time

    def on_tick(self, message: Tick) -> None:
        if message.key.startswith(_FORGET):
            self._forget(message.key.removeprefix(_FORGET))
            return
        if message.key != _LOOK:
            exchange, _, symbol = message.key.removeprefix(_AGAIN).partition(":")
            self._asked.pop(f"{exchange}:{symbol}", None)
            self._ask(exchange, symbol)
            return
        self._drop_unwanted()
        self._find([watch for watch in self._watched.values() if watch.instrument is None])
        self._search()
        self._fill_in()

    def _fill_in(self) -> None:
        """One quote, for what has been without a price longest: the feed is down, or silent of it."""
        now, at = self.clock.monotonic(), self.clock.now()
        if now - self._filled_in_at < _FILL_IN_EVERY_S:
            return
        ages = {
            watch.place: self._unheard_s(watch, now)
            for watch in self._watched.values()
            if watch.names and watch.place not in self._asked and self._is_open(watch.exchange, at)
        }
        place = max(ages, key=ages.__getitem__, default=None)
        if place is not None and ages[place] >= self._silence_s:
            self._filled_in_at = now
            self._ask(self._watched[place].exchange, self._watched[place].symbol)

    def _unheard_s(self, watch: Watch, now: float) -> float:
        """Seconds without a price; no first one is waited for where the feed will not bring it."""
        age = self._book.age_s(watch.place, now)
        if age is None and (watch.instrument is None or not self._feed_up):
            return float("inf")
        return now - watch.since if age is None else age

    def _notice_silence(self, watch: Watch, quote: Quote) -> None:
        """The broker has another price than the feed's last, again: the feed is silent, and not the market."""
        if not self._feed_up or watch.instrument is None or watch.place in self._silent:
            return
        now = self.clock.monotonic()
        pushed = self._book.told_by(watch.place, PriceSource.FEED)
        age = self._book.age_s(watch.place, now, PriceSource.FEED)
        if min(now - watch.since, now - watch.since if age is None else age) < self._silence_s:
            return
        watch.odd = watch.odd + 1 if pushed is None or pushed.last_price != quote.last_price else 0
        if watch.odd < _ODD_READS:
            return
        if not self._silent:
            since = "no tick ever" if age is None else f"no tick for {age:.0f} s"
            text = f"the push feed is silent of {watch.place}: {since}, while the broker's quote is {quote.last_price}"
            self._alert(Severity.WARNING, f"{text}; it is subscribed anew, and quotes fill in")
        self._silent.add(watch.place)
        self._subscribe_anew(watch)

    def _alert(self, severity: Severity, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(severity, AlertKind.PRICES, text))
