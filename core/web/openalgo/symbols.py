"""OpenAlgo's names of instruments and exchanges, and ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from core.instruments import InstrumentIndex
from core.instruments.lookups import find
from core.messages import FindInstruments, GuardSnapshot
from core.model.instrument import Instrument, Kind
from core.rules.instrument_names import openalgo_name
from core.web.instruments import Lookup
from core.web.openalgo.answers import Refused

__all__ = ["Names", "Place", "ours"]

_OURS: Mapping[str, str] = {"NCDEX": "NCX", "NSE_INDEX": "NSE", "BSE_INDEX": "BSE", "MCX_INDEX": "MCX"}
_MOST_KEPT = 20_000


def ours(exchange: str) -> str:
    """Our name of an exchange of OpenAlgo's."""
    return _OURS.get(exchange, exchange)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an order goes, in the broker's names; `name` is the symbol as it was asked for."""

    exchange: str
    symbol: str
    name: str


class Names:
    """Looks names up, and keeps what it found for the day.

    Args:
        lookup: The index of instruments, and the broker's search.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._day: date | None = None
        self._found: dict[tuple[str, str], Instrument] = {}
        self._theirs: dict[tuple[str, str], str] = {}

    async def instrument(self, exchange: str, name: str) -> Instrument | None:
        """The instrument that OpenAlgo, or the broker, calls so at this exchange; None where there is none."""
        self._begin_day()
        known = self._found.get((exchange, name))
        if known is not None:
            return known
        today, where = self._lookup.today, ours(exchange)
        found = await self._lookup.first(lambda index: find(index, name, where, today))
        if found is None:
            told = await self._lookup.at_broker(FindInstruments, where, name)
            alike = [one for one in told.instruments if name.upper() in (one.symbol.upper(), openalgo_name(one))]
            found = min(alike, key=lambda one: (one.series != "EQ", one.symbol), default=None)
        if found is None or found.exchange != where:
            return None
        self._found[exchange, name] = found
        return found

    async def place(self, exchange: str, name: str) -> tuple[str, str]:
        """The exchange and symbol that the broker is asked about; as they are named while there is no symbol file.

        Raises:
            Refused: No instrument is called so.
        """
        found = await self.instrument(exchange, name)
        if found is None and await self._listed(ours(exchange)):
            raise Refused(await self.unknown(exchange, name), 404)
        return (ours(exchange), name) if found is None else (found.exchange, found.symbol)

    async def _listed(self, exchange: str) -> bool:
        files = await self._lookup.all(lambda index: index.files())
        return any(file.exchange == exchange for file in files)

    async def learn(self, places: Iterable[tuple[str, str]]) -> None:
        """Look these up together (exchange, name), so that `instrument` knows those that the symbol files have."""
        self._begin_day()
        missing = {place for place in places if place not in self._found}
        today = self._lookup.today

        def read(index: InstrumentIndex) -> tuple[tuple[tuple[str, str], Instrument], ...]:
            found = ((place, find(index, place[1], ours(place[0]), today)) for place in missing)
            return tuple((place, one) for place, one in found if one is not None and one.exchange == ours(place[0]))

        if missing:
            self._found.update(await self._lookup.all(read))

    async def tradable(self, exchange: str, name: str, guard: Callable[[], Awaitable[GuardSnapshot]]) -> Place:
        """Where an order for it goes. `guard` tells what the strategy holds.

        Raises:
            Refused: It cannot be traded, or nobody knows it.
        """
        where = ours(exchange)
        if exchange.endswith("_INDEX") or exchange == "NCO":
            raise Refused(str({"exchange": [f"Nothing is traded at {exchange} here."]}))
        found = await self.instrument(exchange, name)
        # What is held is left by the name it is held under, whatever the symbol files say today.
        if found is None and any((line.exchange, line.symbol) == (where, name) for line in (await guard()).lines):
            return Place(where, name, name)
        if found is not None and found.kind is Kind.INDEX:
            raise Refused(str({"symbol": [f"{name} is an index; its futures and options are traded."]}))
        if found is not None:
            return Place(found.exchange, found.symbol, name)
        if not await self._listed(where):
            # Without a symbol file there is nothing to know it by; the broker says what it is.
            return Place(where, name, name)
        raise Refused(str({"symbol": [await self.unknown(exchange, name)]}))

    async def unknown(self, exchange: str, name: str) -> str:
        """What is said of a name that nobody knows."""
        close = ", ".join(openalgo_name(one) for one in await self._lookup.near(name, ours(exchange)))
        hint = f" Near it: {close}." if close else " search finds symbols by the words of a name."
        return f"Symbol {name} not found for exchange {exchange}.{hint}"

    async def theirs(self, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """OpenAlgo's names of trading symbols (exchange, symbol); the trading symbol where none is known."""
        self._begin_day()
        wanted = set(places)
        missing = [place for place in wanted if place not in self._theirs]
        if missing:
            named = await self._lookup.all(_names_of(missing))
            self._theirs.update(named)
        return {place: self._theirs.get(place, place[1]) for place in wanted}

    def _begin_day(self) -> None:
        if self._day != self._lookup.today or len(self._found) + len(self._theirs) > _MOST_KEPT:
            self._day = self._lookup.today
            self._found.clear()
            self._theirs.clear()


def _names_of(
    places: Iterable[tuple[str, str]],
) -> Callable[[InstrumentIndex], tuple[tuple[tuple[str, str], str], ...]]:
    def read(index: InstrumentIndex) -> tuple[tuple[tuple[str, str], str], ...]:
        found = ((place, index.by_symbol(place[1], place[0])) for place in places)
        return tuple((place, openalgo_name(one[0])) for place, one in found if one)

    return read
