"""A second worked example: an opening-range breakout on candles made of pushed ticks."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from actors.strategy import Strategy
from core.messages import OrderUpdate
from core.model.broker import Quote
from core.model.calendar import INDIA
from core.model.order import ExecutionType, OrderIntent, OrderResult, OrderType, Product, Side, Status

__all__ = ["OpeningRange"]

_OPENS, _ENDS = time(9, 15), time(15, 10)


class OpeningRange(Strategy):
    """Buys above the high of 09:15 to 09:30, once a day; sells below the low, and at 15:10. A restart forgets both."""

    paper_only = True

    def __init__(self, *given: Any, symbol: str = "INFY-EQ", quantity: int = 10, **named: Any) -> None:
        super().__init__(*given, **named)
        self._symbol, self._quantity = symbol, quantity
        self._held, self._waits = 0, False
        self._bought_on: date | None = None

    def on_start(self) -> None:
        self.candles(self._symbol, "15m")

    def on_tick(self, quote: Quote) -> None:
        now = self.clock.now().astimezone(INDIA)
        today = [one for one in self.candles(self._symbol, "15m") if one.begin.date() == now.date()]
        first = next((one for one in today if one.begin.time() == _OPENS), None)
        if self._waits or quote.age_s > 5 or first is None or first.end > now:
            return
        price, ends = quote.last_price, now.time() >= _ENDS
        if self._held > 0 and (ends or price < first.low):
            self._send(ExecutionType.EXIT, Side.SELL, self._held)
        elif self._bought_on != now.date() and not ends and price > first.high:
            self._bought_on = now.date()
            self._send(ExecutionType.ENTRY, Side.BUY, self._quantity)

    def on_answer(self, result: OrderResult) -> None:
        self._waits = self._waits and (result.success or result.unknown)

    def on_order_update(self, update: OrderUpdate) -> None:
        if update.fill is not None:
            self._held += update.order.side.sign * update.fill.quantity
        self._waits = self._waits and update.order.status not in (Status.EXECUTED, Status.FAILED)

    def _send(self, kind: ExecutionType, side: Side, quantity: int) -> None:
        self._waits = True
        order: dict[str, Any] = {"execution_type": kind, "side": side, "quantity": quantity, "symbol": self._symbol}
        order |= {"exchange": "NSE", "product": Product.MIS, "order_type": OrderType.MARKET}
        self.submit(OrderIntent(strategy=self.strategy, **order))
