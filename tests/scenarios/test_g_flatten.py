"""What an EXIT opened is closed by one touch, exactly; what may be a person's own is not."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from core.messages import FlattenAnswer, FlattenPosition, GetGuardSnapshot, GetRecentAlerts
from core.model.order import OrderResult, Product, Source
from core.paper.server import PaperServer
from core.store.check import check
from tests.scenarios.orders import EXIT, SELL, resting
from tests.scenarios.test_g_account import enter, net, phone, unattributed
from tests.support import wait_until
from tests.support_service import Running, SettableClock, running


def overtaken(service: Running, quantity: int = 100, **more: str) -> OrderResult:
    """The phone sells a holding whose EXIT works already, and that fills too."""
    enter(service, quantity, **more)
    exiting = service.submit(resting(EXIT, SELL, quantity, **more))
    service.wait_at_exchange(exiting.broker_order_id)
    service.control("add_fault", kind="cancel_refused_while_open", count=0)
    phone(service, "S", quantity)
    service.control("fill_order", norenordno=exiting.broker_order_id)
    service.wait_for(exiting.command_id, "EXECUTED")
    wait_until(lambda: service.alerts("exit_opened") or service.alerts("exit_overfilled"))
    service.control("clear_faults")
    return exiting


def flatten(service: Running, quantity: int, product: Product = Product.MIS) -> list[FlattenAnswer]:
    """Two touches at the same moment; both answers."""
    boxes = []
    for _ in range(2):
        box = service.service.runtime.open_reply()
        wanted = FlattenPosition("NSE", "INFY-EQ", product, quantity, Source.DASHBOARD, box.name)
        service.service.runtime.tell("execution_guard", wanted)
        boxes.append(box)
    found = [box.future.result(15.0) for box in boxes]
    assert all(isinstance(one, FlattenAnswer) for one in found)
    return found


def exits(service: Running) -> list[dict[str, object]]:
    return [row for row in service.rows() if row["source"] == "DASHBOARD"]


def test_g1_what_an_exit_opened_is_closed_by_the_command_of_its_alert_and_once(service: Running) -> None:
    overtaken(service)
    service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
    assert net(service) == -100
    told = service.ask("notifier", GetRecentAlerts()).alerts
    [alarm] = [alert.text for _, alert in told if alert.kind in ("exit_opened", "exit_overfilled")]
    assert alarm.endswith("Close it: python run.py flatten INFY-EQ --quantity=-100 --exchange NSE --product MIS")
    [wrong, _] = flatten(service, -50)
    assert "the broker has -100, strategies hold -100, EXITs opened -100 of it; -100 can be flattened" in wrong.reason
    assert exits(service) == []
    first, second = flatten(service, -100)
    assert [one.quantity for one in first.exits] == [100]
    assert second.exits == first.exits or second.under_way, "two touches are one order"
    wait_until(lambda: [row["status"] for row in exits(service)] == ["EXECUTED"])
    service.wait_for_guard([])
    assert net(service) == 0
    [again, _] = flatten(service, -100)
    assert "only what an EXIT opened is flattened" in again.reason
    assert len(exits(service)) == 1
    assert check(service.store) == []


@pytest.mark.parametrize("side", ["B", "S"])
def test_what_a_person_holds_is_never_flattened(service: Running, side: str) -> None:
    """It belongs to no strategy: a person adopts it first, if it is to be closed here."""
    phone(service, side, 50)
    wait_until(lambda: unattributed(service) == [50 if side == "B" else -50])
    for answer in flatten(service, net(service)):
        assert f"the broker has {net(service):+d}, strategies hold +0, EXITs opened +0 of it" in answer.reason
    assert exits(service) == []


def test_what_a_strategy_entered_is_never_flattened(service: Running) -> None:
    enter(service)
    for answer in flatten(service, 100):
        assert "EXITs opened +0 of it" in answer.reason
    assert net(service) == 100


def test_g1_what_the_phone_has_closed_meanwhile_is_not_closed_again(service: Running) -> None:
    """Nothing past zero: the read after the touch tells, though no earlier one has."""
    overtaken(service)
    service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
    phone(service, "B", 100)
    for answer in flatten(service, -100):
        assert answer.exits == ()
        assert answer.reason
    wait_until(partial(lambda: service.guard_lines() == []))
    assert (net(service), exits(service)) == (0, [])


def test_a_position_that_cannot_be_read_is_not_flattened(service: Running) -> None:
    overtaken(service)
    service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
    service.control("add_fault", kind="book_502", path="PositionBook", count=0)
    for answer in flatten(service, -100):
        assert "could not be read" in answer.reason
    assert exits(service) == []


def test_g20_a_flatten_that_the_broker_refuses_is_sent_again(service: Running) -> None:
    overtaken(service)
    service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
    service.control("add_fault", kind="reject_order", text="RED:Block Type:Test")
    flatten(service, -100)
    wait_until(lambda: net(service) == 0, 30.0)
    service.wait_for_guard([])
    assert [str(row["status"]) for row in exits(service)].count("EXECUTED") == 1


def test_g1_what_an_exit_opened_can_be_flattened_on_the_next_day(tmp_path: Path, exchange: PaperServer) -> None:
    clock = SettableClock()
    with running(tmp_path, exchange=exchange, clock=clock) as service:
        overtaken(service)
        service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
    clock.step(timedelta(days=1))
    with running(tmp_path, exchange=exchange, clock=clock) as service:
        service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
        assert [line.unintended for line in service.ask("execution_guard", GetGuardSnapshot()).lines] == [True]
        first, _ = flatten(service, -100)
        assert [one.quantity for one in first.exits] == [100], first.reason
        service.wait_for_guard([])
        assert net(service) == 0
