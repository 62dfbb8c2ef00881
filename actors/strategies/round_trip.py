"""A worked example: buys at each start, waits, sells again. It shows every hook, and trades on paper out of the box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loguru import logger

from actors.addresses import Addresses
from actors.strategy import Strategy
from core.messages import OrderUpdate
from core.model.broker import Quote
from core.model.order import ExecutionType, OrderIntent, OrderResult, OrderType, Product, Side, Status, Tag
from core.runtime import Runtime

__all__ = ["RoundTrip"]

_ENTER = "enter"
_LEAVE = "leave"


class RoundTrip(Strategy):
    """One ENTRY at the first price, one EXIT `hold_s` seconds after it is filled, both as MARKET orders.

    An earlier run may have ended between the two. The guard then refuses the ENTRY, because the strategy still holds
    what it bought: it is sold instead. An ENTRY that a risk limit refuses, such as the cooldown after a loss, is tried
    again.

    Settings: `exchange`, `symbol`, `quantity` (units), `hold_s` and `retry_s` (seconds).
    """

    paper_only = True

    @classmethod
    def mistakes(cls, parameters: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        least = {"quantity": 1, "hold_s": 0, "retry_s": 0}
        for key, value in parameters.items():
            if key in least and isinstance(value, int | float) and value < least[key]:
                yield key, f"is {value}; it must be at least {least[key]}"

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        strategy: str,
        exchange: str = "NSE",
        symbol: str = "INFY-EQ",
        quantity: int = 10,
        hold_s: float = 2.0,
        retry_s: float = 5.0,
    ) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self._exchange = exchange
        self._symbol = symbol
        self._quantity = quantity
        self._hold_s = hold_s
        self._retry_s = retry_s
        self._began = False
        self._entry_asked = False

    def on_start(self) -> None:
        self.subscribe(self._symbol, exchange=self._exchange)

    def on_tick(self, quote: Quote) -> None:
        logger.debug("{}: {} at {}", self.strategy, quote.symbol, quote.last_price)
        if not self._began:
            self._began = True
            self._want(ExecutionType.ENTRY)

    def on_answer(self, result: OrderResult) -> None:
        if not result.success and not result.unknown:
            logger.warning("{}: {} {}", self.strategy, result.tag, result.reason)
            if self._entry_asked and result.tag is Tag.EXECUTION_GUARD_BLOCKED:
                self.after(_LEAVE, self._hold_s)
            elif self._entry_asked and result.tag is Tag.RISK_LIMITS_EXCEEDED:
                self.after(_ENTER, self._retry_s)

    def on_order_update(self, update: OrderUpdate) -> None:
        order = update.order
        if order.status is Status.EXECUTED and order.execution_type is ExecutionType.ENTRY:
            self.after(_LEAVE, self._hold_s)

    def on_timer(self, key: str) -> None:
        self._want(ExecutionType.EXIT if key == _LEAVE else ExecutionType.ENTRY)

    def _want(self, execution_type: ExecutionType) -> None:
        self._entry_asked = execution_type is ExecutionType.ENTRY
        self.submit(self._intent(execution_type))

    def _intent(self, execution_type: ExecutionType) -> OrderIntent:
        return OrderIntent(
            strategy=self.strategy,
            execution_type=execution_type,
            exchange=self._exchange,
            symbol=self._symbol,
            side=Side.BUY if execution_type is ExecutionType.ENTRY else Side.SELL,
            quantity=self._quantity,
            product=Product.MIS,
            order_type=OrderType.MARKET,
        )
