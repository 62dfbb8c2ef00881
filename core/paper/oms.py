"""The life of an order: from its acceptance through risk engine and exchange to its end (protocol section 6.3).

Each stage is scheduled and takes its time; each leaves an event, which is at once a line of the order's history, the
state of its row in the books, and a frame on the socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.paper import risk
from core.paper.accounts import Account
from core.paper.faults import FaultKind
from core.paper.instruments import Instrument
from core.paper.matching import Match
from core.paper.orders import Entry, Event, Order, Report, Stage, Status, Trade
from core.paper.risk import Rejection
from core.paper.sockets import Sockets
from core.paper.state import ExchangeState

__all__ = ["Oms"]

NOT_OPEN_TO_CANCEL = "SAF:order is not open to cancel"
NOT_OPEN_TO_MODIFY = "SAF:order is not open to modify"
IOC_CANCELLED = "IOC Order Cancelled"


class Oms:
    """Takes orders through their stages.

    Args:
        state: The exchange's state.
        sockets: Who is told of events.
    """

    def __init__(self, state: ExchangeState, sockets: Sockets) -> None:
        self._state = state
        self._sockets = sockets
        self._stages: dict[str, Callable[..., None]] = {
            "risk": self._on_risk,
            "exchange": self._on_exchange,
            "risk_modify": self._on_risk_modify,
            "exchange_modify": self._on_exchange_modify,
            "risk_cancel": self._on_risk_cancel,
            "exchange_cancel": self._on_exchange_cancel,
            "late_fill": self._on_late_fill,
        }

    # -- what a client asks -------------------------------------------------------------------------------------

    def place(
        self,
        account: Account,
        instrument: Instrument,
        entry: Entry,
        *,
        remarks: str = "",
        source: str = "API",
        amo: bool = False,
    ) -> Order:
        """Take an order: it has a number and its NewAck; all else follows in time."""
        state = self._state
        number = state.next_order_number()
        order = Order(number, account.uid, instrument, entry, entry, remarks, source, amo, state.now)
        state.orders[number] = order
        account.add(order)
        state.counters["orders"] += 1
        waits = amo and state.config.enforce_session_hours and not risk.in_session(instrument.exch, state.now)
        self._record(order, Report.NEW_ACK, Status.OPEN if waits else Status.PENDING)
        if waits:
            order.parked = True
            state.schedule(risk.next_open(instrument.exch, state.now), "risk", number)
        else:
            self._schedule(order, "risk", state.config.latency.risk_s)
        return order

    def modify(self, order: Order, entry: Entry) -> None:
        """Take a modification of an order that has not ended."""
        self._record(order, Report.MOD_ACK, Status.PENDING)
        if order.parked:
            order.entry = entry
            self._record(order, Report.REPLACED, Status.OPEN)
            return
        self._schedule(order, "risk_modify", self._state.config.latency.risk_s, (entry,))

    def cancel(self, order: Order) -> None:
        """Take a cancel of an order that has not ended."""
        self._record(order, Report.CAN_ACK, Status.PENDING)
        if order.parked:
            self._end(order, None)
            return
        match = {"account": order.account, "remarks": order.remarks}
        if self._state.faults.hit(FaultKind.CANCEL_OK_THEN_FILL, **match):
            order.fill_before_cancel = True
        self._schedule(order, "risk_cancel", self._state.config.latency.risk_s)

    def execute_now(self, order: Order, price: Decimal) -> None:
        """Take a fresh order through all its stages at once and fill it at `price`: the broker's own way."""
        self._record(order, Report.PENDING_NEW, Status.PENDING)
        order.exchordid = self._exchange_number()
        order.exch_at = self._state.now
        self._record(order, Report.NEW, Status.OPEN)
        self.fill(order, order.remaining, price)

    def due(self, stage: Stage) -> None:
        """Do what was scheduled."""
        _, _, what, number, arguments = stage
        order = self._state.orders.get(number)
        if order is not None:
            order.stages.remove(stage)
            self._state.changed_orders[number] = order
            self._stages[what](order, *arguments)

    # -- a new order --------------------------------------------------------------------------------------------

    def _on_risk(self, order: Order) -> None:
        if order.status.is_final:
            return
        order.parked = False
        account = self._state.account(order.account)
        rejection = self._check_amo(order) or risk.risk_check(self._state, account, order, order.entry)
        if rejection is not None:
            self._reject(order, rejection)
            return
        self._reserve(account, order)
        self._record(order, Report.PENDING_NEW, Status.PENDING)
        self._schedule(order, "exchange", self._state.config.latency.exchange_s)

    def _check_amo(self, order: Order) -> Rejection | None:
        """An order for the next session is refused while the session runs, if hours are enforced."""
        entered_open = risk.in_session(order.instrument.exch, order.entered_at)
        if order.amo and self._state.config.enforce_session_hours and entered_open:
            return Rejection("ORA:AMO is stopped", "ORA")
        return None

    def _on_exchange(self, order: Order) -> None:
        if order.status.is_final:
            return
        rejection = risk.exchange_check(self._state, order, order.entry)
        if rejection is not None:
            self._reject(order, rejection)
            return
        order.exchordid = self._exchange_number()
        order.exch_at = self._state.now
        self._record(order, Report.NEW, order.resting_status)
        self._enter(order)

    def _reject(self, order: Order, rejection: Rejection) -> None:
        self._state.account(order.account).release(order)
        self._record(order, Report.REJECTED, Status.REJECTED, rejection)

    # -- at the exchange ----------------------------------------------------------------------------------------

    def _enter(self, order: Order) -> None:
        """Let an order meet the book, and its rest stand there."""
        state = self._state
        book = state.book(order.instrument)
        order.priority = state.next_number("priority")
        if order.waits_for_trigger:
            book.add_stop(order)
        else:
            self._execute(book.take(order))
            if order.remaining and order.entry.ret == "IOC":
                self._end(order, Rejection(IOC_CANCELLED))
            elif order.remaining:
                book.rest(order)
        state.note_busy(book)

    def _execute(self, matches: Iterable[Match]) -> None:
        for match in matches:
            if match.counter is not None:
                self.fill(match.counter, match.qty, match.prc)
            self.fill(match.order, match.qty, match.prc)

    def fill(self, order: Order, quantity: int, price: Decimal, beyond: int = 0) -> None:
        """Book one execution of an order; `beyond` units of it may be more than was ordered."""
        state = self._state
        account = state.account(order.account)
        was = order.status
        order.filled += quantity
        order.value += quantity * price
        assert order.filled <= order.entry.qty + beyond, "an order filled beyond its quantity"
        flid = str(380_000_000 + state.next_number("fill"))
        trade = Trade(flid, state.now, quantity, price, order.filled, order.value)
        order.trades.append(trade)
        order.exch_at = state.now
        state.counters["trades"] += 1
        account.release(order, quantity)
        account.book_trade(order, trade)
        if order.remaining == 0:
            status = Status.COMPLETE
            order.cancelqty = 0
        elif was is Status.CANCELED:
            status = Status.CANCELED
            order.cancelqty = order.remaining
        else:
            status = Status.OPEN
        self._record(order, Report.FILL, status, trade=trade)

    def prices_moved(self, instrument: Instrument) -> None:
        """Match what rests in a contract against new prices, and set off its stops."""
        state = self._state
        book = state.book(instrument)
        if state.config.enforce_session_hours and not risk.in_session(instrument.exch, state.now):
            return
        self._execute(book.reached())
        for order in book.triggered(state.last(instrument)):
            order.triggered = True
            # How a trigger is reported is not documented; New with the status OPEN is the guess of protocol 6.3.
            self._record(order, Report.NEW, Status.OPEN)
            self._enter(order)
        state.note_busy(book)

    # -- modifications ------------------------------------------------------------------------------------------

    def _on_risk_modify(self, order: Order, entry: Entry) -> None:
        if order.status.is_final:
            self._refuse_modify(order, NOT_OPEN_TO_MODIFY)
            return
        account = self._state.account(order.account)
        account.release(order)
        rejection = risk.risk_check(self._state, account, order, entry)
        self._reserve(account, order)
        if rejection is not None:
            self._refuse_modify(order, rejection.reason, rejection.by)
            return
        self._record(order, Report.PENDING_REPLACE, Status.PENDING)
        late = self._state.faults.hit(FaultKind.MODIFY_LATE, account=order.account, remarks=order.remarks)
        seconds = late.number("seconds", 2.0) if late is not None else 0.0
        self._schedule(order, "exchange_modify", self._state.config.latency.exchange_s + seconds, (entry,))

    def _on_exchange_modify(self, order: Order, entry: Entry) -> None:
        match = {"account": order.account, "remarks": order.remarks}
        if order.status.is_final or entry.qty <= order.filled:
            self._refuse_modify(order, NOT_OPEN_TO_MODIFY)
        elif rule := self._state.faults.hit(FaultKind.MODIFY_OK_THEN_REJECTED, **match):
            self._refuse_modify(order, rule.text("text", "16419: Invalid data in the order packet"))
        elif rejection := risk.exchange_check(self._state, order, entry):
            self._refuse_modify(order, rejection.reason)
        else:
            self._replace(order, entry)

    def _replace(self, order: Order, entry: Entry) -> None:
        """Put new terms in force; only less quantity at the same price keeps the place in time."""
        state = self._state
        account = state.account(order.account)
        book = state.book(order.instrument)
        before, priority = order.entry, order.priority
        book.remove(order)
        account.release(order)
        order.entry = entry
        order.exch_at = state.now
        order.triggered = order.triggered and entry.is_stop and entry.trgprc == before.trgprc
        self._reserve(account, order)
        self._record(order, Report.REPLACED, order.resting_status)
        keeps_place = replace(before, qty=entry.qty) == entry and entry.qty <= before.qty
        self._enter(order)
        if keeps_place and order.remaining and not order.status.is_final and not order.waits_for_trigger:
            book.remove(order)
            order.priority = priority
            book.rest(order)
            state.note_busy(book)

    def _refuse_modify(self, order: Order, reason: str, by: str = "SAF") -> None:
        status = order.status if order.status.is_final else self._standing(order)
        self._record(order, Report.REPLACE_REJECTED, status, Rejection(reason, by))

    # -- cancels ------------------------------------------------------------------------------------------------

    def _on_risk_cancel(self, order: Order) -> None:
        if order.fill_before_cancel and order.is_at_exchange and order.remaining:
            self._force_fill(order)
        if order.status.is_final:
            self._refuse_cancel(order)
            return
        self._record(order, Report.PENDING_CANCEL, Status.PENDING)
        self._schedule(order, "exchange_cancel", self._state.config.latency.exchange_s)

    def _on_exchange_cancel(self, order: Order) -> None:
        if order.status.is_final:
            self._refuse_cancel(order)
            return
        self._end(order, None)
        rule = self._state.faults.hit(FaultKind.LATE_FILL_AFTER_CANCEL, account=order.account, remarks=order.remarks)
        if rule is not None:
            due = self._state.now + timedelta(seconds=rule.number("seconds", 0.5))
            self._state.schedule(due, "late_fill", order.number, (int(rule.number("qty", 0)),))

    def _refuse_cancel(self, order: Order) -> None:
        self._record(order, Report.CANCEL_REJECTED, order.status, Rejection(NOT_OPEN_TO_CANCEL, "SAF"))

    def end(self, order: Order, reason: str = "") -> None:
        """Cancel an order unasked: the exchange, the broker or the end of the day does it."""
        self._end(order, Rejection(reason) if reason else None)

    def _end(self, order: Order, rejection: Rejection | None) -> None:
        state = self._state
        book = state.books.get(order.instrument.key)
        if book is not None:
            book.remove(order)
            state.note_busy(book)
        order.cancelqty = order.remaining
        state.account(order.account).release(order)
        self._record(order, Report.CANCELED, Status.CANCELED, rejection)

    def _on_late_fill(self, order: Order, quantity: int) -> None:
        if order.status is Status.CANCELED and order.remaining:
            self._force_fill(order, quantity or order.remaining)

    def force_fill(self, order: Order, quantity: int, price: Decimal, beyond: int = 0) -> None:
        """Fill an order whatever the book says; one that rests leaves the book if nothing is left of it.

        `beyond` units more than are left of it trade as well, in the same execution, as an exchange should never do.
        """
        book = self._state.books.get(order.instrument.key)
        self.fill(order, min(quantity, order.remaining) + beyond, price, beyond)
        if book is not None and not order.remaining:
            book.remove(order)
            self._state.note_busy(book)

    def _force_fill(self, order: Order, quantity: int | None = None) -> None:
        price = self._state.last(order.instrument) if order.entry.is_market else order.entry.prc
        self.force_fill(order, order.remaining if quantity is None else quantity, price)

    # -- inside -------------------------------------------------------------------------------------------------

    def _reserve(self, account: Account, order: Order) -> None:
        reference = risk.reference_price(self._state, order.instrument, order.entry)
        account.reserve(order, reference, reference)

    def _exchange_number(self) -> str:
        return f"15{self._state.next_number('exchange order'):014}"

    def _standing(self, order: Order) -> Status:
        return order.resting_status if order.exchordid else Status.PENDING

    def _schedule(self, order: Order, what: str, seconds: float, arguments: tuple[object, ...] = ()) -> None:
        """Schedule a stage, never before a stage of the same order that was scheduled earlier."""
        due: datetime = self._state.after(seconds)
        if order.next_stage_at is not None and order.next_stage_at > due:
            due = order.next_stage_at
        order.next_stage_at = due
        self._state.schedule(due, what, order.number, arguments)

    def _record(
        self,
        order: Order,
        report: Report,
        status: Status,
        rejection: Rejection | None = None,
        trade: Trade | None = None,
    ) -> None:
        order.status = status
        event = Event(
            self._state.now,
            report,
            status,
            order.entry,
            order.filled,
            order.value,
            order.cancelqty if status is Status.CANCELED else 0,
            rejection.reason if rejection else "",
            rejection.by if rejection else "",
            order.exchordid,
            order.exch_at,
            trade,
        )
        order.history.append(event)
        self._state.account(order.account).row_changed(order)
        self._state.changed_orders[order.number] = order
        self._sockets.order_event(order, event)
