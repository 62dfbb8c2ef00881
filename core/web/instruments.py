"""Looking instruments up: in the index of the symbol files, and at the broker for what they lack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response

from core.instruments import InstrumentIndex
from core.instruments.hours import market_hours
from core.instruments.lookups import find, near, underlying_of
from core.messages import (
    FindInstruments,
    GetQuote,
    InstrumentFiles,
    InstrumentsFound,
    QuoteRead,
    QuoteUnreadable,
    ReadInstrument,
    RefreshInstruments,
    RememberInstrument,
)
from core.model.broker import Quote
from core.model.calendar import INDIA
from core.model.instrument import Instrument, Kind, OptionType
from core.rules.instrument_names import day_of, openalgo_name, typed
from core.rules.option_chain import PremiumSearch, around, at_the_money
from core.web.gateway import Gateway, Unanswered
from core.web.plain import PlainResponse, plain
from core.web.reading import Reading

__all__ = ["Lookup", "add_instruments", "unknown"]

_BROKER_S = 5.0
_REFRESH_S = 8.0

T = TypeVar("T")

_Exchange = Annotated[str, Query(pattern=r"^[A-Za-z_]{0,10}$")]
_Text = Annotated[str, Query(max_length=100)]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such instrument; `near` has names like it"},
    409: {"description": "What is asked for cannot be told; `error` says what to give"},
}


class Lookup:
    """Instruments for the web.

    Args:
        gateway: The service.
        reading: Threads for the index.
    """

    def __init__(self, gateway: Gateway, reading: Reading) -> None:
        self._gateway = gateway
        self._reading = reading

    @property
    def now(self) -> datetime:
        """The time in India."""
        return self._gateway.clock.now().astimezone(INDIA)

    @property
    def today(self) -> date:
        """The date in India."""
        return self.now.date()

    async def first(self, read: Callable[[InstrumentIndex], T | None]) -> T | None:
        """What `read` finds in the index; None while there is none."""

        def work() -> T | None:
            with self._gateway.open_instruments() as index:
                return None if index is None else read(index)

        return await self._reading.run(work)

    async def all(self, read: Callable[[InstrumentIndex], tuple[T, ...]]) -> tuple[T, ...]:
        """What `read` finds in the index; nothing while there is none."""
        return await self.first(read) or ()

    async def search(self, text: str, exchange: str, limit: int) -> InstrumentsFound:
        """Instruments by the words of a text; the broker is asked for what the symbol files lack."""
        wanted, today = typed(text, exchange), self.today
        found = await self.all(lambda index: index.search(wanted.name, wanted.exchange, today, limit))
        one = await self.first(lambda index: find(index, text, exchange, today))
        if one is not None:
            found = (one, *(other for other in found if other != one))[:limit]
        if found or not wanted.name:
            return InstrumentsFound(found)
        told = await self.at_broker(FindInstruments, wanted.exchange or "NSE", wanted.name)
        return InstrumentsFound(told.instruments[:limit], told.problem)

    async def one(self, text: str, exchange: str) -> Instrument | None:
        """The instrument that a name means, with its freeze quantity where the broker tells it now."""
        today = self.today
        found = await self.first(lambda index: find(index, text, exchange, today))
        if found is None:
            wanted = typed(text, exchange)
            told = await self.at_broker(FindInstruments, wanted.exchange or "NSE", wanted.name)
            found = min((one for one in told.instruments if _means(one, wanted.name)), key=_exactness, default=None)
        if found is None or not found.token or found.freeze_quantity is not None:
            return found
        told = await self.at_broker(ReadInstrument, found)
        if not told.instruments:
            return found
        self._gateway.runtime.tell(self._gateway.instruments.name, RememberInstrument(told.instruments[0]))
        return told.instruments[0]

    async def near(self, text: str, exchange: str) -> tuple[Instrument, ...]:
        """Instruments that an unknown name may have been meant for."""
        today = self.today
        return await self.all(lambda index: near(index, text, exchange, today))

    async def at_broker(self, message: Callable[..., Any], *fields: object) -> InstrumentsFound:
        """What the broker says; its silence is a problem and no error."""
        proxy = self._gateway.broker_proxy
        try:
            told = await self._gateway.ask(proxy, lambda name: message(*fields, name), _BROKER_S)
        except Unanswered as error:
            return InstrumentsFound((), str(error))
        return told if isinstance(told, InstrumentsFound) else InstrumentsFound((), "the broker gave no answer")

    async def price(self, instrument: Instrument) -> Decimal | str:
        """The middle of bid and ask, the last price without them; or why there is none."""
        prices = self._gateway.prices
        try:
            told = await self._gateway.ask(
                prices, lambda name: GetQuote(instrument.exchange, instrument.symbol, name), _BROKER_S
            )
        except Unanswered as error:
            return str(error)
        if isinstance(told, QuoteUnreadable):
            return told.reason
        return _price(told.quote) if isinstance(told, QuoteRead) else "the broker gave no answer"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which part of a chain is wanted."""

    expiry: str
    strikes: int | None
    around: Decimal | None
    premium: Decimal | None
    option: OptionType | None


def add_instruments(router: APIRouter, gateway: Gateway, reading: Reading) -> None:
    """The calls below /instruments."""
    lookup = Lookup(gateway, reading)

    @router.get("/instruments", tags=["instruments"])
    async def instruments(
        q: _Text = "", query: _Text = "", exchange: _Exchange = "", limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> Response:
        """Instruments that hold every word of `q` (or `query`), those named so first.

        A trading symbol, a name as OpenAlgo or TradingView have it, or words: `RELIANCE`, `NIFTY25AUG2625000CE`,
        `banknifty 58500 ce`. What expired is left out. Where the symbol files have nothing, the broker is asked. Where
        it has nothing either, `near` has names that may be meant.
        """
        found = await lookup.search(q or query, exchange, limit)
        close = () if found.instruments else await lookup.near(q or query, exchange)
        body = {
            "instruments": [_told(one) for one in found.instruments],
            "near": [_told(one) for one in close],
            "problem": found.problem,
            "files": await lookup.all(lambda index: index.files()),
        }
        return PlainResponse(body)

    @router.get("/instruments/{symbol}", tags=["instruments"], responses=_ANSWERS)
    async def instrument(symbol: str, exchange: _Exchange = "") -> Response:
        """One instrument by a trading symbol or a name, with the hours of its exchange today.

        `freeze_quantity` is asked from the broker once a day; null where it does not tell.
        """
        found = await lookup.one(symbol, exchange)
        if found is None:
            return await unknown(lookup, symbol, exchange)
        hours = market_hours().day(found.exchange, lookup.today)
        state = None if hours is None else {**plain(hours), "open_now": hours.is_open(lookup.now)}
        return PlainResponse({**_told(found), "expired": found.expired(lookup.today), "market": state})

    @router.get("/instruments/{underlying}/chain", tags=["instruments"], responses=_ANSWERS)
    async def chain(  # noqa: PLR0917 - one parameter a filter
        underlying: str,
        expiry: _Text = "",
        strikes: Annotated[int | None, Query(ge=0, le=200)] = None,
        around: Annotated[Decimal | None, Query(gt=0, le=10_000_000)] = None,
        premium: Annotated[Decimal | None, Query(gt=0, le=10_000_000)] = None,
        option: OptionType | None = None,
    ) -> Response:
        """Options of an underlying that expire on `expiry` (2026-08-25); without it, at the nearest.

        With `strikes`, only so many on each side of the strike at the money: by the price `around`, else by that of the
        underlying. With `premium` and `option`, `nearest` is the option whose price is nearest to the premium; its
        quotes count in the call budget.
        """
        return await _chain(lookup, underlying, _Wanted(expiry, strikes, around, premium, option))

    @router.post("/instruments/refresh", tags=["instruments"])
    async def refresh() -> Response:
        """Read the symbol files now. `done` is false where that takes longer than 8 s; it goes on."""
        problems: tuple[str, ...] = ()
        done = True
        try:
            told = await gateway.ask(gateway.instruments, RefreshInstruments, _REFRESH_S)
            problems = told.problems if isinstance(told, InstrumentFiles) else ()
        except Unanswered:
            done = False
        files = await lookup.all(lambda index: index.files())
        return PlainResponse({"done": done, "files": files, "problems": problems})


async def unknown(lookup: Lookup, symbol: str, exchange: str) -> Response:
    """The answer about a name that no instrument has: names near it."""
    names = await lookup.near(symbol, exchange)
    if not names:
        told = await lookup.at_broker(FindInstruments, typed(symbol, exchange).exchange or "NSE", symbol.upper())
        names = told.instruments[:5]
    hint = f"; near it: {', '.join(one.place for one in names)}" if names else ""
    return PlainResponse(
        {"error": f"there is no instrument {symbol}{hint}", "near": [_told(one) for one in names]}, 404
    )


async def _chain(lookup: Lookup, name: str, wanted: _Wanted) -> Response:
    today, family = lookup.today, typed(name).name
    expiries = await lookup.all(lambda index: index.expiries(family, Kind.OPTION, today))
    if not expiries:
        raise HTTPException(404, f"{family} has no options in the symbol files; `run.py instruments search {family}`")
    day = day_of(wanted.expiry) if wanted.expiry else expiries[0]
    if day not in expiries:
        raise HTTPException(404, f"{family} has no options that expire on {wanted.expiry}; there are {_days(expiries)}")
    listed = await lookup.all(lambda index: index.chain(family, day))
    options: Sequence[Instrument] = [one for one in listed if one.kind is Kind.OPTION]
    price = wanted.around
    if price is None and (wanted.strikes is not None or wanted.premium is not None):
        price = await _price_of(lookup, family)
    if price is not None and wanted.strikes is not None:
        options = around(options, price, wanted.strikes)
    options = [one for one in options if wanted.option in (None, one.option)]
    options = sorted(options, key=lambda one: (one.strike or Decimal(0), one.option or ""))
    strikes = [one.strike for one in options if one.strike is not None]
    body = {
        **{"underlying": family, "expiry": day, "expiries": expiries, "price": price},
        "at_the_money": None if price is None else at_the_money(strikes, price),
        "options": [_told(one) for one in options],
        "nearest": await _nearest(lookup, options, wanted),
    }
    return PlainResponse(body)


async def _price_of(lookup: Lookup, family: str) -> Decimal:
    today = lookup.today
    behind = await lookup.first(lambda index: underlying_of(index, family, today))
    price = "nothing in the symbol files has its price" if behind is None else await lookup.price(behind)
    if isinstance(price, str):
        raise HTTPException(409, f"the price of {family} is not known ({price}); give `around`")
    return price


async def _nearest(lookup: Lookup, options: Sequence[Instrument], wanted: _Wanted) -> Any:
    if wanted.premium is None:
        return None
    if wanted.option is None:
        raise HTTPException(409, "give `option`, CE or PE, with `premium`")
    # The premium of calls falls with the strike, that of puts rises.
    search = PremiumSearch(options[::-1] if wanted.option is OptionType.CE else options, wanted.premium)
    while (one := search.next()) is not None:
        price = await lookup.price(one)
        search.took(None if isinstance(price, str) else price)
    if search.best is None:
        raise HTTPException(409, "the broker tells no price of these options now")
    return {**_told(search.best[0]), "price": plain(search.best[1])}


def _price(quote: Quote) -> Decimal:
    if quote.bid is not None and quote.ask is not None:
        return (quote.bid + quote.ask) / 2
    return quote.last_price


def _told(one: Instrument) -> dict[str, Any]:
    return {**plain(one), "openalgo_name": openalgo_name(one)}


def _means(one: Instrument, name: str) -> bool:
    return one.symbol.upper() == name or (one.kind in (Kind.SHARE, Kind.INDEX) and one.underlying == name)


def _exactness(one: Instrument) -> tuple[bool, str]:
    return (one.series != "EQ", one.symbol)


def _days(expiries: Sequence[date]) -> str:
    return ", ".join(day.isoformat() for day in expiries[:6])
