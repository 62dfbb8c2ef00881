"""Owns the protections of positions: their levels, what has become of them, and how long positions stood naked.

ExecutionGuard tells what is held (`HoldingsTold`, `HoldingChanged`), Prices the prices; OrderRepo keeps the rows. A
protection that fires is recorded first; then ExecutionGuard exits what of the position is held by then, as it does in a
square-off. Takes `ProtectPosition`, `CancelProtection`, `GetProtections`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from actors.addresses import Addresses
from core.messages import (
    Alert,
    CancelProtection,
    EntryPriceTold,
    FollowHoldings,
    GetEntryPrice,
    GetProtections,
    GetQuote,
    HoldingChanged,
    HoldingsTold,
    LoadProtections,
    MoreTicks,
    ProtectionAnswer,
    ProtectionRegistered,
    ProtectionsLoaded,
    ProtectionsSaved,
    ProtectionsSnapshot,
    ProtectPosition,
    QuoteRead,
    QuoteUnreadable,
    ReadQuote,
    SaveProtections,
    ServiceReady,
    Severity,
    SquareOff,
    SubscribePrices,
    Tick,
    TicksTold,
    UnsubscribePrices,
)
from core.messages.envelope import Envelope
from core.model.alerts import AlertKind
from core.model.broker import Quote
from core.model.order import Source
from core.model.positions import GuardLine
from core.model.protection import LIVE, Protection, ProtectionState
from core.rules.naked import Key, NakedTime
from core.rules.protection import OLD_S, Watch, follow, reached, unusable
from core.runtime import Actor, Runtime

__all__ = ["PositionManager"]

_LOOK = "look"
_LOOK_EVERY_S = 1.0
_SAVE = "save"
_SAVE_AFTER_S = 0.5
"""A trail that was drawn is recorded so soon; what fires is recorded at once, and before it acts."""

_GONE_S = 5.0
"""Seconds without a line of the guard's after which a position counts as gone, where no fill or close told it."""

_ANSWER_S = 8.0
_AGAIN_S = 5.0
_BLIND_S = 60.0
"""Seconds without a usable price after which a person is told that a protection sees nothing."""


@dataclass(slots=True)
class _Wanted:
    """A protection that somebody asks for, until entry price and price are known."""

    draft: Protection
    reply_to: str
    asked_at: float
    entry: Decimal | None = None
    quote: Quote | None = None


class PositionManager(Actor):
    """Watches every protection, and keeps nothing that is not recorded.

    Args:
        max_jump: Share of a price beyond which one that nothing speaks for needs a second price.
        alarm_naked_after_s: Seconds without stop or trail after which a person is told; 0: never.
        is_open: Whether an exchange trades at a time: only then is silence of its prices told.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        max_jump: Decimal,
        alarm_naked_after_s: float = 0.0,
        is_open: Callable[[str, datetime], bool] = lambda _exchange, _at: True,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._max_jump = max_jump
        self._is_open = is_open
        self._naked = NakedTime(alarm_naked_after_s)
        self._ready = False
        self._rows: dict[str, Protection] = {}
        self._over: set[str] = set()
        self._lines: dict[Key, GuardLine] = {}
        self._missing: dict[str, float] = {}
        self._watches: dict[str, Watch] = {}
        self._believed: dict[str, Decimal] = {}
        self._ticks: dict[str, Decimal] = {}
        # When a usable price of a place came last, or it was subscribed; in monotonic seconds.
        self._seen: dict[str, float] = {}
        self._blind: set[str] = set()
        self._asked: dict[str, float] = {}
        self._dirty: set[str] = set()
        self._begun: dict[str, int] = {}
        self._saved_at: dict[str, float] = {}
        self._wanted: list[_Wanted] = []
        self._answers: dict[str, list[str]] = {}
        self._numbered = 0
        self._armed = False

    def started(self) -> None:
        self.tell(self._addresses.execution_guard, FollowHoldings())

    def rebuild(self) -> None:
        self.tell(self._addresses.execution_guard, FollowHoldings())
        self.tell(self._addresses.prices, MoreTicks())
        self._armed = False
        self._arm()

    def handler_failed(self, envelope: Envelope) -> None:
        """Ticks that raised are taken all the same, and who asked is answered."""
        message = envelope.message
        if isinstance(message, ProtectPosition | CancelProtection) and self.knows(message.reply_to):
            self.tell_name(message.reply_to, ProtectionAnswer(None, "an error in Sixstep; nothing was recorded"))

    # What is held, and what is recorded

    def on_holdings_told(self, message: HoldingsTold) -> None:
        self._lines = {_key(line): line for line in message.lines}
        self._load()

    def _load(self) -> None:
        self._flush()
        self.tell(self._addresses.order_repo, LoadProtections())
        # A fill that comes meanwhile is newer than the rows.
        self.wait_for(ProtectionsLoaded)

    def on_protections_loaded(self, message: ProtectionsLoaded) -> None:
        for one in message.protections:
            if one.id not in self._over:
                self._rows.setdefault(one.id, one)
        for protection_id, (filled, average, over) in message.progress.items():
            self._note_progress(protection_id, filled, average, over=over)
        if self._ready:
            self._resume()
        for one in tuple(self._rows.values()):
            self._settle(one, told=False)
        self._changed()

    def on_protection_registered(self, message: ProtectionRegistered) -> None:
        one = message.protection
        if one.id not in self._over:
            self._rows.setdefault(one.id, one)
        if one.key in self._lines:
            # Its fills may have been told before.
            self._load()

    def on_holding_changed(self, message: HoldingChanged) -> None:
        place = (message.strategy, message.exchange, message.symbol)
        self._lines = {key: line for key, line in self._lines.items() if key[:3] != place}
        self._lines |= {_key(line): line for line in message.lines}
        order = message.order
        if order is not None:
            self._note_progress(order.command_id, order.filled_quantity, order.average_price, over=order.is_final)
        for one in tuple(self._rows.values()):
            if one.key[:3] == place:
                self._settle(one, told=True)
        self._changed()

    def _note_progress(self, protection_id: str, filled: int, average: Decimal | None, *, over: bool) -> None:
        """An order that brought a protection has filled, or is over."""
        one = self._rows.get(protection_id)
        if one is None:
            return
        if one.state is ProtectionState.PENDING and filled and average is not None:
            begun = replace(one, state=ProtectionState.ACTIVE, anchor=average)
            self._begin_watch(follow(begun, average, self._ticks.get(one.place)))
        elif one.state is ProtectionState.PENDING and over:
            self._end(one, "its order ended without a fill")
        elif one.state is ProtectionState.ACTIVE and average is not None and average != one.anchor:
            self._keep(replace(one, anchor=average))

    def _begin_watch(self, one: Protection) -> None:
        for before in tuple(self._rows.values()):
            if before.key == one.key and before.state in LIVE and before.id != one.id:
                self._end(before, f"replaced by {one.id}")
        self._rows.setdefault(one.id, one)
        self._save(one)

    def _settle(self, one: Protection, *, told: bool) -> None:
        """Nothing fires for a position that is gone. `told`: a fill or a close has just told what is held."""
        if one.state not in LIVE:
            return
        line = self._lines.get(one.key)
        if line is not None and line.held * one.sign > 0:
            self._missing.pop(one.id, None)
            return
        now = self.clock.monotonic()
        if not told and now - self._missing.setdefault(one.id, now) < _GONE_S:
            return
        if one.state is ProtectionState.FIRING:
            self._finish(replace(one, state=ProtectionState.DONE))
        else:
            self._end(one, "the position is gone")

    def _end(self, one: Protection, reason: str) -> None:
        self._finish(replace(one, state=ProtectionState.ENDED, reason=reason))

    def _finish(self, one: Protection) -> None:
        self._save(one)
        self._over.add(one.id)
        of_one = (self._rows, self._missing, self._watches, self._believed, self._begun, self._saved_at)
        for kept in of_one:
            kept.pop(one.id, None)
        self._dirty.discard(one.id)

    # Recording

    def _keep(self, one: Protection) -> None:
        self._rows[one.id] = one
        if not self._dirty:
            self.after(_SAVE, _SAVE_AFTER_S)
        self._dirty.add(one.id)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        self._save(*(self._rows[one] for one in sorted(dirty) if one in self._rows))

    def _save(self, *rows: Protection) -> None:
        now = self.clock.now()
        saved = tuple(replace(one, updated_at=now) for one in rows)
        for one in saved:
            self._saved_at[one.id] = self.clock.monotonic()
            if one.id in self._rows:
                self._rows[one.id] = one
        if saved:
            self.tell(self._addresses.order_repo, SaveProtections(saved))

    def on_protections_saved(self, message: ProtectionsSaved) -> None:
        for one in message.protections:
            for name in self._answers.pop(one.id, ()):
                self.tell_name(name, ProtectionAnswer(one))
            known = self._rows.get(one.id)
            if known is not None and known.state is one.state is ProtectionState.FIRING and self._ready:
                self._exit(one)

    # Firing

    def on_service_ready(self, _: ServiceReady) -> None:
        self._ready = True
        self._resume()

    def _resume(self) -> None:
        """What fired before the service was ready, or before it was stopped, exits now."""
        for one in tuple(self._rows.values()):
            if one.state is ProtectionState.FIRING and one.id not in self._begun:
                self._begun[one.id] = one.count
                self._save(replace(one, count=one.count + 1))

    def _fire(self, one: Protection, name: str, level: Decimal, quote: Quote) -> None:
        reason = f"{name} of {one.strategy} in {one.symbol} at {level}: the price is {quote.last_price}"
        fired = replace(one, state=ProtectionState.FIRING, fired=name, fired_price=quote.last_price, reason=reason)
        self._alert(AlertKind.PROTECTION_FIRED, f"protection {one.id}: {reason} ({quote.source}); it exits")
        if self._ready:
            self._begun[one.id] = 0
            fired = replace(fired, count=1)
        self._dirty.discard(one.id)
        self._save(fired)
        self._changed()

    def _exit(self, one: Protection) -> None:
        """The count is recorded before: the same exit is never begun twice, and one begun anew has keys of its own."""
        if self._begun.get(one.id, 0) >= one.count:
            return
        self._begun[one.id] = one.count
        wanted = SquareOff(
            f"{one.reason}; protection {one.id}",
            Source.PROTECTION,
            one.strategy,
            one.symbol,
            position=one.key,
            key=f"protect-{one.id}-{one.count}",
        )
        self.tell(self._addresses.execution_guard, wanted)

    # Prices

    def on_ticks_told(self, message: TicksTold) -> None:
        now = self.clock.now()
        # First, so that the next come even if one of these raises.
        self.tell(self._addresses.prices, MoreTicks())
        for quote in message.quotes:
            self._take(quote.aged(now))

    def on_quote_read(self, message: QuoteRead) -> None:
        quote = message.quote.aged(self.clock.now())
        self._asked.pop(quote.place, None)
        self._take(quote)
        for one in tuple(self._wanted):
            if one.draft.place == quote.place:
                one.quote = quote
                self._conclude(one)

    def on_quote_unreadable(self, message: QuoteUnreadable) -> None:
        place = f"{message.exchange}:{message.symbol}"
        self._asked.pop(place, None)
        for one in tuple(self._wanted):
            if one.draft.place == place:
                self._refuse(one, f"no price of {place} is to be had ({message.reason}), so it may be reached already")

    def _take(self, quote: Quote) -> None:
        if quote.tick_size is not None:
            self._ticks[quote.place] = quote.tick_size
        if quote.age_s > OLD_S:
            return
        if quote.place in self._seen:
            self._seen[quote.place] = self.clock.monotonic()
        if quote.place in self._blind:
            self._blind.discard(quote.place)
            self._alert(AlertKind.PROTECTION_BLIND, f"{quote.place} has prices again", Severity.INFO)
        for one in tuple(self._rows.values()):
            if one.place == quote.place and one.state is ProtectionState.ACTIVE:
                self._judge(one, quote)

    def _judge(self, one: Protection, quote: Quote) -> None:
        now, tick, price = self.clock.monotonic(), self._ticks.get(one.place), quote.last_price
        watch = self._watches.setdefault(one.id, Watch(self._max_jump))
        if not watch.believes(quote, self._believed.get(one.id, one.best or one.anchor), now):
            self._ask_second(one)
            return
        self._believed[one.id] = price
        if (found := reached(one, price, tick)) is not None:
            self._fire(one, *found, quote)
        elif (moved := follow(one, price, tick)) is not one:
            # The best price alone is worth no write: without a trail nothing follows from it.
            if moved.trail != one.trail:
                self._keep(moved)
            else:
                self._rows[one.id] = moved

    def _ask_second(self, one: Protection) -> None:
        now = self.clock.monotonic()
        if now - self._asked.get(one.place, float("-inf")) >= _AGAIN_S:
            self._asked[one.place] = now
            self.tell(self._addresses.broker_proxy, ReadQuote(one.exchange, one.symbol, self.name))

    # What people and programs ask for

    def on_protect_position(self, message: ProtectPosition) -> None:
        place = (message.strategy, message.exchange, message.symbol)
        held = [line for key, line in self._lines.items() if key[:3] == place and line.held]
        held = [line for line in held if message.product in (None, line.product)]
        if len(held) != 1:
            what = f"{message.strategy} holds no {message.exchange}:{message.symbol} {message.product or ''}".rstrip()
            several = f"it is held as {' and '.join(sorted(line.product for line in held))}: name the product"
            self.tell_name(message.reply_to, ProtectionAnswer(None, several if held else what, found=bool(held)))
            return
        [line] = held
        self._numbered += 1
        now = self.clock.now()
        draft = Protection(
            id=f"p{self._numbered}-{self.runtime.run_prefix}",
            strategy=line.strategy,
            exchange=line.exchange,
            symbol=line.symbol,
            product=line.product,
            sign=1 if line.held > 0 else -1,
            rule=message.rule,
            state=ProtectionState.ACTIVE,
            created_at=now,
            updated_at=now,
        )
        self._wanted.append(_Wanted(draft, message.reply_to, self.clock.monotonic()))
        self.tell(self._addresses.order_repo, GetEntryPrice(*draft.key))
        self.tell(self._addresses.prices, GetQuote(line.exchange, line.symbol, self.name))
        self._arm()

    def on_entry_price_told(self, message: EntryPriceTold) -> None:
        for one in tuple(self._wanted):
            if one.draft.key == message.key and message.price is None:
                self._refuse(one, "the position is gone")
            elif one.draft.key == message.key:
                one.entry = message.price
                self._conclude(one)

    def _conclude(self, wanted: _Wanted) -> None:
        if wanted.entry is None or wanted.quote is None:
            return
        price, tick = wanted.quote.last_price, self._ticks.get(wanted.draft.place)
        one = follow(replace(wanted.draft, anchor=wanted.entry), price, tick)
        line = self._lines.get(one.key)
        if line is None or line.held * one.sign <= 0:
            self._refuse(wanted, "the position is gone")
        elif (reason := unusable(one, price, tick)) is not None:
            self._refuse(wanted, reason)
        elif any(row.key == one.key and row.state is ProtectionState.FIRING for row in self._rows.values()):
            self._refuse(wanted, "the position is being exited by a protection that has fired")
        else:
            self._wanted.remove(wanted)
            self._answers.setdefault(one.id, []).append(wanted.reply_to)
            self._begin_watch(one)
            self._changed()

    def _refuse(self, wanted: _Wanted, reason: str) -> None:
        self._wanted.remove(wanted)
        self.tell_name(wanted.reply_to, ProtectionAnswer(None, reason))

    def on_cancel_protection(self, message: CancelProtection) -> None:
        one = self._rows.get(message.protection_id)
        if one is None:
            reason = "there is no such protection, or it is over"
            self.tell_name(message.reply_to, ProtectionAnswer(None, reason, found=False))
        elif one.state is ProtectionState.FIRING:
            self.tell_name(message.reply_to, ProtectionAnswer(None, "it has fired, and its exit is under way"))
        else:
            self._answers.setdefault(one.id, []).append(message.reply_to)
            self._end(one, f"cancelled by {message.by}")
            self._changed()

    def on_get_protections(self, _: GetProtections) -> None:
        rows = tuple((one, self._ticks.get(one.place)) for one in self._rows.values())
        self.reply(ProtectionsSnapshot(rows, self._naked.told(self.clock.monotonic(), self.clock.now())))

    # Time

    def _changed(self) -> None:
        """Something is held or protected that was not, or is not any more."""
        active = {one.place for one in self._rows.values() if one.state is ProtectionState.ACTIVE}
        for place in sorted(active - self._seen.keys()):
            self._seen[place] = self.clock.monotonic()
            exchange, _, symbol = place.partition(":")
            self.tell(self._addresses.prices, SubscribePrices(exchange, (symbol,), self.name))
        for place in sorted(self._seen.keys() - active):
            del self._seen[place]
            self._blind.discard(place)
            exchange, _, symbol = place.partition(":")
            self.tell(self._addresses.prices, UnsubscribePrices(exchange, (symbol,), self.name))
        rows = [one for one in self._rows.values() if one.state in LIVE]
        covered = {one.key for one in rows if one.rule.stop or one.rule.trail}
        self._naked.note(self._lines, covered, self.clock.monotonic())
        self._arm()

    def _arm(self) -> None:
        wanted = bool(self._rows or self._wanted or self._naked.alarms)
        if wanted and not self._armed:
            self.every(_LOOK, _LOOK_EVERY_S)
        elif self._armed and not wanted:
            self.cancel(_LOOK)
        self._armed = wanted

    def on_tick(self, message: Tick) -> None:
        if message.key == _SAVE:
            self._flush()
            return
        now = self.clock.monotonic()
        for wanted in [one for one in self._wanted if now - one.asked_at > _ANSWER_S]:
            self._refuse(wanted, f"no price of {wanted.draft.place} came in {_ANSWER_S:g} s; try again")
        for one in tuple(self._rows.values()):
            self._settle(one, told=False)
        for one in tuple(self._rows.values()):
            waits = one.state is ProtectionState.FIRING and self._ready and self._begun.get(one.id, 0) < one.count
            if waits and now - self._saved_at.get(one.id, now) > _AGAIN_S:
                self._save(one)
        self._look_for_prices(now)
        for text in self._naked.alarmed(now):
            self._alert(AlertKind.NAKED, text)
        self._arm()

    def _look_for_prices(self, now: float) -> None:
        for one in self._rows.values():
            if one.state is not ProtectionState.ACTIVE:
                continue
            watch = self._watches.get(one.id)
            if watch is not None and watch.waits:
                self._ask_second(one)
            silent = now - self._seen.get(one.place, now)
            if silent > _BLIND_S and one.place not in self._blind and self._is_open(one.exchange, self.clock.now()):
                self._blind.add(one.place)
                text = f"no price of {one.place} for {silent:.0f} s: protection {one.id} of {one.strategy} sees nothing"
                self._alert(AlertKind.PROTECTION_BLIND, text)

    def _alert(self, kind: AlertKind, text: str, severity: Severity | None = None) -> None:
        self.tell(self._addresses.notifier, Alert(severity or kind.severity, kind, text))


def _key(line: GuardLine) -> Key:
    return (line.strategy, line.exchange, line.symbol, line.product)
