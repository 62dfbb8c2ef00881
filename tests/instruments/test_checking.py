"""Step 1's look at the instrument of an order, by the index of the symbol files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from core.instruments.checking import InstrumentCheck
from core.instruments.index import FILE_NAME, InstrumentIndex
from core.instruments.symbol_file import read_symbol_file
from core.model.instrument import SymbolFile
from tests.factories import an_intent

THURSDAY = datetime(2026, 8, 20, 5, 0, tzinfo=UTC)
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
    return InstrumentCheck(tmp_path, refuses=True)


def told(check: InstrumentCheck, exchange: str, symbol: str, quantity: int = 65, at: datetime = THURSDAY) -> list[str]:
    intent = replace(an_intent(symbol=symbol, quantity=quantity, price=Decimal(120)), exchange=exchange)
    return [str(problem) for problem in check.problems(intent, at)]


def test_an_order_is_looked_at_by_the_file_of_its_exchange(check: InstrumentCheck) -> None:
    assert told(check, "NFO", "NIFTY-AGAIN", 66) == [
        "quantity: 66 is no multiple of the lot of 65 units: send 65 or 130"
    ]
    assert told(check, "NFO", "NIFTI-AGAIN")[0].startswith("symbol: NFO has no NIFTI-AGAIN")


def test_the_contract_that_lives_counts_where_a_name_is_used_again(check: InstrumentCheck) -> None:
    assert told(check, "NFO", "NIFTY-AGAIN") == []
    assert "expired on" in told(check, "NFO", "NIFTY-AGAIN", at=datetime(2026, 8, 26, 5, 0, tzinfo=UTC))[0]


def test_without_a_file_of_the_exchange_nothing_is_said(check: InstrumentCheck, tmp_path: Path) -> None:
    assert told(check, "NSE", "NO-SUCH", 7) == []
    assert told(InstrumentCheck(tmp_path / "elsewhere", refuses=True), "NFO", "NO-SUCH") == []


def test_with_a_damaged_index_nothing_is_said(check: InstrumentCheck, tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(b"damaged" + file.read_bytes()[7:])
    assert told(check, "NFO", "NO-SUCH") == []


def test_a_holiday_is_a_problem(check: InstrumentCheck) -> None:
    on_holiday = told(check, "NFO", "NIFTY-AGAIN", at=datetime(2026, 5, 28, 5, 0, tzinfo=UTC))
    assert on_holiday == ["exchange: NFO is closed today (Bakri Id): send it on a trading day"]
