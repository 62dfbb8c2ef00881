"""2B: whether an order fits what its strategy holds and has in flight. Owns the `GuardBook`."""

from __future__ import annotations

from actors.cast import Cast
from core.guard import Blocked, GuardBook
from core.messages import (
    Alert,
    CheckGuard,
    FillBooked,
    GuardBlocked,
    GuardPassed,
    GuardSnapshot,
    GuardSnapshotWanted,
    GuardState,
    GuardStateWanted,
    OrderReserved,
    OrderSettled,
    PositionsRead,
    Severity,
    SquareOff,
    SubmitOrder,
)
from core.order import ExecutionType, OrderIntent, OrderType, Product, Side
from core.runtime import Actor, Runtime

__all__ = ["ExecutionGuard"]


class ExecutionGuard(Actor):
    """Checks and reserves in one step; learns of fills and ends from OrderRepo, of positions from OrderWatcher."""

    def __init__(self, runtime: Runtime, name: str, *, cast: Cast) -> None:
        super().__init__(runtime, name)
        self._cast = cast
        self._book = GuardBook()

    def started(self) -> None:
        self._ask_for_state()

    def rebuild(self) -> None:
        self._ask_for_state()

    def _ask_for_state(self) -> None:
        self.tell(self._cast.order_repo, GuardStateWanted())
        # What OrderRepo told before its answer is in the answer already.
        self.wait_for(GuardState, dropping=(FillBooked, OrderSettled, OrderReserved))

    def on_guard_state(self, message: GuardState) -> None:
        self._book.restore(message.holdings, message.open_orders, self.clock.now(), message.created)

    def on_check_guard(self, message: CheckGuard) -> None:
        verdict = self._book.check_and_reserve(message.order, self.clock.now())
        if isinstance(verdict, Blocked):
            self.tell(self._cast.trading_bot, GuardBlocked(message.order, verdict.tag, verdict.reason))
        else:
            self.tell(self._cast.trading_bot, GuardPassed(verdict.order))

    def on_order_reserved(self, message: OrderReserved) -> None:
        self._book.reserve(message.order, self.clock.now())

    def on_fill_booked(self, message: FillBooked) -> None:
        self._book.book_fill(message.order, message.fill, self.clock.now())

    def on_order_settled(self, message: OrderSettled) -> None:
        self._book.force_clear_symbol(message.order, self.clock.now())

    def on_positions_read(self, message: PositionsRead) -> None:
        for difference in self._book.reconcile(message.positions, message.asked_at):
            self.tell(
                self._cast.notifier,
                Alert(
                    Severity.WARNING,
                    "position_difference",
                    f"{difference.exchange} {difference.symbol} {difference.product or ''}: the broker shows "
                    f"{difference.broker:+d}, strategies hold {difference.held:+d} by their fills",
                ),
            )

    def on_square_off(self, message: SquareOff) -> None:
        """One EXIT for each holding; what exits in flight already cover is cut or answered flat by the check."""
        for line in self._book.lines():
            if line.held == 0 or line.product is Product.CNC or message.strategy not in (None, line.strategy):
                continue
            intent = OrderIntent(
                strategy=line.strategy,
                execution_type=ExecutionType.EXIT,
                exchange=line.exchange,
                symbol=line.symbol,
                side=Side.SELL if line.held > 0 else Side.BUY,
                quantity=abs(line.held),
                product=line.product,
                order_type=OrderType.MARKET,
            )
            self.tell(self._cast.command_service, SubmitOrder(intent, message.source))

    def on_guard_snapshot_wanted(self, _: GuardSnapshotWanted) -> None:
        self.reply(GuardSnapshot(tuple(self._book.lines()), self._book.differences, self._book.reconciled_at))
