"""Books of thousands of orders, each second: what did not change costs little, and nothing piles up (G26, T27)."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from actors.addresses import Addresses
from actors.order_watcher import OrderWatcher
from core.messages import (
    Alert,
    BrokerReadable,
    ExternalOrders,
    GetOpenOrders,
    Message,
    OpenOrders,
    OrderBookRead,
    OrderPushed,
    OrderSettled,
    PositionsRead,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordReport,
)
from core.model.broker import BrokerOrderReport
from core.model.calendar import TradingCalendar
from core.model.order import Order, OrderResult, Problem, Status, Tag
from core.noren import parse
from core.rules.watched import Watched
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock, render
from tests.factories import NOON, an_order

_ORDERS = 2_000


class _Told(Actor):
    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(
        self,
        message: Alert
        | BrokerReadable
        | ExternalOrders
        | GetOpenOrders
        | PositionsRead
        | ReadOrderBook
        | ReadPositions
        | ReadTradeBook
        | RecordReport,
    ) -> None:
        self._kept.append(message)


def _rows(count: int) -> list[dict[str, str]]:
    return [
        {
            "stat": "Ok",
            "norenordno": f"26112300{number:06}",
            "remarks": f"261123-aaaaa-{number}",
            "exch": "NSE",
            "tsym": "INFY-EQ",
            "trantype": "B",
            "qty": "50",
            "status": "COMPLETE",
            "fillshares": "50",
            "avgprc": "1500.00",
            "prc": "1500.00",
            "prd": "I",
        }
        for number in range(count)
    ]


def _filled(number: int) -> Order:
    made = an_order(command_id=f"261123-aaaaa-{number}")
    values = {name: getattr(made, name) for name in made.__slots__}
    return Order(
        **values | {"status": Status.EXECUTED, "broker_order_id": f"26112300{number:06}", "filled_quantity": 50}
    )


class _Stage:
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        addresses = Addresses.of(self.runtime)
        for name in Addresses.__dataclass_fields__:
            if name != "order_watcher":
                self.runtime.spawn(_Told, name, kept=self.told)
        self.runtime.spawn(OrderWatcher, "order_watcher", addresses=addresses, calendar=TradingCalendar())
        self.runtime.run_until_idle()
        self.say(OpenOrders(()), *(OrderSettled(_filled(number)) for number in range(_ORDERS)))
        self.read_rows: list[str] = []
        self.reader = parse.RowMemory(self._read)

    def _read(self, row: Any, unreadable: list[str]) -> BrokerOrderReport:
        self.read_rows.append(row["norenordno"])
        return parse.order_report(row, unreadable)

    def say(self, *messages: Message) -> list[Message]:
        before = len(self.told)
        for message in messages:
            self.runtime.tell("order_watcher", message)
        self.runtime.run_until_idle()
        return self.told[before:]

    def read(self, rows: list[dict[str, str]]) -> list[Message]:
        reports = self.reader.book([json.dumps(row).encode() for row in rows], [])
        return self.say(OrderBookRead(reports, self.clock.steady(), self.clock.now()))


def _counting(counted: list[str]) -> Any:
    find: Callable[..., Any] = Watched.find

    def count(self: Watched, report: BrokerOrderReport, now: Any) -> Any:
        counted.append(report.broker_order_id)
        return find(self, report, now)

    return patch.object(Watched, "find", count)


def test_t27_rows_that_did_not_change_are_neither_read_nor_compared_again() -> None:
    harness, rows = _Stage(), _rows(_ORDERS)
    harness.read(rows)
    harness.read_rows.clear()
    compared: list[str] = []
    with _counting(compared):
        again: list[dict[str, str]] = json.loads(json.dumps(rows))
        assert [m for m in harness.read(again) if isinstance(m, RecordReport)] == []
        assert (harness.read_rows, compared) == ([], [])
        again[7]["fillshares"] = "60"
        harness.read(again)
    assert harness.read_rows == compared == ["26112300000007"]
    assert any(isinstance(message, ReadTradeBook) for message in harness.told), "its fills are asked for"


def test_t27_a_row_of_an_order_that_changed_here_is_compared_again() -> None:
    """The row is as it was, the order is not: what is booked may be less than what the row says."""
    harness, rows = _Stage(), _rows(_ORDERS)
    harness.read(rows)
    compared: list[str] = []
    harness.say(OrderSettled(_filled(5)))
    with _counting(compared):
        harness.read(rows)
    assert compared == ["26112300000005"]


def test_t27_after_a_rebuild_every_row_is_compared_again() -> None:
    harness, rows = _Stage(), _rows(_ORDERS)
    harness.read(rows)
    harness.say(OpenOrders((), tuple(_filled(number) for number in range(_ORDERS))))
    compared: list[str] = []
    with _counting(compared):
        harness.read(rows)
    assert len(compared) == _ORDERS


def test_t27_a_number_used_again_on_another_day_is_another_order() -> None:
    harness, rows = _Stage(), _rows(_ORDERS)
    harness.read(rows)
    harness.clock.advance(timedelta(days=1).total_seconds())
    compared: list[str] = []
    with _counting(compared):
        harness.read(rows)
    assert len(compared) == _ORDERS


def test_g26_a_day_of_reads_keeps_no_more_than_one_read() -> None:
    harness, rows = _Stage(), _rows(_ORDERS)
    counts = []
    for number in range(60):
        for row in range(30):
            rows[30 * number + row]["rejreason"] = str(number)
        harness.read(json.loads(json.dumps(rows)))
        harness.clock.advance(1.0)
        harness.told.clear()
        if number in (9, 59):
            gc.collect()
            counts.append(sum(isinstance(one, BrokerOrderReport) for one in gc.get_objects()))
    assert counts[0] >= _ORDERS
    assert counts[1] <= counts[0] + 100, "reports of 2,000 rows, whatever was read before"


@pytest.mark.parametrize("count", [0, 1, 2_000])
def test_g26_a_book_in_words_is_short_and_says_what_changed(count: int) -> None:
    reports = parse.order_book(_rows(count), [])
    changed = tuple(report.broker_order_id for report in reports)
    text = render(OrderBookRead(reports, NOON, NOON, changed))
    assert text.startswith(f"OrderBookRead({count} order{'' if count == 1 else 's'}, {count} changed")
    assert "asked at 06:30:00" in text
    assert len(text) < 240


def test_g26_an_order_in_words_says_what_it_is_and_what_became_of_it() -> None:
    assert render(_filled(7)) == (
        "Order(261123-aaaaa-7 alpha ENTRY BUY 50 NSE:INFY-EQ LIMIT 1500.00 MIS: EXECUTED 26112300000007 "
        "filled 50 at None)"
    )


def test_g26_a_row_of_the_book_in_words_fits_a_trace_line_with_its_reason() -> None:
    (row,) = parse.order_book([_rows(8)[7] | {"status": "Rejected", "rejreason": "RED:Margin, password=abc"}], [])
    assert render(OrderPushed(row)) == (
        "OrderPushed(report=BrokerOrderReport(26112300000007 '261123-aaaaa-7' BUY 50 NSE:INFY-EQ MIS: "
        "REJECTED 'Rejected' filled 50 at 1500.00 'RED:Margin, password=***'), trade=None)"
    )


def test_g26_an_answer_in_words_says_what_it_says() -> None:
    assert render(OrderResult.of(_filled(7))) == (
        "OrderResult(261123-aaaaa-7 EXECUTED success 26112300000007 filled 50 at None)"
    )
    problems = (Problem("price", "is missing: a LIMIT order needs one"),)
    refused = OrderResult(
        success=False, command_id="c", status=Status.FAILED, tag=Tag.VALIDATION_FAILED, problems=problems
    )
    assert render(refused) == (
        "OrderResult(c FAILED no success VALIDATION_FAILED 'price: is missing: a LIMIT order needs one')"
    )
