"""Orders, trades, positions, holdings and funds, as OpenAlgo shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from core.messages import (
    BookUnreadable,
    ExternalOrders,
    FundsRead,
    GetExternalOrders,
    GetPositions,
    HoldingsRead,
    Message,
    PositionsRead,
    ReadFunds,
    ReadHoldings,
)
from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.calendar import INDIA, TradingCalendar
from core.model.order import NEVER_AT_BROKER, OrderType, Product, Side, Status, Tag
from core.runtime import Address
from core.store.values import time_from
from core.web.actions import COMMAND_ID
from core.web.gateway import Gateway, Unanswered
from core.web.openalgo.answers import Answer, Refused, data, success
from core.web.openalgo.symbols import Names, ours
from core.web.reading import Reading

__all__ = ["Books", "external_shown", "order_shown"]

Row = Mapping[str, Any]
M = TypeVar("M", bound=Message)
Named = Mapping[tuple[str, str], str]

_MOST = 5000
# Such a read waits for room in the call budget.
_BROKER_S = 20.0
_CANCELLED = (Tag.BROKER_CANCELLED, Tag.BROKER_EXPIRED, Tag.CANCELLED_BEFORE_SENDING)
_STOPS = (OrderType.SL, OrderType.SL_M)
_AT_BROKER = {
    BrokerStatus.COMPLETE: "complete",
    BrokerStatus.CANCELLED: "cancelled",
    BrokerStatus.EXPIRED: "cancelled",
    BrokerStatus.REJECTED: "rejected",
    BrokerStatus.TRIGGER_PENDING: "trigger pending",
    BrokerStatus.UNKNOWN: "unknown",
}


class Books:
    """Answers what the account has done and holds.

    Args:
        gateway: The service.
        reading: The database.
        names: OpenAlgo's names.
        account: Whose.
        calendar: Trading days.
    """

    def __init__(
        self, gateway: Gateway, reading: Reading, names: Names, account: str, calendar: TradingCalendar
    ) -> None:
        self._gateway = gateway
        self._reading = reading
        self._names = names
        self._account = account
        self._calendar = calendar

    @property
    def today(self) -> date:
        """The trading day."""
        return self._calendar.day(self._gateway.clock.now())

    # Orders

    async def orderstatus(self, values: Row) -> Answer:
        """One order, by the broker's number or our command_id."""
        row = await self.row(str(values["orderid"]))
        names = await self._names.theirs([_place(row)])
        return data(order_shown(row, names), command_id=row["command_id"], tag=row["tag"])

    async def orderbook(self, _: Row) -> Answer:
        """The orders of the trading day: ours that may be at the broker, and those of others."""
        day = self.today
        rows = await self._reading.record(lambda record: list(record.rows(day=day, limit=_MOST)))
        ours_ = [row for row in rows if row["symbol"] and row["tag"] not in NEVER_AT_BROKER]
        others = (await self._ask(self._gateway.order_watcher, GetExternalOrders(), ExternalOrders)).orders
        names = await self._names.theirs([*map(_place, ours_), *((one.exchange, one.symbol) for one in others)])
        orders = [order_shown(row, names) for row in ours_] + [external_shown(one, names) for one in others]
        return data({"orders": orders, "statistics": _statistics(orders)})

    async def tradebook(self, _: Row) -> Answer:
        """The trades of the trading day; of orders that others placed, what they have filled, in one line."""
        day = self.today
        trades = await self._reading.record(lambda record: list(record.trades(self._account, day)))
        others = (await self._ask(self._gateway.order_watcher, GetExternalOrders(), ExternalOrders)).orders
        filled = [one for one in others if one.filled_quantity and one.average_price is not None]
        rows = [*trades, *map(_as_trade, filled)]
        names = await self._names.theirs(map(_place, rows))
        return data([_trade(row, names) for row in rows])

    async def row(self, order_id: str) -> Row:
        """The order that a caller means by a broker's number, or by our command_id.

        Raises:
            Refused: There is none.
        """
        day = self.today
        is_command = COMMAND_ID.fullmatch(order_id) is not None

        def read(record: Any) -> Row | None:
            command = record.command_of(self._account, day, order_id) or (order_id if is_command else None)
            found: Row | None = None if command is None else record.row(command)
            return found

        row = await self._reading.record(read)
        if row is None or not row["symbol"]:
            raise Refused(f"Order {order_id} not found", 404)
        return row

    # Positions and money

    async def positionbook(self, _: Row) -> Answer:
        """The account's positions, whoever made them."""
        found = await self._positions()
        names = await self._names.theirs((one.exchange, one.symbol) for one in found.positions)
        told = [
            {
                "symbol": names[one.exchange, one.symbol],
                "exchange": one.exchange,
                "product": one.product or "",
                "quantity": one.net_quantity,
                "average_price": one.average_price,
                "ltp": one.last_price,
                "pnl": None if one.realised is None or one.unrealised is None else one.realised + one.unrealised,
            }
            for one in found.positions
        ]
        return data(told)

    async def openposition(self, values: Row, held: Callable[[str, str, Product], int | None]) -> Answer:
        """What the named strategy holds; of a strategy that is not known here, what the account holds.

        Args:
            values: The request.
            held: What the strategy holds of an exchange, symbol and product; None for an unknown strategy.
        """
        exchange, name = str(values["exchange"]), str(values["symbol"])
        found = await self._names.instrument(exchange, name)
        place = (ours(exchange), name) if found is None else (found.exchange, found.symbol)
        product = Product(str(values["product"]))
        quantity = held(*place, product)
        if quantity is None:
            lines = (await self._positions()).positions
            quantity = sum(
                one.net_quantity for one in lines if (one.exchange, one.symbol, one.product) == (*place, product)
            )
        return success(quantity=str(quantity))

    async def holdings(self, _: Row) -> Answer:
        """Shares in the account's depot. What they cost and are worth is not read, so it is null."""
        proxy = self._gateway.broker_proxy
        found = await self._gateway.ask(proxy, ReadHoldings, _BROKER_S)
        if not isinstance(found, HoldingsRead) or found.holdings is None:
            raise Refused(f"the holdings cannot be read: {getattr(found, 'problem', '')}", 503)
        names = await self._names.theirs((one.exchange, one.symbol) for one in found.holdings)
        told = [
            {
                "symbol": names[one.exchange, one.symbol],
                "exchange": one.exchange,
                "quantity": one.quantity,
                "product": "CNC",
                "pnl": None,
                "pnlpercent": None,
            }
            for one in found.holdings
        ]
        keys = ("totalholdingvalue", "totalinvvalue", "totalprofitandloss", "totalpnlpercentage")
        return data({"holdings": told, "statistics": dict.fromkeys(keys)})

    async def funds(self, _: Row) -> Answer:
        """Cash, margin and the day's profit of the account, as texts in rupees."""
        found = await self._gateway.ask(self._gateway.broker_proxy, ReadFunds, _BROKER_S)
        if not isinstance(found, FundsRead) or found.funds is None:
            raise Refused(f"the funds cannot be read: {getattr(found, 'problem', '')}", 503)
        positions = (await self._positions()).positions
        money, zero = found.funds, Decimal(0)
        used = money.margin_used or zero
        figures = {
            "availablecash": (money.cash or zero) + (money.payin or zero) - used,
            "collateral": money.collateral or zero,
            "m2munrealized": _sum([one.unrealised for one in positions]),
            "m2mrealized": _sum([one.realised for one in positions]),
            "utiliseddebits": used,
        }
        return data({name: None if figure is None else f"{figure:.2f}" for name, figure in figures.items()})

    async def _positions(self) -> PositionsRead:
        found = await self._gateway.ask(self._gateway.order_watcher, lambda _: GetPositions())
        if isinstance(found, BookUnreadable):
            raise Refused(f"the position book cannot be read: {found.reason}", 503)
        if not isinstance(found, PositionsRead):
            raise TypeError(f"positions were answered with {type(found).__name__}")
        return found

    async def _ask(self, address: Address[Any], message: Message, wanted: type[M]) -> M:
        found = await self._gateway.ask(address, lambda _: message)
        if not isinstance(found, wanted):
            raise Unanswered(f"{address.name} answered with {type(found).__name__}")
        return found


def _place(row: Row) -> tuple[str, str]:
    return (str(row["exchange"]), str(row["symbol"]))


def order_shown(row: Row, names: Named) -> dict[str, Any]:
    """One of our orders, by its row."""
    quantity, filled = row["quantity"] or 0, row["filled_quantity"] or 0
    status = order_status(row)
    return {
        "symbol": names[_place(row)],
        "exchange": row["exchange"],
        "action": row["side"],
        "quantity": quantity,
        "price": _number(row["price"]),
        "trigger_price": _number(row["trigger_price"]),
        "pricetype": row["order_type"],
        "product": row["product"] or "",
        # Until the broker's number is known, ours finds it.
        "orderid": row["broker_order_id"] or row["command_id"],
        "order_status": status,
        "timestamp": _stamp(row["created_at"]),
        "average_price": _number(row["average_price"]),
        "filled_quantity": filled,
        "pending_quantity": max(0, quantity - filled) if status in ("open", "trigger pending", "unknown") else 0,
        "rejection_reason": (row["reason"] or "") if row["tag"] is not None else "",
        "strategy": row["strategy"],
        "command_id": row["command_id"],
    }


def order_status(row: Row) -> str:
    """OpenAlgo's word for what a row is; `unknown` is ours, for an order whose outcome is."""
    status = Status(row["status"])
    if status is Status.EXECUTED:
        return "complete"
    if status is Status.FAILED:
        return "cancelled" if row["tag"] in _CANCELLED else "rejected"
    if row["unknown"]:
        return "unknown"
    return "trigger pending" if row["order_type"] in _STOPS and not row["filled_quantity"] else "open"


def external_shown(one: BrokerOrderReport, names: Named) -> dict[str, Any]:
    """An order that others placed."""
    quantity, filled = one.quantity or 0, one.filled_quantity or 0
    status = _AT_BROKER.get(one.status, "open")
    return {
        "symbol": names[one.exchange, one.symbol],
        "exchange": one.exchange,
        "action": one.side or "",
        "quantity": quantity,
        "price": None,
        "trigger_price": None,
        "pricetype": "",
        "product": one.product or "",
        "orderid": one.broker_order_id,
        "order_status": status,
        "timestamp": _stamp(one.at),
        "average_price": one.average_price or 0,
        "filled_quantity": filled,
        "pending_quantity": 0 if one.status.is_final else max(0, quantity - filled),
        "rejection_reason": one.reason or "",
        "strategy": "",
        "command_id": "",
    }


def _statistics(orders: Sequence[Row]) -> dict[str, int]:
    def count(name: str, *words: str) -> int:
        return sum(1 for one in orders if one[name] in words)

    return {
        "total_buy_orders": count("action", Side.BUY),
        "total_sell_orders": count("action", Side.SELL),
        "total_completed_orders": count("order_status", "complete"),
        "total_open_orders": count("order_status", "open", "trigger pending"),
        "total_rejected_orders": count("order_status", "rejected"),
    }


def _trade(row: Row, names: Named) -> dict[str, Any]:
    price = _number(row["price"])
    return {
        "symbol": names[_place(row)],
        "exchange": row["exchange"],
        "product": row["product"] or "",
        "action": row["side"] or "",
        "quantity": row["quantity"],
        "average_price": price,
        "trade_value": price * row["quantity"],
        "orderid": row["broker_order_id"],
        "timestamp": _stamp(row["at"]),
    }


def _as_trade(one: BrokerOrderReport) -> Row:
    """What an order of somebody else's has filled, as one trade."""
    names = ("exchange", "symbol", "product", "side", "broker_order_id", "at")
    own = {name: getattr(one, name) for name in names}
    return {**own, "quantity": one.filled_quantity, "price": one.average_price}


def _sum(figures: Sequence[Decimal | None]) -> Decimal | None:
    known = [one for one in figures if one is not None]
    return sum(known, Decimal(0)) if len(known) == len(figures) else None


def _number(value: object) -> Decimal:
    return Decimal(0) if value is None else Decimal(str(value))


def _stamp(at: object) -> str:
    """A time in India, such as 28-Nov-2026 09:20:00; empty where there is none."""
    if at is None:
        return ""
    when = at if isinstance(at, datetime) else time_from(str(at))
    return f"{when.astimezone(INDIA):%d-%b-%Y %H:%M:%S}"
