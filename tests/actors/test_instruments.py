"""The actor of the symbol files, in virtual time: when it reads, what it keeps, what it says."""

from __future__ import annotations

import io
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from actors.addresses import Addresses
from actors.instruments import Instruments
from core.instruments import BadSymbolFile, InstrumentIndex, open_for_reading
from core.instruments.lookups import find
from core.messages import Alert, GetInstrumentFiles, InstrumentFiles, RefreshInstruments, RememberInstrument, Severity
from core.model.alerts import AlertKind
from core.model.calendar import TradingCalendar
from core.model.instrument import Instrument, Kind
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock

# 07:00 in India, before the time of the refresh.
EARLY = datetime(2026, 11, 26, 1, 30, tzinfo=UTC)
TODAY = date(2026, 11, 26)
HOUR_S = 3600.0


def file_of(*symbols: str) -> bytes:
    text = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
    text += "".join(f"NSE,{n},1,{symbol},{symbol}-EQ,EQ,0.05,\n" for n, symbol in enumerate(symbols, 1))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("NSE_symbols.txt", text)
    return out.getvalue()


@dataclass
class Broker:
    """Gives the files that a test puts there, and counts how often it is asked."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    at: str = "https://broker.test"

    def place(self, exchange: str) -> str:
        return f"{self.at}/{exchange}_symbols.txt.zip"

    def fetch(self, exchange: str) -> bytes | None:
        self.asked.append(exchange)
        found = self.files.get(exchange)
        if found == b"down":
            raise BadSymbolFile("it cannot be fetched (ConnectionError)")
        return found

    def stop(self) -> None:
        """Nothing is waited for."""


class Notifier(Actor):
    """Hears the alerts."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.alerts: list[Alert] = []

    def on_alert(self, message: Alert) -> None:
        self.alerts.append(message)


class House:
    """The actor, its notifier and its broker."""

    def __init__(
        self,
        directory: Path,
        broker: Broker,
        at: datetime = EARLY,
        exchanges: tuple[str, ...] = ("NSE",),
        **given: bool,
    ) -> None:
        self.directory = directory
        self.broker = broker
        self.runtime = StepRuntime(VirtualClock(at))
        self.runtime.spawn(Notifier, "notifier")
        self.spawn_others()
        self.runtime.spawn(
            Instruments,
            "instruments",
            addresses=Addresses.of(self.runtime),
            open_index=lambda: InstrumentIndex.open(directory),
            source=broker,
            exchanges=exchanges,
            refresh_at=time(8, 30),
            calendar=TradingCalendar(),
            may_lack=given.get("may_lack", False),
        )
        self.runtime.advance(1.0)

    def spawn_others(self) -> None:
        """Who else is there."""

    @property
    def alerts(self) -> list[Alert]:
        notifier = self.runtime._actors["notifier"]
        assert isinstance(notifier, Notifier)
        return notifier.alerts

    def refresh(self) -> InstrumentFiles:
        box = self.runtime.open_reply()
        self.runtime.tell("instruments", RefreshInstruments(box.name))
        found = self.runtime.await_reply(box, 5.0)
        assert isinstance(found, InstrumentFiles)
        return found

    def knows(self, name: str) -> bool:
        with open_for_reading(self.directory) as index:
            return index is not None and find(index, name, "", TODAY) is not None

    def stop(self) -> None:
        assert self.runtime.stop() == []
        assert self.runtime.dead_letters.take() == []


@pytest.fixture
def broker() -> Broker:
    return Broker({"NSE": file_of("RELIANCE", "INFY")})


@pytest.fixture
def house(tmp_path: Path, broker: Broker) -> Iterator[House]:
    house = House(tmp_path, broker)
    yield house
    house.stop()


def test_the_files_are_read_at_the_start_and_once_a_day_before_the_open(house: House, broker: Broker) -> None:
    assert house.knows("RELIANCE")
    assert len(broker.asked) == 1
    house.runtime.advance(1.4 * HOUR_S)
    assert len(broker.asked) == 1
    broker.files["NSE"] = file_of("RELIANCE", "INFY", "NEWLY")
    house.runtime.advance(0.2 * HOUR_S)
    assert len(broker.asked) == 2
    assert house.knows("NEWLY")
    house.runtime.advance(23 * HOUR_S)
    assert len(broker.asked) == 2


def test_a_start_after_the_refresh_of_the_day_reads_nothing_again(house: House, broker: Broker, tmp_path: Path) -> None:
    house.runtime.advance(2 * HOUR_S)
    read = len(broker.asked)
    house.stop()
    again = House(tmp_path, broker, house.runtime.clock.now())
    assert len(broker.asked) == read
    assert again.knows("RELIANCE")
    again.stop()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (file_of("RELIANCE", "INFY")[:-40], "damaged or cut short"),
        (b"Exchange,Token\n", "no column LotSize"),
        (b"", "no column Exchange"),
        (file_of(), "has no instruments"),
        (None, "there is no such file"),
        (b"down", "cannot be fetched"),
    ],
)
def test_a_bad_file_leaves_the_last_good_one_and_one_alert_that_names_file_and_fix(
    house: House, broker: Broker, bad: bytes | None, words: str
) -> None:
    broker.files["NSE"] = bad
    house.runtime.advance(5 * HOUR_S)
    assert house.knows("RELIANCE")
    (alert,) = house.alerts
    assert (alert.severity, alert.kind) == (Severity.WARNING, AlertKind.INSTRUMENTS)
    for part in (
        *("https://broker.test/NSE_symbols.txt.zip", words, "the one of 2026-11-26 07:00 stays in use, with 2"),
        *("[instruments] url", "[instruments] directory", "instruments refresh"),
    ):
        assert part in alert.text


def test_a_bad_file_is_tried_again_and_that_it_is_good_is_told(house: House, broker: Broker) -> None:
    broker.files["NSE"] = b"down"
    house.runtime.advance(2 * HOUR_S)
    tries = len(broker.asked)
    assert 2 < tries <= 5  # each ten minutes from 08:30 to 09:00
    broker.files["NSE"] = file_of("RELIANCE", "INFY", "NEWLY")
    house.runtime.advance(0.2 * HOUR_S)
    assert house.knows("NEWLY")
    assert [alert.severity for alert in house.alerts] == [Severity.WARNING, Severity.INFO]
    house.runtime.advance(HOUR_S)
    assert len(broker.asked) == tries + 1


def test_without_an_earlier_file_the_alert_says_what_happens_instead(tmp_path: Path) -> None:
    house = House(tmp_path, Broker())
    assert "no earlier one: symbols of this exchange are looked up at the broker" in house.alerts[0].text
    house.stop()


def test_one_exchange_without_a_file_costs_the_others_nothing(tmp_path: Path, broker: Broker) -> None:
    house = House(tmp_path, broker, exchanges=("MCX", "NSE"))
    assert house.knows("RELIANCE")
    assert len(house.alerts) == 1
    house.stop()


def test_an_exchange_that_paper_does_not_trade_is_no_trouble(tmp_path: Path, broker: Broker) -> None:
    house = House(tmp_path, broker, exchanges=("MCX", "NSE"), may_lack=True)
    assert house.alerts == []
    house.stop()


def test_a_person_may_have_them_read_now(house: House, broker: Broker) -> None:
    many = [f"S{n}" for n in range(100)]
    broker.files["NSE"] = file_of(*many)
    assert [(file.exchange, file.rows) for file in house.refresh().files] == [("NSE", 100)]
    # Much shorter than the last one: only because a person asks.
    broker.files["NSE"] = file_of("RELIANCE")
    told = house.refresh()
    assert (told.files[0].rows, told.problems) == (1, ())
    broker.files["NSE"] = None
    assert "there is no such file" in house.refresh().problems[0]


def test_a_file_of_another_broker_is_not_used(house: House, tmp_path: Path) -> None:
    house.stop()
    other = House(tmp_path, Broker(at="https://another.test"), house.runtime.clock.now())
    assert not other.knows("RELIANCE")
    assert "no earlier one" in other.alerts[0].text
    other.stop()


def test_what_the_broker_told_of_an_instrument_is_kept(house: House) -> None:
    one = Instrument(exchange="NSE", symbol="NEWLY-EQ", token="77", kind=Kind.SHARE, underlying="NEWLY")
    house.runtime.tell("instruments", RememberInstrument(one))
    house.runtime.advance(1.0)
    assert house.knows("NEWLY")
    files = house.runtime.ask(house.runtime.address("instruments"), GetInstrumentFiles(), 5.0)
    assert isinstance(files, InstrumentFiles)
    assert files.files[0].rows == 2


def test_a_directory_that_takes_no_index_is_told_and_the_service_starts(tmp_path: Path, broker: Broker) -> None:
    (tmp_path / "file").write_text("no directory")
    house = House(tmp_path / "file", broker)
    assert "instruments cannot be kept in [service] data_dir" in house.alerts[0].text
    assert house.refresh().files[0].rows == 2
    house.stop()


def test_a_full_disk_is_told_and_no_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(InstrumentIndex, "replace", full)
    assert "instruments cannot be kept in [service] data_dir: database or disk is full" in house.refresh().problems[0]
    assert house.knows("RELIANCE")
