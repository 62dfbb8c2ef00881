"""Instruments, quotes and market hours, as OpenAlgo shows them."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from starlette.responses import Response

from core.instruments import InstrumentIndex
from core.instruments.hours import market_hours
from core.messages import GetQuote, MarginRead, QuoteRead, QuoteUnreadable, ReadMargin
from core.model.broker import MarginLeg, Quote
from core.model.calendar import INDIA
from core.model.instrument import Instrument, Kind
from core.model.order import OrderType, Product, Side
from core.rules.instrument_names import MONTHS, openalgo_name
from core.web.gateway import Gateway, Unanswered
from core.web.instruments import Lookup
from core.web.openalgo.answers import Answer, Refused, data, success
from core.web.openalgo.symbols import Names, ours

__all__ = ["MarketData", "quote_told"]

Values = Mapping[str, Any]
_QUOTE_S = 8.0
_PUSHED_S = 3.0
_MARGIN_S = 20.0
# Who asks once asks again: the feed carries it meanwhile.
_KEEP_S = 60.0
_MOST_FOUND = 50
_OF_INDICES = ("NSE_INDEX", "BSE_INDEX", "MCX_INDEX")
_TRADED = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")
_COLUMNS = (
    *("symbol", "brsymbol", "name", "exchange", "brexchange", "token"),
    *("expiry", "strike", "lotsize", "instrumenttype", "tick_size", "freeze_qty"),
)


class MarketData:
    """Answers what there is to trade, what it costs, and when.

    Args:
        gateway: The service.
        lookup: The index of instruments.
        names: OpenAlgo's names.
    """

    def __init__(self, gateway: Gateway, lookup: Lookup, names: Names) -> None:
        self._gateway = gateway
        self._lookup = lookup
        self._names = names

    async def quotes(self, values: Values) -> Answer:
        """The price now. What is not known of it is null, never 0."""
        return data(quote_told(await self._quote_by_name(values)))

    async def depth(self, values: Values) -> Answer:
        """The price with up to five levels of bids and asks; an index has none."""
        quote = await self._quote_by_name(values, depth=True)
        levels = {
            side: [{"price": price, "quantity": quantity} for price, quantity in found]
            for side, found in (("bids", quote.bids), ("asks", quote.asks))
        }
        sums = {"totalbuyqty": quote.buy_quantity, "totalsellqty": quote.sell_quantity}
        return data({**quote_told(quote), "ltq": quote.last_quantity, **sums, **levels})

    async def multiquotes(self, values: Values) -> Answer:
        """The prices of several; each that cannot be told says why."""

        async def one(place: Values) -> dict[str, Any]:
            shown = {name: place[name] for name in ("symbol", "exchange")}
            try:
                found = await self._names.instrument(str(place["exchange"]), str(place["symbol"]))
                quote = None if found is None else await self.pushed(found)
                return {**shown, "data": quote_told(quote or await self._quote_by_name(place))}
            except Refused as refused:
                return {**shown, "error": str(refused)}

        return success(results=await asyncio.gather(*map(one, values["symbols"])))

    async def margin(self, values: Values) -> Answer:
        """What the broker would block for these orders together; what goes at the market is reckoned at its price."""
        legs = tuple([await self._leg(one) for one in values["positions"]])
        told = await self._gateway.ask(self._gateway.broker_proxy, lambda box: ReadMargin(legs, box), _MARGIN_S)
        if not isinstance(told, MarginRead) or told.margin is None:
            raise Refused(f"the margin cannot be read: {getattr(told, 'problem', 'nobody gave an answer')}", 503)
        return data({"total_margin_required": told.margin, "span_margin": None, "exposure_margin": None})

    async def _leg(self, values: Values) -> MarginLeg:
        name, order_type = str(values["symbol"]), OrderType(values["pricetype"])
        exchange, symbol = await self._names.place(str(values["exchange"]), name)
        trigger = values["trigger_price"] if order_type.has_trigger else None
        price = values["price"] if order_type.has_price else trigger
        if not price:
            price = (await self.quote_of(exchange, symbol, name)).last_price
        return MarginLeg(
            exchange=exchange,
            symbol=symbol,
            side=Side(values["action"]),
            quantity=int(values["quantity"]),
            product=Product(values["product"]),
            order_type=OrderType.SL if order_type.has_trigger else OrderType.LIMIT,
            price=price,
            trigger_price=trigger,
        )

    async def pushed(self, one: Instrument) -> Quote | None:
        """The price of one of many, from the feed and without a call to the broker; None where it brings none soon."""
        prices = self._gateway.prices
        try:
            told = await self._gateway.ask(
                prices, lambda box: GetQuote(one.exchange, one.symbol, box, _KEEP_S, patient=True), _PUSHED_S
            )
        except Unanswered:
            return None
        return told.quote if isinstance(told, QuoteRead) else None

    async def quote_of(self, exchange: str, symbol: str, name: str, *, depth: bool = False) -> Quote:
        """The quote of one of the broker's symbols; `name` is what its caller calls it.

        Raises:
            Refused: There is none.
        """
        try:
            told = await self._gateway.ask(
                self._gateway.prices, lambda box: GetQuote(exchange, symbol, box, _KEEP_S, depth), _QUOTE_S
            )
        except Unanswered as unanswered:
            raise Refused(f"there is no quote of {name} now: {unanswered}", 503) from unanswered
        if not isinstance(told, QuoteRead):
            why = told.reason if isinstance(told, QuoteUnreadable) else "nobody gave an answer"
            raise Refused(f"there is no quote of {name} now: {why}", 503)
        return told.quote

    async def _quote_by_name(self, values: Values, *, depth: bool = False) -> Quote:
        name = str(values["symbol"])
        return await self.quote_of(*await self._names.place(str(values["exchange"]), name), name, depth=depth)

    async def symbol(self, values: Values) -> Answer:
        """One instrument."""
        exchange, name = str(values["exchange"]), str(values["symbol"])
        found = await self._names.instrument(exchange, name)
        if found is None or (found.kind is Kind.INDEX) != (exchange in _OF_INDICES):
            raise Refused(f"Symbol '{name}' not found in exchange '{exchange}'", 404)
        return data(_told(found))

    async def search(self, values: Values) -> Answer:
        """Instruments by the words of a text."""
        query, exchange = str(values["query"]), str(values["exchange"] or "")
        told = await self._lookup.search(query, ours(exchange), _MOST_FOUND)
        found = [_told(one) for one in told.instruments]
        found = [one for one in found if exchange in ("", one["exchange"])]
        if not found:
            raise Refused("No matching symbols found", 404)
        return data(found, message=f"Found {len(found)} matching symbols")

    async def expiry(self, values: Values) -> Answer:
        """The days on which futures or options of an underlying expire."""
        name = str(values["symbol"]).upper()
        kind = Kind.FUTURE if values["instrumenttype"] == "futures" else Kind.OPTION
        today = self._lookup.today
        days = await self._lookup.all(lambda index: index.expiries(name, kind, today))
        if not days:
            raise Refused(f"No expiry dates found for {name} {values['instrumenttype']} in {values['exchange']}", 404)
        told = [_expiry(day) for day in days]
        return data(told, message=f"Found {len(told)} expiry dates for {name} {values['instrumenttype']}")

    async def instruments(self, values: Values) -> Answer | Response:
        """All instruments of an exchange, of all exchanges without one; as JSON or CSV."""
        exchange, today = str(values["exchange"] or ""), self._lookup.today

        def read(index: InstrumentIndex) -> tuple[dict[str, Any], ...]:
            where = ours(exchange)
            kinds = tuple(Kind)
            listed = (one for name in index.names(where) for one in index.by_underlying(name, kinds, where))
            told = (_told(one) for one in listed if not one.expired(today))
            return tuple(one for one in told if exchange in ("", one["exchange"]))

        found = await self._lookup.all(read)
        if not found:
            raise Refused(
                f"No instruments found for exchange '{exchange}'" if exchange else "No instruments found", 404
            )
        if values["format"] == "csv":
            out = io.StringIO()
            writer = csv.DictWriter(out, _COLUMNS)
            writer.writeheader()
            writer.writerows(found)
            return Response(out.getvalue(), media_type="text/csv")
        return data(found, message=f"Found {len(found)} instruments")

    async def holidays(self, values: Values) -> Answer:
        """The days of a year on which an exchange is closed, or trades at other hours, as far as it is known."""
        year = int(values["year"] or self._lookup.today.year)
        days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
        told = [_holiday(day) for day in days if day.year == year and day.weekday() < 5]
        found = [one for one in told if one is not None]
        return success(data=found, year=year, timezone="Asia/Kolkata")

    async def timings(self, values: Values) -> Answer:
        """The hours of each exchange on a day; nothing where it is closed."""
        return data(_hours(values["date"]))


def quote_told(quote: Quote) -> dict[str, Any]:
    """A price in OpenAlgo's words."""
    names = ("open", "high", "low", "volume", "bid", "ask")
    told = {name: getattr(quote, name) for name in names}
    return {**told, "ltp": quote.last_price, "prev_close": quote.close, "oi": quote.open_interest}


def _told(one: Instrument) -> dict[str, Any]:
    exchange = f"{one.exchange}_INDEX" if one.kind is Kind.INDEX else one.exchange
    return {
        "symbol": openalgo_name(one),
        "brsymbol": one.symbol,
        "name": one.underlying or one.name or one.symbol,
        "exchange": exchange,
        "brexchange": one.exchange,
        "token": one.token,
        "expiry": "" if one.expiry is None else _expiry(one.expiry),
        "strike": one.strike if one.strike is not None else 0,
        "lotsize": one.lot_size,
        "instrumenttype": one.option
        or ("FUT" if one.kind is Kind.FUTURE else one.kind.value if one.kind is Kind.INDEX else "EQ"),
        "tick_size": one.tick_size,
        "freeze_qty": one.freeze_quantity,
    }


def _expiry(day: date) -> str:
    """As OpenAlgo writes it: 25-AUG-26."""
    return f"{day.day:02}-{MONTHS[day.month - 1]}-{day.year % 100:02}"


def _hours(day: date) -> list[dict[str, Any]]:
    found = []
    for exchange in _TRADED:
        hours = market_hours().day(exchange, day)
        if hours is not None and hours.opens is not None and hours.closes is not None:
            times = {"start_time": _epoch_ms(day, hours.opens), "end_time": _epoch_ms(day, hours.closes)}
            found.append({"exchange": exchange, **times})
    return found


def _holiday(day: date) -> dict[str, Any] | None:
    closed, special, reason, certain = [], [], "", True
    for exchange in _TRADED:
        hours = market_hours().day(exchange, day)
        if hours is None or not hours.reason:
            continue
        reason, certain = reason or hours.reason, certain and hours.certain
        if hours.opens is None or hours.closes is None:
            closed.append(exchange)
        else:
            times = {"start_time": _epoch_ms(day, hours.opens), "end_time": _epoch_ms(day, hours.closes)}
            special.append({"exchange": exchange, **times})
    if not reason:
        return None
    return {
        "date": day,
        "description": reason,
        "holiday_type": "TRADING_HOLIDAY" if closed else "SPECIAL_SESSION",
        "closed_exchanges": closed,
        "open_exchanges": special,
        "certain": certain,
    }


def _epoch_ms(day: date, clock: time) -> int:
    return round(datetime.combine(day, clock, INDIA).timestamp() * 1000)
