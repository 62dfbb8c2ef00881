"""2A: whether risk limits let an order go. Owns the `RiskBook`."""

from __future__ import annotations

from decimal import Decimal

from actors.addresses import Addresses
from core.messages import (
    Alert,
    CheckModify,
    CheckRisk,
    EndSquareOff,
    FillBooked,
    GetRiskSnapshot,
    GetRiskState,
    HaltChanged,
    HaltStrategy,
    HoldingClosed,
    ModifyStatus,
    OrderSettled,
    PositionsDoubted,
    PositionsRead,
    RiskBlocked,
    RiskPassed,
    RiskSnapshot,
    RiskState,
    RiskUse,
    SaveBreach,
    SaveLossRun,
    SaveMaxLossMark,
    SaveStrategyHalt,
    SetHalt,
    SquareOff,
)
from core.model.alerts import AlertKind
from core.model.calendar import TradingCalendar
from core.model.order import Source
from core.model.risk_state import Halt
from core.rules.losses import day_pnl
from core.rules.modifying import as_asked, only_reduces
from core.rules.risk import RiskBook, RiskLimits
from core.runtime import Actor, Runtime

__all__ = ["RiskManager"]


class RiskManager(Actor):
    """Checks each order against the limits; learns of P&L, fills and ends by messages."""

    def __init__(
        self, runtime: Runtime, name: str, *, addresses: Addresses, limits: RiskLimits, calendar: TradingCalendar
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._calendar = calendar
        self._book = RiskBook(limits, calendar.day(self.clock.now()))
        self._pnl_readable = True
        # A square-off is in memory only: one that the last run began is begun again.
        self._just_started = True
        # Until its own halt is told, a resume is one of before it.
        self._halting = False

    def started(self) -> None:
        self._ask_for_state()

    def rebuild(self) -> None:
        self._ask_for_state()

    def _ask_for_state(self) -> None:
        self.tell(self._addresses.order_repo, GetRiskState(self._calendar.day(self.clock.now())))
        # What OrderRepo told before its answer is in the answer already.
        self.wait_for(RiskState, dropping=(FillBooked, OrderSettled, HaltChanged, HoldingClosed))

    def on_risk_state(self, message: RiskState) -> None:
        self._book.restore(message)

    def _begin_day(self) -> None:
        """What the database has of another day is asked for; no ENTRY passes before positions were read on it."""
        if self._book.roll_to(self._calendar.day(self.clock.now())):
            self._ask_for_state()

    def on_check_risk(self, message: CheckRisk) -> None:
        now = self.clock.now()
        self._begin_day()
        reason = self._book.check(message.order, now, self.clock.steady())
        if reason is None:
            self.tell(self._addresses.trading_bot, RiskPassed(self._use(), message.order))
        else:
            self.tell(self._addresses.trading_bot, RiskBlocked(message.order, reason))

    def on_check_modify(self, message: CheckModify) -> None:
        self._begin_day()
        reason = None
        if not only_reduces(message.order):
            reason = self._book.check_change(as_asked(message.order), self.clock.now(), self.clock.steady())
        if reason is None:
            self.tell(self._addresses.execution_guard, message)
        else:
            self.tell(self._addresses.order_repo, message.told(ModifyStatus.BLOCKED, reason))

    def _use(self) -> RiskUse:
        return RiskUse(self._book.pnl, self._book.open_orders, self._book.orders_today)

    def on_fill_booked(self, message: FillBooked) -> None:
        self._book.note_fill(message.order, message.fill)

    def on_holding_closed(self, message: HoldingClosed) -> None:
        self._book.note_external_close(message.close)

    def on_order_settled(self, message: OrderSettled) -> None:
        for run in self._book.note_settled(message.order, self.clock.now()):
            self.tell(self._addresses.order_repo, SaveLossRun(run))

    def on_halt_changed(self, message: HaltChanged) -> None:
        self._book.note_halt(message.halt)
        if message.halt is not None:
            self._halting = False
        elif not self._halting:
            self.tell(self._addresses.execution_guard, EndSquareOff())
        mark = self._book.rearm() if message.halt is None else None
        if mark is not None:
            self.tell(self._addresses.order_repo, SaveMaxLossMark(self._book.trading_day, mark))

    def on_halt_strategy(self, message: HaltStrategy) -> None:
        if self._book.halt_strategy(message.strategy, message.reason):
            self.tell(self._addresses.order_repo, SaveStrategyHalt(message.strategy, message.reason))
            text = f"strategy {message.strategy} is halted: {message.reason}; its EXITs pass, resume ends it"
            self._alert(AlertKind.STRATEGY_HALTED, text)

    def on_positions_read(self, message: PositionsRead) -> None:
        now = self.clock.now()
        self._begin_day()
        self._note_readable(day_pnl(message.positions) is not None)
        breach = self._book.note_positions(
            message.positions, message.asked_at, before_markets=self._calendar.before_markets(now)
        )
        if self._book.wants_second_read:
            self.tell(self._addresses.order_watcher, PositionsDoubted())
        if breach is not None:
            self.tell(self._addresses.order_repo, SaveBreach(breach))
            self._alert(AlertKind.DAILY_LOSS, f"day P&L {breach.pnl:.2f}, limit -{breach.limit:.2f}: no ENTRY today")
        if self._just_started:
            self._just_started = False
            if self._book.leaves and self._book.halt is not None:
                self.tell(self._addresses.execution_guard, SquareOff(self._book.halt.reason, Source.RISK))
        lost = self._book.passed_max_loss()
        if lost is not None:
            self._stop_trading(lost)

    def _note_readable(self, readable: bool) -> None:
        if self._pnl_readable and not readable:
            self._alert(
                AlertKind.PNL_UNREADABLE, "a position's P&L could not be read; ENTRY is refused when the last is old"
            )
        self._pnl_readable = readable

    def _stop_trading(self, lost: Decimal) -> None:
        limits = self._book.limits
        reason = f"day P&L {lost:.2f}, maximum loss -{limits.max_loss:.2f}"
        self.tell(self._addresses.order_repo, SaveMaxLossMark(self._book.trading_day, lost))
        # Blocked here at once; OrderRepo keeps it and tells everybody.
        self._book.halt = self._book.halt or Halt(reason, "risk", self.clock.now())
        self._halting = True
        self.tell(self._addresses.order_repo, SetHalt(reason, "risk", squares_off=limits.square_off_on_max_loss))
        after = f"after a resume it halts again when {limits.max_loss:.2f} more is lost"
        doing = ", squaring off" * limits.square_off_on_max_loss
        self._alert(AlertKind.MAX_LOSS, f"{reason}: trading halted{doing}; {after}")
        if limits.square_off_on_max_loss:
            self.tell(self._addresses.execution_guard, SquareOff(reason, Source.RISK))

    def _alert(self, kind: AlertKind, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text))

    def on_get_risk_snapshot(self, _: GetRiskSnapshot) -> None:
        now, steady = self.clock.now(), self.clock.steady()
        book = self._book
        self._begin_day()
        self.reply(
            RiskSnapshot(
                trading_day=book.trading_day,
                pnl=book.pnl,
                pnl_age_s=(steady - book.pnl_at).total_seconds() if book.pnl_at else None,
                halt=book.halt,
                breach=book.breach,
                loss_runs=book.loss_runs,
                open_orders=book.open_orders,
                orders_today=book.orders_today,
                entry_blocked=book.blocked("", now, steady),
                halted_strategies=book.halted_strategies,
            )
        )
