"""2B: whether an order fits what its strategy holds and has in flight. Owns the `GuardBook`."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta

from actors.addresses import Addresses
from core.files.note import Note
from core.messages import (
    AccountRead,
    AdoptPosition,
    Alert,
    CancelAnswer,
    CancelOrder,
    CheckGuard,
    CheckModify,
    EndSquareOff,
    ExitDoubted,
    ExternalFilled,
    FillBooked,
    FlattenAnswer,
    FlattenPosition,
    FollowHoldings,
    GetGuardSnapshot,
    GetGuardState,
    GuardBlocked,
    GuardPassed,
    GuardSnapshot,
    GuardState,
    HoldingChanged,
    HoldingClosed,
    HoldingsRead,
    HoldingsTold,
    ModifyAtBroker,
    ModifyStatus,
    OrderNotSent,
    OrderReserved,
    OrderSettled,
    PlaceOrder,
    PositionAdopted,
    ReadHoldings,
    RecordBaselines,
    RecordExternalClose,
    SquareOff,
    SquareOffBegun,
    SubmitOrder,
    Tick,
    Verified,
    VerifyAccount,
    VerifyAgain,
)
from core.model.alerts import AlertKind
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order, OrderIntent, Source, Tag
from core.model.positions import Correction, ExternalClose, GuardLine, OwnFill
from core.rules.adoption import adopt, conversions, expiries, opened_by_conversion
from core.rules.departures import Key
from core.rules.excess import ExcessExits, excess_text
from core.rules.exit_cap import ExitCap
from core.rules.exit_check import ExitChecks, Refused, Released, Unverified
from core.rules.flatten import command_for, flatten, standing, worked_on
from core.rules.guard import Blocked, GuardBook
from core.rules.guard_texts import beside_text, beyond_text, difference_text, ended_text, interrupted_text, opened_text
from core.rules.modifying import at_most
from core.rules.raises import Raises
from core.rules.square_off import OUTAGE_S, InFlight, SquareOffRun, Step, exits_to_come, given_up_text, in_vain_text
from core.runtime import Actor, Envelope, Runtime

__all__ = ["ExecutionGuard"]

_FLATTEN = "flatten"
_VERIFY = "verify"
_ASKED = "asked"
# A person waits for the answer.
_FLATTEN_WITHIN_S = 6.0
_HOLDINGS_EVERY_S = 30.0
# Each look is two calls to the broker: more of them would take the calls that book what was filled.
_VERIFY_EVERY_S = 0.5
_FLATTEN_EVERY_S = 0.25
# Other terms for an order are asked for so much later at most: who wanted them may want others by then.
_MODIFY_WITHIN = timedelta(seconds=10)


class ExecutionGuard(Actor):
    """Checks and reserves in one step; learns of fills and ends from OrderRepo, of positions from OrderWatcher."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        calendar: TradingCalendar,
        square_off_note: Note | None = None,
        send_unverified: bool = True,
        verify_within_s: float = 3.0,
        positions_interval_s: float = 5.0,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._calendar = calendar
        self._book = GuardBook()
        self._cap = ExitCap()
        self._checks = ExitChecks(send_unverified=send_unverified, within_s=verify_within_s)
        # Slices of EXITs that came back from where they waited for their call, by command and client_order_id.
        self._slices: dict[str, dict[str, Order]] = {}
        self._raises = Raises(verify_within_s)
        self._excess = ExcessExits()
        self._holdings_due = -math.inf
        self._flattens: list[tuple[FlattenPosition, datetime]] = []
        self._restored_at = self.clock.steady()
        self._beside: dict[tuple[str, str], ExternalClose] = {}
        # On which trading day what an EXIT opened was told last.
        self._told_on: dict[Key, date] = {}
        self._square_offs: list[SquareOffRun] = []
        # One that a person began is not begun again by a restart, but told.
        self._square_off_note = square_off_note or Note(None)
        self._interrupted = self._square_off_note.read()
        self._outage_s = max(OUTAGE_S, 3 * positions_interval_s)
        # When the positions that were read last were asked for, in monotonic seconds.
        self._seen_at = -math.inf
        self._follower: str | None = None
        # The last word about each order in flight: a cancel of it is an effect of that, not of a tick (law 10).
        self._envelopes: dict[str, Envelope] = {}

    def started(self) -> None:
        self._ask_for_state()

    def rebuild(self) -> None:
        self._ask_for_state()
        self._look_again()
        self._verify_later()
        self._answer_later()

    def _ask_for_state(self) -> None:
        self.tell(self._addresses.order_repo, GetGuardState(self._calendar.day(self.clock.now())))
        # What OrderRepo told before its answer is in the answer already.
        self.wait_for(GuardState, dropping=(FillBooked, OrderSettled, OrderReserved, HoldingClosed))

    def on_guard_state(self, message: GuardState) -> None:
        self._book.restore(
            message.holdings,
            map(at_most, message.open_orders),
            self.clock.steady(),
            message.created,
            message.unintended,
        )
        self._cap.restore(message.baselines, message.corrections, message.closes, message.departures)
        self._tell_interrupted()
        self._checks.keep({order.command_id for order, _ in self._book.in_flight()})
        self._envelopes = {
            order.command_id: self._envelopes.get(order.command_id, self.envelope)
            for order, _ in self._book.in_flight()
        }
        self._tell_standing("an EXIT opened that before this start", started=True)
        self._tell_all_held()

    def on_check_guard(self, message: CheckGuard) -> None:
        closed = self._cap.closed_of(message.order) if message.order.execution_type is not ExecutionType.ENTRY else ""
        verdict = self._book.check_and_reserve(message.order, self.clock.steady())
        if isinstance(verdict, Blocked):
            reason = "; ".join(filter(None, (verdict.reason, closed)))
            self.tell(self._addresses.trading_bot, GuardBlocked(message.order, verdict.tag, reason))
            return
        self._envelopes[message.command_id] = self.envelope
        if self._book.closes(verdict.order):
            wanted, left = message.order.quantity, verdict.order.quantity
            cut = f"EXIT of {wanted} cut to {left}: {closed}" if closed and left < wanted else ""
            self._checks.begin(verdict.order, self.clock.steady(), cut=cut)
            self.tell(self._addresses.order_watcher, VerifyAccount())
            self._verify_later()
        else:
            self._pass(verdict.order)

    def on_verify_again(self, message: VerifyAgain) -> None:
        """An EXIT waited for its call. Its row is marked, so it can be sent or not, and cannot be cut.

        Of one in slices, all that may still fill is judged, and the verdict is that of each slice that waits.
        """
        order = message.order
        if order.part == 1:
            # Before its first slice, nothing of it is at the broker.
            self._book.note_kept(order)
        if order.parts > 1:
            self._slices.setdefault(order.command_id, {})[order.client_tag] = order
            order = self._book.left_of(order)
        self._checks.begin(order, self.clock.steady(), message.verified.looks + 1)
        self.tell(self._addresses.order_watcher, VerifyAccount())
        self._verify_later()

    def _pass(self, order: Order, verified: Verified | None = None) -> None:
        self._book.note_sent(order)
        if verified is not None and verified.looks > 1:
            for one in self._waiting_of(order):
                self.tell(self._addresses.broker_proxy, PlaceOrder(one, verified))
        else:
            self.tell(self._addresses.trading_bot, GuardPassed(order, verified))

    def _waiting_of(self, order: Order) -> tuple[Order, ...]:
        """The broker orders of an EXIT that wait for this verdict."""
        return tuple(self._slices.pop(order.command_id, {}).values()) or (order,)

    # Before an EXIT goes: what the account has, read after it came (scenarios G1 to G4)

    def _verify_later(self) -> None:
        if self._checks.waiting or self._raises.waiting:
            self.after(_VERIFY, _VERIFY_EVERY_S)

    def _settle_exits(self, read: AccountRead | None) -> None:
        """Let go, cut or refuse the EXITs that wait, as far as it is known what they may close."""
        verdicts, too_old = self._checks.step(self._cap, self._book, self.clock.steady(), read)
        for verdict in verdicts:
            order = verdict.order
            with self.answering(self._envelopes.get(order.command_id, self.envelope)):
                match verdict:
                    case Released(reason=reason, looks=looks):
                        if reason:
                            self._alert(AlertKind.EXIT_CUT, f"{order.command_id}: {reason}")
                        self._pass(order, Verified(self.clock.steady(), looks=looks, why=reason))
                    case Refused(tag=tag, reason=reason, looks=looks):
                        self._alert(AlertKind.EXIT_CUT, f"{order.command_id}: {reason}")
                        self._refuse(order, tag, reason, looks)
                    case Unverified(sent=sent, reason=reason, since=since, looks=looks):
                        if not sent or looks > 1:
                            # Else OrderRepo tells it once 2C has let it pass.
                            self._alert(AlertKind.EXIT_UNVERIFIED, f"{order.command_id}: {reason}")
                        if sent:
                            self._pass(order, Verified(since, unread=True, looks=looks, why=reason))
                        else:
                            self._refuse(order, Tag.EXECUTION_GUARD_BLOCKED, reason, looks)
        if too_old:
            self.tell(self._addresses.order_watcher, VerifyAccount())

    def _refuse(self, order: Order, tag: Tag, reason: str, looks: int) -> None:
        if looks > 1:
            # OrderRepo tells when its row has ended.
            for one in self._waiting_of(order):
                self.tell(self._addresses.trading_bot, OrderNotSent(one, tag, reason))
            return
        self._book.force_clear_symbol(order, self.clock.steady())
        self._envelopes.pop(order.command_id, None)
        self.tell(self._addresses.trading_bot, GuardBlocked(order, tag, reason))

    def on_check_modify(self, message: CheckModify) -> None:
        """An EXIT at the broker gets no more than its strategy holds, by a read that begins now."""
        why = self._raises.begin(message, self._book, self.clock.steady())
        if why is None:
            self.tell(self._addresses.order_watcher, VerifyAccount())
            self._verify_later()
        else:
            self._judge_change(message, why)

    def _settle_raises(self, read: AccountRead | None) -> None:
        for message, why in self._raises.step(self._cap, self._book, self.clock.steady(), read):
            with self.answering(self._envelopes.get(message.command_id, self.envelope)):
                self._judge_change(message, why)

    def _judge_change(self, message: CheckModify, why: str) -> None:
        if why:
            self.tell(self._addresses.order_repo, message.told(ModifyStatus.BLOCKED, why))
            return
        until = self.clock.steady() + _MODIFY_WITHIN
        self.tell(self._addresses.broker_proxy, ModifyAtBroker(message.order, until, message.reply_to))

    def on_order_reserved(self, message: OrderReserved) -> None:
        order = at_most(message.order)
        self._book.reserve(order, self.clock.steady())
        self._book.note_sent(order)
        self._envelopes[message.command_id] = self.envelope

    def on_fill_booked(self, message: FillBooked) -> None:
        order = at_most(message.order)
        closes = self._book.closes(order)
        self._cap.note_fill(order, message.fill, self._book.held_before(order), closes=closes)
        held = self._book.book_fill(order, message.fill, self.clock.steady())
        if closes and held * order.side.sign > 0:
            # Filled after it was called over, when another EXIT had taken its place (scenario B12), or beyond it (B16).
            why = f"{order.command_id}, an {order.execution_type}, filled beyond the position"
            self._tell_opened(AlertKind.EXIT_OVERFILLED, self._book.line_of(order), why, of=order.strategy)
        self._tell_held(order, order)

    def on_order_settled(self, message: OrderSettled) -> None:
        self._checks.drop(message.command_id)
        self._slices.pop(message.command_id, None)
        self._raises.drop(message.command_id)
        self._book.force_clear_symbol(message.order, self.clock.steady())
        self._envelopes.pop(message.command_id, None)
        self._tell_held(message.order, message.order)

    # Who protects positions follows what is held

    def on_follow_holdings(self, _: FollowHoldings) -> None:
        self._follower = self.envelope.sender
        self._tell_all_held()

    def _tell_all_held(self) -> None:
        if self._follower is not None and self.knows(self._follower):
            self.tell_name(self._follower, HoldingsTold(tuple(self._book.lines())))

    def _tell_held(self, what: Order | ExternalClose, order: Order | None) -> None:
        if self._follower is not None and self.knows(self._follower):
            lines = self._book.lines(what.strategy)
            here = tuple(one for one in lines if (one.exchange, one.symbol) == (what.exchange, what.symbol))
            self.tell_name(self._follower, HoldingChanged(what.strategy, what.exchange, what.symbol, here, order))

    # Reconciliation: differences are named, and corrected from evidence only

    def on_account_read(self, message: AccountRead) -> None:
        self._seen_at = self.clock.monotonic() - (self.clock.steady() - message.asked_at).total_seconds()
        message = replace(message, own=tuple(map(self._with_unlisted, message.own)))
        self._book.note_numbers(message.own)
        changed = self._cap.read(message, self._book)
        delivered = self._cap.delivered()
        for difference in self._book.reconcile(message.positions, message.asked_at, message.read_at, delivered):
            self._alert(AlertKind.POSITION_DIFFERENCE, difference_text(difference, self._book.lines()))
        self._look_for_shares()
        if changed:
            self.tell(self._addresses.order_repo, RecordBaselines(changed))
        self._settle_exits(message)
        self._settle_raises(message)
        for order in self._checks.doubted(self._cap, self._book, self.clock.steady(), message):
            with self.answering(self._envelopes.get(order.command_id, self.envelope)):
                self.tell(self._addresses.broker_proxy, ExitDoubted(order))
        self._cancel_excess(message)
        self._correct()
        self._settle_flattens(message)
        self._tell_standing("an EXIT opened that on an earlier day")
        if self._cap.wants_another_read(self._book):
            # An EXIT that rests there may open a position at any moment: the next read is not waited for.
            self.tell(self._addresses.order_watcher, VerifyAccount())

    def _with_unlisted(self, own: OwnFill) -> OwnFill:
        """What is filled of an order is not known while a slice that was called is not in the book."""
        called = set(own.unlisted) - self._slices.get(own.command_id, {}).keys()
        return replace(own, filled=None) if called else own

    def on_external_filled(self, message: ExternalFilled) -> None:
        self._cap.note_pushed(message.report, self.clock.steady(), message.traded_at)

    def _cancel_excess(self, read: AccountRead) -> None:
        """Cancel EXITs that work at the exchange for more than is left to close (scenario G1)."""
        for excess in self._excess.step(self._cap, self._book, read, self.clock.steady()):
            command_id = excess.order.command_id
            with self.answering(self._envelopes.get(command_id, self.envelope)):
                if excess.given_up or excess.unanswered:
                    self._tell_excess(excess_text(excess, None))
                if not excess.given_up:
                    by = "guard (less is left to close)"
                    self.tell(self._addresses.order_repo, CancelOrder(command_id, by, self.name))

    def on_cancel_answer(self, message: CancelAnswer) -> None:
        """Only cancels of EXITs that nothing is left for are answered to here."""
        excess = self._excess.answered(message.command_id)
        if excess is not None:
            self._tell_excess(excess_text(excess, message.standing, message.reason))
            # Whether it is gone, and what is next, the books tell.
            self.tell(self._addresses.order_watcher, VerifyAccount())

    def _tell_excess(self, text: str | None) -> None:
        if text is not None:
            self._alert(AlertKind.EXIT_EXCESS, text)

    def _look_for_shares(self) -> None:
        """A delivery position that is gone may be a holding since the night."""
        now = self.clock.monotonic()
        if self._cap.lacks_delivery(self._book) and now >= self._holdings_due:
            self._holdings_due = now + _HOLDINGS_EVERY_S
            self.tell(self._addresses.broker_proxy, ReadHoldings(self.name))

    def on_holdings_read(self, message: HoldingsRead) -> None:
        if message.holdings is not None:
            self._cap.note_holdings(message.holdings)

    def _correct(self) -> None:
        """Book what is proven: external closes, conversions, contracts that ended."""
        for close in self._cap.corrections(self._book):
            self._record(close)
        self._tell_beside()
        pairs = (*conversions(self._book, self._cap), *opened_by_conversion(self._book, self._cap))
        converted = [close for pair in pairs for close in pair]
        for close in (*converted, *expiries(self._book, self._cap, self._calendar, self.clock.now())):
            self._cap.note_telling(close)
            self._record(close)

    def _record(self, close: ExternalClose, reply_to: str | None = None) -> None:
        base = self._cap.rebased(close)
        day = self._calendar.day(self.clock.now())
        self.tell(self._addresses.order_repo, RecordExternalClose(close, day, (base,) if base else (), reply_to))

    def on_adopt_position(self, message: AdoptPosition) -> None:
        """A person settles a difference: refused where the broker's positions do not bear it."""
        found = adopt(message, self._book, self._cap)
        if isinstance(found, str):
            if message.reply_to is not None:
                self.tell_name(message.reply_to, PositionAdopted(None, found))
            # So that another try finds fresh positions.
            self.tell(self._addresses.order_watcher, VerifyAccount())
            return
        self._cap.note_telling(found)
        self._record(found, message.reply_to)

    def on_holding_closed(self, message: HoldingClosed) -> None:
        self._cap.note_close(message.close, message.baselines)
        close = message.close
        # What was closed was closed then, and what an EXIT opened began with that; all else begins now.
        at: datetime | None = self._cap.filled_at(close) or self.clock.now()
        if close.kind is Correction.CONVERTED and not self._book.held_by(
            close.strategy, (close.exchange, close.symbol, close.product)
        ):
            # It was there before it was seen to be: an order that nobody has seen yet may have closed it since.
            at = None
        self._book.book_external_close(close, self.clock.steady(), at)
        line = self._book.line_of(close)
        beyond = line is not None and line.held * close.quantity > 0
        external = close.kind is Correction.EXTERNAL_ORDER
        if close.beyond or (external and beyond):
            of = f"{close.strategy} in {close.symbol}" if external else ""
            self._tell_opened(AlertKind.EXIT_OPENED, line, beyond_text(close), of=of)
        self._cap.note_drained(close, self._book)
        self._tell_held(close, None)

    def _tell_beside(self) -> None:
        known, self._beside = self._beside, dict(self._cap.beside)
        for name, close in self._beside.items():
            if known.get(name) != close:
                self._alert(AlertKind.EXIT_OPENED, beside_text(close, self._book.lines()))

    def _tell_opened(self, kind: AlertKind, line: GuardLine | None, why: str, of: str = "") -> None:
        """A strategy stands the other way than it meant: the alert names the command that closes just that."""
        command = ""
        if line is not None and line.unintended:
            place = (line.strategy, line.exchange, line.symbol, line.product)
            self._told_on[place] = self._calendar.day(self.clock.now())
            command = command_for(self._book, line)
        self._alert(kind, opened_text(line, why, of, command))

    def _tell_standing(self, why: str, *, started: bool = False) -> None:
        for line in standing(self._book, self._calendar, self.clock.now(), {} if started else self._told_on):
            self._tell_opened(AlertKind.EXIT_OPENED, line, why)

    def on_flatten_position(self, message: FlattenPosition) -> None:
        """A person wants closed what EXITs opened: decided by a read that begins now."""
        self._flattens.append((message, self.clock.steady()))
        self._answer_later()

    def _answer_later(self) -> None:
        if self._flattens:
            self.tell(self._addresses.order_watcher, VerifyAccount())
            self.after(_ASKED, _VERIFY_EVERY_S)

    def _settle_flattens(self, read: AccountRead | None) -> None:
        now = self.clock.steady()
        left = []
        for wanted, asked_at in self._flattens:
            answer: FlattenAnswer | None = None
            if read is not None and min(read.asked_at, read.orders_asked_at) >= asked_at:
                changed = self._book.changed_at(wanted.exchange, wanted.symbol) or self._restored_at
                answer = flatten(wanted, self._book, self._cap, f"{round(changed.timestamp() * 1e6):x}")
            if answer is None and (now - asked_at).total_seconds() >= _FLATTEN_WITHIN_S:
                answer = FlattenAnswer(reason=f"the account could not be read in {_FLATTEN_WITHIN_S:g} s; try again")
            if answer is None:
                left.append((wanted, asked_at))
                continue
            for intent in answer.exits:
                self.tell(self._addresses.command_service, SubmitOrder(intent, wanted.source))
            self.tell_name(wanted.reply_to, answer)
            self._work_on_flatten(wanted, answer)
        self._flattens = left
        self._answer_later()

    def _work_on_flatten(self, wanted: FlattenPosition, answer: FlattenAnswer) -> None:
        """The price may move away from an exit: it is worked on as a square-off's is, until a person must take over."""
        lines = worked_on(wanted, answer, self._book)
        begun_for = {one for one in lines if any(running.works_on(one) for running in self._square_offs)}
        if not lines or (not answer.exits and len(begun_for) == len(lines)):
            return
        now = self.clock.monotonic()
        reason = f"flatten of {wanted.symbol} {wanted.product}"
        begun = SquareOffRun(reason, wanted.source, None, now, outage_s=self._outage_s, opened=lines)
        self._begin(begun, now, answer.exits)

    # Square-off

    def on_square_off(self, message: SquareOff) -> None:
        """Cancel what rests and exit what is held, until it is flat or a person must take over (scenario D7)."""
        now = self.clock.monotonic()
        begun = SquareOffRun(
            message.reason,
            message.source,
            message.strategy,
            now,
            symbol=message.symbol,
            outage_s=self._outage_s,
            position=message.position,
            key=message.key,
        )
        held, working = tuple(self._book.lines()), self._in_flight()
        step = self._begin(begun, now)
        if message.reply_to is not None:
            waiting = exits_to_come(held, working, message.strategy, message.symbol, step.exits)
            self.tell_name(message.reply_to, SquareOffBegun(step.exits, step.cancels, waiting))

    def on_end_square_off(self, _: EndSquareOff) -> None:
        """A person resumed trading: what `max_loss` began ends with that, as it does over a restart."""
        for running in [one for one in self._square_offs if one.source is Source.RISK]:
            self._square_offs.remove(running)
            left = [line for line in self._book.lines() if line.held and running.works_on(line)]
            if left:
                self._alert(AlertKind.SQUARE_OFF_FAILED, ended_text(running.reason, left))

    def _begin(self, begun: SquareOffRun, now: float, sent: tuple[OrderIntent, ...] = ()) -> Step:
        earlier = tuple(self._square_offs)
        self._square_offs.append(begun)
        # First, so that a step that raises is not the last.
        self._look_again()
        step = begun.begin(earlier, self._book.lines(), self._in_flight(), now, self._seen_at, sent=sent)
        self._do(begun, step)
        self._note_square_off()
        return step

    def on_tick(self, message: Tick) -> None:
        if message.key == _VERIFY:
            self._verify_later()
            self._settle_exits(None)
            self._settle_raises(None)
            if self._checks.waiting or self._raises.waiting:
                self.tell(self._addresses.order_watcher, VerifyAccount())
        elif message.key == _ASKED:
            self._settle_flattens(None)
        else:
            self._flatten()

    def _flatten(self) -> None:
        self._look_again()
        for running in tuple(self._square_offs):
            step = running.step(self._book.lines(), self._in_flight(), self.clock.monotonic(), self._seen_at)
            self._do(running, step)

    def _in_flight(self) -> list[InFlight]:
        now = self.clock.steady()
        return [InFlight(order, (now - since).total_seconds()) for order, since in self._book.in_flight()]

    def _do(self, running: SquareOffRun, step: Step) -> None:
        for command_id in step.cancels:
            with self.answering(self._envelopes[command_id]):
                self.tell(self._addresses.order_repo, CancelOrder(command_id, by=f"square-off ({running.reason})"))
        for intent in step.exits:
            self.tell(self._addresses.command_service, SubmitOrder(intent, running.source))
        if step.waits:
            text = f"square-off ({running.reason}) waits: positions cannot be read; it goes on when they can"
            self._alert(AlertKind.SQUARE_OFF_WAITS, text)
        for order in step.in_vain:
            self._alert(AlertKind.SQUARE_OFF_WAITS, in_vain_text(running.reason, order))
        for line in step.given_up:
            text = given_up_text(running.reason, line, self._in_flight())
            text += f". Then, or to try again: {command_for(self._book, line)}" * running.is_flatten
            self._alert(AlertKind.SQUARE_OFF_FAILED, text)
        if step.done:
            self._square_offs.remove(running)
            self._note_square_off()

    def _note_square_off(self) -> None:
        """RiskManager and PositionManager begin theirs again after a restart (scenario G15); nobody does for a person.

        What a flatten left is told at the start with its command.
        """
        again = (Source.RISK, Source.PROTECTION)
        mine = [one for one in self._square_offs if one.source not in again and not one.is_flatten]
        asked = [f"{one.reason}, of {one.scope}" for one in mine]
        if asked:
            self._square_off_note.leave("; ".join(asked))
        else:
            self._square_off_note.remove()

    def _tell_interrupted(self) -> None:
        interrupted, self._interrupted = self._interrupted, None
        if interrupted is None:
            return
        if text := interrupted_text(interrupted, self._book.lines()):
            self._alert(AlertKind.SQUARE_OFF_FAILED, text)
        self._square_off_note.remove()

    def _look_again(self) -> None:
        if self._square_offs:
            self.after(_FLATTEN, _FLATTEN_EVERY_S)

    def on_get_guard_snapshot(self, message: GetGuardSnapshot) -> None:
        book, whole = self._book, message.strategy is None
        beside = (book.differences if whole else (), book.reconciled_at, book.unsettled() if whole else ())
        self.reply(GuardSnapshot(tuple(book.lines(message.strategy)), *beside))

    def _alert(self, kind: AlertKind, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text))
