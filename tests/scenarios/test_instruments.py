"""Instruments through the whole service: from the exchange's symbol files to what a person is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from core.instruments.hours import market_hours
from core.messages import ChainFound, GetInstrumentFiles, InstrumentFiles, InstrumentTold
from core.model.calendar import INDIA
from core.model.order import ExecutionType, OrderIntent, OrderType, Product, Side, Status, Tag
from core.paper.config import ExchangeConfig
from core.paper.instruments import Instrument
from core.paper.server import PaperServer
from core.runtime import SystemClock
from tests.factories import an_intent
from tests.scenarios.strategies import Asker, with_strategy
from tests.support import wait_until
from tests.support_service import Running, SettableClock, running

ON_PAPER = {"SIXSTEP_INSTRUMENTS__EXCHANGES": "NSE,BSE,NFO,BFO,MCX"}


def files(service: Running) -> InstrumentFiles:
    found = service.ask("instruments", GetInstrumentFiles())
    assert isinstance(found, InstrumentFiles)
    return found


def call(service: Running, path: str, method: str = "GET", **query: object) -> tuple[int, Any]:
    assert service.service.web is not None
    reply = requests.request(method, f"{service.service.web.url}/api/instruments{path}", params=query, timeout=30)
    return reply.status_code, reply.json()


def get(service: Running, path: str, **query: object) -> Any:
    status, body = call(service, path, **query)
    assert status == 200, body
    return body


def symbols(body: Any) -> list[str]:
    return [one["symbol"] for one in body["instruments"]]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("paper"), **ON_PAPER) as service:
        wait_until(lambda: len(files(service).files) == 4)
        yield service


def on_a_trading_day() -> SettableClock:
    """The machine's time of day, on the next day on which NSE trades."""
    clock, days = SettableClock(), 0
    today = clock.now().astimezone(INDIA).date()
    while (hours := market_hours().day("NSE", today + timedelta(days=days))) is not None and hours.opens is None:
        days += 1
    clock.step(timedelta(days=days))
    return clock


def order(**fields: Any) -> OrderIntent:
    return replace(an_intent(price=Decimal(1400)), **fields)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("strict"), clock=on_a_trading_day(), **ON_PAPER) as service:
        wait_until(lambda: len(files(service).files) == 4)
        yield service


def listed(service: Running, exch: str, kind: str) -> list[Instrument]:
    """What the exchange trades of a kind and has not expired, the nearest expiry first."""
    assert service.exchange is not None
    today = service.service.clock.now().astimezone(INDIA).date()
    master: list[Instrument] = service.exchange._call(lambda driver: list(driver._exchange._state.master))
    found = [one for one in master if (one.exch, one.kind) == (exch, kind) and (not one.expiry or one.expiry >= today)]
    return sorted(found, key=lambda one: (str(one.expiry), one.strike))


def test_the_service_reads_what_its_exchange_trades(paper: Running) -> None:
    assert [file.exchange for file in files(paper).files] == ["BFO", "BSE", "NFO", "NSE"]
    assert files(paper).problems == ()
    found = get(paper, "/RELIANCE")
    assert (found["symbol"], found["exchange"], found["kind"], found["lot_size"]) == ("RELIANCE-EQ", "NSE", "SHARE", 1)
    assert found["market"]["closes"] is None or found["market"]["opens"] == "09:15:00"


def test_a_name_of_openalgo_finds_the_contract_and_the_broker_tells_its_freeze_quantity(paper: Running) -> None:
    name = get(paper, "", q="NIFTY CE", exchange="NFO", limit=1)["instruments"][0]["openalgo_name"]
    found = get(paper, f"/{name}")
    assert found["openalgo_name"] == name
    assert (found["kind"], found["option"], found["underlying"], found["lot_size"]) == ("OPTION", "CE", "NIFTY", 65)
    # Not in the file: from GetSecurityInfo, and kept.
    assert found["freeze_quantity"] == 1801
    wait_until(lambda: get(paper, "", q=found["symbol"])["instruments"][0]["freeze_quantity"] == 1801)


def test_files_and_search_of_the_broker_say_the_same(paper: Running) -> None:
    for exch, kind in (("NSE", "EQ"), ("NFO", "OPTIDX"), ("BFO", "OPTIDX"), ("NFO", "FUTSTK")):
        wanted = listed(paper, exch, kind)[0]
        in_file = get(paper, "", q=wanted.tsym, exchange=exch)["instruments"][0]
        told = get(paper, f"/{wanted.tsym}", exchange=exch)
        same = (
            "symbol",
            "token",
            "kind",
            "series",
            "underlying",
            "expiry",
            "strike",
            "option",
            "lot_size",
            "tick_size",
        )
        assert {name: in_file[name] for name in same} == {name: told[name] for name in same}


@pytest.mark.parametrize(
    ("name", "near"), [("RELIANSE", "NSE:RELIANCE-EQ"), ("INFY-BE", "NSE:INFY-EQ"), ("BANKNIFTI", "NSE:NIFTY BANK")]
)
def test_an_unknown_symbol_answers_with_near_names(paper: Running, name: str, near: str) -> None:
    status, body = call(paper, f"/{name}")
    assert status == 404
    assert f"there is no instrument {name}; near it: {near}" in body["error"]
    assert get(paper, "", q=name)["near"][0]["symbol"] == near.partition(":")[2]


def test_a_chain_is_taken_around_the_price_of_the_index(paper: Running) -> None:
    paper.control("set_price", exch="NSE", tsym="NIFTY INDEX", price="26030")
    paper.control("hold_price", exch="NSE", tsym="NIFTY INDEX", hold=True)
    found = get(paper, "/NIFTY/chain", strikes=1)
    assert found["expiry"] == found["expiries"][0]
    assert (found["price"], found["at_the_money"]) == ("26030.00", "26000")
    pairs = [(one["strike"], one["option"]) for one in found["options"]]
    assert pairs == [(strike, kind) for strike in ("25900", "26000", "26100") for kind in ("CE", "PE")]
    later = get(paper, "/NIFTY/chain", expiry=found["expiries"][1], around="25000", strikes=0)
    assert {one["strike"] for one in later["options"]} == {"25000"}


@pytest.mark.parametrize("kind", ["CE", "PE"])
def test_the_option_nearest_to_a_premium_is_found_by_the_brokers_quotes(paper: Running, kind: str) -> None:
    found = get(paper, "/NIFTY/chain", premium=150, option=kind, around="26000", strikes=8)
    assert found["nearest"]["option"] == kind

    def price(symbol: str) -> float:
        quoted = [one for one in listed(paper, "NFO", "OPTIDX") if one.tsym == symbol]
        assert paper.exchange is not None
        return float(paper.exchange._call(lambda driver: driver._exchange._state.last(quoted[0])))

    off = {one["symbol"]: abs(price(one["symbol"]) - 150) for one in found["options"]}
    assert off[found["nearest"]["symbol"]] == min(off.values())


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("/NOTHING/chain", {}, 404, "NOTHING has no options"),
        ("/NIFTY/chain", {"expiry": "2020-01-01"}, 404, "no options that expire on 2020-01-01; there are 20"),
        ("/NIFTY/chain", {"premium": 100}, 409, "give `option`, CE or PE"),
        ("/NIFTY/chain", {"strike": 1}, 422, ""),
    ],
)
def test_a_chain_that_there_is_not_says_what_there_is(
    paper: Running, path: str, query: dict[str, object], status: int, words: str
) -> None:
    got, body = call(paper, path, **query)
    assert got == status
    assert words in body.get("error", "")


def test_a_file_that_was_damaged_leaves_the_last_good_one_and_an_alert(tmp_path: Path) -> None:
    exchange = PaperServer(ExchangeConfig(), clock=SystemClock())
    exchange.start()
    folder = tmp_path / "files"
    folder.mkdir()
    good = requests.get(f"{exchange.rest_url}/NSE_symbols.txt.zip", timeout=30).content
    (folder / "NSE_symbols.txt.zip").write_bytes(good)
    given = {"SIXSTEP_INSTRUMENTS__EXCHANGES": "NSE", "SIXSTEP_INSTRUMENTS__DIRECTORY": str(folder)}
    try:
        with running(tmp_path, exchange=exchange, **given) as service:
            wait_until(lambda: files(service).files)
            (folder / "NSE_symbols.txt.zip").write_bytes(good[: len(good) // 2])
            status, body = call(service, "/refresh", "POST")
            assert (status, body["done"]) == (200, True)
            assert "damaged or cut short" in body["problems"][0]
            assert body["files"][0]["rows"] > 200
            assert get(service, "/RELIANCE")["symbol"] == "RELIANCE-EQ"
            wait_until(lambda: service.alerts("instruments"))
            (alert,) = service.alerts("instruments")
            assert str(folder / "NSE_symbols.txt.zip") in alert
            (folder / "NSE_symbols.txt.zip").write_bytes(good)
            assert call(service, "/refresh", "POST")[1]["problems"] == []
    finally:
        exchange.stop()


def test_without_any_file_the_broker_is_asked(tmp_path: Path) -> None:
    exchange = PaperServer(ExchangeConfig(), clock=SystemClock())
    exchange.start()
    given = {"SIXSTEP_INSTRUMENTS__EXCHANGES": "NSE", "SIXSTEP_INSTRUMENTS__URL": f"{exchange.rest_url}/nowhere"}
    try:
        with running(tmp_path, exchange=exchange, **given) as service:
            wait_until(lambda: service.alerts("instruments"))
            found = get(service, "/RELIANCE")
            assert (found["symbol"], found["kind"], found["freeze_quantity"]) == ("RELIANCE-EQ", "SHARE", 500_001)
            assert "INFY-EQ" in symbols(get(service, "", q="infy"))
            assert call(service, "/NO-SUCH")[0] == 404
    finally:
        exchange.stop()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"symbol": "RELIANCE"}, "symbol: NSE has no RELIANCE; send RELIANCE-EQ"),
        ({"symbol": "NIFTY"}, "symbol: NSE has no NIFTY, which is an index and cannot be traded: send one of its"),
        ({"symbol": "NIFTY INDEX"}, "symbol: NIFTY INDEX is an index and cannot be traded"),
        ({"price": Decimal("1400.03")}, "price: 1400.03 is off the price step of 0.1: send 1400 or 1400.1"),
        ({"product": Product.NRML}, "product: NSE takes no NRML: send MIS or CNC"),
        ({"exchange": "MCX", "symbol": "CRUDEOIL"}, "exchange: nothing of MCX is listed, only of BFO, BSE, NFO, NSE"),
    ],
)
def test_an_order_that_its_instrument_does_not_take_fails_and_the_reason_says_what_to_send(
    strict: Running, fields: dict[str, Any], words: str
) -> None:
    before = len(strict.sent())
    result = strict.submit(order(**fields))
    assert (result.status, result.tag) == (Status.FAILED, Tag.VALIDATION_FAILED)
    assert words in str(result.reason)
    assert len(strict.sent()) == before


def test_a_wrong_lot_is_refused_and_a_right_one_is_sent(strict: Running) -> None:
    option = listed(strict, "NFO", "OPTIDX")[0]
    fields = {"exchange": "NFO", "symbol": option.tsym, "price": Decimal("0.05"), "product": Product.NRML}
    assert f"send {option.lot} or {2 * option.lot}" in str(
        strict.submit(order(quantity=option.lot + 1, **fields)).reason
    )
    assert strict.submit(order(quantity=option.lot, **fields)).success


def test_g10_what_is_above_the_freeze_quantity_that_the_broker_told_of_one_contract_is_sliced(strict: Running) -> None:
    option = next(one for one in listed(strict, "NFO", "OPTIDX") if one.symbol == "BANKNIFTY")
    # Nobody asked for this contract: one of its underlying was asked for when the files had been read.
    wait_until(lambda: get(strict, "", q=option.tsym)["instruments"][0]["freeze_quantity"] == 601)
    fields = {"exchange": "NFO", "symbol": option.tsym, "quantity": 630, "product": Product.NRML}
    result = strict.submit(order(strategy="slices", price=Decimal("0.05"), **fields))
    assert result.success
    assert [one["quantity"] for one in strict.row(result.command_id)["broker_orders"]] == [600, 30]
    many = strict.submit(order(**{**fields, "quantity": 12_030}))
    assert "12030 would be 21 orders of at most 600" in str(many.reason)


def test_a_price_outside_the_band_that_a_quote_told_is_refused(strict: Running) -> None:
    bought = strict.submit(order(strategy="band", symbol="TCS-EQ", order_type=OrderType.MARKET, price=None))
    assert bought.success
    far = strict.submit(order(strategy="other", symbol="TCS-EQ", price=Decimal(100_000)))
    assert "price: 100000 is outside the day's band of" in str(far.reason)


def test_the_ticket_says_what_to_send_beside_the_field(strict: Running) -> None:
    assert strict.service.web is not None
    url, option = strict.service.web.url, listed(strict, "NFO", "OPTIDX")[0]
    with requests.Session() as browser:
        for given, words in (
            ({"exchange": "NSE", "symbol": "RELIANCE", "quantity": "1"}, "NSE has no RELIANCE; send RELIANCE-EQ"),
            ({"exchange": "NFO", "symbol": "NIFTY", "quantity": "65"}, "send one of its contracts, such as NIFTY"),
            ({"exchange": "NFO", "symbol": option.tsym, "quantity": f"{option.lot + 1}"}, f"send {option.lot} or"),
        ):
            page = browser.get(f"{url}/new", timeout=30).text
            hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
            terms = {"strategy": "web", "execution_type": "ENTRY", "side": "BUY", "product": "MIS", "validity": "DAY"}
            form = {**hidden, **terms, "order_type": "LIMIT", "price": "0.05", **given}
            shown = browser.post(f"{url}/new", data=form, headers={"Origin": url}, timeout=30)
            assert (shown.status_code, words in shown.text) == (422, True), shown.text


def test_an_order_type_that_the_broker_takes_from_no_program_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    given = {"SIXSTEP_PAPER__REFUSE_MARKET_ORDERS": "true", "SIXSTEP_BROKER__MARKET_AS_LIMIT": "false"}
    with running(tmp_path, **given) as service:
        refused = service.submit(order(order_type=OrderType.MARKET, price=None))
        assert "order_type: paper takes no MARKET from programs: send LIMIT with a price" in str(refused.reason)
        assert service.sent() == []


@pytest.mark.parametrize(("setting", "is_sent", "alarms"), [("refuse", False, 0), ("warn", True, 1), ("pass", True, 0)])
def test_a_closed_exchange_refuses_warns_or_passes_as_set(
    tmp_path: Path, setting: str, is_sent: bool, alarms: int
) -> None:
    clock = SettableClock()
    days = (5 - clock.now().astimezone(INDIA).weekday()) % 7
    clock.step(timedelta(days=days))
    with running(tmp_path, clock=clock, **{"SIXSTEP_INSTRUMENTS__MARKET_CLOSED": setting}) as service:
        result = service.submit(order())
        assert bool(result.broker_order_id) is is_sent
        closed = "exchange: NSE is closed today (weekend): send it on a trading day"
        assert is_sent or str(result.reason) == closed
        assert len(service.alerts("instruments")) == alarms
        leaving = service.submit(order(execution_type=ExecutionType.EXIT, side=Side.SELL, strategy="beta"))
        assert leaving.tag is not Tag.VALIDATION_FAILED


def test_a_symbol_that_the_file_lacks_is_asked_of_the_broker_and_taken_the_next_time(tmp_path: Path) -> None:
    exchange = PaperServer(ExchangeConfig(), clock=SystemClock())
    exchange.start()
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "NSE_symbols.txt").write_text(
        "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\nNSE,2885,1,RELIANCE,RELIANCE-EQ,EQ,0.10,\n"
    )
    given = {"SIXSTEP_INSTRUMENTS__EXCHANGES": "NSE", "SIXSTEP_INSTRUMENTS__DIRECTORY": str(folder)}
    try:
        with running(tmp_path, exchange=exchange, **given) as service:
            wait_until(lambda: files(service).files)
            first = service.submit(order(symbol="INFY-EQ", price=Decimal("1500")))
            assert str(first.reason).startswith("symbol: NSE has no INFY-EQ")
            wait_until(lambda: symbols(get(service, "", q="INFY-EQ")) == ["INFY-EQ"])
            assert service.submit(order(symbol="INFY-EQ", price=Decimal("1500"))).broker_order_id
    finally:
        exchange.stop()


def test_a_strategy_is_told_instruments_and_chains(tmp_path: Path) -> None:
    Asker.told.clear()
    Asker.asking.clear()
    with running(tmp_path, settings=with_strategy("asker", "Asker"), **ON_PAPER) as service:
        wait_until(lambda: len(files(service).files) == 4)
        Asker.asking.set()
        wait_until(lambda: len(Asker.told) == 3)
    known, unknown, chain = Asker.told
    assert isinstance(known, InstrumentTold)
    assert known.instrument is not None
    assert (known.instrument.place, known.instrument.lot_size) == ("NSE:RELIANCE-EQ", 1)
    assert isinstance(unknown, InstrumentTold)
    assert (unknown.instrument, unknown.near[0].symbol) == (None, "RELIANCE-EQ")
    assert isinstance(chain, ChainFound)
    assert chain.expiry == chain.expiries[0]
    assert [(one.strike, one.option) for one in chain.options] == [
        (strike, kind) for strike in (25_900, 26_000, 26_100) for kind in ("CE", "PE")
    ]


def test_an_exit_is_never_refused_for_its_instrument(strict: Running) -> None:
    held = strict.submit(order(strategy="beta", symbol="ITC-EQ", quantity=3, price=Decimal("430")))
    strict.wait_for(held.command_id, "EXECUTED")
    terms = {"strategy": "beta", "symbol": "ITC-EQ", "quantity": 3, "price": Decimal("430.03")}
    off_step = strict.submit(order(execution_type=ExecutionType.EXIT, side=Side.SELL, **terms))
    assert off_step.tag is not Tag.VALIDATION_FAILED
    wait_until(lambda: any(off_step.command_id in text for text in strict.alerts("instruments")))


def test_a_warning_is_an_alert_and_the_order_is_sent(tmp_path: Path) -> None:
    given = {**ON_PAPER, "SIXSTEP_INSTRUMENTS__CHECK": "warn"}
    with running(tmp_path, clock=on_a_trading_day(), **given) as service:
        wait_until(lambda: len(files(service).files) == 4)
        result = service.submit(order(price=Decimal("1400.03")))
        assert result.tag is not Tag.VALIDATION_FAILED
        assert result.broker_order_id or result.tag is Tag.BROKER_REJECTED
        wait_until(lambda: service.alerts("instruments"))
        assert "off the price step of 0.1: send 1400 or 1400.1" in service.alerts("instruments")[0]


def test_without_symbol_files_nothing_is_checked(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.submit(order(price=Decimal("1400.03"))).tag is not Tag.VALIDATION_FAILED
