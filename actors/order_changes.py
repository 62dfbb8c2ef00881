"""Cancelling and modifying: what was wished, who was asked, and what came of it. The order book has the last word."""

from __future__ import annotations

from abc import abstractmethod

from actors.state_recorder import StateRecorder
from core.messages import (
    CancelAnswer,
    CancelAtBroker,
    CancelOrder,
    CancelReported,
    CancelStatus,
    CheckModify,
    ModifyAnswer,
    ModifyNotDone,
    ModifyOrder,
    ModifyReported,
    ModifyStatus,
    OrderReserved,
)
from core.model.order import Order, Problem, Status, Tag
from core.store import Store

__all__ = ["OrderChanges"]


class OrderChanges(StateRecorder):
    """The part of OrderRepo that changes orders which were registered already."""

    _store: Store

    @abstractmethod
    def _tell_change(self, order: Order, *parts: int) -> None:
        """After the commit, to all whom it concerns."""

    # Cancelling

    def on_cancel_order(self, message: CancelOrder) -> None:
        now, cause = self.clock.now(), self.envelope.id
        order = self._write(lambda: self._store.request_cancel(message.command_id, message.by, now, cause))
        if order is None:
            self._answer_cancel(message, CancelStatus.NO_ORDER, "there is no such order")
        elif order.tag is Tag.CANCELLED_BEFORE_SENDING:
            self._tell_change(order)
            self._answer_cancel(message, CancelStatus.CANCELLED, "it had not been sent, and never will be")
        elif order.is_final:
            self._answer_cancel(message, CancelStatus.OVER, f"it is {order.status} already")
        else:
            self._cancel_at_broker(order, message)

    def _cancel_at_broker(self, order: Order, message: CancelOrder) -> None:
        """One call for each of its broker orders that may still fill; the last one's answer is the answer."""
        going = [one for one in order.at_broker if one.status is Status.SENT_TO_BROKER]
        numbered = [one for one in going if one.broker_order_id is not None]
        answers = len(numbered) == len(going)
        for one in numbered:
            reply_to = message.reply_to if answers and one is numbered[-1] else None
            self.tell(self._addresses.broker_proxy, CancelAtBroker(one, reply_to))
        if not answers:
            self._answer_cancel(message, CancelStatus.NO_NUMBER, "the broker_order_id is not known yet; try again")

    def on_cancel_reported(self, message: CancelReported) -> None:
        text = f"cancel {message.standing.lower().replace('_', ' ')}: {message.reason}"
        self._write(lambda: self._store.note(message.command_id, text, self.clock.now(), self.envelope.id))
        self._answer_cancel(message, message.standing, message.reason)

    def _answer_cancel(self, message: CancelOrder | CancelReported, standing: CancelStatus, reason: str) -> None:
        if message.reply_to is not None:
            self.tell_name(message.reply_to, CancelAnswer(message.command_id, standing, reason))

    # Modifying

    def on_modify_order(self, message: ModifyOrder) -> None:
        now, cause = self.clock.now(), self.envelope.id
        order, denied = self._write(lambda: self._store.request_modify(message, now, cause))
        if denied is not None:
            self._answer_modify(message, denied.standing, self._clean(denied.reason), order, denied.problems)
        elif order is not None:
            # Before anybody is asked for it: what it may fill from now on is reserved.
            self._tell_terms(order)
            self.tell(self._addresses.command_service, CheckModify(order, message.reply_to))

    def on_modify_reported(self, message: ModifyReported) -> None:
        reason = self._clean(message.reason)
        order = self._write(lambda: self._store.modify_reported(message, reason, self.clock.now(), self.envelope.id))
        self._tell_terms(order)
        self._answer_modify(message, message.standing, reason, order)

    def on_modify_not_done(self, message: ModifyNotDone) -> None:
        order = self._write(lambda: self._store.modify_not_done(message, self.clock.now(), self.envelope.id))
        if order is not None:
            self._tell_terms(order)

    def _tell_terms(self, order: Order) -> None:
        if not order.is_final:
            self.tell(self._addresses.execution_guard, OrderReserved(order))
            self._tell_change(order)

    def _answer_modify(
        self,
        message: ModifyOrder | ModifyReported,
        standing: ModifyStatus,
        reason: str,
        order: Order | None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        if message.reply_to is not None:
            terms, filled = (None, 0) if order is None else (order.terms, order.filled_quantity)
            answer = ModifyAnswer(message.command_id, standing, reason, terms, filled, problems)
            self.tell_name(message.reply_to, answer)
