"""Closing what EXITs opened, and nothing else, because a person says so and says how much.

What an EXIT opened on the other side of a holding is its strategy's, by the records. What no strategy owns may be a
person's own: it is never closed here. The quantity must be the one that stands, and the broker must have it by a read
that began after the wish came.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime

from core.messages import FlattenAnswer, FlattenPosition
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Product
from core.model.positions import GuardLine
from core.rules.departures import Key
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook
from core.rules.square_off import market_exit

__all__ = ["command_for", "flatten", "flatten_command", "opened_in", "standing", "worked_on"]


def opened_in(book: GuardBook, exchange: str, symbol: str, product: str) -> list[GuardLine]:
    """What EXITs opened of a position, by strategy."""
    place = (exchange, symbol, product)
    return [line for line in book.lines() if line.unintended and (line.exchange, line.symbol, line.product) == place]


def flatten_command(exchange: str, symbol: str, product: str, quantity: int) -> str:
    """The command that closes just that."""
    return f"python run.py flatten {symbol} --quantity={quantity} --exchange {exchange} --product {product}"


def command_for(book: GuardBook, line: GuardLine) -> str:
    """The command that closes what EXITs opened of the position of a line."""
    account = (line.exchange, line.symbol, line.product)
    return flatten_command(*account, sum(one.held for one in opened_in(book, *account)))


def standing(
    book: GuardBook, calendar: TradingCalendar, now: datetime, told_on: Mapping[Key, date]
) -> Iterator[GuardLine]:
    """What EXITs opened and was not told yet on this trading day; nothing was told anywhere: at a start.

    What ends with its day (MIS) and is of an earlier one is told once the markets are open and the broker has it still.
    """
    day, different = calendar.day(now), {(d.exchange, d.symbol, d.product) for d in book.differences}
    for line in book.lines():
        account = (line.exchange, line.symbol, line.product)
        if not line.unintended or told_on.get((line.strategy, *account)) == day:
            continue
        began = book.opened_at_of(line)
        ended = line.product is Product.MIS and began is not None and calendar.day(began) < day
        if not ended or (book.reconciled_at and account not in different and not calendar.before_markets(now)):
            yield line


def flatten(wanted: FlattenPosition, book: GuardBook, cap: ExitCap, since: str) -> FlattenAnswer | None:
    """The EXITs to submit, or why there are none; None where the next read may tell.

    Args:
        wanted: What a person wants closed.
        book: Holdings and orders in flight.
        cap: What the last read says.
        since: Marks the state of the symbol, as a part of a key: a wish that comes twice in one state is one order.
    """
    account = (wanted.exchange, wanted.symbol, wanted.product)
    lines, net = opened_in(book, *account), cap.net(account)
    working = [order for order, _ in book.in_flight() if (order.exchange, order.symbol, order.product) == account]
    holders = {line.strategy for line in lines}
    closing = [one for one in working if one.execution_type is ExecutionType.EXIT and one.strategy in holders]
    if closing:
        return FlattenAnswer(under_way=tuple(order.command_id for order in closing))
    place = f"{wanted.exchange} {wanted.symbol} {wanted.product}"
    if working:
        return FlattenAnswer(reason=f"nothing was sent: {place}: {working[0].command_id} is in flight there")
    if account not in book.accounts() and net is None:
        told = ", ".join(f"{one.symbol} {one.product} {one.held:+d}" for one in book.lines() if one.unintended)
        return FlattenAnswer(
            reason=f"nothing was sent: {place}: the broker's positions do not show it, and no strategy holds any; "
            f"EXITs opened {told or 'nothing'}"
        )
    if net is None:
        return None
    if wrong := _refusal(wanted, sum(line.held for line in lines), net, book.held_in(account)):
        return FlattenAnswer(reason=f"nothing was sent: {place}: {wrong}")
    key = f"flat-{zlib.crc32(place.encode()):08x}-{since}"
    exits = tuple(replace(market_exit(line), idempotency_key=f"{key}-{line.strategy}") for line in lines)
    return FlattenAnswer(exits)


def worked_on(wanted: FlattenPosition, answer: FlattenAnswer, book: GuardBook) -> list[GuardLine]:
    """What is to be exited until it is flat: what the answer exits, or what orders close that may miss the price."""
    lines = opened_in(book, wanted.exchange, wanted.symbol, wanted.product)
    named = sum(line.held for line in lines) == wanted.quantity
    return lines if answer.exits or (answer.under_way and named) else []


def _refusal(wanted: FlattenPosition, opened: int, net: int, held: int) -> str:
    """Why nothing may be closed, with the figures; empty where it may."""
    figures = f"the broker has {net:+d}, strategies hold {held:+d}, EXITs opened {opened:+d} of it"
    if net != held:
        figures += f", {net - held:+d} is no strategy's"
    if not opened:
        return f"{figures}; only what an EXIT opened is flattened: use squareoff, or adopt it first"
    if opened != wanted.quantity:
        return f"{figures}; {opened:+d} can be flattened, not {wanted.quantity:+d}"
    if net * opened < opened * opened:
        return f"{figures}; the account would go past zero: adopt or write off the difference first"
    return ""
