"""Section D: risk over time. D1-D6 are in test_six_steps.py."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

import actors.execution_guard
from core.messages import ClearHalt, GetRecentAlerts, GetRiskSnapshot, HaltChanged, RiskSnapshot, SetHalt, SquareOff
from core.model.calendar import trading_day
from core.model.order import Source, Status, Tag
from core.paper.server import PaperServer
from core.rules.square_off import SquareOffRun
from core.store import Store
from core.store.check import check
from tests.factories import an_intent
from tests.scenarios.orders import ADJUST, EXIT, SELL, marketable, resting
from tests.support import wait_until
from tests.support_service import Running, SettableClock, running

LOSES_2000 = {
    "SIXSTEP_RISK__MAX_DAILY_LOSS": "1000",
    "SIXSTEP_RISK__MAX_LOSS": "2000",
    "SIXSTEP_RISK__SQUARE_OFF_ON_MAX_LOSS": "true",
}


def holding(service: Running, quantity: int = 100, strategy: str = "alpha") -> None:
    """Let a strategy hold INFY-EQ."""
    entry = service.submit(marketable(quantity=quantity, strategy=strategy))
    service.wait_for(entry.command_id, "EXECUTED")
    wait_until(lambda: (strategy, "INFY-EQ", quantity, 0) in service.guard_lines())


def exits(service: Running) -> list[str]:
    return [row["status"] for row in service.rows() if row["source"] == "RISK"]


def test_d7_flattening_goes_on_while_exits_fail_until_it_is_flat(tmp_path: Path) -> None:
    """The loss limit is passed, and the broker rejects the first two exits."""
    with running(tmp_path, **LOSES_2000) as service:
        service.set_price("1500")
        holding(service)
        service.control("add_fault", kind="reject_order", count=2, text="RED:Block Type:Test")
        service.set_price("1470")
        service.wait_for_guard([])
        assert sorted(exits(service)) == ["EXECUTED", "FAILED", "FAILED"]
        assert service.alerts("square_off_failed") == []
        refused = service.submit(resting(strategy="beta"))
        assert refused.tag is Tag.RISK_LIMITS_EXCEEDED, "trading stays halted"


def test_d7_flattening_is_bounded_and_ends_with_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.execution_guard, "SquareOffRun", partial(SquareOffRun, pauses_s=(0.1, 0.2)))
    with running(tmp_path, **LOSES_2000) as service:
        service.set_price("1500")
        holding(service)
        service.control("add_fault", kind="reject_order", count=0, text="RED:Block Type:Test")
        service.set_price("1470")
        wait_until(lambda: service.alerts("square_off_failed"))
        assert "still holds +100 INFY-EQ" in service.alerts("square_off_failed")[0]
        tried = len(exits(service))
        assert 2 <= tried <= 3
        service.wait_for_polls(10)
        assert len(exits(service)) == tried, "no endless loop"
        assert service.guard_lines() == [("alpha", "INFY-EQ", 100, 0)]


def squared_off_by_cancelling(service: Running, command_id: str) -> None:
    """The resting order was cancelled, by the book's word, before the one exit of the square-off went out."""
    row = service.wait_for(command_id, "FAILED")
    assert row["tag"] == Tag.BROKER_CANCELLED
    service.wait_for_guard([])
    assert exits(service) == ["EXECUTED"]
    [leave] = [one for one in service.rows() if one["source"] == "RISK"]
    assert row["updated_at"] <= leave["created_at"]
    assert sum(int(one["netqty"]) for one in service.snapshot()["positions"]) == 0
    assert check(service.store) == []


def test_d7_a_resting_exit_is_cancelled_and_replaced_by_one_market_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.execution_guard, "SquareOffRun", partial(SquareOffRun, patience_s=0.3))
    with running(tmp_path, **LOSES_2000) as service:
        service.set_price("1500")
        holding(service)
        target = service.submit(resting(EXIT, SELL, 100))
        service.wait_at_exchange(target.broker_order_id)
        service.control("fill_order", norenordno=target.broker_order_id, qty=30)
        service.wait_for_guard([("alpha", "INFY-EQ", 70, -70)])
        service.set_price("1440")
        squared_off_by_cancelling(service, target.command_id)
        [leave] = [one for one in service.rows() if one["source"] == "RISK"]
        assert (leave["order_type"], leave["filled_quantity"]) == ("MARKET", 70)


def test_d7_a_resting_entry_is_cancelled_and_what_had_filled_is_exited(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.set_price("1500")
        service.set_price("1500", "RELIANCE-EQ")
        entry = service.submit(resting(quantity=200))
        service.wait_at_exchange(entry.broker_order_id)
        service.control("fill_order", norenordno=entry.broker_order_id, qty=80, prc="1450")
        service.wait_for_guard([("alpha", "INFY-EQ", 80, 120)])
        waiting = service.submit(resting(strategy="beta", symbol="RELIANCE-EQ"))
        service.wait_at_exchange(waiting.broker_order_id)
        # Just above the limit of the entry, so that it rests on.
        service.set_price("1451")
        service.service.runtime.tell("execution_guard", SquareOff("test", Source.RISK))
        squared_off_by_cancelling(service, entry.command_id)
        assert service.row(waiting.command_id)["tag"] == Tag.BROKER_CANCELLED


def test_d7_an_exit_whose_cancel_is_lost_is_never_joined_by_a_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.execution_guard, "SquareOffRun", partial(SquareOffRun, patience_s=0.0))
    with running(tmp_path) as service:
        service.set_price("1500")
        holding(service)
        target = service.submit(resting(EXIT, SELL, 100))
        service.wait_at_exchange(target.broker_order_id)
        service.control("add_fault", kind="drop_502", path="CancelOrder", count=0)
        service.service.runtime.tell("execution_guard", SquareOff("test", Source.RISK))
        wait_until(lambda: "cancel unknown" in " ".join(notes(service, target.command_id)))
        service.wait_for_polls(3)
        assert exits(service) == [], "an unknown cancel proves nothing"
        service.control("clear_faults")
        squared_off_by_cancelling(service, target.command_id)


def test_d7_an_order_that_no_cancel_removes_is_told_with_its_number_long_before_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.execution_guard, "SquareOffRun", partial(SquareOffRun, pauses_s=(0.1, 0.1, 0.1, 3600.0)))
    with running(tmp_path) as service:
        service.set_price("1500")
        holding(service)
        entry = service.submit(resting(strategy="beta"))
        service.wait_at_exchange(entry.broker_order_id)
        service.control("add_fault", kind="cancel_refused_while_open", count=0)
        service.service.runtime.tell("execution_guard", SquareOff("test", Source.RISK, strategy="beta"))
        wait_until(lambda: service.alerts("square_off_waits"))
        [alarm] = service.alerts("square_off_waits")
        assert f"{entry.command_id} (broker order {entry.broker_order_id})" in alarm
        assert service.alerts("square_off_failed") == []


def notes(service: Running, command_id: str) -> list[str]:
    return [event["reason"] for event in service.row(command_id)["events"] if event["reason"]]


def test_d8_an_unreadable_pnl_refuses_entries_alarms_and_lets_exits_pass(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_RISK__PNL_MAX_AGE_S="1") as service:
        service.set_price("1500")
        holding(service)
        service.control("add_fault", kind="position_unparsable", count=0)
        service.wait_for_risk(lambda risk: risk.entry_blocked is not None)
        refused = service.submit(resting(strategy="beta"))
        assert (refused.status, refused.tag) == (Status.FAILED, Tag.RISK_LIMITS_EXCEEDED)
        assert "P&L" in (refused.reason or "")
        wait_until(lambda: service.alerts("pnl_unreadable") or service.alerts("unreadable"))
        leave = service.submit(marketable(EXIT, SELL, 100))
        assert leave.success
        service.wait_for(leave.command_id, "EXECUTED")


def halt(service: Running, message: SetHalt | ClearHalt) -> None:
    service.service.runtime.tell("order_repo", message)


def set_halt(service: Running, reason: str) -> None:
    box = service.service.runtime.open_reply()
    halt(service, SetHalt(reason, "operator", box.name))
    assert isinstance(box.future.result(5), HaltChanged)


def risk_of(service: Running) -> RiskSnapshot:
    risk = service.ask("risk_manager", GetRiskSnapshot())
    assert isinstance(risk, RiskSnapshot)
    return risk


def test_d9_a_breach_survives_a_restart_and_ends_with_the_trading_day_alone(
    tmp_path: Path, exchange: PaperServer
) -> None:
    clock = SettableClock()
    today = trading_day(clock.now())
    limits = {"SIXSTEP_RISK__MAX_DAILY_LOSS": "2000"}
    with running(tmp_path, exchange=exchange, clock=clock, **limits) as service:
        holding(service)
        service.set_price("1470")
        service.wait_for_risk(lambda risk: risk.breach is not None)
        breach = risk_of(service).breach
        assert breach is not None
        assert (breach.trading_day, breach.limit) == (today, Decimal(2000))
        assert breach.pnl <= -2000
        leave = service.submit(an_intent(EXIT, SELL, 100, price=Decimal(1460)))
        service.wait_for(leave.command_id, "EXECUTED")
    with running(tmp_path, exchange=exchange, clock=clock, **limits) as service:
        assert risk_of(service).breach == breach, "not begun anew by the start of a process"
        refused = service.submit(resting())
        assert refused.tag is Tag.RISK_LIMITS_EXCEEDED
        assert refused.reason == (f"day P&L {breach.pnl:.2f}, limit -2000.00; no ENTRY until the next trading day")
        exchange.control("end_of_day", {})
        clock.step(timedelta(days=1))
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        risk = risk_of(service)
        assert (risk.trading_day, risk.breach, risk.orders_today) == (today + timedelta(days=1), None, 0)
        assert service.submit(resting()).success, "a new day"
        # The day before keeps its breach in the database; the new day has none.
        account, tomorrow = service.service.settings.account, today + timedelta(days=1)
        assert (service.store.breach(account, today), service.store.breach(account, tomorrow)) == (breach, None)
    with running(tmp_path, exchange=exchange, clock=clock, **limits) as service:
        assert risk_of(service).breach is None, "nor does a start bring the breach of another day back"


def test_d9_a_halt_survives_a_restart_and_does_not_end_with_the_trading_day(
    tmp_path: Path, exchange: PaperServer
) -> None:
    clock = SettableClock()
    with running(tmp_path, exchange=exchange, clock=clock) as service:
        set_halt(service, "for the night")
    exchange.control("end_of_day", {})
    clock.step(timedelta(days=1))
    with running(tmp_path, exchange=exchange, clock=clock) as service:
        refused = service.submit(resting())
        assert (refused.tag, refused.reason) == (
            Tag.RISK_LIMITS_EXCEEDED,
            "trading is halted by operator: for the night",
        )
        halt(service, ClearHalt("operator"))
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        assert service.submit(resting()).success


def test_d9_a_cooldown_survives_a_restart(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange, SIXSTEP_RISK__COOLDOWN_S="3600") as service:
        holding(service)
        leave = service.submit(marketable(EXIT, SELL, 100))
        service.wait_for(leave.command_id, "EXECUTED")
        service.wait_for_risk(lambda risk: any(run.cooldown_until for run in risk.loss_runs))
    with running(tmp_path, exchange=exchange, SIXSTEP_RISK__COOLDOWN_S="3600") as service:
        refused = service.submit(resting())
        assert refused.tag is Tag.RISK_LIMITS_EXCEEDED
        assert "cools down" in (refused.reason or "")


def test_d10_a_halt_covers_every_way_that_opens_risk_and_no_exit(tmp_path: Path, exchange: PaperServer) -> None:
    ways = (Source.WEBHOOK, Source.DASHBOARD, Source.STRATEGY, Source.CLI, Source.TELEGRAM)
    with running(tmp_path, exchange=exchange) as service:
        holding(service)
        set_halt(service, "test")
        for source in ways:
            assert service.submit(resting(ADJUST), source).tag is Tag.RISK_LIMITS_EXCEEDED, source
            assert service.submit(resting(strategy="beta"), source).tag is Tag.RISK_LIMITS_EXCEEDED, source
        again = resting(strategy="beta", idempotency_key="retried")
        assert {service.submit(again).tag for _ in range(2)} == {Tag.RISK_LIMITS_EXCEEDED}
        assert len(service.sent()) == 1
    with running(tmp_path, exchange=exchange) as service:
        assert service.submit(resting(strategy="beta")).tag is Tag.RISK_LIMITS_EXCEEDED
        leave = service.submit(marketable(EXIT, SELL, 100))
        assert leave.success
        service.wait_for(leave.command_id, "EXECUTED")


def test_d10_who_halts_is_told_what_still_works_at_the_broker(service: Running) -> None:
    entry = service.submit(resting())
    service.wait_at_exchange(entry.broker_order_id)
    box = service.service.runtime.open_reply()
    halt(service, SetHalt("test", "operator", box.name))
    halted = box.future.result(5)
    assert isinstance(halted, HaltChanged)
    assert halted.still_open == (entry.command_id,)
    wait_until(lambda: service.alerts("halt"))
    told = [alert.text for _, alert in service.ask("notifier", GetRecentAlerts()).alerts if alert.kind == "halt"]
    assert told[0].endswith(f"still open at the broker and not cancelled: {entry.command_id}")


def test_d11_no_statement_of_an_orders_way_reads_through_old_rows(service: Running, engine: str) -> None:
    """Every statement that an order's life executes is answered by an index, however many rows there are."""
    if engine != "sqlite":
        pytest.skip("the plans are SQLite's")
    seen: set[str] = set()
    real = Store.open(service.service.settings.database_url, read_only=True)
    entry = service.submit(marketable())
    service.wait_for(entry.command_id, "EXECUTED")
    from core.store import registering, reporting, rows, sending

    for module in (registering, reporting, rows, sending):
        seen |= {
            text
            for name, text in vars(module).items()
            if name.startswith("_") and isinstance(text, str) and text.lstrip().startswith(("SELECT", "UPDATE"))
        }
    assert len(seen) > 8
    for statement in (text.replace("KEYS", "?, ?") for text in seen):
        count = statement.count("?")
        for *_, detail in real.database.execute(f"EXPLAIN QUERY PLAN {statement}", ("",) * count).fetchall():
            assert not detail.startswith("SCAN") or "halts" in detail or "USING" in detail, (statement, detail)
    real.close()
