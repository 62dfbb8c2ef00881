"""The laws that must hold at every moment, as code: 1, 2, 4, 6, 9, 11, and that no actor fails by itself.

They are told of envelopes, calls and orders as they come. Where a law is about the broker, the exchange's own books are
the judge, and not our database. The laws of rest are in `tests.simulation.books` and `tests.simulation.answers`, law 10
is in `tests.simulation.tree`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.messages import (
    ActorDied,
    ActorFailed,
    Alert,
    FillBooked,
    GuardBlocked,
    HaltChanged,
    Message,
    OrderBookRead,
    OrderMarkedSent,
    PositionsRead,
    RecordAbsent,
    RegisterOrder,
    RiskPassed,
    SaveBreach,
    SessionChanged,
    Severity,
    TradeBookRead,
)
from core.messages.envelope import Envelope
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Tag
from core.paper.orders import Order as PaperOrder
from core.runtime.clock import VirtualClock
from core.runtime.trace import Outcome, TraceEntry
from tests.simulation.account import AccountJudge, command_of
from tests.simulation.disk import INJECTED, Disk
from tests.simulation.exchange import WatchedExchange
from tests.simulation.losses import LossJudge

__all__ = ["Laws", "Violation"]

_SENT = (
    "SELECT 1 FROM broker_orders AS b WHERE client_order_id = ? AND status <> 'CREATED' "
    "AND COALESCE(tag, '') NOT IN ('CANCELLED_BEFORE_SENDING', 'NEVER_SENT') AND EXISTS (SELECT 1 FROM order_events "
    "AS e WHERE e.command_id = b.command_id AND e.to_status = 'SENT_TO_BROKER')"
)
_WANTED = "SELECT requested_quantity FROM orders WHERE command_id = ?"
_WHOSE = "SELECT strategy FROM orders WHERE command_id = ?"
_WHAT_FOR = "SELECT execution_type FROM orders WHERE command_id = ?"
_WORKING = (
    "SELECT 1 FROM orders WHERE status IN ('CREATED', 'SENT_TO_BROKER') AND execution_type <> 'ENTRY' "
    "AND exchange = ? AND symbol = ? LIMIT 2 OFFSET 1"
)
_CODES = {"MIS": "I", "NRML": "M", "CNC": "C"}
_PATHS: dict[type, str] = {
    OrderBookRead: "OrderBook",
    TradeBookRead: "TradeBook",
    PositionsRead: "PositionBook",
}
_DISK_ERRORS = ("StoreUnavailable", "AbortBatch", "OutOfReach", "NotDelivered")
_MINUTE_S = 60.0
# How long an actor may be failing over something that the disk has refused.
_DISK_ECHO_S = 30.0
# Two readings of one moment may differ by the step that lies between them.
_MOMENT_S = 1e-6


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold.

    Attributes:
        law: Its number, as text; `B5` for that scenario, `actor` for a failure of an actor's own, `rest` for what never
            came to rest, `blocked` for what never came to an end, `harness` for an error of the simulation itself.
        text: What was seen.
        at: Seconds since the world began.
    """

    law: str
    text: str
    at: float

    def __str__(self) -> str:
        return f"law {self.law} at {self.at:.3f} s: {self.text}"


class Laws:
    """Watches one world.

    Args:
        exchange: The judge of what reached the broker.
        disk: What is durable.
        clock: The world's time.
        calls_per_s: Configured rate.
        calls_per_min: Configured rate.
        daily_loss: The configured limit; zero for none.
        pnl_max_age_s: How old a P&L may be for an ENTRY.
        absence_grace_s: How long after its call an order is not called absent; zero where a clock is set.
        secrets: Texts that nobody may show.
        slack_s: How long the service may take to act upon what it was told.
        calendar: The service's trading days, by its settings.
        same_day: Whether the settings say rightly when the broker's day begins, and no clock is set wrong.
    """

    def __init__(
        self,
        exchange: WatchedExchange,
        disk: Disk,
        clock: VirtualClock,
        *,
        calls_per_s: int,
        calls_per_min: int,
        daily_loss: Decimal,
        pnl_max_age_s: float,
        absence_grace_s: float,
        secrets: tuple[str, ...],
        slack_s: float,
        calendar: TradingCalendar,
        same_day: bool,
    ) -> None:
        self.violations: list[Violation] = []
        self.checks: Counter[str] = Counter()
        self.halted_since: float | None = None
        """When the operator was told that trading is halted; None once he was told, or may believe, that it goes on."""

        self.needs_person = False
        self.told: list[tuple[Severity, str, str]] = []
        """Every alert of warning or more: its kind and its text."""

        self._exchange = exchange
        self._disk = disk
        self._clock = clock
        self._rates = ((1.0, calls_per_s), (_MINUTE_S, calls_per_min))
        self._losses = LossJudge(
            clock, disk, calendar, daily_loss=daily_loss, pnl_max_age_s=pnl_max_age_s, broken=self._broken
        )
        self._absence_grace_s = absence_grace_s
        self._secrets = secrets
        self._calendar = calendar
        self._same_day = same_day
        self._on_put: dict[type, Callable[[Envelope], None]] = {
            RegisterOrder: lambda envelope: self.account.registered(envelope.message.command_id),  # type: ignore[attr-defined]
            RiskPassed: self._risk_passed,
            OrderMarkedSent: self._marked_sent,
            ActorFailed: self._actor_failed,
            ActorDied: self._actor_died,
            Alert: self._alert,
            SessionChanged: self._session_changed,
            OrderBookRead: self._book_read,
            TradeBookRead: self._book_read,
            PositionsRead: self._book_read,
            RecordAbsent: self._given_up,
            SaveBreach: self._breach_saved,
            GuardBlocked: self._guard_blocked,
        }
        self._on_done: dict[type, Callable[[Envelope, float], None]] = {
            PositionsRead: self._positions_read,
            HaltChanged: self._halt_changed,
            FillBooked: self._fill_booked,
        }
        self._sent_of: Counter[str] = Counter()
        self._readable: dict[str, bool] = {}
        self._exits: dict[str, bool] = {}
        self._whose_known: dict[str, str] = {}
        self.account = AccountJudge(
            clock.monotonic, is_exit=self._is_exit, whose=self._strategy, broken=self._broken, slack_s=slack_s
        )
        exchange.account = self.account
        # The broker counts on while processes come and go.
        self._calls: deque[float] = deque()
        self.begin_process()

    def begin_process(self) -> None:
        """A new process knows nothing: what the laws believe of its memory begins anew."""
        self._losses.begin_process()
        self._rows_shown_on: tuple[date, date] | None = None
        self._began: dict[str, float] = {}
        self._proxy_halted = False
        self.needs_person = False
        self._refused: list[str] = []

    def _broken(self, law: str, text: str) -> None:
        self.violations.append(Violation(law, text, self._clock.monotonic()))

    # As it runs: the broker

    def call_begins(self, path: str, at: float, tag: str | None) -> None:
        """Law 9: never more calls than configured. Laws 1 and 6: none before the mark, none that opens once halted.

        Args:
            path: The endpoint.
            at: When the call begins.
            tag: The `remarks` of an order that is placed.
        """
        if self.needs_person:
            self._broken("E2", f"{path} is called after the broker refused the login, before a person has looked")
        if tag is not None:
            self.account.call_begins(tag)
        if tag is not None and not self._disk.read(_SENT, (tag,)):
            self._broken("1", f"{tag} is sent before its row is SENT_TO_BROKER")
        if tag is not None and self._proxy_halted and self._opens(tag):
            self._broken("6", f"{tag} is sent although the proxy knows that trading is halted")
        self.checks["9"] += 1
        self._began[path] = at
        while self._calls and self._calls[0] <= at - _MINUTE_S:
            self._calls.popleft()
        self._calls.append(at)
        for window, limit in self._rates:
            count = sum(1 for call in self._calls if call > at - window + _MOMENT_S)
            if limit and count > limit:
                self._broken("9", f"{path} is call {count} within {window:g} s, the limit is {limit}")

    def calls_overlap(self, told: str) -> None:
        """Law 9: one call at a time."""
        self._broken("9", told)

    def order_arrives(self, order: PaperOrder) -> None:
        """Laws 1, 2, 4 and 6 as the exchange takes an order of ours."""
        tag = order.remarks
        self.checks.update(("1", "2", "4"))
        if not self._disk.read(_SENT, (tag,)):
            self._broken("1", f"{order.number} reached the broker as {tag!r}, whose row was never SENT_TO_BROKER")
        if len(self._exchange.by_tag[tag]) > 1:
            numbers = [other.number for other in self._exchange.by_tag[tag]]
            self._broken("2", f"{tag}: broker orders {', '.join(numbers)}")
        command_id = command_of(tag)
        self._sent_of[command_id] += order.entry.qty
        wanted = self._disk.read(_WANTED, (command_id,))
        if wanted and self._sent_of[command_id] > int(wanted[0][0]):
            self._broken("2", f"{command_id}: {self._sent_of[command_id]} sent of {wanted[0][0]}")
        self._check_law_4(order)
        self.account.order_arrives(order)

    def _is_exit(self, tag: str) -> bool:
        if tag not in self._exits:
            found = self._disk.read(_WHAT_FOR, (command_of(tag),))
            if not found:
                return False
            self._exits[tag] = found[0][0] == ExecutionType.EXIT.value
        return self._exits[tag]

    def _strategy(self, tag: str) -> str:
        if tag not in self._whose_known:
            found = self._disk.read(_WHOSE, (command_of(tag),))
            if not found:
                return ""
            self._whose_known[tag] = str(found[0][0])
        return self._whose_known[tag]

    def _opens(self, tag: str) -> bool:
        found = self._disk.read(_WHAT_FOR, (command_of(tag),))
        return bool(found) and found[0][0] != ExecutionType.EXIT.value

    def _check_law_4(self, order: PaperOrder) -> None:
        mine = self._whose(order)
        for other in self._exchange.open_orders():
            if command_of(other.remarks) == command_of(order.remarks) or other.instrument.key != order.instrument.key:
                continue
            if mine is not None and self._whose(other) == mine:
                self._broken("4", f"{order.remarks} and {other.remarks} are open at once for {mine} {order.instrument}")

    def _whose(self, order: PaperOrder) -> str | None:
        found = self._disk.read(_WHOSE, (command_of(order.remarks),))
        return str(found[0][0]) if found else None

    # As it runs: envelopes

    def put(self, envelope: Envelope) -> None:
        """An envelope leaves its sender."""
        check = self._on_put.get(type(envelope.message))
        if check is not None:
            check(envelope)

    def done(self, entry: TraceEntry) -> None:
        """An envelope is over."""
        envelope, taken_at, _, outcome = entry
        check = self._on_done.get(type(envelope.message))
        # A handler that raised may have done its work before.
        if check is not None and taken_at is not None and outcome in (Outcome.DONE, Outcome.FAILED):
            check(envelope, taken_at)

    def reply_comes(self, path: str, *, readable: bool) -> None:
        """The broker's reply to a call has come back, or will not: whether it says anything of what was asked."""
        self._readable[path] = readable

    def _book_read(self, envelope: Envelope) -> None:
        """Scenario B5: a book that could not be read says nothing; it is never taken for an empty one."""
        path = _PATHS[type(envelope.message)]
        self.checks["B5"] += 1
        if envelope.sender == "order_watcher":
            self._empty_is_empty(envelope)
        elif isinstance(envelope.message, PositionsRead) and envelope.message.positions:
            self._rows_shown_on = self._exchange.day, self._today()
        if envelope.sender == "broker_proxy" and not self._readable.get(path, False):
            self._broken("B5", f"{envelope.id} tells of a {path} that could not be read")
        if envelope.sender == "broker_proxy" and self._asked(envelope.message) > self._began[path] + _MOMENT_S:
            self._broken("B5", f"{envelope.id} tells of a {path} as if it had been asked for later than it was")

    def _empty_is_empty(self, envelope: Envelope) -> None:
        """Scenario G12: positions that were shown today, and are there, are never told of as none."""
        message, since = envelope.message, self._exchange.positions_since
        if not isinstance(message, PositionsRead) or message.positions:
            return
        # A clock that is set wrong may begin the service's day before the broker's: then it has seen nothing today.
        same_day = self._rows_shown_on == (self._exchange.day, self._today())
        if same_day and since is not None and since < self._asked(message) - _MOMENT_S:
            self._broken("G12", f"{envelope.id} tells of no positions, and the broker has had some since {since:.1f} s")

    def _guard_blocked(self, envelope: Envelope) -> None:
        """Law 6: an EXIT of what is the strategy's own is refused only for a reason that stands."""
        message = envelope.message
        assert isinstance(message, GuardBlocked)
        order = message.order
        if order.execution_type is not ExecutionType.EXIT:
            return
        self._refused.append(order.command_id)
        if order.product is None:
            return
        if self.was_told(order.command_id):
            # A person was told why it was cut or could not be verified.
            return
        self.checks["6"] += 1
        place = (order.exchange, order.symbol, _CODES[order.product.value])
        why = self.account.refused(order.side.sign, order.strategy, place)
        if why is not None and not self._disk.read(_WORKING, (order.exchange, order.symbol)):
            self._broken("6", f"{order.command_id}, an EXIT of {order.strategy}, is refused ({message.reason}) {why}")

    def _breach_saved(self, envelope: Envelope) -> None:
        """Scenarios G7 and G13: a breach is the broker's day's, and one read that shows a loss is none."""
        self.checks["G13"] += 1
        message = envelope.message
        assert isinstance(message, SaveBreach)
        if self._same_day and message.breach.trading_day != self._exchange.day:
            text = f"a breach of {message.breach.trading_day}, and the broker's day is {self._exchange.day}"
            self._broken("G7", text)
        self._losses.breach_saved(message.breach, envelope.sent_at)

    def _given_up(self, envelope: Envelope) -> None:
        """Law 3: absence is proven, not guessed: no true reply may have shown the order since the broker has it."""
        message = envelope.message
        assert isinstance(message, RecordAbsent)
        self.checks["3"] += 1
        tag = message.command_id if message.part == 1 else f"{message.command_id}.{message.part}"
        found = self._exchange.by_tag.get(tag)
        if message.tag is not Tag.BROKER_NOT_FOUND:
            return
        waited = self.account.since_call(tag)
        if waited is not None and waited < self._absence_grace_s - _MOMENT_S:
            self._broken("3", f"{message.command_id} is given up {waited:.1f} s after its call began")
        if not found:
            return
        if not self._exchange.is_today(found[0]):
            self._broken("3", f"{message.command_id} is given up as not found by a book that has been cleared since")
        elif self.account.order_shown(found[0]):
            self._broken("3", f"{message.command_id} is given up although the broker shows it as {found[0].number}")

    def _asked(self, message: Message) -> float:
        """When a book was asked for, in seconds since the world began."""
        assert isinstance(message, OrderBookRead | TradeBookRead | PositionsRead)
        return self._clock.monotonic() - (self._clock.steady() - message.asked_at).total_seconds()

    def _risk_passed(self, envelope: Envelope) -> None:
        message = envelope.message
        assert isinstance(message, RiskPassed)
        self.checks["6"] += 1
        self._losses.risk_passed(message, envelope.sent_at)

    def _positions_read(self, envelope: Envelope, _: float) -> None:
        message = envelope.message
        assert isinstance(message, PositionsRead)
        if envelope.to == "risk_manager":
            self._losses.positions_read(message, self._asked(message))

    def _fill_booked(self, envelope: Envelope, _: float) -> None:
        message = envelope.message
        assert isinstance(message, FillBooked)
        if envelope.to == "risk_manager":
            self._losses.fill_booked(message.order)

    def _today(self) -> date:
        return self._calendar.day(self._clock.now())

    def _marked_sent(self, envelope: Envelope) -> None:
        """Law 6: nothing that opens is marked as sent after the operator was told that trading is halted."""
        message = envelope.message
        assert isinstance(message, OrderMarkedSent)
        self.checks["6"] += 1
        opens = message.order.execution_type is not ExecutionType.EXIT
        if opens and self.halted_since is not None and envelope.sent_at > self.halted_since + _MOMENT_S:
            self._broken("6", f"{message.command_id} was marked as sent while trading is halted")

    def _halt_changed(self, envelope: Envelope, _: float) -> None:
        message = envelope.message
        assert isinstance(message, HaltChanged)
        if envelope.to == "broker_proxy":
            self._proxy_halted = message.halt is not None

    def _actor_failed(self, envelope: Envelope) -> None:
        message = envelope.message
        assert isinstance(message, ActorFailed)
        self.checks["actor"] += 1
        if not _is_expected(message.error, disk_failed=self.disk_failed()):
            name = type(message.message).__name__
            self._broken("actor", f"{message.actor} failed on {name}: {message.error}\n{message.traceback}")

    def _actor_died(self, envelope: Envelope) -> None:
        message = envelope.message
        assert isinstance(message, ActorDied)
        if not _is_expected(message.reason, disk_failed=self.disk_failed()):
            self._broken("actor", f"{message.actor} died: {message.reason}")

    def disk_failed(self) -> bool:
        """Whether the disk has refused something lately."""
        return self._disk.fired_at is not None and self._clock.monotonic() - self._disk.fired_at < _DISK_ECHO_S

    def _session_changed(self, envelope: Envelope) -> None:
        message = envelope.message
        assert isinstance(message, SessionChanged)
        self.needs_person = message.needs_person

    def _alert(self, envelope: Envelope) -> None:
        message = envelope.message
        assert isinstance(message, Alert)
        self.shown("alert", message.text)
        if message.severity is not Severity.INFO:
            self.told.append((message.severity, message.kind, message.text))
            self.account.alerted(message.kind, message.text, critical=message.severity is Severity.CRITICAL)

    def amiss(self) -> Iterator[tuple[str, str]]:
        """Law 6, at rest: whatever the reason, a person was told of each EXIT that this process refused."""
        for name in self._refused:
            if not self.was_told(name):
                yield "6", f"{name}, an EXIT, was refused, and nobody was told"

    def was_told(self, name: str) -> bool:
        """Whether a person was told something that names this."""
        return any(name in text for _, _, text in self.told)

    def shown(self, where: str, text: str) -> None:
        """Law 11: no secret is in what anybody can read."""
        self.checks["11"] += 1
        for secret in (*self._secrets, *self._exchange.tokens()):
            if secret in text:
                self._broken("11", f"a secret is shown in {where}: {text[:200]!r}")


def _is_expected(error: str, *, disk_failed: bool) -> bool:
    """Whether an actor's failure is the simulation's doing: an injected error, or the disk's refusal."""
    return INJECTED in error or (disk_failed and error.startswith(_DISK_ERRORS))
