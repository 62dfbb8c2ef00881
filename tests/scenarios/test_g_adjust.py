"""Section G for an ADJUST that takes something off a holding: it is verified against the account as an EXIT is."""

from __future__ import annotations

import pytest

from core.model.order import Tag
from core.store.check import check
from tests.scenarios.orders import ADJUST, BUY, SELL, marketable
from tests.scenarios.test_g_account import enter, net, phone
from tests.support import wait_until
from tests.support_service import Running


@pytest.mark.parametrize("closed", [100, 80])
def test_g1_an_adjust_at_once_after_the_phone_opens_no_short(service: Running, closed: int) -> None:
    """The account has less than it would take off, whether or not a regular read has told the guard in between."""
    enter(service)
    service.mute()
    number = phone(service, "S", closed)
    result = service.submit(marketable(ADJUST, SELL, 50))
    wait_until(lambda: service.row(result.command_id)["status"] in ("EXECUTED", "FAILED"))
    row = service.row(result.command_id)
    told = " ".join([*service.alerts("exit_cut"), row["reason"] or ""])
    assert f"external order {number} " in told
    if row["status"] == "FAILED":
        assert row["tag"] in (Tag.POSITION_ALREADY_FLAT, Tag.EXECUTION_GUARD_BLOCKED)
        assert (row["filled_quantity"], row["broker_order_id"]) == (0, None)
    else:
        assert (closed, row["filled_quantity"]) == (80, 20)
        assert "ADJUST of 50 cut to 20" in told
    left = 100 - closed - row["filled_quantity"]
    assert net(service) == left
    service.wait_for_guard([("alpha", "INFY-EQ", left, 0)] if left else [])
    assert check(service.store) == []


def test_g1_an_adjust_after_the_close_was_booked_names_the_external_order(service: Running) -> None:
    enter(service)
    number = phone(service, "S", 100)
    service.wait_for_guard([])
    result = service.submit(marketable(ADJUST, SELL, 50))
    row = service.wait_for(result.command_id, "FAILED")
    assert f"external order {number} closed 100" in row["reason"]
    assert net(service) == 0


def test_an_adjust_that_the_account_bears_goes_whole_in_both_directions(service: Running) -> None:
    enter(service)
    for side, quantity in ((SELL, 60), (BUY, 20)):
        result = service.submit(marketable(ADJUST, side, quantity))
        service.wait_for(result.command_id, "EXECUTED")
    service.wait_for_guard([("alpha", "INFY-EQ", 60, 0)])
    assert net(service) == 60
    assert service.alerts("exit_cut") == []
