"""OrderBook, SingleOrdHist, SingleOrdStatus, TradeBook, PositionBook, Holdings and Limits (protocol section 7)."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from core.paper.accounts import ROW_BLOCK, Account
from core.paper.endpoints.call import Call
from core.paper.faults import FaultKind, Faults
from core.paper.orders import Event, Order, Trade
from core.paper.replies import MISSING_PRODUCT, Refusal, Row, array, array_of, dump, obj
from core.paper.rows import holding_row, limits_fields, order_row, position_row, trade_row
from core.paper.wire import Reply

__all__ = [
    "holdings",
    "limits",
    "order_book",
    "position_book",
    "single_order_history",
    "single_order_status",
    "trade_book",
]


_NO_FAULTS = Faults(random.Random(0))


def order_book(call: Call) -> Reply:
    """The day's orders, newest first (section 7.2)."""
    faults = call.state.faults
    until = _visible_until(call)
    product = call.text("prd")
    if not faults and not product and until == call.now:
        return array_of(_blocks(call.account), call.now)
    rows: list[bytes] = []
    for order in reversed(call.account.orders):
        event = _seen(order, until)
        if event is None or (product and order.entry.prd != product):
            continue
        missing = faults and faults.hit(
            FaultKind.BOOK_MISSING_ORDER, path=call.path, account=order.account, remarks=order.remarks
        )
        if not missing:
            rows.append(dump(order_row(order, event, faults)).encode())
    return array_of(rows, call.now)


def _blocks(account: Account) -> list[bytes]:
    """The rows of all orders as they stand, many in one text: a book is read each second, and few of them changed."""
    orders, blocks = account.orders, account.rows
    for number in range((len(orders) + ROW_BLOCK - 1) // ROW_BLOCK):
        if number not in blocks:
            block = orders[number * ROW_BLOCK : (number + 1) * ROW_BLOCK]
            blocks[number] = b",".join(_shown(order) for order in reversed(block))
            if len(block) == ROW_BLOCK and all(order.status.is_final for order in block):
                for order in block:
                    order.shown = None
    return [blocks[number] for number in sorted(blocks, reverse=True)]


def _shown(order: Order) -> bytes:
    """The row of an order, written anew only where the order changed."""
    known, count = order.shown, len(order.history)
    if known is None or known[:2] != (count, order.reserved_price):
        text = dump(order_row(order, order.history[-1], _NO_FAULTS)).encode()
        known = order.shown = (count, order.reserved_price, text)
    return known[2]


def single_order_history(call: Call) -> Reply:
    """Every event of one order, newest first (section 7.3)."""
    order = _own_order(call)
    until = _visible_until(call)
    rows: list[Row] = []
    if order is not None:
        seen = [event for event in order.history if event.at <= until]
        rows = [order_row(order, event, call.state.faults, history=True) for event in reversed(seen)]
    return array(rows, call.now)


def single_order_status(call: Call) -> Reply:
    """The last state of one order, in an array of one (section 7.3)."""
    order = _own_order(call)
    event = _seen(order, _visible_until(call)) if order is not None else None
    rows = [order_row(order, event, call.state.faults)] if order is not None and event is not None else []
    return array(rows, call.now)


def trade_book(call: Call) -> Reply:
    """The day's trades, newest first (section 7.4)."""
    until = _visible_until(call)
    rows = [_shown_trade(order, trade) for order, trade in reversed(call.account.trades) if trade.at <= until]
    return array_of(rows, call.now)


def _shown_trade(order: Order, trade: Trade) -> bytes:
    known = trade.shown
    if known is not None and known[0] is order.entry and known[1] == order.exchordid:
        return known[2]
    text = dump(trade_row(order, trade)).encode()
    trade.shown = (order.entry, order.exchordid, text)
    return text


def position_book(call: Call) -> Reply:
    """The day's positions; those traded flat stay (section 7.5)."""
    state = call.state
    rows = []
    for position in call.account.positions.values():
        if not position.traded:
            continue
        if state.faults.hit(FaultKind.POSITION_MISSING, path=call.path, account=call.account.uid):
            continue
        last = state.last(position.instrument)
        if state.faults.hit(FaultKind.POSITION_FALSE, path=call.path, account=call.account.uid):
            last = max(position.instrument.tick, last / 100)
        row = position_row(call.account, position, last)
        if state.faults.hit(FaultKind.POSITION_UNPARSABLE, path=call.path, account=call.account.uid):
            row.update(netqty="N/A", netavgprc="", urmtom="--")
        rows.append(row)
    return array(rows, call.now)


def holdings(call: Call) -> Reply:
    """Settled shares (section 7.7)."""
    if not call.text("prd"):
        raise Refusal(MISSING_PRODUCT)
    rows = []
    for symbol, holding in call.account.holdings.items():
        listings = [i for i in call.state.master if i.is_cash and i.is_tradable and i.symbol == symbol]
        rows.append(holding_row(call.account, holding, listings))
    return array(rows, call.now)


def limits(call: Call) -> Reply:
    """Cash and margin (section 7.8)."""
    unrealised = sum((p.unrealised(call.state.last(p.instrument)) for p in call.account.positions.values()), Decimal(0))
    return obj(limits_fields(call.account, unrealised, call.now))


def _own_order(call: Call) -> Order | None:
    order = call.state.orders.get(call.text("norenordno"))
    return order if order is not None and order.account == call.account.uid else None


def _visible_until(call: Call) -> datetime:
    """The moment whose state the books show: now, or earlier where they lag."""
    lag = call.state.config.book_lag_s
    if rule := call.state.faults.hit(FaultKind.BOOK_LAG, path=call.path, account=call.account.uid):
        lag = max(lag, rule.number("seconds", 2.0))
    return call.now - timedelta(seconds=lag) if lag else call.now


def _seen(order: Order, until: datetime) -> Event | None:
    """The last event of an order that the book knows of."""
    for event in reversed(order.history):
        if event.at <= until:
            return event
    return None
