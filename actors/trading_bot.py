"""Steps 2 to 5: carries a registered order from blocker to blocker to the broker.

It remembers nothing: each message carries the order, so nothing is lost with this actor's memory.
"""

from __future__ import annotations

from actors.addresses import Addresses
from core.messages import (
    CheckGuard,
    CheckRisk,
    FailOrder,
    GuardBlocked,
    GuardPassed,
    MarkSent,
    OrderAccepted,
    OrderMarkedSent,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderRegistered,
    PlaceOrder,
    RecordAccepted,
    RecordUnknown,
    RiskBlocked,
    RiskPassed,
)
from core.model.order import Order, OrderType, Status, Tag
from core.runtime import Actor, Runtime

__all__ = ["TradingBot"]


class TradingBot(Actor):
    """Drives one order after another through the blockers to the broker and records the broker's answer."""

    def __init__(self, runtime: Runtime, name: str, *, addresses: Addresses) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses

    # Step 2: blockers

    def on_order_registered(self, message: OrderRegistered) -> None:
        self.tell(self._addresses.risk_manager, CheckRisk(message.order))

    def on_risk_passed(self, message: RiskPassed) -> None:
        self.tell(self._addresses.execution_guard, CheckGuard(message.order))

    def on_risk_blocked(self, message: RiskBlocked) -> None:
        self._fail(message.order, Status.CREATED, Tag.RISK_LIMITS_EXCEEDED, message.reason)

    def on_guard_blocked(self, message: GuardBlocked) -> None:
        self._fail(message.order, Status.CREATED, message.tag, message.reason)

    # Step 3: mark. OrderRepo settles the row itself when it is a duplicate, halted or too late.

    def on_guard_passed(self, message: GuardPassed) -> None:
        self.tell(self._addresses.order_repo, MarkSent(message.order, message.verified))

    # Step 4: execute. A command may have several broker orders; OrderRepo says when each of them may go.

    def on_order_marked_sent(self, message: OrderMarkedSent) -> None:
        place = PlaceOrder(message.order, message.verified)
        unpriced = message.order.intent.order_type in (OrderType.MARKET, OrderType.SL_M)
        # While the service stops, Prices is gone already.
        by_prices = unpriced and self.knows(self._addresses.prices.name)
        self.tell(self._addresses.prices if by_prices else self._addresses.broker_proxy, place)

    # Step 5: result

    def on_order_accepted(self, message: OrderAccepted) -> None:
        self.tell(
            self._addresses.order_repo,
            RecordAccepted(message.command_id, message.broker_order_id, message.order.part, message.verified),
        )

    def on_order_refused(self, message: OrderRefused) -> None:
        self._fail(message.order, Status.SENT_TO_BROKER, Tag.BROKER_REJECTED, message.reason)

    def on_order_not_sent(self, message: OrderNotSent) -> None:
        self._fail(message.order, Status.SENT_TO_BROKER, message.tag, message.reason)

    def on_order_outcome_unknown(self, message: OrderOutcomeUnknown) -> None:
        self.tell(
            self._addresses.order_repo,
            RecordUnknown(message.command_id, message.reason, message.order.part, message.verified),
        )

    def _fail(self, order: Order, expected: Status, tag: Tag, reason: str) -> None:
        self.tell(self._addresses.order_repo, FailOrder(order.command_id, expected, tag, reason, order.part))
