"""Section G: the broker's day, and answers that decide nothing alone (G7, G12, G13, G15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.messages import (
    ClearHalt,
    GetPositions,
    GetReadiness,
    GetRiskSnapshot,
    HaltChanged,
    HaltStrategy,
    Readiness,
    RiskSnapshot,
)
from core.model.calendar import INDIA
from core.model.order import Tag
from core.model.risk_state import Halt
from core.paper.server import PaperServer
from tests.factories import an_intent
from tests.scenarios.orders import EXIT, SELL, marketable, resting
from tests.support import wait_until
from tests.support_service import Running, SettableClock, running

OLD_SOON = {"SIXSTEP_RISK__PNL_MAX_AGE_S": "1"}


class DayClock(SettableClock):
    """A wall clock that begins at a time of today in India, and is set from time to time of day."""

    def __init__(self, at: str) -> None:
        super().__init__()
        today = self.now().astimezone(INDIA).date()
        self._shown = datetime.combine(today, time.fromisoformat(at), INDIA)
        self._set()

    def go_to(self, at: str, days: int = 0) -> None:
        """Set it to the next such time of day, or to that of so many days on or back."""
        then = datetime.combine(self._shown.date() + timedelta(days=days), time.fromisoformat(at), INDIA)
        if not days and then < self._shown:
            then += timedelta(days=1)
        self._shown = then
        self._set()

    def _set(self) -> None:
        machine = SettableClock.now(self) - self._ahead
        self.step(self._shown - machine)


@pytest.fixture
def service(tmp_path: Path, engine: str) -> Iterator[Running]:  # noqa: ARG001 - chooses the database
    """A service that takes orders in the middle of a day; INFY-EQ stands still at 1500."""
    with running(tmp_path, clock=DayClock("10:00")) as run:
        run.set_price("1500")
        yield run


def resume(service: Running) -> None:
    """A person resumes trading."""
    box = service.service.runtime.open_reply()
    service.service.runtime.tell("order_repo", ClearHalt("operator", box.name))
    assert isinstance(box.future.result(5), HaltChanged)
    service.wait_for_risk(lambda risk: risk.halt is None)


def risk_of(service: Running) -> RiskSnapshot:
    risk = service.ask("risk_manager", GetRiskSnapshot())
    assert isinstance(risk, RiskSnapshot)
    return risk


def ready(service: Running) -> Readiness:
    found = service.ask("command_service", GetReadiness())
    assert isinstance(found, Readiness)
    return found


def hold(service: Running, quantity: int = 100) -> None:
    """Let alpha hold INFY-EQ."""
    entry = service.submit(marketable(quantity=quantity))
    service.wait_for(entry.command_id, "EXECUTED")
    wait_until(lambda: ("alpha", "INFY-EQ", quantity, 0) in service.guard_lines())


def no_data(service: Running, *books: str) -> None:
    for book in books:
        service.control("add_fault", kind="book_no_data", path=book, count=0)


def test_g12_an_order_book_that_answers_no_data_in_mid_day_proves_no_order_absent(service: Running) -> None:
    service.mute()
    seen = service.submit(resting(strategy="beta"))
    service.wait_at_exchange(seen.broker_order_id)
    service.wait_for_polls(2)
    service.control("add_fault", kind="accept_hang", count=1)
    no_data(service, "OrderBook")
    unknown = service.submit(resting(symbol="RELIANCE-EQ"))
    assert unknown.broker_order_id is None
    # Five failed reads in a row raise the alarm; grace period and proof of absence would be over by the second.
    wait_until(lambda: service.alerts("unreadable"))
    assert "lacks 1 of 1 rows of today" in service.alerts("unreadable")[0]
    wait_until(lambda: not ready(service).ready)
    polls_after_grace(service)
    row = service.row(unknown.command_id)
    assert (row["status"], row["tag"]) == ("SENT_TO_BROKER", None)
    assert service.row(seen.command_id)["status"] == "SENT_TO_BROKER"
    service.control("clear_faults")
    service.wait_for_number(unknown.command_id)
    wait_until(lambda: ready(service).ready)


def test_g12_the_first_order_of_a_day_is_not_proven_absent_by_an_order_book_that_answers_no_data(
    tmp_path: Path, exchange: PaperServer
) -> None:
    with running(tmp_path, exchange=exchange, clock=DayClock("10:00")) as service:
        service.mute()
        service.wait_for_polls(2)
        service.control("add_fault", kind="accept_hang", count=1)
        no_data(service, "OrderBook")
        unknown = service.submit(marketable())
        assert unknown.broker_order_id is None
        wait_until(lambda: service.alerts("unreadable"))
        assert "the order book lacks 1 of 1 rows of today" in service.alerts("unreadable")[0]
        row = service.row(unknown.command_id)
        assert (row["status"], row["tag"]) == ("SENT_TO_BROKER", None)
        service.control("clear_faults")
        assert service.wait_for(unknown.command_id, "EXECUTED")["filled_quantity"] == 50


def test_g7_an_order_of_unknown_outcome_from_before_the_brokers_roll_is_not_proven_absent_after_it(
    tmp_path: Path, exchange: PaperServer
) -> None:
    clock = DayClock("06:10")
    with running(tmp_path, exchange=exchange, clock=clock) as service:
        service.mute()
        no_data(service, "OrderBook", "TradeBook")
        service.control("add_fault", kind="accept_hang", count=1)
        unknown = service.submit(resting())
        assert unknown.broker_order_id is None
        exchange.control("end_of_day", {})
        service.control("clear_faults")
        row = service.wait_for(unknown.command_id, "FAILED", 30.0)
        assert row["tag"] == Tag.BROKER_EXPIRED
        assert "may have cleared its books since" in row["reason"]
        wait_until(lambda: service.alerts("never_resolved"))


def polls_after_grace(service: Running) -> None:
    """Wait until the grace period of an order of unknown outcome is over, and the book was read some times more."""
    clock = service.service.clock
    until = clock.monotonic() + 2.0
    wait_until(lambda: clock.monotonic() > until)
    service.wait_for_polls(3)


def test_g12_a_book_that_lacks_a_row_of_today_is_alarmed_and_proves_no_order_absent(service: Running) -> None:
    service.mute()
    known = []
    for name in ("beta", "gamma", "delta"):
        seen = service.submit(resting(strategy=name))
        service.wait_at_exchange(seen.broker_order_id)
        known.append(seen.command_id)
    service.wait_for_polls(2)
    service.control("add_fault", kind="accept_hang", count=1)
    run = known[0].rpartition("-")[0]
    for hidden in (known[0], f"{run}-4"):
        service.control("add_fault", kind="book_missing_order", remarks=hidden, count=0)
    unknown = service.submit(resting(symbol="RELIANCE-EQ"))
    assert unknown.command_id == f"{run}-4"
    wait_until(lambda: service.alerts("book_lacks"))
    polls_after_grace(service)
    assert service.row(unknown.command_id)["status"] == "SENT_TO_BROKER"
    assert len(service.alerts("book_lacks")) == 1, "told once"
    assert ready(service).ready
    service.control("clear_faults")
    service.wait_for_number(unknown.command_id)


def test_g12_a_position_book_that_answers_no_data_in_mid_day_makes_no_pnl_of_zero_and_nothing_flat(
    tmp_path: Path,
) -> None:
    with running(tmp_path, clock=DayClock("10:00"), **OLD_SOON) as service:
        service.set_price("1500")
        hold(service)
        service.set_price("1470")
        service.wait_for_risk(lambda risk: risk.pnl is not None and risk.pnl <= -2900)
        before = risk_of(service).pnl
        no_data(service, "PositionBook")
        service.wait_for_risk(lambda risk: "s old" in (risk.entry_blocked or ""))
        wait_until(lambda: service.alerts("unreadable"))
        assert risk_of(service).pnl == before
        assert not service.alerts("position_difference")
        service.control("clear_faults")
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        leave = service.submit(marketable(EXIT, SELL, 100))
        assert leave.success


def test_g12_what_the_record_has_of_today_is_known_after_a_restart(tmp_path: Path, exchange: PaperServer) -> None:
    clock = DayClock("10:00")
    with running(tmp_path, exchange=exchange, clock=clock) as service:
        service.mute()
        hold(service)
        service.control("add_fault", kind="accept_hang", count=1)
        no_data(service, "OrderBook")
        unknown = service.submit(resting(strategy="beta"))
        assert service.row(unknown.command_id)["unknown"]
    with running(tmp_path, exchange=exchange, clock=clock, wait_ready=False) as service:
        wait_until(lambda: service.alerts("unreadable"))
        polls_after_grace(service)
        assert not ready(service).ready
        assert service.row(unknown.command_id)["status"] == "SENT_TO_BROKER"
        service.control("clear_faults")
        service.wait_for_number(unknown.command_id)
        assert service.service.wait_ready(20.0)
        no_data(service, "PositionBook")
        service.wait_for_polls(3)
        assert service.guard_lines()[0] == ("alpha", "INFY-EQ", 100, 0)
        assert service.submit(marketable(EXIT, SELL, 100)).success


LOSES = {"SIXSTEP_RISK__MAX_DAILY_LOSS": "1000", "SIXSTEP_RISK__MAX_LOSS": "2000"}


def test_g7_a_service_that_runs_through_midnight_and_the_brokers_roll_keeps_the_day_and_begins_the_next_clean(
    tmp_path: Path, exchange: PaperServer
) -> None:
    clock = DayClock("15:00")
    with running(tmp_path, exchange=exchange, clock=clock, **LOSES) as service:
        hold(service)
        service.set_price("1480")
        service.wait_for_risk(lambda risk: risk.breach is not None and risk.halt is not None)
        day = risk_of(service).trading_day
        assert service.submit(an_intent(EXIT, SELL, 100, price=Decimal(1470))).success
        wait_until(lambda: service.guard_lines() == [])
        resume(service)
        for at in ("23:59", "00:00", "05:59"):
            clock.go_to(at)
            service.wait_for_polls(3)
            assert risk_of(service).trading_day == day, at
            assert service.submit(resting()).tag is Tag.RISK_LIMITS_EXCEEDED, at
        # The broker clears its books an hour and a half later than our day begins.
        for at in ("06:00", "06:01", "07:29"):
            clock.go_to(at)
            service.wait_for_risk(lambda risk: risk.trading_day == day + timedelta(days=1) and risk.pnl is not None)
            service.wait_for_polls(3)
            risk = risk_of(service)
            assert (risk.pnl, risk.breach, risk.halt, risk.orders_today) == (0, None, None, 0), at
        exchange.control("end_of_day", {})
        clock.go_to("07:31")
        service.wait_for_risk(lambda risk: risk.pnl is not None and risk.entry_blocked is None)
        clock.go_to("09:20")
        service.wait_for_polls(3)
        assert service.submit(resting()).success
        assert len(service.alerts("max_loss")) <= 1, "halted on the day before alone"
        assert service.store.breach(service.service.settings.account, day) is not None
        assert service.store.breach(service.service.settings.account, day + timedelta(days=1)) is None


@pytest.mark.parametrize("starts_at", ["06:00", "06:45"])
def test_g7_a_service_that_starts_between_its_days_begin_and_the_brokers_roll_counts_nothing_of_yesterday(
    tmp_path: Path, exchange: PaperServer, starts_at: str
) -> None:
    clock = DayClock("15:00")
    with running(tmp_path, exchange=exchange, clock=clock, **LOSES) as service:
        hold(service)
        service.set_price("1480")
        service.wait_for_risk(lambda risk: risk.breach is not None)
        assert service.submit(an_intent(EXIT, SELL, 100, price=Decimal(1470))).success
        wait_until(lambda: service.guard_lines() == [])
        resume(service)
    clock.go_to("05:30")
    with running(tmp_path, exchange=exchange, clock=clock, **LOSES) as service:
        assert risk_of(service).breach is not None, "still the day of the loss"
    clock.go_to(starts_at)
    with running(tmp_path, exchange=exchange, clock=clock, **LOSES) as service:
        service.wait_for_polls(5)
        risk = risk_of(service)
        assert (risk.pnl, risk.breach, risk.halt, risk.entry_blocked) == (0, None, None, None)


def test_g7_a_broker_that_clears_its_books_before_our_day_ends_loses_nothing_of_today(
    tmp_path: Path, exchange: PaperServer
) -> None:
    clock = DayClock("15:00")
    with running(tmp_path, exchange=exchange, clock=clock, **LOSES) as service:
        hold(service)
        service.set_price("1480")
        service.wait_for_risk(lambda risk: risk.breach is not None)
        breach = risk_of(service).breach
        rests = service.submit(resting(EXIT, SELL, 100))
        service.wait_at_exchange(rests.broker_order_id)
        clock.go_to("00:10")
        exchange.control("end_of_day", {})
        wait_until(lambda: len(service.alerts("books_cleared")) == 2)
        service.wait_for_polls(10)
        assert service.alerts("unreadable") == [], "nobody need get up at night"
        risk = risk_of(service)
        assert (risk.breach, risk.pnl) == (breach, breach.pnl if breach else None)
        assert service.row(rests.command_id)["status"] == "SENT_TO_BROKER", "no verdict yet"
        clock.go_to("06:00")
        row = service.wait_for(rests.command_id, "FAILED")
        assert row["tag"] == Tag.BROKER_EXPIRED
        service.wait_for_risk(lambda risk: risk.breach is None and risk.pnl == 0)


def test_g7_a_breach_made_under_a_clock_that_was_a_day_ahead_comes_back_with_the_clock(
    tmp_path: Path, exchange: PaperServer
) -> None:
    clock = DayClock("15:00")
    with running(tmp_path, exchange=exchange, clock=clock, **LOSES) as service:
        today = risk_of(service).trading_day
        clock.go_to("15:10", days=1)
        service.wait_for_risk(lambda risk: risk.trading_day > today and risk.entry_blocked is None)
        hold(service)
        service.set_price("1480")
        service.wait_for_risk(lambda risk: risk.breach is not None)
        clock.go_to("15:20", days=-1)
        service.wait_for_risk(lambda risk: risk.breach is not None and risk.breach.trading_day == today)
        account = service.service.settings.account
        assert service.store.breach(account, today) is not None
        assert service.store.breach(account, today + timedelta(days=1)) is None
        assert service.store.max_loss_mark(account, today) is not None
        wait_until(lambda: service.alerts("clock"))
        assert len(service.alerts("clock")) == 1
        assert service.submit(resting(strategy="beta")).tag is Tag.RISK_LIMITS_EXCEEDED


def test_g13_one_false_read_of_positions_makes_no_breach_no_halt_and_no_square_off(tmp_path: Path) -> None:
    limits = {**LOSES, "SIXSTEP_RISK__SQUARE_OFF_ON_MAX_LOSS": "true", "SIXSTEP_WATCHER__POSITIONS_INTERVAL_S": "3600"}
    with running(tmp_path, **limits, SIXSTEP_RISK__PNL_MAX_AGE_S="7200") as service:
        service.set_price("1500")
        hold(service)
        wait_until(lambda: service.ask("order_watcher", GetPositions()).positions)
        book = service.ask("order_watcher", GetPositions())
        false = replace(book.positions[0], unrealised=Decimal(-149_000))
        service.service.runtime.tell("order_watcher", replace(book, positions=(false,)))
        wait_until(lambda: count_of(service, "PositionsDoubted"))
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        risk = risk_of(service)
        assert (risk.breach, risk.halt) == (None, None)
        assert service.guard_lines() == [("alpha", "INFY-EQ", 100, 0)]
        assert service.alerts("daily_loss") == service.alerts("max_loss") == []


def count_of(service: Running, kind: str) -> int:
    """How many messages of a kind were handled so far."""
    return sum(1 for record in service.service.runtime.tracer.recent() if record.type == kind)


def lose(service: Running, price: str, rupees: int) -> None:
    """Let the price fall until so much is lost, by two reads of positions more than the first that shows it."""
    service.set_price(price)
    service.wait_for_risk(lambda risk: risk.pnl is not None and risk.pnl <= -rupees)
    before = count_of(service, "ReadPositions")
    # The next one is asked for when the last was answered.
    wait_until(lambda: count_of(service, "ReadPositions") >= before + 3)


def test_g15_max_loss_halts_again_after_a_resume_and_a_restart(tmp_path: Path, exchange: PaperServer) -> None:
    limits = {"SIXSTEP_RISK__MAX_DAILY_LOSS": "2000", "SIXSTEP_RISK__MAX_LOSS": "2000"}
    with running(tmp_path, exchange=exchange, **limits) as service:
        hold(service)
        service.set_price("1475")
        service.wait_for_risk(lambda risk: risk.halt is not None)
        lose(service, "1465", 3400)
        resume(service)
        service.wait_for_polls(10)
        assert risk_of(service).halt is None, "what a person accepted does not halt again"
    with running(tmp_path, exchange=exchange, **limits) as service:
        service.wait_for_polls(10)
        assert risk_of(service).halt is None, "nor after a restart"
        lose(service, "1450", 4900)
        assert risk_of(service).halt is None, "it counts on from the loss at the resume"
        service.set_price("1410")
        service.wait_for_risk(lambda risk: risk.halt is not None)
        assert "maximum loss -2000.00" in (risk_of(service).halt or Halt("", "", clock_now(service))).reason


def clock_now(service: Running) -> datetime:
    return service.service.clock.now()


def test_g15_a_strategy_halted_alone_stays_halted_after_a_restart_until_a_person_resumes(
    tmp_path: Path, exchange: PaperServer
) -> None:
    with running(tmp_path, exchange=exchange) as service:
        service.service.runtime.tell("risk_manager", HaltStrategy("alpha", "it keeps failing"))
        assert service.submit(resting()).tag is Tag.RISK_LIMITS_EXCEEDED
    with running(tmp_path, exchange=exchange) as service:
        assert risk_of(service).halted_strategies == (("alpha", "it keeps failing"),)
        assert service.submit(resting()).reason == "strategy alpha is halted: it keeps failing"
        assert service.submit(resting(strategy="beta")).success
        resume(service)
        assert service.submit(resting()).success
    with running(tmp_path, exchange=exchange) as service:
        assert risk_of(service).halted_strategies == ()


@pytest.mark.parametrize("resumed", [False, True])
def test_g15_a_square_off_of_max_loss_that_a_restart_ended_is_begun_again(
    tmp_path: Path, exchange: PaperServer, resumed: bool
) -> None:
    limits = {**LOSES, "SIXSTEP_RISK__SQUARE_OFF_ON_MAX_LOSS": "true"}
    with running(tmp_path, exchange=exchange, **limits) as service:
        hold(service)
        exchange.control("add_fault", {"kind": "reject_order", "count": 0, "text": "RED:Block Type:Test"})
        service.set_price("1475")
        service.wait_for_risk(lambda risk: risk.halt is not None)
        if resumed:
            wait_until(lambda: any(row["status"] == "FAILED" for row in service.rows()))
            resume(service)
            wait_until(lambda: any("held still: alpha +100" in text for text in service.alerts("square_off_failed")))
            # An EXIT that was on its way by then is not taken back.
            wait_until(lambda: all(row["status"] in ("EXECUTED", "FAILED") for row in service.rows()))
            exchange.control("clear_faults", {})
            service.wait_for_polls(10)
            assert service.guard_lines()[0][:3] == ("alpha", "INFY-EQ", 100), "it goes no further"
    exchange.control("clear_faults", {})
    with running(tmp_path, exchange=exchange, **limits) as service:
        if resumed:
            service.wait_for_polls(10)
            assert service.guard_lines()[0][:3] == ("alpha", "INFY-EQ", 100), "a person resumed"
        else:
            service.wait_for_guard([])
