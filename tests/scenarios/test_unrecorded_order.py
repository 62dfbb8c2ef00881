"""The broker's book has orders under tags of ours that the database lacks."""

from __future__ import annotations

from pathlib import Path

from core.messages import GetRiskSnapshot
from core.model.order import Status, Tag
from core.paper.server import PaperServer
from tests.scenarios.orders import marketable, resting
from tests.scenarios.test_g_day import resume
from tests.support import wait_until
from tests.support_service import Running, running


def lost(service: Running, tag: str, account: str = "PAPER") -> str:
    """An order under a tag of ours that the database does not have; its number."""
    order = {"exch": "NSE", "tsym": "TCS-EQ", "trantype": "B", "qty": 5, "prctyp": "LMT", "prc": "3000", "prd": "I"}
    return str(service.control("external_order", account=account, remarks=tag, **order)["norenordno"])


def halt_of(service: Running) -> str | None:
    halt = service.ask("risk_manager", GetRiskSnapshot()).halt
    return halt.reason if halt is not None else None


def test_an_order_of_ours_that_the_database_lacks_halts_trading_and_is_told(service: Running) -> None:
    first = service.submit(resting(quantity=10))
    service.wait_at_exchange(service.row(first.command_id)["broker_order_id"])
    tag = first.command_id.rsplit("-", 1)[0] + "-99999"
    number = lost(service, tag)
    wait_until(lambda: service.alerts("unrecorded_order"))
    [alarm] = service.alerts("unrecorded_order")
    assert number in alarm
    assert tag in alarm
    wait_until(lambda: halt_of(service) is not None)
    refused = service.submit(marketable(symbol="SBIN-EQ"))
    assert (refused.status, refused.tag) == (Status.FAILED, Tag.RISK_LIMITS_EXCEEDED)


def test_what_a_person_resumed_over_does_not_halt_again_at_later_starts(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange) as service:
        first = service.submit(resting(quantity=10))
        service.wait_at_exchange(service.row(first.command_id)["broker_order_id"])
        tag = first.command_id.rsplit("-", 1)[0]
    numbers = [lost(Running(service.service, exchange), f"{tag}-{one}", "FA00001") for one in (90001, 90002)]
    for _ in range(2):
        # Until a person has resumed, each start tells it, once for all of them; the reason names each once.
        with running(tmp_path, exchange=exchange) as service:
            wait_until(lambda: service.alerts("unrecorded_order"))
            service.wait_for_polls(2)
            assert len(service.alerts("unrecorded_order")) == 1
            assert not service.alerts("kind=HALT")
            reason = halt_of(service)
            assert reason is not None
            assert [reason.count(number) for number in numbers] == [1, 1]
    with running(tmp_path, exchange=exchange) as service:
        wait_until(lambda: service.alerts("unrecorded_order"))
        service.control("cancel_order", norenordno=numbers[0])
        resume(service)
    with running(tmp_path, exchange=exchange) as service:
        service.wait_for_polls(2)
        assert halt_of(service) is None
        assert not service.alerts("unrecorded_order")
        third = lost(service, f"{tag}-90003", "FA00001")
        wait_until(lambda: service.alerts("unrecorded_order"))
        [alarm] = service.alerts("unrecorded_order")
        assert third in alarm
        assert numbers[0] not in alarm
