"""Step 1's look at the instrument of an order, by the index of the symbol files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.instruments.checking import CheckRules, InstrumentCheck
from core.instruments.index import FILE_NAME, InstrumentIndex
from core.instruments.symbol_file import read_symbol_file
from core.model.broker import PriceBand
from core.model.calendar import INDIA, TradingCalendar
from core.model.instrument import SymbolFile
from core.model.order import ExecutionType
from core.rules.order_check import BrokerTerms, Verdict
from tests.factories import an_intent

THURSDAY = datetime(2026, 8, 20, 5, 0, tzinfo=UTC)
RULES = CheckRules(
    refuses=True,
    refuses_closed=True,
    terms=BrokerTerms(),
    refresh_at=time(8, 30),
    calendar=TradingCalendar(INDIA, time(6)),
)
DERIVATIVES = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"
# One name for two contracts: of one that expired, and of one that lives.
NFO = DERIVATIVES + "".join(
    f"NFO,{token},65,NIFTY,NIFTY-AGAIN,{day},OPTIDX,CE,25000,0.05,\n"
    for token, day in ((1, "18-AUG-2026"), (2, "25-AUG-2026"))
)


@pytest.fixture
def check(tmp_path: Path) -> InstrumentCheck:
    index = InstrumentIndex.open(tmp_path)
    index.replace(SymbolFile("NFO", "made up", THURSDAY, 0), read_symbol_file(NFO.encode(), "NFO"))
    index.close()
    return InstrumentCheck(tmp_path, RULES)


def verdict(
    check: InstrumentCheck, exchange: str, symbol: str, quantity: int = 65, at: datetime = THURSDAY, **fields: Any
) -> Verdict:
    given = {"exchange": exchange, "symbol": symbol, "quantity": quantity, "price": Decimal(120), **fields}
    return check.verdict(replace(an_intent(), **given), at)


def told(check: InstrumentCheck, exchange: str, symbol: str, quantity: int = 65, at: datetime = THURSDAY) -> list[str]:
    return [str(problem) for problem in verdict(check, exchange, symbol, quantity, at).refused]


def test_an_order_is_looked_at_by_the_file_of_its_exchange(check: InstrumentCheck) -> None:
    assert told(check, "NFO", "NIFTY-AGAIN", 66) == [
        "quantity: 66 is no multiple of the lot of 65 units: send 65 or 130"
    ]
    assert told(check, "NFO", "NIFTI-AGAIN")[0].startswith("symbol: NFO has no NIFTI-AGAIN")


def test_the_contract_that_lives_counts_where_a_name_is_used_again(check: InstrumentCheck) -> None:
    assert told(check, "NFO", "NIFTY-AGAIN") == []
    later = verdict(check, "NFO", "NIFTY-AGAIN", at=datetime(2026, 8, 26, 5, 0, tzinfo=UTC))
    assert "expired on" in str(later.warned[0])


def test_without_a_file_of_the_exchange_nothing_is_said(check: InstrumentCheck, tmp_path: Path) -> None:
    assert told(check, "NSE", "NO-SUCH", 7) == []
    assert told(InstrumentCheck(tmp_path / "elsewhere", RULES), "NFO", "NO-SUCH") == []


def test_an_exchange_that_is_known_to_list_nothing_says_so(check: InstrumentCheck, tmp_path: Path) -> None:
    index = InstrumentIndex.open(tmp_path)
    index.replace(SymbolFile("MCX", "paper", THURSDAY, 0), ())
    assert [file.exchange for file in index.files()] == ["NFO"]
    index.close()
    (text,) = told(check, "MCX", "CRUDEOIL", 1)
    assert text.startswith("exchange: nothing of MCX is listed, only of NFO: send one of those, or")
    assert not check.lacks(replace(an_intent(), exchange="MCX", symbol="CRUDEOIL"))


def test_with_a_damaged_index_nothing_is_said(check: InstrumentCheck, tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(b"damaged" + file.read_bytes()[7:])
    assert told(check, "NFO", "NO-SUCH") == []


def test_a_holiday_is_a_problem(check: InstrumentCheck) -> None:
    on_holiday = told(check, "NFO", "NIFTY-AGAIN", at=datetime(2026, 5, 28, 5, 0, tzinfo=UTC))
    assert on_holiday == ["exchange: NFO is closed today (Bakri Id): send it on a trading day"]


def test_a_symbol_file_that_is_not_todays_refuses_nothing_and_warns(check: InstrumentCheck) -> None:
    a_day_later = THURSDAY + timedelta(days=1)
    found = verdict(check, "NFO", "NO-SUCH", at=a_day_later)
    assert found.refused == ()
    assert "(by the symbol file of 2026-08-20, which is not today's)" in str(found.warned[0])


def test_an_exit_goes_out_whatever_is_known(check: InstrumentCheck) -> None:
    after_hours = datetime(2026, 8, 20, 15, 0, tzinfo=UTC)
    found = verdict(check, "NFO", "NO-SUCH", at=after_hours, execution_type=ExecutionType.EXIT)
    assert found.refused == ()
    assert [problem.field for problem in found.warned] == ["exchange", "symbol"]


@pytest.mark.usefixtures("check")
def test_settings_say_what_is_looked_at(tmp_path: Path) -> None:
    after_hours = datetime(2026, 8, 20, 15, 0, tzinfo=UTC)
    for refuses, closed, wanted in (
        (None, None, ([], [])),
        (False, None, ([], ["symbol"])),
        (None, False, ([], ["exchange"])),
        (True, False, (["symbol"], ["exchange"])),
    ):
        rules = replace(RULES, refuses=refuses, refuses_closed=closed)
        found = verdict(InstrumentCheck(tmp_path, rules), "NFO", "NO-SUCH", at=after_hours)
        assert ([one.field for one in found.refused], [one.field for one in found.warned]) == wanted


def test_the_band_that_the_broker_told_last_holds(check: InstrumentCheck) -> None:
    for upper in (Decimal(100), Decimal(110)):
        check.keep_band("NFO", "NIFTY-AGAIN", PriceBand(Decimal(1), upper, THURSDAY))
    assert "outside the day's band of 1 to 110" in told(check, "NFO", "NIFTY-AGAIN")[0]


def test_the_broker_is_worth_asking_of_what_the_files_lack(check: InstrumentCheck) -> None:
    def lacks(exchange: str, symbol: str) -> bool:
        return check.lacks(replace(an_intent(), exchange=exchange, symbol=symbol))

    # No freeze quantity is known of it; nobody asks where there is no file at all.
    assert [lacks("NFO", "NIFTY-AGAIN"), lacks("NFO", "NO-SUCH"), lacks("NSE", "NO-SUCH")] == [True, True, False]
