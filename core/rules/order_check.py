"""What is wrong with an order for its instrument: lot, price step, product, expiry, the day's band, a closed market, an
order type that the broker takes from nobody, a quantity that would be too many slices.

Each problem says what to send instead. An EXIT is never refused for any of it: what is known of an instrument may be
wrong or old, and the exchange has the last word. What is not known is not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.model.broker import PriceBand
from core.model.calendar import INDIA
from core.model.instrument import Instrument, Kind
from core.model.order import ExecutionType, OrderIntent, OrderType, Problem, Product, Validity
from core.rules.instrument_names import plain
from core.rules.market_hours import MarketDay
from core.rules.slices import cut, most_at_once

__all__ = [
    "CASH",
    "MOST_SLICES",
    "BrokerTerms",
    "Verdict",
    "band_problem",
    "closed_problem",
    "problems_of",
    "type_problems",
    "unknown_symbol",
]

_BAND_HOLDS = timedelta(minutes=1)
MOST_SLICES = 20
"""Broker orders of one ENTRY or ADJUST at most: more would take the calls of everything else for seconds."""

CASH = frozenset({"NSE", "BSE"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an order: refused for these problems, or, without any, sent and warned of the others."""

    refused: tuple[Problem, ...] = ()
    warned: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, intent: OrderIntent, found: Iterable[tuple[Problem, bool]]) -> Verdict:
        """From each problem and whether it is one to refuse for; nobody is kept from getting out."""
        sorted_out: tuple[list[Problem], list[Problem]] = ([], [])
        for problem, refuses in found:
            sorted_out[not refuses or intent.execution_type is ExecutionType.EXIT].append(problem)
        return cls(*map(tuple, sorted_out))


@dataclass(frozen=True, slots=True)
class BrokerTerms:
    """Which orders a broker takes from no program.

    Attributes:
        name: Its profile.
        refuses_market: MARKET and SL-M as they are; where they go out as limits it does not see them.
        no_ioc: The exchanges on which it refuses IOC.
    """

    name: str = "the broker"
    refuses_market: bool = False
    no_ioc: frozenset[str] = frozenset()


def type_problems(intent: OrderIntent, terms: BrokerTerms) -> Iterator[Problem]:
    """That the broker takes no orders of this type or validity."""
    if terms.refuses_market and intent.order_type in (OrderType.MARKET, OrderType.SL_M):
        instead = "LIMIT with a price" if intent.order_type is OrderType.MARKET else "SL with a price"
        yield Problem(
            "order_type",
            f"{terms.name} takes no {intent.order_type} from programs: send {instead}, or set [broker] market_as_limit",
        )
    if intent.validity is Validity.IOC and intent.exchange in terms.no_ioc:
        yield Problem("validity", f"{terms.name} takes no IOC on {intent.exchange}: send DAY")


def closed_problem(intent: OrderIntent, market: MarketDay | None, now: datetime) -> tuple[Problem, bool] | None:
    """That the exchange is closed, and whether that is certain; None while it is open, or not known to be closed."""
    if market is None or market.takes_orders(now):
        return None
    if market.opens is None or market.closes is None:
        text = f"{intent.exchange} is closed today ({market.reason}): send it on a trading day"
    else:
        since = market.orders_from or market.opens
        clock = f"{now.astimezone(INDIA):%H:%M}"
        text = f"{intent.exchange} is closed at {clock}: it takes orders from {since:%H:%M} to {market.closes:%H:%M}"
    doubt = "" if market.certain else "; its hours of today are not confirmed"
    return Problem("exchange", text + doubt), market.certain


def band_problem(intent: OrderIntent, band: PriceBand | None, now: datetime) -> tuple[Problem, bool] | None:
    """That the price is outside the day's band, and whether that is certain: an exchange may widen it in the day."""
    price = intent.price
    if band is None or price is None or band.lower <= price <= band.upper:
        return None
    if band.at.astimezone(INDIA).date() != now.astimezone(INDIA).date():
        return None
    text = (
        f"{plain(price)} is outside the day's band of {plain(band.lower)} to {plain(band.upper)}, "
        f"as the broker told at {band.at.astimezone(INDIA):%H:%M:%S}: send a price within it"
    )
    return Problem("price", text), now - band.at <= _BAND_HOLDS


def unknown_symbol(intent: OrderIntent, meant: Instrument | None, others: tuple[Instrument, ...]) -> Problem:
    """That the exchange has no such symbol, and what to send.

    Args:
        intent: The order.
        meant: The index whose name it is, if it is one's.
        others: What else may have been meant: contracts of an index or share, near names.
    """
    here = f"{intent.exchange} has no {intent.symbol}"
    if meant is not None and meant.kind is Kind.INDEX:
        return Problem("symbol", f"{here}, which {_no_trading(meant, others)}")
    names = [
        one.symbol if one.exchange == intent.exchange else f"{one.symbol} (exchange {one.exchange})" for one in others
    ]
    hint = f"; send {' or '.join(names)}" if names else f"; look for it: run.py instruments search {intent.symbol}"
    return Problem("symbol", f"{here}{hint}")


def problems_of(
    intent: OrderIntent, one: Instrument, today: date, contracts: tuple[Instrument, ...] = ()
) -> Iterator[Problem]:
    """Everything that is wrong with an order for this instrument.

    Args:
        intent: The order.
        one: Its instrument.
        today: The date in India.
        contracts: Of an index: some that can be traded.
    """
    if one.symbol != intent.symbol:
        yield Problem("symbol", f"is spelt {one.symbol} at {one.exchange}: send it so")
    if one.kind is Kind.INDEX:
        yield Problem("symbol", f"{one.symbol} {_no_trading(one, contracts)}")
        return
    if one.expired(today):
        yield Problem("symbol", f"{one.symbol} expired on {one.expiry}; look for another: {_search(one)}")
    yield from _quantity(intent, one)
    for field, price in (("price", intent.price), ("trigger_price", intent.trigger_price)):
        if price is not None and one.tick_size is not None and price % one.tick_size:
            below = price // one.tick_size * one.tick_size
            step, above = plain(one.tick_size), plain(below + one.tick_size)
            yield Problem(field, f"{plain(price)} is off the price step of {step}: send {plain(below)} or {above}")
    refused = Product.NRML if one.exchange in CASH else Product.CNC
    if intent.product is refused:
        instead = "MIS or CNC" if one.exchange in CASH else "MIS or NRML"
        yield Problem("product", f"{one.exchange} takes no {refused}: send {instead}")


def _quantity(intent: OrderIntent, one: Instrument) -> Iterator[Problem]:
    lot, quantity, most = one.lot_size or 1, intent.quantity, most_at_once(one.freeze_quantity, one.lot_size)
    below = quantity // lot * lot
    if quantity != below:
        instead = " or ".join(str(units) for units in (below, below + lot) if units)
        yield Problem("quantity", f"{quantity} is no multiple of the lot of {lot} units: send {instead}")
    if len(cut(quantity, most)) > MOST_SLICES:
        yield Problem(
            "quantity",
            f"{quantity} would be {len(cut(quantity, most))} orders of at most {most} (freeze quantity): send at most "
            f"{MOST_SLICES * most} at a time",
        )


def _no_trading(index: Instrument, contracts: tuple[Instrument, ...]) -> str:
    names = [f"{one.symbol} (exchange {one.exchange})" for one in contracts]
    such = f": send one of its contracts, such as {' or '.join(names)}" if names else ""
    return f"is an index and cannot be traded{such}; its options: run.py instruments chain {index.underlying}"


def _search(one: Instrument) -> str:
    word = "chain" if one.kind is Kind.OPTION else "search"
    return f"run.py instruments {word} {one.underlying}"
