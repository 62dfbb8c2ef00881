"""Orders for options by their offset from the price of what is behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from core.model.instrument import Instrument, Kind, OptionType
from core.rules.instrument_names import MONTHS, openalgo_name
from core.rules.option_offset import strike_at
from core.web.instruments import Lookup
from core.web.openalgo.answers import Answer, Refused, success
from core.web.openalgo.data import MarketData
from core.web.openalgo.orders import Orders
from core.web.openalgo.symbols import Names

__all__ = ["Options"]

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Chain:
    """The options of one underlying and expiry, and its price now."""

    underlying: str
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

    async def optionsorder(self, values: Values) -> Answer:
        """One order for the option that an offset names now; under a key that was used, for the one it named then."""
        if values["splitsize"]:
            raise Refused("splitsize is not there in Sixstep; leave it 0. Nothing was done", 501)
        chain = await self._chain(values, values["expiry_date"])
        one = await self._chosen(values, chain, values["idempotency_key"])
        answer = await self._orders.placeorder(_order(values, one, values["idempotency_key"]))
        told = {name: values[name] for name in ("underlying", "offset", "option_type")}
        return Answer({**answer.body, **_place(one), **told, "underlying_ltp": chain.price}, answer.code)

    async def optionsmultiorder(self, values: Values) -> Answer:
        """Orders for several options; those that buy go first, and all are known before anything is sent."""
        if any(leg["splitsize"] for leg in values["legs"]):
            raise Refused("splitsize is not there in Sixstep; leave it 0. Nothing was done", 501)
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
            shown = f"{day.day:02}{MONTHS[day.month - 1]}{day.year % 100:02}"
            raise Refused(f"No options of {behind.underlying} that expire on {shown} are listed", 404)
        price = (await self._market.quote_of(behind.exchange, behind.symbol, name)).last_price
        return _Chain(behind.underlying, price, options)


def _order(values: Values, one: Instrument, key: str | None) -> dict[str, Any]:
    names = ("strategy", "action", "quantity", "pricetype", "product", "price", "trigger_price")
    return {**{name: values[name] for name in names}, **_place(one), "idempotency_key": key}


def _place(one: Instrument) -> dict[str, str]:
    return {"symbol": openalgo_name(one), "exchange": one.exchange}
