"""Section G for an ADJUST that takes something off a holding: it is verified against the account as an EXIT is."""

from __future__ import annotations

import pytest

from core.model.order import Tag
from core.store.check import check
from tests.scenarios.orders import ADJUST, BUY, SELL, marketable
from tests.scenarios.test_g_account import enter, net, phone
from tests.support_service import Running


@pytest.mark.parametrize("closed", [100, 80])
def test_g1_an_adjust_at_once_after_the_phone_opens_no_short(service: Running, closed: int) -> None:
    """The guard holds 100 when it comes, the account has less than it would take off."""
    enter(service)
    service.mute()
    number = phone(service, "S", closed)
    result = service.submit(marketable(ADJUST, SELL, 50))
    row = service.wait_for(result.command_id, "FAILED" if closed == 100 else "EXECUTED")
    assert row["filled_quantity"] == 100 - closed
    [alarm] = service.alerts("exit_cut")
    assert f"external order {number} sold {closed}" in alarm
    if closed == 100:
        assert (row["tag"], row["broker_order_id"]) == (Tag.POSITION_ALREADY_FLAT, None)
        assert "ADJUST refused: nothing of INFY-EQ MIS is left to close for alpha" in row["reason"]
    else:
        assert "ADJUST of 50 cut to 20" in alarm
    assert net(service) == 0
    service.wait_for_guard([])
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
