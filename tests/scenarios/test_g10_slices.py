"""Orders above the freeze quantity, through the whole service down to the exchange (scenario G10)."""

from __future__ import annotations

import pytest

from core.instruments.checking import InstrumentCheck
from core.messages import SquareOff
from core.model.order import OrderResult, OrderType, Source, Tag
from core.store import check
from tests.factories import an_intent
from tests.scenarios.orders import ADJUST, EXIT, SELL, marketable, resting
from tests.scenarios.test_cancel import cancel
from tests.support import wait_until
from tests.support_service import Running


@pytest.fixture(autouse=True)
def twenty_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each instrument no more than 20 are taken at once."""
    monkeypatch.setattr(InstrumentCheck, "most_at_once", lambda *_: 20)


def slices(service: Running, result: OrderResult) -> list[tuple[int, int, str]]:
    """Of each broker order: quantity, filled quantity, status."""
    found = service.row(result.command_id)["broker_orders"]
    return [(one["quantity"], one["filled_quantity"], one["status"]) for one in found]


def tags_sent(service: Running) -> list[str]:
    return [order["remarks"] for order in sorted(service.sent(), key=lambda order: order["norenordno"])]


def after(result: OrderResult, part: int) -> str:
    """The client_order_id of a slice of the order that comes next."""
    head, _, number = result.command_id.rpartition("-")
    return f"{head}-{int(number) + 1}.{part}"


def test_g10_entry_exit_and_square_off_go_out_in_slices_each_as_one_command(service: Running) -> None:
    entry = service.submit(marketable())
    assert entry.success
    row = service.wait_for(entry.command_id, "EXECUTED")
    assert (row["quantity"], row["filled_quantity"], row["broker_order_id"]) == (50, 50, entry.broker_order_id)
    assert slices(service, entry) == [(20, 20, "EXECUTED"), (20, 20, "EXECUTED"), (10, 10, "EXECUTED")]
    assert tags_sent(service) == [entry.command_id, f"{entry.command_id}.2", f"{entry.command_id}.3"]
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
    leave = service.submit(an_intent(EXIT, SELL, 30, order_type=OrderType.MARKET, price=None))
    service.wait_for(leave.command_id, "EXECUTED")
    assert slices(service, leave) == [(20, 20, "EXECUTED"), (10, 10, "EXECUTED")]
    service.wait_for_guard([("alpha", "INFY-EQ", 20, 0)])
    assert service.submit(marketable(ADJUST, quantity=5)).success
    service.wait_for_guard([("alpha", "INFY-EQ", 25, 0)])
    service.service.runtime.tell("execution_guard", SquareOff("test", Source.DASHBOARD))
    service.wait_for_guard([])
    out = next(row for row in service.rows() if row["source"] == "DASHBOARD")
    assert [one["quantity"] for one in service.row(out["command_id"])["broker_orders"]] == [20, 5]
    assert check(service.store) == []


def test_g10_a_slice_refused_stops_the_rest_and_what_filled_stays(service: Running) -> None:
    first = service.submit(marketable(quantity=5))
    service.wait_for(first.command_id, "EXECUTED")
    refused = after(first, 2)
    service.control("add_fault", kind="refuse_text", text="Rejected : ORA:no margin", remarks=refused)
    result = service.submit(marketable(ADJUST, quantity=70))
    row = service.wait_for(result.command_id, "FAILED")
    assert (row["tag"], row["filled_quantity"]) == (Tag.BROKER_REJECTED, 20)
    assert row["reason"].startswith("slice 2 of 4: ")
    assert "no margin" in row["reason"]
    assert [status for *_, status in slices(service, result)] == ["EXECUTED", "FAILED", "FAILED", "FAILED"]
    assert tags_sent(service) == [first.command_id, result.command_id]
    wait_until(lambda: any("slice 2 of 4" in text for text in service.alerts("slice_failed")))
    service.wait_for_guard([("alpha", "INFY-EQ", 25, 0)])


def test_g10_an_unknown_slice_stops_no_exit_and_is_found_by_its_own_tag(service: Running) -> None:
    entry = service.submit(marketable(quantity=45))
    service.wait_for(entry.command_id, "EXECUTED")
    service.wait_for_guard([("alpha", "INFY-EQ", 45, 0)])
    service.control("add_fault", kind="accept_502", remarks=after(entry, 2))
    leave = service.submit(marketable(EXIT, SELL, 45))
    service.wait_for(leave.command_id, "EXECUTED")
    assert slices(service, leave) == [(20, 20, "EXECUTED"), (20, 20, "EXECUTED"), (5, 5, "EXECUTED")]
    service.wait_for_guard([])
    assert len(tags_sent(service)) == len(set(tags_sent(service))) == 6, "law 2"
    assert check(service.store) == []


def test_g10_a_cancel_takes_back_every_slice(service: Running) -> None:
    result = service.submit(resting())
    service.wait_at_exchange(service.row(result.command_id)["broker_orders"][-1]["broker_order_id"])
    assert cancel(service, result.command_id) == (202, "TAKEN")
    row = service.wait_for(result.command_id, "FAILED")
    assert (row["tag"], row["filled_quantity"]) == (Tag.BROKER_CANCELLED, 0)
    assert slices(service, result) == [(20, 0, "FAILED"), (20, 0, "FAILED"), (10, 0, "FAILED")]
    service.wait_for_guard([])
    assert service.submit(resting(quantity=5)).success, "the symbol is free again"
