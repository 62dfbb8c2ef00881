"""What guard, risk and watcher must know again after a restart: kept for them, and told when they ask."""

from __future__ import annotations

from datetime import date

from actors.addresses import Addresses
from actors.record_writer import RecordWriter
from core.files.note import Note
from core.messages import (
    Alert,
    ClearHalt,
    EntryPriceTold,
    GetEntryPrice,
    GetGuardState,
    GetOpenOrders,
    GetRiskState,
    GuardState,
    HaltChanged,
    LoadProtections,
    OpenOrders,
    ProtectionsLoaded,
    ProtectionsSaved,
    RecordPnl,
    RiskState,
    SaveBreach,
    SaveLossRun,
    SaveMaxLossMark,
    SaveProtections,
    SaveStrategyHalt,
    SetHalt,
    Severity,
)
from core.model.alerts import AlertKind
from core.model.order import ExecutionType, Status
from core.model.risk_state import Halt
from core.runtime import Runtime

__all__ = ["StateRecorder"]


class StateRecorder(RecordWriter):
    """The part of OrderRepo that records what risk decided, halts among it, and answers who rebuilds itself.

    Args:
        account: Whose record it is.
        halt_note: Where a halt is noted that the database cannot take.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        account: str,
        halt_note: Note | None,
        longest_pause_s: float,
    ) -> None:
        super().__init__(runtime, name, addresses=addresses, longest_pause_s=longest_pause_s)
        self._account = account
        self._halt_note = halt_note or Note(None)

    # Who rebuilds itself

    def on_get_guard_state(self, message: GetGuardState) -> None:
        self.tell(self._addresses.execution_guard, self._read(lambda: self._guard_state(message.trading_day)))

    def _guard_state(self, day: date) -> GuardState:
        store = self._store
        created = frozenset(order.command_id for order in store.created_orders(account=self._account))
        holdings = tuple(store.with_changes(self._account, holding) for holding, _ in store.held(self._account))
        return GuardState(
            holdings,
            store.open_orders(account=self._account),
            created,
            store.closes(self._account),
            store.corrections(self._account),
            store.baselines(self._account),
            store.departures(self._account, day),
            store.opened_by_exits(self._account, day),
        )

    def on_get_risk_state(self, message: GetRiskState) -> None:
        day = message.trading_day
        taken_back = self._write(lambda: self._store.take_back_days_after(self._account, day))
        if taken_back:
            days = ", ".join(taken_back)
            self._alert(AlertKind.CLOCK, f"the clock was ahead: what risk kept under {days} is of {day}")
        self.tell(self._addresses.risk_manager, self._read(lambda: self._risk_state(message.trading_day)))

    def _risk_state(self, day: date) -> RiskState:
        store = self._store
        return RiskState(
            store.current_halt(self._account),
            store.breach(self._account, day),
            store.loss_runs(self._account),
            store.open_orders(account=self._account),
            store.orders_sent_on(day, account=self._account),
            day,
            store.held(self._account),
            store.halted_strategies(self._account),
            store.max_loss_mark(self._account, day),
            store.symbols_traded_on(self._account, day),
        )

    def on_get_open_orders(self, message: GetOpenOrders) -> None:
        found = self._read(lambda: self._open_orders(message))
        self.tell(self._addresses.order_watcher, found)

    def _open_orders(self, message: GetOpenOrders) -> OpenOrders:
        store = self._store
        found = store.open_orders(account=self._account)
        going = tuple(one for order in found for one in order.at_broker)
        ended = store.ended_orders(self._account, message.ended_since)
        return OpenOrders(
            tuple(one for one in going if one.status is Status.SENT_TO_BROKER),
            tuple(one for order in ended for one in order.at_broker) + tuple(one for one in going if one.is_final),
            store.settled_halts(self._account, message.today),
        )

    # Protections

    def on_load_protections(self, _: LoadProtections) -> None:
        store, account = self._store, self._account
        loaded = self._read(lambda: ProtectionsLoaded(store.protections(account), store.progress_of_pending(account)))
        self.tell(self._addresses.position_manager, loaded)

    def on_save_protections(self, message: SaveProtections) -> None:
        self._write(lambda: self._store.save_protections(self._account, message.protections))
        self.tell(self._addresses.position_manager, ProtectionsSaved(message.protections))

    def on_get_entry_price(self, message: GetEntryPrice) -> None:
        key = (message.strategy, message.exchange, message.symbol, message.product)
        held = self._read(lambda: self._store.held(self._account))
        prices = (price for one, price in held if (one.strategy, one.exchange, one.symbol, one.product) == key)
        self.tell(self._addresses.position_manager, EntryPriceTold(key, next(prices, None)))

    # Risk

    def on_save_breach(self, message: SaveBreach) -> None:
        self._write(lambda: self._store.save_breach(self._account, message.breach))
        if working := self._read(self._opening):
            what = "the day's loss limit is reached; still open at the broker and not cancelled"
            self._alert(AlertKind.DAILY_LOSS, f"{what}: {', '.join(working)}")

    def on_save_max_loss_mark(self, message: SaveMaxLossMark) -> None:
        self._write(lambda: self._store.save_max_loss_mark(self._account, message.trading_day, message.pnl))

    def on_save_strategy_halt(self, message: SaveStrategyHalt) -> None:
        now = self.clock.now()
        self._write(lambda: self._store.halt_strategy(self._account, message.strategy, message.reason, now))

    def on_save_loss_run(self, message: SaveLossRun) -> None:
        self._write(lambda: self._store.save_loss_run(self._account, message.run))

    def on_record_pnl(self, message: RecordPnl) -> None:
        self._write(lambda: self._store.note_pnl(self._account, message.trading_day, message.at, message.pnl))

    # Halts

    def _take_up_halt_note(self) -> None:
        """A halt that the last process could not record is in force before the first order is taken."""
        reason = self._halt_note.read()
        if reason is None:
            return
        if self._store.current_halt(self._account) is None:
            text = reason or "halted while the database could not be written"
            with self._store.transaction():
                self._store.halt(self._account, text, "the run before", self.clock.now())
            self._alert(AlertKind.HALT, f"trading is halted: {text}; the run before could not record it")
        self._halt_note.remove()

    def on_set_halt(self, message: SetHalt) -> None:
        reason, by = self._clean(message.reason), self._clean(message.by)
        before = self._read(lambda: self._store.current_halt(self._account))
        self._write(lambda: self._store.halt(self._account, reason, by, self.clock.now()))
        self._tell_halt(message.reply_to, before)
        if not message.told:
            known = before is None or reason in before.reason
            already = "" if before is None or known else f"; it was halted already by {before.by}: {before.reason}"
            still_open = self._read(self._opening)
            left = "still open at the broker" + " and not cancelled" * (not message.squares_off)
            working = f"; {left}: {', '.join(still_open)}" if still_open else ""
            text = f"trading halted by {message.by}: {message.reason}{message.details}{already}{working}"
            self._alert(message.alert, text)

    def on_clear_halt(self, message: ClearHalt) -> None:
        self._write(lambda: self._store.clear_halt(self._account, message.by, self.clock.now()))
        self._halt_note.remove()
        self._tell_halt(message.reply_to)
        # Good news: it must not stand before a halt that waits to be told.
        self.tell(self._addresses.notifier, Alert(Severity.INFO, AlertKind.HALT, f"trading resumed by {message.by}"))

    def _clean(self, text: str) -> str:
        """Words of a person, the broker or an error as they may be recorded."""
        return self.runtime.secrets.text(text)

    def _opening(self) -> tuple[str, ...]:
        """The orders that may still fill although trading is halted, but for EXITs."""
        orders = self._store.open_orders(account=self._account)
        return tuple(o.command_id for o in orders if o.execution_type is not ExecutionType.EXIT)

    def _tell_halt(self, reply_to: str | None, before: Halt | None = None) -> None:
        halt = self._read(lambda: self._store.current_halt(self._account))
        changed = HaltChanged(halt, before=before, still_open=self._read(self._opening) if halt else ())
        self.tell(self._addresses.risk_manager, changed)
        self.tell(self._addresses.broker_proxy, changed)
        if reply_to is not None:
            self.tell_name(reply_to, changed)

    def _halt_unrecorded(self, message: SetHalt) -> None:
        """It holds before it can be recorded: what waits at the proxy must not go out, and the caller must know."""
        kept = self._halt_note.leave(self._clean(message.reason))
        halted = HaltChanged(Halt(message.reason, message.by, self.clock.now()), recorded=False)
        self.tell(self._addresses.risk_manager, halted)
        self.tell(self._addresses.broker_proxy, halted)
        if message.reply_to is not None:
            self.tell_name(message.reply_to, halted)
        also = "a note in data_dir keeps it over a restart" if kept else "until then it ends with this process"
        text = f"trading halted by {message.by}: {message.reason}{message.details}"
        self._alert(message.alert, f"{text}; it is recorded once the database can be written; {also}")
