"""The broker's book has an order under a tag of ours that the database lacks."""

from __future__ import annotations

from core.messages import GetRiskSnapshot
from core.model.order import Status, Tag
from tests.scenarios.orders import marketable, resting
from tests.support import wait_until
from tests.support_service import Running


def test_an_order_of_ours_that_the_database_lacks_halts_trading_and_is_told(service: Running) -> None:
    first = service.submit(resting(quantity=10))
    service.wait_at_exchange(service.row(first.command_id)["broker_order_id"])
    tag = first.command_id.rsplit("-", 1)[0] + "-99999"
    number = service.control(
        "external_order",
        account="PAPER",
        exch="NSE",
        tsym="TCS-EQ",
        trantype="B",
        qty=5,
        prctyp="LMT",
        prc="3000",
        prd="I",
        remarks=tag,
    )["norenordno"]
    wait_until(lambda: service.alerts("unrecorded_order"), 15.0)
    [alarm] = service.alerts("unrecorded_order")
    assert str(number) in alarm
    assert tag in alarm
    wait_until(lambda: service.ask("risk_manager", GetRiskSnapshot()).halt is not None, 15.0)
    refused = service.submit(marketable(symbol="SBIN-EQ"))
    assert (refused.status, refused.tag) == (Status.FAILED, Tag.RISK_LIMITS_EXCEEDED)
