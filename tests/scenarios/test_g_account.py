"""Section G: the account is not ours alone. The phone is a second session at the paper exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.order import OrderResult, Tag
from core.paper.server import PaperServer
from core.store.check import check
from tests.scenarios.orders import EXIT, SELL, marketable
from tests.support import wait_until
from tests.support_service import Running, running

PHONE_PRICE = {"B": "1510", "S": "1490"}


def phone(service: Running, side: str, quantity: int, prd: str = "I") -> str:
    """A person trades INFY-EQ in the account, at once; the order's number."""
    order = {"exch": "NSE", "tsym": "INFY-EQ", "prctyp": "LMT", "prc": PHONE_PRICE[side], "prd": prd}
    number = str(
        service.control("external_order", account=uid(service), trantype=side, qty=quantity, **order)["norenordno"]
    )
    wait_until(lambda: any(o["norenordno"] == number and o["status"] == "COMPLETE" for o in service.sent()))
    return number


def uid(service: Running) -> str:
    return "FA00001" if service.service.paper is None else "PAPER"


def net(service: Running, prd: str = "I") -> int:
    """What the account has of INFY-EQ, as the exchange knows it."""
    rows = service.snapshot()["positions"]
    return sum(int(row["netqty"]) for row in rows if row["tsym"] == "INFY-EQ" and row["prd"] == prd)


def enter(service: Running, quantity: int = 100, **more: Any) -> None:
    held = service.submit(marketable(quantity=quantity, **more))
    service.wait_for(held.command_id, "EXECUTED")
    strategy = more.get("strategy", "alpha")
    wait_until(lambda: any(line[0] == strategy and line[2] == quantity for line in service.guard_lines()))


def leave(service: Running, quantity: int = 100, **more: Any) -> OrderResult:
    return service.submit(marketable(EXIT, SELL, quantity, **more))


@pytest.mark.parametrize("feed", ["up", "down", "slow"])
@pytest.mark.parametrize("closed", [100, 60])
def test_g1_an_exit_at_once_after_the_phone_never_leaves_the_account_short(
    service: Running, feed: str, closed: int
) -> None:
    """No time passes between the phone and the EXIT; the feed and the regular reads cannot have told yet."""
    enter(service)
    if feed == "down":
        service.mute()
    elif feed == "slow":
        service.control("add_fault", kind="push_reordered", seconds=5, count=0)
    number = phone(service, "S", closed)
    result = leave(service)
    row = service.wait_for(result.command_id, "FAILED" if closed == 100 else "EXECUTED")
    if closed == 100:
        assert (row["tag"], row["broker_order_id"]) == (Tag.POSITION_ALREADY_FLAT, None)
        assert f"external order {number} " in row["reason"]
        assert " 100" in row["reason"]
    else:
        assert row["filled_quantity"] == 40
        [alarm] = service.alerts("exit_cut")
        assert f"external order {number} " in alarm
        assert "cut to 40" in alarm
    assert net(service) == 0
    service.wait_for_guard([])
    assert check(service.store) == []


def both_leave(service: Running, quantity: int = 50) -> list[OrderResult]:
    """Two strategies exit at the same moment."""
    boxes = [service.begin(marketable(EXIT, SELL, quantity, strategy=name)) for name in ("alpha", "beta")]
    return [service.answer(box) for box in boxes]


def test_g3_of_two_holders_no_more_is_sold_than_the_phone_left(service: Running) -> None:
    enter(service, 50)
    enter(service, 50, strategy="beta")
    service.mute()
    number = phone(service, "S", 50)
    results = both_leave(service)
    wait_until(lambda: all(service.row(r.command_id)["status"] in ("EXECUTED", "FAILED") for r in results), 15.0)
    rows = [service.row(result.command_id) for result in results]
    assert sum(row["filled_quantity"] for row in rows) == 50
    [refused] = [row for row in rows if row["status"] == "FAILED"]
    assert refused["tag"] == Tag.POSITION_ALREADY_FLAT
    assert f"external order {number}" in refused["reason"]
    assert net(service) == 0
    service.wait_for_guard([])
    [alarm] = service.alerts("exit_cut")
    assert "alpha holds +50" in alarm
    assert "beta holds +50" in alarm, "whose part is gone cannot be told"
    assert check(service.store) == []


@pytest.mark.parametrize("closed", [100, 50])
def test_g2_what_was_closed_while_the_service_was_down_is_not_closed_again(
    tmp_path: Path, exchange: PaperServer, closed: int
) -> None:
    with running(tmp_path, exchange=exchange) as service:
        enter(service)
    exchange.control(
        "external_order",
        {
            **{"account": "FA00001", "exch": "NSE", "tsym": "INFY-EQ", "trantype": "S", "qty": closed},
            **{"prctyp": "LMT", "prc": "1490", "prd": "I"},
        },
    )
    with running(tmp_path, exchange=exchange) as service:
        result = leave(service)
        row = service.wait_for(result.command_id, "FAILED" if closed == 100 else "EXECUTED")
        assert row["filled_quantity"] == 100 - closed
        assert net(service) == 0
        service.wait_for_guard([])


@pytest.mark.parametrize("policy", ["send", "hold"])
def test_g4_an_exit_that_cannot_be_verified_follows_the_setting_and_is_alarmed(tmp_path: Path, policy: str) -> None:
    given = {"SIXSTEP_EXITS__WHEN_UNVERIFIED": policy, "SIXSTEP_EXITS__VERIFY_WITHIN_S": "0.5"}
    with running(tmp_path, **given) as service:
        service.set_price("1500")
        enter(service)
        service.control("add_fault", kind="book_502", path="PositionBook", count=0)
        result = leave(service)
        if policy == "send":
            service.wait_for(result.command_id, "EXECUTED")
            assert net(service) == 0
        else:
            row = service.wait_for(result.command_id, "FAILED")
            assert row["tag"] == Tag.EXECUTION_GUARD_BLOCKED
            assert "when_unverified = hold" in row["reason"]
            assert net(service) == 100
        [alarm] = service.alerts("exit_unverified")
        assert "could not be verified" in alarm
