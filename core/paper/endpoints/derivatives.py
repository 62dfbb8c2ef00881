"""GetOptionChain, GetOptionGreek, GetBasketMargin and SpanCalc (protocol sections 7.10 and 7.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from math import erf, exp, log, pi, sqrt

from core.paper import replies, risk
from core.paper.accounts import unit_margin
from core.paper.endpoints.call import Call
from core.paper.endpoints.market import search_row
from core.paper.endpoints.orders import leg_of
from core.paper.instruments import Instrument
from core.paper.parsing import Fields, decimal, integer
from core.paper.replies import Refusal, ok
from core.paper.rows import money
from core.paper.wire import Reply

__all__ = ["basket_margin", "option_chain", "option_greek", "span_calculator"]

_SPAN = Decimal("0.8")
_YEAR_S = 365 * 86400.0
_MOST_LEGS = 50
_LIMITS = frozenset({"LMT", "SL-LMT"})


def option_chain(call: Call) -> Reply:
    """The options of the underlying and expiry of `tsym`: `cnt` strikes on each side of `strprc`."""
    named = call.state.master.by_tsym(call.text("exch"), call.text("tsym"))
    if named is None or named.expiry is None:
        raise Refusal(replies.NOTHING_FOUND)
    middle, count = decimal(call.text("strprc")), integer(call.text("cnt") or "5")
    options = [
        one
        for one in call.state.master
        if one.option and (one.exch, one.symbol, one.expiry) == (named.exch, named.symbol, named.expiry)
    ]
    strikes = sorted({one.strike for one in options})
    above = next((place for place, strike in enumerate(strikes) if strike >= middle), len(strikes))
    wanted = set(strikes[max(0, above - count) : above + count])
    found = sorted((one for one in options if one.strike in wanted), key=lambda one: (one.strike, one.option))
    if not found:
        raise Refusal(replies.NOTHING_FOUND)
    return ok(call.now, {"values": [{**search_row(one), "strprc": money(one.strike)} for one in found]})


def basket_margin(call: Call) -> Reply:
    """What the orders of a basket would block together; opposite legs of one contract make each other up."""
    others = call.fields.data.get("basketlists") or []
    if not isinstance(others, list) or not all(isinstance(one, dict) for one in others) or len(others) > _MOST_LEGS:
        raise Refusal(replies.INVALID_ORDER)
    alone = Decimal(0)
    net: dict[tuple[Instrument, str], tuple[int, Decimal]] = {}
    for fields in (call.fields, *(Fields(one, "") for one in others)):
        leg = replace(call, fields=fields)
        instrument, entry = leg_of(leg, _LIMITS)
        alone += risk.order_margin(call.state, call.account, instrument, entry, entry.qty)
        units, _ = net.get((instrument, entry.prd), (0, entry.prc))
        net[instrument, entry.prd] = units + (entry.qty if entry.side == "B" else -entry.qty), entry.prc
    together = sum((_blocked(one, prd, units, prc) for (one, prd), (units, prc) in net.items()), Decimal(0))
    before = call.account.margin_used
    short = min(alone, together) > call.account.available
    return ok(
        call.now,
        {
            "marginused": money(before + alone),
            "marginusedtrade": money(before + min(alone, together)),
            "marginusedprev": money(before),
            "remarks": "Insufficient Balance" if short else "Squareoff Order" if not alone else "Order Success",
        },
    )


def span_calculator(call: Call) -> Reply:
    """The margin of positions that are named, each for itself; `_trade` without their open orders."""
    rows = call.fields.data.get("pos")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or len(rows) > _MOST_LEGS:
        raise Refusal(replies.INVALID_ORDER)
    with_orders, traded = Decimal(0), Decimal(0)
    for row in rows:
        fields = Fields(row, "")
        one = _named(call, fields)
        net, bought, sold = (_signed(fields.text(name) or "0") for name in ("netqty", "buyqty", "sellqty"))
        price = call.state.last(one)
        blocked = [_blocked(one, fields.text("prd"), units, price) for units in (net, net + bought, net - sold)]
        traded += blocked[0]
        with_orders += max(blocked)
    figures = {"span": with_orders * _SPAN, "expo": with_orders * (1 - _SPAN)}
    figures |= {"span_trade": traded * _SPAN, "expo_trade": traded * (1 - _SPAN)}
    return ok(call.now, {name: money(figure) for name, figure in figures.items()})


def option_greek(call: Call) -> Reply:
    """Prices and greeks of a call and a put by Black and Scholes; rate and volatility in per cent."""
    names = ("sptprc", "strprc", "int_rate", "volatility")
    spot, strike, rate, volatility = (float(decimal(call.text(name))) for name in names)
    years = (_closes(_day(call.text("exd"))) - call.now.replace(tzinfo=None)).total_seconds() / _YEAR_S
    if min(spot, strike, volatility, years) <= 0:
        raise Refusal(replies.INVALID_ORDER)
    rate, spread = rate / 100, volatility / 100 * sqrt(years)
    d1 = log(spot / strike) / spread + rate * years / spread + spread / 2
    later, density = strike * exp(-rate * years), exp(-d1 * d1 / 2) / sqrt(2 * pi)
    found: dict[str, float] = {}
    for name, sign in (("cal", 1), ("put", -1)):
        in_spot, in_strike = _normal(sign * d1), _normal(sign * (d1 - spread))
        found[f"{name}_price"] = sign * (spot * in_spot - later * in_strike)
        found[f"{name}_delta"] = sign * in_spot
        found[f"{name}_gamma"] = density / spot / spread
        decay = spot * density * spread / 2 / years
        found[f"{name}_theta"] = (-decay - sign * rate * later * in_strike) / 365
        found[f"{name}_rho"] = sign * later * years * in_strike / 100
        found[f"{name}_vego"] = spot * density * sqrt(years) / 100
    return ok(call.now, {name: f"{figure:.6f}" for name, figure in found.items()})


def _blocked(instrument: Instrument, prd: str, units: int, price: Decimal) -> Decimal:
    return abs(units) * unit_margin(instrument, prd, "B" if units > 0 else "S", price)


def _named(call: Call, fields: Fields) -> Instrument:
    """The derivative that the fields of SpanCalc name."""
    expiry, option = _day(fields.text("exd")), fields.text("optt")
    strike = decimal(fields.text("strprc") or "0")
    for one in _derivatives(call, fields.text("exch"), fields.text("symname")):
        if one.expiry == expiry and one.option == option.replace("XX", "") and one.strike in (strike, Decimal(0)):
            return one
    raise Refusal(replies.INVALID_ORDER)


def _derivatives(call: Call, exch: str, symbol: str) -> Iterator[Instrument]:
    return (one for one in call.state.master if (one.exch, one.symbol) == (exch, symbol) and one.expiry is not None)


def _signed(text: str) -> int:
    return -integer(text[1:]) if text.startswith("-") else integer(text)


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007 - a date
    except ValueError as error:
        raise Refusal(replies.INVALID_ORDER) from error


def _closes(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 15, 30)  # noqa: DTZ001 - Indian time, as is the call's


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2
