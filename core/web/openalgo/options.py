"""Orders for options by their offset from the price of what is behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from core.model.broker import Quote
from core.model.instrument import Instrument, Kind, OptionType
from core.rules.instrument_names import MONTHS, openalgo_name
from core.rules.option_chain import around, at_the_money, moneyness
from core.rules.option_offset import strike_at
from core.web.instruments import Lookup
from core.web.openalgo.answers import Answer, Refused, success
from core.web.openalgo.data import MarketData, quote_told
from core.web.openalgo.orders import Orders
from core.web.openalgo.symbols import Names

__all__ = ["Options"]

Values = Mapping[str, Any]

_EACH_SIDE = 50


@dataclass(frozen=True, slots=True)
class _Chain:
    """The options of one underlying and expiry, and its price now."""

    underlying: str
    expiry: date
    price: Decimal
    options: tuple[Instrument, ...]

    def at(self, offset: str, option: OptionType, interval: int | None) -> Instrument:
        """The option that an offset names.

        Raises:
            Refused: There is none.
        """
        alike = [one for one in self.options if one.option is option and one.strike is not None]
        strike = strike_at(
            [one.strike for one in alike if one.strike is not None], self.price, offset, option, interval
        )
        found = next((one for one in alike if one.strike == strike), None)
        if found is None:
            raise Refused(f"No strike {offset} {option.value} of {self.underlying} is listed for this expiry", 404)
        return found


class Options:
    """Finds options, and places orders for them.

    Args:
        lookup: The index of instruments.
        names: OpenAlgo's names.
        market: Prices.
        orders: Places orders.
    """

    def __init__(self, lookup: Lookup, names: Names, market: MarketData, orders: Orders) -> None:
        self._lookup = lookup
        self._names = names
        self._market = market
        self._orders = orders

    async def optionsymbol(self, values: Values) -> Answer:
        """The option that an offset names now."""
        chain = await self._chain(values, values["expiry_date"])
        one = chain.at(str(values["offset"]), OptionType(values["option_type"]), values["strike_int"])
        return success(
            symbol=openalgo_name(one),
            exchange=one.exchange,
            lotsize=one.lot_size,
            tick_size=one.tick_size,
            freeze_qty=one.freeze_quantity,
            underlying_ltp=chain.price,
        )

    async def optionchain(self, values: Values) -> Answer:
        """Calls and puts around the money, with what the feed says of each; what it does not say is null."""
        chain = await self._chain(values, values["expiry_date"])
        shown = around(chain.options, chain.price, int(values["strike_count"] or _EACH_SIDE))
        quotes = await asyncio.gather(*map(self._market.pushed, shown))
        strikes = sorted({one.strike for one in shown if one.strike is not None})
        middle = at_the_money(strikes, chain.price)
        rows = []
        for steps, strike in enumerate(strikes, -sum(middle is not None and one < middle for one in strikes)):
            sides = {
                (one.option or "").lower(): _listed(one, quote, steps)
                for one, quote in zip(shown, quotes, strict=True)
                if one.strike == strike
            }
            rows.append({"strike": strike, "ce": sides.get("ce"), "pe": sides.get("pe")})
        told = {"underlying": chain.underlying, "underlying_ltp": chain.price, "expiry_date": _expiry(chain.expiry)}
        return success(**told, atm_strike=middle, chain=rows)

    async def syntheticfuture(self, values: Values) -> Answer:
        """The future that a call and a put at the money make: strike + call - put."""
        chain = await self._chain(values, values["expiry_date"])
        pair = [chain.at("ATM", option, None) for option in (OptionType.CE, OptionType.PE)]
        call, put = [
            (await self._market.quote_of(one.exchange, one.symbol, openalgo_name(one))).last_price for one in pair
        ]
        strike = pair[0].strike or Decimal(0)
        return success(
            underlying=chain.underlying,
            underlying_ltp=chain.price,
            expiry=_expiry(chain.expiry),
            atm_strike=strike,
            synthetic_future_price=strike + call - put,
        )

    async def optionsorder(self, values: Values) -> Answer:
        """One order for the option that an offset names now; under a key that was used, for the one it named then."""
        chain = await self._chain(values, values["expiry_date"])
        size, key = values["splitsize"], values["idempotency_key"]
        one = await self._chosen(values, chain, f"{key}~1" if key is not None and size else key)
        order = {**_order(values, one, key), "splitsize": size}
        answer = await (self._orders.splitorder(order) if size else self._orders.placeorder(order))
        told = {name: values[name] for name in ("underlying", "offset", "option_type")}
        return Answer({**answer.body, **_place(one), **told, "underlying_ltp": chain.price}, answer.code)

    async def optionsmultiorder(self, values: Values) -> Answer:
        """Orders for several options; those that buy go first, and all are known before anything is sent."""
        if any(leg["splitsize"] for leg in values["legs"]):
            raise Refused(str({"legs": ["splitsize of a leg is not there; leave it 0, or send optionsorder for it."]}))
        key, found = values["idempotency_key"], []
        chains: dict[object, _Chain] = {}
        for number, leg in enumerate(values["legs"], 1):
            expiry = leg["expiry_date"] or values["expiry_date"]
            if expiry not in chains:
                chains[expiry] = await self._chain(values, expiry)
            wanted = {**leg, "strike_int": values["strike_int"]}
            under = None if key is None else f"{key}~{number}"
            found.append((leg, await self._chosen(wanted, chains[expiry], under)))
        legs = [_order({**leg, "strategy": values["strategy"]}, one, None) for leg, one in found]
        told = await self._orders.basketorder({**values, "orders": legs})
        results = [
            {"leg": number, **{name: leg[name] for name in ("offset", "option_type", "action")}, **result}
            for number, ((leg, _), result) in enumerate(zip(found, told.body["results"], strict=True), 1)
        ]
        first = next(iter(chains.values()))
        more = {"underlying": values["underlying"], "underlying_ltp": first.price}
        return Answer({**told.body, **more, "results": results}, told.code)

    async def _chosen(self, values: Values, chain: _Chain, key: str | None) -> Instrument:
        """By the offset; where an order came under the key before, what that was for: the price has moved since."""
        option = OptionType(values["option_type"])
        before = None if key is None else await self._orders.place_under(key)
        known = [one for one in chain.options if (one.exchange, one.symbol) == before and one.option is option]
        return known[0] if known else chain.at(str(values["offset"]), option, values["strike_int"])

    async def _chain(self, values: Values, expiry: date | None) -> _Chain:
        name, exchange = str(values["underlying"]), str(values["exchange"])
        behind = await self._names.instrument(exchange, name)
        if behind is None or behind.kind not in (Kind.INDEX, Kind.SHARE, Kind.FUTURE):
            raise Refused(f"Underlying {name} not found for exchange {exchange}", 404)
        day = expiry or behind.expiry
        if day is None:
            raise Refused(str({"expiry_date": ["Missing data for required field, such as 25AUG26."]}))
        listed = await self._lookup.all(lambda index: index.chain(behind.underlying, day))
        options = tuple(one for one in listed if one.kind is Kind.OPTION)
        if not options:
            raise Refused(f"No options of {behind.underlying} that expire on {_expiry(day)} are listed", 404)
        price = (await self._market.quote_of(behind.exchange, behind.symbol, name)).last_price
        return _Chain(behind.underlying, day, price, options)


def _order(values: Values, one: Instrument, key: str | None) -> dict[str, Any]:
    names = ("strategy", "action", "quantity", "pricetype", "product", "price", "trigger_price")
    return {**{name: values[name] for name in names}, **_place(one), "idempotency_key": key}


def _listed(one: Instrument, quote: Quote | None, steps: int) -> dict[str, Any]:
    names = ("ltp", "bid", "ask", "open", "high", "low", "prev_close", "volume", "oi")
    told = dict.fromkeys(names) if quote is None else quote_told(quote)
    sides = {"bid_qty": quote.bids if quote else (), "ask_qty": quote.asks if quote else ()}
    beside = {name: levels[0][1] if levels else None for name, levels in sides.items()}
    return {
        "symbol": openalgo_name(one),
        "label": moneyness(steps, one.option or OptionType.CE),
        **told,
        **beside,
        "lotsize": one.lot_size,
        "tick_size": one.tick_size,
    }


def _expiry(day: date) -> str:
    return f"{day.day:02}{MONTHS[day.month - 1]}{day.year % 100:02}"


def _place(one: Instrument) -> dict[str, str]:
    return {"symbol": openalgo_name(one), "exchange": one.exchange}
