"""Rows into our types (protocol 6.1, 7), row by row."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus, BrokerTrade, Quote
from core.model.order import OrderType, Product, Side
from core.noren import parse
from core.noren.parse import BadRow

ORDER = {
    "stat": "Ok",
    "norenordno": "26110300001234",
    "exch": "NFO",
    "tsym": "NIFTY10NOV26C26000",
    "qty": "130",
    "trantype": "B",
    "prctyp": "LMT",
    "prc": "101.50",
    "avgprc": "101.45",
    "prd": "M",
    "status": "OPEN",
    "fillshares": "65",
    "remarks": "ex-7f3a-001",
    "rejreason": " ",
    "pan": "ABCPK1234L",
}

TRADE = {
    "norenordno": "26110300001234",
    "flid": "380225664",
    "fltm": "03-11-2026 10:15:07",
    "flqty": "65",
    "flprc": "101.45",
    "exch": "NFO",
    "tsym": "NIFTY10NOV26C26000",
    "trantype": "B",
    "remarks": "ex-7f3a-001",
}

POSITION = {
    "exch": "NFO",
    "tsym": "NIFTY10NOV26P25500",
    "prd": "I",
    "netqty": "-65",
    "daybuyqty": "0",
    "daysellqty": "65",
    "rpnl": "-0.00",
    "urmtom": "2,606.50",
    "lp": "159.45",
}


def orders(*rows: Any) -> tuple[tuple[BrokerOrderReport, ...], list[str]]:
    unreadable: list[str] = []
    return parse.order_book(rows, unreadable), unreadable


def trades(*rows: Any) -> tuple[tuple[BrokerTrade, ...], list[str]]:
    unreadable: list[str] = []
    return parse.trade_book(rows, unreadable), unreadable


def positions(*rows: Any) -> tuple[tuple[BrokerPosition, ...], list[str]]:
    unreadable: list[str] = []
    return parse.position_book(rows, unreadable), unreadable


def without(row: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in names}


# Orders.


def test_an_order_row() -> None:
    reports, unreadable = orders(ORDER)

    assert unreadable == []
    assert reports == (
        BrokerOrderReport(
            broker_order_id="26110300001234",
            client_tag="ex-7f3a-001",
            exchange="NFO",
            symbol="NIFTY10NOV26C26000",
            side=Side.BUY,
            quantity=130,
            status=BrokerStatus.OPEN,
            raw_status="OPEN",
            filled_quantity=65,
            average_price=Decimal("101.45"),
            reason=None,
            product=Product.NRML,
            order_type=OrderType.LIMIT,
            price=Decimal("101.50"),
        ),
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("PENDING", BrokerStatus.PENDING),
        ("ORDER ACK", BrokerStatus.PENDING),
        ("OPEN", BrokerStatus.OPEN),
        ("Open", BrokerStatus.OPEN),
        ("New", BrokerStatus.OPEN),
        ("Replaced", BrokerStatus.OPEN),
        ("AMO OPEN", BrokerStatus.OPEN),
        ("TRIGGER_PENDING", BrokerStatus.TRIGGER_PENDING),
        ("TRIGGER PENDING", BrokerStatus.TRIGGER_PENDING),
        ("trigger_pending", BrokerStatus.TRIGGER_PENDING),
        ("COMPLETE", BrokerStatus.COMPLETE),
        (" Complete ", BrokerStatus.COMPLETE),
        ("CANCELED", BrokerStatus.CANCELLED),
        ("CANCELLED", BrokerStatus.CANCELLED),
        ("Cancelled", BrokerStatus.CANCELLED),
        ("AMO CANCELED", BrokerStatus.CANCELLED),
        ("REJECTED", BrokerStatus.REJECTED),
        ("REJECT", BrokerStatus.REJECTED),
        ("Rejected", BrokerStatus.REJECTED),
        ("EXPIRED", BrokerStatus.EXPIRED),
    ],
)
def test_b1_spellings_of_a_status_have_one_meaning(said: str, expected: BrokerStatus) -> None:
    reports, unreadable = orders({**ORDER, "status": said})

    assert (reports[0].status, reports[0].raw_status) == (expected, said.strip())
    assert unreadable == []


@pytest.mark.parametrize("said", ["INVALID_STATUS_TYPE", "COMPLETED?", "", " ", "OPENED"])
def test_b15_an_unknown_status_is_not_final_and_is_told(said: str) -> None:
    reports, unreadable = orders({**ORDER, "status": said})

    assert reports[0].status is BrokerStatus.UNKNOWN
    assert not reports[0].status.is_final
    assert "26110300001234" in unreadable[0]


@pytest.mark.parametrize(
    "row",
    [
        without({**ORDER, "status": "COMPLETE"}, "fillshares", "avgprc"),
        {**ORDER, "status": "COMPLETE", "fillshares": " ", "avgprc": ""},
        {**ORDER, "status": "COMPLETE", "fillshares": "0", "avgprc": "0.00"},
        {**ORDER, "status": "COMPLETE", "fillshares": "many", "avgprc": "dear"},
        {**ORDER, "status": "COMPLETE", "fillshares": "-1", "avgprc": "-1"},
        {**ORDER, "status": "COMPLETE", "fillshares": "1.5", "avgprc": "NaN"},
        {**ORDER, "status": "COMPLETE", "fillshares": True, "avgprc": None},
    ],
)
def test_b4_what_a_complete_row_does_not_say_is_none_not_zero(row: dict[str, Any]) -> None:
    (report,), _ = orders(row)

    assert report.status is BrokerStatus.COMPLETE
    assert (report.filled_quantity, report.average_price) == (None, None)


def test_b3_an_open_order_without_fills_says_zero_or_nothing() -> None:
    (said, silent), _ = orders({**ORDER, "fillshares": "0"}, without(ORDER, "fillshares"))

    assert (said.filled_quantity, silent.filled_quantity) == (0, None)


def test_a_bad_number_is_told_and_costs_only_itself() -> None:
    reports, unreadable = orders({**ORDER, "qty": "1e", "avgprc": "1_000"})

    assert (reports[0].quantity, reports[0].average_price, reports[0].filled_quantity) == (None, None, 65)
    assert len(unreadable) == 2


def test_a_row_without_a_number_is_told_and_does_not_hide_the_others() -> None:
    reports, unreadable = orders(without(ORDER, "norenordno"), "not a row", ORDER, {**ORDER, "norenordno": " "})

    assert [report.broker_order_id for report in reports] == ["26110300001234"]
    assert len(unreadable) == 3


def test_a_reason_is_kept_in_the_brokers_words() -> None:
    (report,), _ = orders({**ORDER, "status": "REJECTED", "rejreason": "RED:Margin Shortfall:INR 203.50"})

    assert report.reason == "RED:Margin Shortfall:INR 203.50"


def test_a_reason_beside_an_open_status_does_not_reject() -> None:
    (report,), _ = orders({**ORDER, "status": "OPEN", "rejreason": "SAF:order is not open to cancel"})

    assert report.status is BrokerStatus.OPEN


@pytest.mark.parametrize(("said", "side"), [("B", Side.BUY), ("s", Side.SELL), ("SELL", Side.SELL), ("X", None)])
def test_sides(said: str, side: Side | None) -> None:
    (report,), _ = orders({**ORDER, "trantype": said})

    assert report.side is side


@given(
    st.dictionaries(
        st.sampled_from([*ORDER, "flid", "flqty", "flprc", "netqty", "rpnl"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.text()),
    )
)
def test_no_row_breaks_the_parser(row: dict[str, Any]) -> None:
    for book in (orders, trades):
        found, unreadable = book(row, ORDER, TRADE)
        assert len(found) >= 1
        assert len(found) + len(unreadable) >= 3
    with suppress(BadRow):
        positions(row)


# Numbers and times.


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("2,400.00", Decimal("2400.00")),
        ("1,00,000.5", Decimal("100000.5")),
        ("-0.00", Decimal("0.00")),
        ("+5", Decimal(5)),
        (" 7.25 ", Decimal("7.25")),
        (".5", Decimal("0.5")),
        ("1e2", Decimal(100)),
        (159.45, Decimal("159.45")),
        ("", None),
        (" ", None),
        (None, None),
    ],
)
def test_numbers(said: Any, value: Decimal | None) -> None:
    found = parse.number({"field": said}, "field")

    assert found == value
    assert found is None or not found.is_signed()


@pytest.mark.parametrize("said", ["NaN", "Infinity", "-inf", "1_000", "0x10", "१२", "1 2", "--1", "1e9999", "INR 5"])
def test_what_is_not_a_number_is_not_guessed(said: str) -> None:
    with pytest.raises(BadRow):
        parse.number({"field": said}, "field")


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("10:15:07 03-11-2026", datetime(2026, 11, 3, 4, 45, 7, tzinfo=UTC)),
        ("03-11-2026 10:15:07", datetime(2026, 11, 3, 4, 45, 7, tzinfo=UTC)),
        ("02:00:00 01-01-2026", datetime(2025, 12, 31, 20, 30, 0, tzinfo=UTC)),
        ("01-01-1980 00:00:00", None),
        ("00:00:00 01-01-1980", None),
        ("31-02-2026 10:00:00", None),
        ("25:00:00 03-11-2026", None),
        ("2026-11-03 10:15:07", None),
        (" ", None),
        (None, None),
    ],
)
def test_times_come_both_ways_round_from_india(said: str | None, at: datetime | None) -> None:
    assert parse.broker_time(said) == at


# Trades.


def test_a_trade_row() -> None:
    found, unreadable = trades(TRADE)

    assert unreadable == []
    assert found == (
        BrokerTrade(
            broker_order_id="26110300001234",
            broker_trade_id="380225664",
            client_tag="ex-7f3a-001",
            exchange="NFO",
            symbol="NIFTY10NOV26C26000",
            side=Side.BUY,
            quantity=65,
            price=Decimal("101.45"),
            at=datetime(2026, 11, 3, 4, 45, 7, tzinfo=UTC),
        ),
    )


def test_a_trade_without_its_own_time_has_the_exchanges() -> None:
    (found,), _ = trades({**without(TRADE, "fltm"), "exch_tm": "01-01-1980 00:00:00", "norentm": "10:15:08 03-11-2026"})

    assert found.at == datetime(2026, 11, 3, 4, 45, 8, tzinfo=UTC)


@pytest.mark.parametrize("missing", ["norenordno", "flid", "flqty", "flprc"])
def test_a_trade_that_cannot_be_booked_is_told(missing: str) -> None:
    found, unreadable = trades(without(TRADE, missing), TRADE)

    assert len(found) == 1
    assert missing in unreadable[0]


@pytest.mark.parametrize("quantity", ["0", "-65", "6.5"])
def test_a_trade_of_no_quantity_is_not_booked(quantity: str) -> None:
    found, unreadable = trades({**TRADE, "flqty": quantity})

    assert (found, len(unreadable)) == ((), 1)


# Positions.


def test_a_short_position_row() -> None:
    found, unreadable = positions(POSITION)

    assert unreadable == []
    assert found == (
        BrokerPosition(
            exchange="NFO",
            symbol="NIFTY10NOV26P25500",
            product=Product.MIS,
            net_quantity=-65,
            realised=Decimal("0.00"),
            unrealised=Decimal("2606.50"),
            last_price=Decimal("159.45"),
        ),
    )


@pytest.mark.parametrize("field", ["rpnl", "urmtom"])
@pytest.mark.parametrize("said", [None, "", "abc", "NaN"])
def test_d8_money_that_cannot_be_read_is_none_and_told(field: str, said: str | None) -> None:
    found, unreadable = positions({**POSITION, field: said}, POSITION)

    assert None in (found[0].realised, found[0].unrealised)
    assert found[0].net_quantity == -65
    assert (found[1].realised, found[1].unrealised) == (Decimal(0), Decimal("2606.50"))
    assert unreadable


def test_a_flat_row_may_be_silent_about_what_is_unrealised() -> None:
    found, unreadable = positions(without({**POSITION, "netqty": "0", "rpnl": "12.5"}, "urmtom", "lp"))

    assert (found[0].realised, found[0].unrealised, found[0].last_price) == (Decimal("12.5"), Decimal(0), None)
    assert unreadable == []


def test_a_missing_net_quantity_is_the_sum_of_its_parts() -> None:
    found, _ = positions({**without(POSITION, "netqty"), "daybuyqty": "15", "cfsellqty": "5"})

    assert found[0].net_quantity == 15 - 65 - 5


@pytest.mark.parametrize(
    "row",
    [
        without(POSITION, "netqty", "daybuyqty"),
        without({**POSITION, "netqty": "?"}, "daysellqty"),
        without(POSITION, "tsym"),
        without(POSITION, "exch"),
        "not a row",
    ],
)
def test_c3_a_row_that_does_not_say_what_is_held_is_never_no_position(row: Any) -> None:
    with pytest.raises(BadRow):
        positions(POSITION, row)


@pytest.mark.parametrize(
    ("fields", "product"),
    [
        ({"prd": "I"}, Product.MIS),
        ({"prd": "M"}, Product.NRML),
        ({"prd": "C"}, Product.CNC),
        ({"pcode": "M"}, Product.NRML),
        ({"s_prdt_ali": "MIS"}, Product.MIS),
        ({"prd": "H"}, None),
        ({}, None),
    ],
)
def test_products_by_any_of_their_names(fields: dict[str, str], product: Product | None) -> None:
    found, _ = positions({**without(POSITION, "prd"), **fields})

    assert found[0].product is product


# Quotes.

QUOTE = {
    "stat": "Ok",
    "request_time": "12:00:00 23-11-2026",
    "exch": "NSE",
    "tsym": "INFY-EQ",
    "lp": "1500.05",
    "bp1": "1500.00",
    "bq1": "10",
    "sp1": "1500.10",
    "sq1": "5",
}
NOW = datetime(2026, 11, 23, 6, 30, 5, tzinfo=UTC)


def quote(**changes: str) -> Quote:
    return parse.quote({**QUOTE, **changes}, exchange="NSE", symbol="INFY-EQ", now=NOW)


def test_a_field_that_nobody_trades_on_costs_no_quote() -> None:
    told = quote(o="1490.00", v="x")
    assert (told.open, told.volume) == (1490, None)


def test_a_quote() -> None:
    assert quote() == Quote(
        exchange="NSE",
        symbol="INFY-EQ",
        last_price=Decimal("1500.05"),
        bid=Decimal("1500.00"),
        ask=Decimal("1500.10"),
        at=datetime(2026, 11, 23, 6, 30, tzinfo=UTC),
        received_at=NOW,
    )


def test_an_empty_side_of_a_quote_is_none() -> None:
    found = quote(bp1="0.00", sq1="0", request_time=" ")

    assert (found.bid, found.ask, found.at) == (None, None, NOW)


@pytest.mark.parametrize("changes", [{"lp": "0.00"}, {"lp": " "}, {"lp": "x"}, {"tsym": "INFY-BE"}, {"bp1": "x"}])
def test_a_quote_one_must_not_trade_on_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BadRow):
        quote(**changes)
