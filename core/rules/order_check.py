"""What is wrong with an order for its instrument: lot, price step, product, expiry, freeze quantity, a closed market.

Each problem says what to send instead. An EXIT is never refused for it: what is known of an instrument may be wrong or
old, and the exchange has the last word. What is not known is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from core.model.instrument import Instrument, Kind
from core.model.order import OrderIntent, Problem, Product
from core.rules.instrument_names import plain
from core.rules.market_hours import MarketDay

__all__ = ["problems_of", "unknown_symbol"]

_CASH = frozenset({"NSE", "BSE"})


def unknown_symbol(intent: OrderIntent, meant: tuple[Instrument, ...]) -> Problem:
    """That the exchange has no such symbol, and what may have been meant: what is of the same exchange first."""
    if meant and meant[0].kind is Kind.INDEX:
        return Problem("symbol", f"{intent.exchange} has no {intent.symbol}, which {_no_trading(meant[0])}")
    names = [one.symbol if one.exchange == intent.exchange else one.place for one in meant]
    hint = f"; send {' or '.join(names)}" if names else f"; look for it: run.py instruments search {intent.symbol}"
    return Problem("symbol", f"{intent.exchange} has no {intent.symbol}{hint}")


def problems_of(intent: OrderIntent, one: Instrument, today: date, market: MarketDay | None) -> tuple[Problem, ...]:
    """Everything that is wrong with an order for this instrument.

    Args:
        intent: The order.
        one: Its instrument.
        today: The date in India.
        market: The hours of its exchange today; None where they are not known.
    """
    return tuple(_problems(intent, one, today, market))


def _problems(intent: OrderIntent, one: Instrument, today: date, market: MarketDay | None) -> Iterator[Problem]:
    if one.symbol != intent.symbol:
        yield Problem("symbol", f"is spelt {one.symbol} at {one.exchange}: send it so")
    if one.kind is Kind.INDEX:
        yield Problem("symbol", f"{one.symbol} {_no_trading(one)}")
        return
    if one.expired(today):
        yield Problem("symbol", f"{one.symbol} expired on {one.expiry}; look for another: {_search(one)}")
    yield from _quantity(intent, one)
    for field, price in (("price", intent.price), ("trigger_price", intent.trigger_price)):
        if price is not None and one.tick_size is not None and price % one.tick_size:
            below = price // one.tick_size * one.tick_size
            step, above = plain(one.tick_size), plain(below + one.tick_size)
            yield Problem(field, f"{plain(price)} is off the price step of {step}: send {plain(below)} or {above}")
    if market is not None and market.opens is None and market.certain:
        yield Problem("exchange", f"{one.exchange} is closed today ({market.reason}): send it on a trading day")
    refused = Product.NRML if one.exchange in _CASH else Product.CNC
    if intent.product is refused:
        instead = "MIS or CNC" if one.exchange in _CASH else "MIS or NRML"
        yield Problem("product", f"{one.exchange} takes no {refused}: send {instead}")


def _quantity(intent: OrderIntent, one: Instrument) -> Iterator[Problem]:
    lot, quantity, freeze = one.lot_size or 1, intent.quantity, one.freeze_quantity
    below = quantity // lot * lot
    if quantity != below:
        instead = " or ".join(str(units) for units in (below, below + lot) if units)
        yield Problem("quantity", f"{quantity} is no multiple of the lot of {lot} units: send {instead}")
    if freeze is not None and quantity >= freeze:
        most = (freeze - 1) // lot * lot
        yield Problem(
            "quantity", f"{quantity} is above the exchange's limit of one order: send at most {most} at a time"
        )


def _no_trading(index: Instrument) -> str:
    return f"is an index and cannot be traded; its options: run.py instruments chain {index.underlying}"


def _search(one: Instrument) -> str:
    word = "chain" if one.kind is Kind.OPTION else "search"
    return f"run.py instruments {word} {one.underlying}"
