"""What the symbol files lack is asked of the broker: what, how often, and what becomes of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.instruments import open_for_reading
from core.messages import CompleteInstrument, FindInstruments, InstrumentsFound, ReadInstrument
from core.model.instrument import Instrument
from core.runtime import Actor, Runtime
from tests.actors.test_instruments import HOUR_S, Broker, House

NFO = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n" + "".join(
    f"NFO,{token},65,{under},{under}29DEC26C{strike},29-DEC-2026,OPTIDX,CE,{strike},0.05,\n"
    for token, (under, strike) in enumerate(
        (("NIFTY", 25000), ("NIFTY", 26000), ("BANKNIFTY", 58000), ("BANKNIFTY", 59000)), 1
    )
)


class Proxy(Actor):
    """Answers as it is told to, and keeps what it was asked."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.asked: list[FindInstruments | ReadInstrument] = []
        self.down = False
        self.lists: tuple[Instrument, ...] = ()
        self.freeze: int | None = 1801

    def on_asked(self, message: FindInstruments | ReadInstrument) -> None:
        self.asked.append(message)
        told: tuple[Instrument, ...] = self.lists
        if isinstance(message, ReadInstrument):
            told = (replace(message.instrument, freeze_quantity=self.freeze),)
        self.tell_name(message.reply_to, InstrumentsFound((), "no session") if self.down else InstrumentsFound(told))


class Completing(House):
    """The actor at a broker that answers."""

    def __init__(self, directory: Path, prepare: Callable[[Proxy], None] = lambda _: None) -> None:
        self._prepare = prepare
        super().__init__(directory, Broker({"NFO": NFO.encode()}), exchanges=("NFO",))

    def spawn_others(self) -> None:
        self.runtime.spawn(Proxy, "broker_proxy")
        self._prepare(self.told)

    @property
    def told(self) -> Proxy:
        proxy = self.runtime._actors["broker_proxy"]
        assert isinstance(proxy, Proxy)
        return proxy

    def freezes(self) -> dict[str, int | None]:
        with open_for_reading(self.directory) as index:
            assert index is not None
            return {one.symbol: one.freeze_quantity for one in index.search("29DEC26", "NFO", date(2026, 11, 26), 20)}


def down(proxy: Proxy) -> None:
    proxy.down = True


def silent_of_freeze(proxy: Proxy) -> None:
    proxy.freeze = None


def test_one_contract_of_each_index_tells_the_freeze_quantity_of_all(tmp_path: Path) -> None:
    house = Completing(tmp_path)
    assert len(house.told.asked) == 2
    assert set(house.freezes().values()) == {1801}
    house.runtime.advance(HOUR_S)
    assert len(house.told.asked) == 2
    # The files of the next reading have forgotten it.
    house.refresh()
    house.runtime.advance(1.0)
    assert len(house.told.asked) == 4
    assert set(house.freezes().values()) == {1801}
    house.stop()


def test_what_could_not_be_answered_is_asked_again_a_minute_later(tmp_path: Path) -> None:
    house = Completing(tmp_path, down)
    assert set(house.freezes().values()) == {None}
    house.told.down = False
    house.runtime.advance(61.0)
    assert set(house.freezes().values()) == {1801}
    asked = len(house.told.asked)
    house.runtime.advance(HOUR_S)
    assert len(house.told.asked) == asked
    house.stop()


def test_a_broker_that_tells_no_freeze_quantity_is_asked_once(tmp_path: Path) -> None:
    house = Completing(tmp_path, silent_of_freeze)
    house.runtime.advance(HOUR_S)
    assert len(house.told.asked) == 2
    house.stop()


@pytest.mark.parametrize("times", [1, 3])
def test_a_symbol_the_file_lacks_is_searched_once_a_day_and_kept_with_its_details(tmp_path: Path, times: int) -> None:
    house = Completing(tmp_path)
    house.told.asked.clear()
    new = Instrument(exchange="NFO", symbol="INFY29DEC26F", token="9", tick_size=Decimal("0.05"), lot_size=400)
    house.told.lists = (new, replace(new, symbol="INFY29DEC26F-LONGER", token="10"))
    house.told.freeze = 500
    for _ in range(times):
        house.runtime.tell("instruments", CompleteInstrument("NFO", "INFY29DEC26F"))
        house.runtime.advance(1.0)
    assert [type(one).__name__ for one in house.told.asked] == ["FindInstruments", "ReadInstrument"]
    with open_for_reading(tmp_path) as index:
        assert index is not None
        (kept,) = index.by_symbol("INFY29DEC26F", "NFO")
        assert (kept.lot_size, kept.freeze_quantity) == (400, 500)
        assert index.by_symbol("INFY29DEC26F-LONGER", "NFO") == ()
    house.stop()
