"""Section G: the broker's day, and answers that decide nothing alone (G7, G12, G13, G15)."""

from __future__ import annotations

from pathlib import Path

from core.messages import Readiness, ReadinessWanted, RiskSnapshot, RiskSnapshotWanted
from core.paper.server import PaperServer
from tests.scenarios.orders import EXIT, SELL, marketable, resting
from tests.support import wait_until
from tests.support_service import Running, running

OLD_SOON = {"SIXSTEP_RISK__PNL_MAX_AGE_S": "1"}


def risk_of(service: Running) -> RiskSnapshot:
    risk = service.ask("risk_manager", RiskSnapshotWanted())
    assert isinstance(risk, RiskSnapshot)
    return risk


def ready(service: Running) -> Readiness:
    found = service.ask("command_service", ReadinessWanted())
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
    wait_until(lambda: service.alerts("unreadable"), 15.0)
    assert "lacks 1 of 1 rows of today" in service.alerts("unreadable")[0]
    wait_until(lambda: not ready(service).ready)
    polls_after_grace(service)
    row = service.row(unknown.command_id)
    assert (row["status"], row["tag"]) == ("SENT_TO_BROKER", None)
    assert service.row(seen.command_id)["status"] == "SENT_TO_BROKER"
    service.control("clear_faults")
    service.wait_for_number(unknown.command_id)
    wait_until(lambda: ready(service).ready)


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
    with running(tmp_path, **OLD_SOON) as service:
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
    with running(tmp_path, exchange=exchange) as service:
        service.mute()
        hold(service)
        service.control("add_fault", kind="accept_hang", count=1)
        no_data(service, "OrderBook")
        unknown = service.submit(resting(strategy="beta"))
        assert service.row(unknown.command_id)["unknown"]
    with running(tmp_path, exchange=exchange, wait_ready=False) as service:
        wait_until(lambda: service.alerts("unreadable"), 15.0)
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
