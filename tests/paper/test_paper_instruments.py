"""Symbol files and the shipped master."""

import zipfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.instruments.hours import market_hours
from core.paper.expiries import HOLIDAYS, expiries
from core.paper.instruments import Master, load_master, parse_master, shipped_closes, shipped_master

TODAY = date(2026, 11, 3)
CASH = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
DERIVATIVES = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"


@pytest.fixture
def master() -> Master:
    return Master(shipped_master(TODAY))


@pytest.mark.parametrize("tsym", ["M&M-EQ", "BAJAJ-AUTO-EQ", "RELIANCE-EQ", "INFY-EQ", "ACC-EQ", "IRFC-BE"])
def test_the_shipped_master_lists_shares_with_awkward_names(master: Master, tsym: str) -> None:
    assert master.by_tsym("NSE", tsym) is not None


@pytest.mark.parametrize(
    ("exch", "symbol", "lot", "freeze"),
    [
        ("NFO", "NIFTY", 65, 1801),
        ("NFO", "BANKNIFTY", 30, 601),
        ("NFO", "FINNIFTY", 60, 1201),
        ("NFO", "MIDCPNIFTY", 120, 2801),
        ("BFO", "SENSEX", 20, 1001),
        ("BFO", "BANKEX", 30, 901),
    ],
)
def test_index_options_have_the_lot_and_freeze_of_2026(
    master: Master, exch: str, symbol: str, lot: int, freeze: int
) -> None:
    options = [i for i in master if i.exch == exch and i.symbol == symbol and i.option]
    assert options
    assert {(i.lot, i.freeze) for i in options} == {(lot, freeze)}


@pytest.mark.parametrize("days", range(-400, 800, 13))
def test_the_nearest_shipped_expiry_is_always_within_the_week(days: int) -> None:
    today = TODAY + timedelta(days=days)
    listed = {(i.exch, i.expiry) for i in shipped_master(today) if i.expiry}
    for exch in ("NFO", "BFO"):
        nearest = min(expiry for e, expiry in listed if e == exch and expiry)
        # A day more where this week's expiry was the day before its holiday.
        assert today <= nearest <= today + timedelta(days=7)


@pytest.mark.parametrize(
    ("exch", "today", "weekly", "monthly"),
    [
        # 10 and 24 November 2026 are holidays.
        ("NFO", date(2026, 11, 3), ["2026-11-03", "2026-11-09"], ["2026-11-23", "2026-12-29"]),
        ("NFO", date(2026, 11, 24), ["2026-12-01", "2026-12-08"], ["2026-12-29", "2027-01-25"]),
        ("BFO", date(2026, 11, 28), ["2026-12-03", "2026-12-10"], ["2026-12-31", "2027-01-28"]),
        ("NFO", date(2026, 12, 28), ["2027-01-05", "2027-01-12"], ["2026-12-29", "2027-01-25"]),
    ],
)
def test_expiries_follow_the_rule_of_the_exchange(
    exch: str, today: date, weekly: list[str], monthly: list[str]
) -> None:
    found = expiries(exch, today)
    assert [f"{day}" for day in found.weekly] == weekly
    assert [f"{day}" for day in found.monthly] == monthly


def test_the_exchange_keeps_the_holidays_that_the_service_knows() -> None:
    closed = {
        date(2026, 1, 1) + timedelta(days=day)
        for day in range(365)
        if market_hours().day("NSE", date(2026, 1, 1) + timedelta(days=day)).opens is None  # type: ignore[union-attr]
    }
    assert {day for day in closed if day.weekday() < 5} == HOLIDAYS


def test_contracts_carry_their_expiry_in_their_name(master: Master) -> None:
    assert master.by_tsym("NFO", "NIFTY09NOV26C26000") is not None
    assert master.by_tsym("NFO", "NIFTY23NOV26F") is not None
    assert master.by_tsym("BFO", "SENSEX26NOV85000CE") is not None
    option = master.by_tsym("BFO", "SENSEX26N0585000CE")
    assert option is not None
    assert option.expiry == date(2026, 11, 5)


def test_an_index_has_a_price_and_cannot_be_traded(master: Master) -> None:
    nifty = master.by_token("NSE", "26000")
    assert nifty is not None
    assert nifty.tsym == "NIFTY INDEX"
    assert not nifty.is_tradable
    assert shipped_closes()[nifty.key] > 10_000


def test_trading_symbols_are_unique_in_every_segment(master: Master) -> None:
    names = [(i.exch, i.tsym) for i in master]
    assert len(set(names)) == len(names)


def test_every_word_of_a_search_must_be_found(master: Master) -> None:
    found = master.search("NFO", "banknifty 23nov 58500 ce")
    assert [i.tsym for i in found] == ["BANKNIFTY23NOV26C58500"]
    assert master.search("NSE", "no such thing") == []


def test_placeholder_rows_and_trailing_commas_are_passed_over() -> None:
    text = DERIVATIVES + "NFO,1,0,,,,,,,0,\nNFO,2,65,NIFTY,NIFTY10NOV26C26000,10-NOV-2026,OPTIDX,CE,26000.00,0.05,\n"
    (only,) = parse_master(text)
    assert (only.token, only.lot, only.strike, only.option) == ("2", 65, Decimal(26000), "CE")
    assert only.display_name == "NIFTY 10NOV26 26000 CE"


def test_futures_have_no_option_type() -> None:
    (future,) = parse_master(DERIVATIVES + "NFO,2,65,NIFTY,NIFTY24NOV26F,24-NOV-2026,FUTIDX,XX,0,0.05,\n")
    assert future.option == ""
    assert future.strike == 0


@pytest.mark.parametrize(
    ("ticks", "wanted"),
    [(["5", "10", "1"], ["0.05", "0.10", "0.01"]), (["0.05", "1.00"], ["0.05", "1.00"])],
)
def test_the_unit_of_ticks_is_told_by_the_whole_file(ticks: list[str], wanted: list[str]) -> None:
    rows = "".join(f"NSE,{n},1,S{n},S{n}-EQ,EQ,{tick},\n" for n, tick in enumerate(ticks))
    assert [i.tick for i in parse_master(CASH + rows)] == [Decimal(w) for w in wanted]


def test_a_file_without_a_column_is_named() -> None:
    with pytest.raises(ValueError, match="no column ticksize"):
        parse_master("Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument\n")


def test_a_bad_figure_is_reported_with_its_row() -> None:
    with pytest.raises(ValueError, match="row 3"):
        parse_master(CASH + "NSE,1,1,A,A-EQ,EQ,0.05,\nNSE,2,many,B,B-EQ,EQ,0.05,\n")


def test_a_zipped_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    text = CASH + "NSE,22,1,ACC,ACC-EQ,EQ,0.05,\n"
    plain, zipped = tmp_path / "NSE_symbols.txt", tmp_path / "NSE_symbols.txt.zip"
    plain.write_text(text)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("NSE_symbols.txt", text)
    assert load_master(plain) == load_master(zipped) == parse_master(text)
