"""Step 1: validates an intent, gives it a command id, has it registered. Also answers whether orders are taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from actors.addresses import Addresses
from core.instruments.checking import InstrumentCheck
from core.messages import (
    Alert,
    BandRead,
    BrokerReadable,
    CheckModify,
    CompleteInstrument,
    GetReadiness,
    ModifyStatus,
    OrderAnswer,
    Readiness,
    ReadingSlowed,
    RecordWritable,
    RegisterOrder,
    RegisterRefusal,
    RepublishBrokerStatus,
    ServiceReady,
    ServiceStopping,
    SessionChanged,
    Severity,
    SubmitOrder,
)
from core.model.alerts import AlertKind
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order, OrderIntent, OrderResult, Problem, Status, Tag
from core.rules.modifying import as_asked
from core.rules.order_check import Verdict
from core.rules.unrecorded import intent_fields
from core.rules.validation import Refused
from core.runtime import Actor, Runtime

__all__ = ["CommandService"]

_STARTING = "starting: the broker's order book and positions have not been read yet"
# Of how many instruments the broker is asked at most while the service runs.
_ASKED = 500


class CommandService(Actor):
    """Takes submissions from all entry points and strategies.

    Until the broker's books were read once, and while the service stops, nothing is taken. Later, while the broker
    cannot be read or the session is down, only EXITs are: they wait for their call until their deadline.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        account: str,
        calendar: TradingCalendar,
        send_deadline_s: float,
        exit_deadline_s: float | None = None,
        ready_listeners: tuple[str, ...] = (),
        check: InstrumentCheck | None = None,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._account = account
        self._calendar = calendar
        self._send_deadline = timedelta(seconds=send_deadline_s)
        # An exit that waits for the broker's limits goes late rather than never.
        self._exit_deadline = timedelta(seconds=send_deadline_s if exit_deadline_s is None else exit_deadline_s)
        self._ready_listeners = ready_listeners
        self._check = check
        self._asked: set[tuple[str, str, date]] = set()
        self._numbered = 0
        self._announced = False
        self._stopping: str | None = None
        self._broker: str | None = _STARTING
        self._record: str | None = None
        self._session: str | None = "starting: not logged in to the broker yet"
        self._slowed = ""

    def stopping(self) -> None:
        if self._check is not None:
            self._check.close()

    def rebuild(self) -> None:
        """What the lost envelope said of session or books is asked for again: it is told only when it changes."""
        self.tell(self._addresses.broker_proxy, RepublishBrokerStatus())
        self.tell(self._addresses.order_watcher, RepublishBrokerStatus())
        self.tell(self._addresses.order_repo, RepublishBrokerStatus())

    def on_submit_order(self, message: SubmitOrder) -> None:
        intent = self.runtime.secrets.read_intent(message.intent)
        if isinstance(intent, Refused):
            self._refuse(message, Tag.VALIDATION_FAILED, intent.problems, intent.readable)
            return
        verdict = self._checked(intent)
        if verdict.refused:
            self._refuse(message, Tag.VALIDATION_FAILED, verdict.refused, intent_fields(intent), intent)
            return
        closed = self._closed_for(intent)
        if closed is not None:
            self._refuse(message, Tag.SERVICE_NOT_READY, (Problem("service", closed),), intent_fields(intent), intent)
            return
        deadline_s = self._deadline_of(intent).total_seconds()
        if message.age_s >= deadline_s:
            old = f"it was signed {message.age_s:.0f} s ago (X-Timestamp), and is not sent after {deadline_s:g} s"
            self._refuse(message, Tag.DEADLINE_PASSED, (Problem("X-Timestamp", old),), intent_fields(intent), intent)
            return
        order = self._order(intent, message)
        if verdict.warned:
            words = "; ".join(str(problem) for problem in verdict.warned)
            text = f"order {order.command_id} is sent although its instrument may not take it: {words}"
            self.tell(self._addresses.notifier, Alert(Severity.WARNING, AlertKind.INSTRUMENTS, text, order.command_id))
        if not self.tell(self._addresses.order_repo, RegisterOrder(order, message.reply_to)):
            self._answer_unregistered(order, message.reply_to)

    def on_check_modify(self, message: CheckModify) -> None:
        """Other terms are looked at as a new order's are."""
        order = as_asked(message.order)
        intent = replace(order.intent, quantity=order.quantity)
        verdict, most = self._checked(intent), self._most_at_once(intent)
        if closed := self._closed_for(intent):
            self.tell(self._addresses.order_repo, message.told(ModifyStatus.NOT_SENT, closed))
        elif verdict.refused:
            words = "; ".join(map(str, verdict.refused))
            self.tell(self._addresses.order_repo, message.told(ModifyStatus.BLOCKED, words))
        elif 0 < most < intent.quantity:
            words = f"quantity: the exchange takes at most {most} as one order; send the rest as another"
            self.tell(self._addresses.order_repo, message.told(ModifyStatus.BLOCKED, words))
        else:
            self.tell(self._addresses.risk_manager, message)

    def _checked(self, intent: OrderIntent) -> Verdict:
        """What becomes of the order by what is known of its instrument; what is not known is asked for, once a day."""
        if self._check is None:
            return Verdict()
        now = self.clock.now()
        verdict, place = self._check.verdict(intent, now), (intent.exchange, intent.symbol, self._calendar.day(now))
        if place not in self._asked and len(self._asked) < _ASKED and self._check.lacks(intent):
            self._asked.add(place)
            self.tell(self._addresses.instruments, CompleteInstrument(intent.exchange, intent.symbol))
        return verdict

    def on_band_read(self, message: BandRead) -> None:
        if self._check is not None:
            self._check.keep_band(message.exchange, message.symbol, message.band)

    def _answer_unregistered(self, order: Order, reply_to: str | None) -> None:
        """More orders wait to be registered than the bound allows: an answer at once, without a row."""
        if reply_to is None:
            return
        reason = "too many orders wait to be registered; this one was neither recorded nor sent"
        result = OrderResult(
            success=False,
            command_id=order.command_id,
            status=Status.FAILED,
            tag=Tag.SERVICE_NOT_READY,
            reason=reason,
        )
        self.tell_name(reply_to, OrderAnswer(result))

    def _order(self, intent: OrderIntent, message: SubmitOrder) -> Order:
        now = self.clock.now()
        return Order(
            command_id=self._next_id(),
            account=self._account,
            source=message.source,
            intent=intent,
            quantity=intent.quantity,
            product=intent.product,
            status=Status.CREATED,
            created_at=now,
            updated_at=now,
            trading_day=self._calendar.day(now),
            deadline=self.clock.steady() + self._deadline_of(intent) - timedelta(seconds=message.age_s),
            most_at_once=self._most_at_once(intent),
        )

    def _most_at_once(self, intent: OrderIntent) -> int:
        return 0 if self._check is None else self._check.most_at_once(intent, self.clock.now())

    def _deadline_of(self, intent: OrderIntent) -> timedelta:
        return self._exit_deadline if intent.execution_type is ExecutionType.EXIT else self._send_deadline

    def _refuse(
        self,
        message: SubmitOrder,
        tag: Tag,
        problems: tuple[Problem, ...],
        fields: tuple[tuple[str, str | int], ...],
        intent: OrderIntent | None = None,
    ) -> None:
        now = self.clock.now()
        day = self._calendar.day(now)
        refusal = RegisterRefusal(
            self._next_id(), message.source, fields, tag, problems, now, day, message.reply_to, intent
        )
        self.tell(self._addresses.order_repo, refusal)

    def _next_id(self) -> str:
        """`YYMMDD-run-number`: unique by the run's random prefix, short and plain enough for `remarks` (5.6)."""
        self._numbered += 1
        day = self._calendar.day(self.clock.now())
        return f"{day:%y%m%d}-{self.runtime.run_prefix}-{self._numbered}"

    # Readiness

    def _closed_for(self, intent: OrderIntent) -> str | None:
        if self._stopping is not None:
            return self._stopping
        reasons = self._reasons()
        if not reasons or (self._announced and intent.execution_type is ExecutionType.EXIT):
            return None
        return "; ".join(reasons)

    def _reasons(self) -> tuple[str, ...]:
        reasons = (self._stopping, self._session, self._broker, self._record)
        # Errors of the database and of the broker are told in their own words.
        return tuple(self.runtime.secrets.text(reason) for reason in reasons if reason is not None)

    def on_session_changed(self, message: SessionChanged) -> None:
        self._session = None if message.up else message.reason
        self._announce_when_ready()

    def on_broker_readable(self, message: BrokerReadable) -> None:
        self._broker = None if message.readable else message.reason
        self._announce_when_ready()

    def on_record_writable(self, message: RecordWritable) -> None:
        self._record = None if message.writable else f"the database cannot be written: {message.reason}"
        self._announce_when_ready()

    def on_reading_slowed(self, message: ReadingSlowed) -> None:
        self._slowed = message.note

    def _announce_when_ready(self) -> None:
        if self._announced or self._reasons():
            return
        self._announced = True
        for name in self._ready_listeners:
            self.tell_name(name, ServiceReady())

    def on_service_stopping(self, message: ServiceStopping) -> None:
        self._stopping = message.reason

    def on_get_readiness(self, _: GetReadiness) -> None:
        reasons = self._reasons()
        self.reply(Readiness(not reasons, reasons, (self._slowed,) if self._slowed else ()))
