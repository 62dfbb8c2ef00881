"""The only hand that writes the database. Every change of a row is decided here, atomically, and told after the commit.

Envelopes are applied in groups: what stands in the mailbox goes into one transaction with one durable commit, and only
then are the others told. One order alone pays one commit per step and waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from loguru import logger

from actors.addresses import STREAM, Addresses, strategy_name
from actors.order_changes import OrderChanges
from actors.record_writer import WriteBatch
from core.files.note import Note
from core.messages import (
    CancelOrder,
    CancelReported,
    CancelStatus,
    ClearHalt,
    Drain,
    Drained,
    FailOrder,
    FillBooked,
    FillDelivered,
    GetEntryPrice,
    GetGuardState,
    GetMissedFills,
    GetOpenOrders,
    GetRiskState,
    HoldingClosed,
    LoadProtections,
    MarkSent,
    Message,
    ModifyNotDone,
    ModifyOrder,
    ModifyReported,
    ModifyStatus,
    OrderAbandoned,
    OrderAnswer,
    OrderMarkedSent,
    OrderRegistered,
    OrderReserved,
    OrderSettled,
    OrderUpdate,
    PositionAdopted,
    ProtectionRegistered,
    RecordAbsent,
    RecordAccepted,
    RecordBaselines,
    RecordExternalClose,
    RecordPrice,
    RecordReport,
    RecordUnknown,
    RegisterOrder,
    RegisterRefusal,
    ResumeRefused,
    SaveBreach,
    SaveLossRun,
    SaveMaxLossMark,
    SaveProtections,
    SaveStrategyHalt,
    SetHalt,
    Tick,
    WatchOrder,
)
from core.model.alerts import AlertKind
from core.model.order import Fill, Order, OrderIntent, OrderResult, Status, Tag
from core.model.positions import Correction
from core.rules.failed_exits import failed_exit
from core.rules.keys import asked_for
from core.rules.modifying import changes
from core.rules.slices import named
from core.rules.unrecorded import refusal_of
from core.runtime import Envelope, Runtime
from core.store import KeyTaken, NotMarked, NumberConflict, Reported, Store, StoreUnavailable
from core.store.protections import pending

__all__ = ["OrderRepo"]

# What has happened at the broker, or was decided about risk, cannot be taken back: it is written as soon as the
# database can be written again (scenario A10). All else is given up and answered (scenario A9).
_FACTS = (
    FailOrder,
    RecordAccepted,
    RecordPrice,
    RecordUnknown,
    RecordReport,
    RecordAbsent,
    CancelReported,
    ModifyReported,
    ModifyNotDone,
    OrderAbandoned,
    SaveBreach,
    SaveLossRun,
    SaveMaxLossMark,
    SaveStrategyHalt,
    SetHalt,
    RecordExternalClose,
    RecordBaselines,
    FillDelivered,
    SaveProtections,
)
_QUESTIONS = (GetGuardState, GetRiskState, GetOpenOrders, GetMissedFills, LoadProtections, GetEntryPrice)


class OrderRepo(OrderChanges):
    """Owns the `Store`. Answers callers, tells the actors, and forgets nothing that happened at the broker."""

    facts = _FACTS
    questions = _QUESTIONS
    # Before the broker is called the order is marked, which lasts.
    soon_lasting = (RegisterOrder,)

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        account: str,
        open_store: Callable[[], Store],
        halt_note: Note | None = None,
        strategies: frozenset[str] = frozenset(),
        longest_pause_s: float = 2.0,
        slices_in_parallel: bool = False,
    ) -> None:
        super().__init__(
            runtime, name, addresses=addresses, account=account, halt_note=halt_note, longest_pause_s=longest_pause_s
        )
        self._open_store = open_store
        self._slices_in_parallel = slices_in_parallel
        # Strategies that live in this process: each fill is delivered to them until they have taken it.
        self._strategies = strategies
        self._listening: set[str] = set()
        self._callers: dict[str, list[str]] = {}
        # Registered, and step 5 not reached yet: what a clean stop waits for.
        self._in_flight: set[str] = set()
        self._drain_for: str | None = None

    def started(self) -> None:
        self._store = self._open_store()
        now = self.clock.now()
        with self._store.transaction():
            self._store.start_run(self.runtime.run_prefix, now)
            never_sent = [
                self._store.fail(
                    order.command_id,
                    Status.CREATED,
                    Tag.NEVER_SENT,
                    "the service stopped before this order was sent",
                    now,
                    "start",
                )
                for order in self._store.created_orders(account=self._account)
            ]
            never_sent += [
                self._store.stop_rest(
                    order.command_id, Tag.NEVER_SENT, "the service stopped before this slice was sent", now, "start"
                )
                for order in self._store.open_orders(account=self._account)
                if order.parts > 1
            ]
        self._take_up_halt_note()
        for order in never_sent:
            if order is not None:
                what = "was registered and never sent" if order.is_final else "was sent in part; the rest never will be"
                self._alert(AlertKind.NEVER_SENT, f"{order.command_id} {what}", order.command_id)

    def stopping(self) -> None:
        try:
            with self._store.transaction():
                self._store.end_run(self.runtime.run_prefix, self.clock.now())
        except StoreUnavailable as error:
            logger.error("the end of this run is not recorded: {}; {} changes are lost", error, len(self._pending))
        self._store.close()

    # What was not recorded

    def end_of_batch(self) -> None:
        self._tell_drained()

    def take_back(self, batch: WriteBatch) -> None:
        """What was told was not sent: these callers still wait, and their orders are still on their way."""
        self._callers.update(batch.answered)
        self._in_flight |= batch.landed

    def refuse_unwritten(self, envelope: Envelope, batch: WriteBatch, reason: str) -> None:
        message = envelope.message
        if isinstance(message, (RegisterOrder, RegisterRefusal)):
            # The handler may have run before the database failed, or not at all.
            self._callers.pop(message.command_id, None)
            self._leave(message, batch)
            self._in_flight.discard(message.command_id)
            refusal = refusal_of(message, reason)
            self._unrecorded.keep(envelope, refusal)
            if message.reply_to is not None:
                self.tell_name(message.reply_to, OrderAnswer(_result_of(refusal)))
        elif isinstance(message, MarkSent):
            self.retry_later(envelope, FailOrder(message.command_id, Status.CREATED, Tag.DATABASE_ERROR, reason))
        elif isinstance(message, CancelOrder):
            self._answer_cancel(message, CancelStatus.NOT_SENT, reason)
        elif isinstance(message, ModifyOrder):
            self._answer_modify(message, ModifyStatus.NOT_SENT, reason, None)
        elif isinstance(message, ClearHalt):
            # Nobody expects trading to go on by itself when the database is back.
            self._alert(AlertKind.HALT, f"trading is not resumed by {message.by}: {reason}; ask for it again")
            if message.reply_to is not None:
                self.tell_name(message.reply_to, ResumeRefused(reason))
        elif isinstance(message, Drain):
            self._drain_for = message.reply_to

    def retry_later(self, envelope: Envelope, message: Message) -> None:
        if isinstance(message, SetHalt) and not message.told:
            with self.answering(envelope):
                self._halt_unrecorded(message)
            message = replace(message, reply_to=None, told=True)
        super().retry_later(envelope, message)

    def _answer_unrecorded(self, command_id: str, tag: Tag, reason: str) -> None:
        result = OrderResult(success=False, command_id=command_id, status=Status.FAILED, tag=tag, reason=reason)
        self._in_flight.discard(command_id)
        self._answer(command_id, result)

    def on_tick(self, tick: Tick) -> None:
        if self.is_for_sync(tick):
            return
        self.record_refusals()
        for envelope, message in self.resend_pending():
            with self.answering(envelope):
                self.tell_name(self.name, message)

    # Step 1

    def on_register_order(self, message: RegisterOrder) -> None:
        self._remember_caller(message.command_id, message.reply_to)
        try:
            order = self._write(lambda: self._store.register(message.order, self.clock.now(), self.envelope.id))
        except KeyTaken as error:
            self._refuse_key(error.first, message, message.order.intent)
            return
        if order.command_id == message.command_id:
            self._in_flight.add(order.command_id)
            self.tell(self._addresses.trading_bot, OrderRegistered(order))
            if order.intent.protect is not None:
                self.tell(self._addresses.position_manager, ProtectionRegistered(pending(order)))
        else:
            self._callers.pop(message.command_id, None)
            self._answer_or_join(order, message)

    def on_register_refusal(self, message: RegisterRefusal) -> None:
        # Remembered first: should reading or writing fail, the caller is still known and is answered.
        self._remember_caller(message.command_id, message.reply_to)
        try:
            known = self._read(lambda: self._known(message))
        except KeyTaken as error:
            self._refuse_key(error.first, message, message.intent)
            return
        if known is not None:
            self._callers.pop(message.command_id, None)
            self._answer_or_join(known, message)
            return
        self._write(lambda: self.insert_refusal(message))
        self._callers.pop(message.command_id, None)
        if message.reply_to is not None:
            self.tell_name(message.reply_to, OrderAnswer(_result_of(message)))

    def insert_refusal(self, refusal: RegisterRefusal) -> OrderResult:
        # The key stays free: nothing was done under it, and the sender may correct the intent and use it again.
        fields = tuple(field for field in refusal.fields if field[0] != "idempotency_key")
        return self._store.register_refusal(
            refusal.command_id,
            self._account,
            refusal.source,
            fields,
            refusal.tag,
            _reason_of(refusal),
            refusal.at,
            refusal.trading_day,
            self.envelope.id,
        )

    def _known(self, message: RegisterRefusal) -> Order | None:
        """The same order, registered under this key already."""
        if message.intent is not None:
            return self._store.order_under_key(self._account, message.intent)
        key = dict(message.fields).get("idempotency_key")
        first = None if key is None else self._store.order_by_key(self._account, str(key))
        if first is not None:
            # What is not valid was never registered: it is another order.
            raise KeyTaken(first)
        return None

    def _refuse_key(self, first: Order, message: RegisterOrder | RegisterRefusal, wanted: OrderIntent | None) -> None:
        """One key means one order (scenario G8): the sender learns whose it is, and a person that an order was lost."""
        self._callers.pop(message.command_id, None)
        what = "an order that is not valid" if wanted is None else asked_for(wanted)
        text = f"{what}: neither recorded nor sent, for its idempotency key belongs to {first.command_id}"
        self._alert(AlertKind.KEY_REUSED, f"{text}, {asked_for(first.intent)}", first.command_id)
        if message.reply_to is not None:
            self.tell_name(message.reply_to, OrderAnswer(OrderResult.key_reused(first)))

    # Step 3, and 2C within it

    def on_mark_sent(self, message: MarkSent) -> None:
        at, steady = self.clock.now(), self.clock.steady()
        why = message.verified.why if message.verified is not None else ""
        parallel = self._slices_in_parallel
        marked = self._write(
            lambda: self._store.mark_sent(message.order, at, self.envelope.id, steady, why, in_parallel=parallel)
        )
        if isinstance(marked, NotMarked):
            # Not CREATED any more: whoever changed it has told everybody. Guard frees what it had reserved.
            self._tell_change(marked.order)
            return
        # The bot first: the others need not be awake before the broker is called.
        going = [one for one in marked.at_broker if one.status is Status.SENT_TO_BROKER]
        for one in going:
            self.tell(self._addresses.trading_bot, OrderMarkedSent(one, message.verified))
        if message.verified is not None and message.verified.unread:
            self._alert(AlertKind.EXIT_UNVERIFIED, f"{marked.command_id}: {why}", marked.command_id)
        self.tell(self._addresses.execution_guard, OrderReserved(marked))
        for one in going:
            self.tell(self._addresses.order_watcher, WatchOrder(one))

    def _send_next(self, message: RecordAccepted | RecordUnknown) -> None:
        """A slice is at the broker, or may be: the one that waits for it goes, by what its EXIT was let go by."""
        now, steady, verified = self.clock.now(), self.clock.steady(), message.verified
        marked = self._write(lambda: self._store.mark_next(message.command_id, now, self.envelope.id, steady))
        if marked is None:
            return
        order, part = marked
        if part is not None:
            looked = None if verified is None else replace(verified, looks=1)
            self.tell(self._addresses.trading_bot, OrderMarkedSent(part, looked))
            self.tell(self._addresses.order_watcher, WatchOrder(part))
        else:
            self._tell_change(order, *(one.part for one in order.broker_orders if one.is_final))

    # Steps 2 and 5: results

    def on_fail_order(self, message: FailOrder) -> None:
        now, cause = self.clock.now(), self.envelope.id
        order = self._write(
            lambda: self._store.fail(
                message.command_id, message.expected, message.tag, self._clean(message.reason), now, cause, message.part
            )
        )
        if order is not None:
            self._tell_change(order, message.part)
            return
        ended = self._read(lambda: self._store.order(message.command_id))
        if ended is not None and ended.is_final:
            # It was over before its checks were: whoever has counted it since is told once more.
            self._tell_settled(ended)
            self._tell_watcher(ended, *range(1, ended.parts + 1))

    def on_record_accepted(self, message: RecordAccepted) -> None:
        order = self._write(
            lambda: self._store.accept(
                message.command_id, message.broker_order_id, self.clock.now(), self.envelope.id, message.part
            )
        )
        if isinstance(order, NumberConflict):
            self._alert(AlertKind.TWO_NUMBERS, str(order), message.command_id)
            # The broker has given it a number that cannot be its own: what became of it only the book can tell (G6).
            if order.foreign:
                unknown = RecordUnknown(message.command_id, order.reason, message.part, message.verified)
                self.on_record_unknown(unknown)
                return
        elif order is not None:
            self._tell_change(order, message.part)
        if not isinstance(order, Order) or order.parts > 1:
            self._send_next(message)

    def on_record_price(self, message: RecordPrice) -> None:
        at, cause = self.clock.now(), self.envelope.id
        self._write(lambda: self._store.note_price(message.command_id, self._clean(message.text), at, cause))

    def on_record_unknown(self, message: RecordUnknown) -> None:
        order = self._write(
            lambda: self._store.mark_unknown(
                message.command_id, self._clean(message.reason), self.clock.now(), self.envelope.id, message.part
            )
        )
        if order is not None:
            name = order.at_broker[message.part - 1].client_tag
            self._alert(AlertKind.UNKNOWN, f"{name}: outcome unknown: {message.reason}", order.command_id)
            self._tell_change(order, message.part)
        else:
            order = self._read(lambda: self._store.order(message.command_id))
            if order is not None and (one := order.at_broker[message.part - 1]).unknown:
                # It was abandoned while it waited for its call, whose outcome is unknown since now.
                self.tell(self._addresses.order_watcher, WatchOrder(one))
        if order is not None and order.parts > 1:
            self._send_next(message)

    def on_order_abandoned(self, message: OrderAbandoned) -> None:
        order = self._write(lambda: self._abandon(message))
        if order is not None:
            self._tell_change(order, *(one.part for one in order.at_broker if one.status is not Status.CREATED))
        elif self._read(lambda: self._store.order(message.command_id)) is None:
            self._answer_unrecorded(message.command_id, Tag.INTERNAL_ERROR, message.reason)

    def _abandon(self, message: OrderAbandoned) -> Order | None:
        now, cause = self.clock.now(), self.envelope.id
        failed = self._store.fail(message.command_id, Status.CREATED, Tag.INTERNAL_ERROR, message.reason, now, cause)
        if failed is not None or (order := self._store.order(message.command_id)) is None:
            return failed
        changed = self._store.stop_rest(message.command_id, Tag.INTERNAL_ERROR, message.reason, now, cause)
        for one in order.at_broker:
            changed = self._store.mark_unknown(message.command_id, message.reason, now, cause, one.part) or changed
        return changed

    # Step 6

    def on_record_report(self, message: RecordReport) -> None:
        outcome = self._write(lambda: self._report(message))
        for note in outcome.notes:
            self._alert(AlertKind.BROKER_REPORT, f"{message.command_id}: {note}", message.command_id)
        # Exactly one update says that the order is over: the one that follows its fills.
        order = outcome.order
        open_still = replace(order, status=Status.SENT_TO_BROKER, tag=None) if outcome.settled else order
        for fill in outcome.new_fills:
            self._tell_fill(open_still, fill)
        if outcome.was is not None and not outcome.modified:
            how = ", ".join(" ".join(change) for change in changes(outcome.was, order.terms))
            text = f"{message.command_id}: somebody changed it at the broker: {how}; {order.symbol}"
            self._alert(AlertKind.ORDER_CHANGED, text, message.command_id)
        if (outcome.was is not None or outcome.modified) and not order.is_final:
            self.tell(self._addresses.execution_guard, OrderReserved(order))
        if outcome.changed:
            self._tell_change(outcome.order, message.part)

    def _report(self, message: RecordReport) -> Reported:
        outcome = self._store.report(
            message.command_id, message.report, message.fills, self.clock.now(), self.envelope.id, message.part
        )
        if outcome.order.strategy in self._strategies:
            for fill in outcome.new_fills:
                self._store.deliver_fill_later(outcome.order.strategy, message.command_id, fill)
        return outcome

    def on_get_missed_fills(self, message: GetMissedFills) -> None:
        for order, fill in self._read(lambda: self._store.fills_to_deliver(self._account, message.strategy)):
            update = OrderUpdate(order, OrderResult.of(order), fill, missed=True)
            self.tell_name(strategy_name(message.strategy), update)
        self._listening.add(message.strategy)

    def on_fill_delivered(self, message: FillDelivered) -> None:
        self._write(lambda: self._store.fill_taken(message.command_id, message.broker_trade_id))

    def on_record_external_close(self, message: RecordExternalClose) -> None:
        close = message.close
        now = self.clock.now()
        self._write(lambda: self._correct(message, now))
        self.tell(self._addresses.execution_guard, HoldingClosed(close, message.baselines))
        self.tell(self._addresses.risk_manager, HoldingClosed(close))
        if message.reply_to is not None:
            self.tell_name(message.reply_to, PositionAdopted(close))
        if close.beyond:
            # ExecutionGuard tells what its strategy stands at now.
            return
        if close.kind is Correction.EXTERNAL_ORDER:
            self._alert(
                AlertKind.EXTERNAL_CLOSE,
                f"external order {close.broker_order_id} closed {abs(close.quantity)} {close.symbol} {close.product} "
                f"of strategy {close.strategy} at {close.price}",
            )
        else:
            what = f"{close.kind} {close.quantity:+d} {close.symbol} {close.product}, strategy {close.strategy}"
            self._alert(AlertKind.POSITION_CORRECTED, f"{what}: {close.note}")

    def _correct(self, message: RecordExternalClose, now: datetime) -> None:
        self._store.close_externally(self._account, message.close, message.trading_day, now)
        self._store.put_baselines(self._account, message.baselines, now)

    def on_record_baselines(self, message: RecordBaselines) -> None:
        now = self.clock.now()
        self._write(lambda: self._store.put_baselines(self._account, message.baselines, now))

    def on_record_absent(self, message: RecordAbsent) -> None:
        order = self._write(
            lambda: self._store.absent(
                message.command_id, message.reason, self.clock.now(), self.envelope.id, message.tag, message.part
            )
        )
        if order is not None:
            # Where a failure made it unknown while it waited for its call, it must not be called any more.
            self.tell(self._addresses.broker_proxy, OrderSettled(order.at_broker[message.part - 1]))
            self._tell_change(order, message.part)

    # Stopping

    def on_drain(self, message: Drain) -> None:
        self._drain_for = message.reply_to

    def _tell_drained(self) -> None:
        """At the end of each batch once it is wanted; whoever waits hears the first."""
        # What was sent again in this batch is handled in the next one.
        pending = (message for _, message in (*self._pending, *self._open.resent))
        facts_are_pending = any(not isinstance(message, _QUESTIONS) for message in pending)
        if self._drain_for is not None and not (self._in_flight or facts_are_pending or self._unrecorded):
            self.tell_name(self._drain_for, Drained())

    # Telling, after the commit

    def _tell_fill(self, order: Order, fill: Fill) -> None:
        """Guard and risk first: a strategy that acts on its fill at once must find it there."""
        booked = FillBooked(order, fill)
        self.tell(self._addresses.execution_guard, booked)
        self.tell(self._addresses.risk_manager, booked)
        self._tell_strategy(order, fill)

    def _tell_settled(self, order: Order) -> None:
        settled = OrderSettled(order)
        self.tell(self._addresses.execution_guard, settled)
        self.tell(self._addresses.risk_manager, settled)

    def _tell_watcher(self, order: Order, *parts: int) -> None:
        """It watches broker orders, each for itself."""
        for one in order.at_broker:
            if one.part in parts:
                told = OrderSettled(one) if one.is_final else WatchOrder(one)
                self.tell(self._addresses.order_watcher, told)
                if order.parts > 1 and one.tag is not None:
                    text = named(one, f"{one.tag}: {one.reason}; what was not sent of the order stays unsent")
                    self._alert(AlertKind.SLICE_FAILED, f"{order.command_id} {order.symbol}: {text}", order.command_id)

    def _tell_change(self, order: Order, *parts: int) -> None:
        """What an order is now; `parts` are those of its broker orders that changed, without any the first."""
        if order.is_final:
            self._note_end(order)
            self._tell_settled(order)
        if order.status is not Status.CREATED:
            self._tell_watcher(order, *(parts or (1,)))
        if self.knows(STREAM):
            self.tell_name(STREAM, OrderUpdate(order, OrderResult.of(order)))
        self._tell_strategy(order, None)
        if order.is_answered:
            self._land(order.command_id)
            self._answer(order.command_id, OrderResult.of(order))

    def _land(self, command_id: str) -> None:
        if command_id in self._in_flight:
            self._in_flight.discard(command_id)
            self._open.landed.add(command_id)

    def _answer(self, command_id: str, result: OrderResult) -> None:
        callers = self._callers.pop(command_id, None)
        if callers is not None:
            self._open.answered[command_id] = callers
            for caller in callers:
                self.tell_name(caller, OrderAnswer(result))

    def _tell_strategy(self, order: Order, fill: Fill | None) -> None:
        name = strategy_name(order.strategy)
        if fill is not None and order.strategy in self._strategies and order.strategy not in self._listening:
            # It will ask once it has started, and is told then.
            return
        if self.knows(name):
            self.tell_name(name, OrderUpdate(order, OrderResult.of(order), fill))

    def _remember_caller(self, command_id: str, reply_to: str | None) -> None:
        if reply_to is not None:
            self._callers.setdefault(command_id, []).append(reply_to)

    def _answer_or_join(self, order: Order, message: RegisterOrder | RegisterRefusal) -> None:
        """The same answer to a repeated submission: at once, or together with the first (scenario A13)."""
        if message.reply_to is None:
            return
        if order.is_answered:
            self.tell_name(message.reply_to, OrderAnswer(OrderResult.of(order)))
        else:
            self._remember_caller(order.command_id, message.reply_to)
            self._open.joined[message.command_id] = order.command_id

    def _leave(self, message: RegisterOrder | RegisterRefusal, batch: WriteBatch) -> None:
        """A repeated submission whose transaction failed is answered by itself, and so not once more with the first."""
        callers = self._callers.get(batch.joined.pop(message.command_id, ""), [])
        if message.reply_to in callers:
            callers.remove(message.reply_to)

    def _note_end(self, order: Order) -> None:
        """What became of an order, for the log and for whoever wants to hear of fills and rejections."""
        what = (
            f"{order.command_id} {order.strategy} {order.execution_type} {order.side} {order.quantity} {order.symbol}"
        )
        if order.status is Status.EXECUTED:
            self._alert(AlertKind.EXECUTED, f"{what}: filled at {order.average_price}", order.command_id)
        else:
            self._alert(AlertKind.FAILED, f"{what}: {order.tag}: {order.reason}", order.command_id)
            cancelled = order.tag is Tag.BROKER_CANCELLED
            wanted = cancelled and self._read(lambda: self._store.cancel_wanted(order.command_id))
            if text := failed_exit(order, cancel_wanted=wanted):
                self._alert(AlertKind.EXIT_FAILED, text, order.command_id)


def _reason_of(refusal: RegisterRefusal) -> str:
    return "; ".join(str(problem) for problem in refusal.problems)


def _result_of(refusal: RegisterRefusal) -> OrderResult:
    """The answer to a refused intent; what is wrong with it in itself is named one by one."""
    return OrderResult(
        success=False,
        command_id=refusal.command_id,
        status=Status.FAILED,
        tag=refusal.tag,
        reason=_reason_of(refusal),
        problems=refusal.problems if refusal.tag is Tag.VALIDATION_FAILED else (),
    )
