"""G8, G24, G25: keys, square-offs and the kill switch, from the entry points to the exchange."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from core.model.order import Product, RawIntent, Tag
from core.paper.server import PaperServer
from core.store import check
from core.web.signature import signature_of
from tests.scenarios.orders import BUY, EXIT, SELL, body, resting
from tests.support import wait_until
from tests.support_service import Running, running

KEY = "2026-11-28T09:20:00Z-INFY"


def post(service: Running, fields: dict[str, Any], **headers: str) -> requests.Response:
    assert service.service.web is not None
    return requests.post(f"{service.service.web.url}/webhook", json=fields, headers=headers, timeout=10)


def post_signed(service: Running, fields: dict[str, Any], age_s: int) -> dict[str, Any]:
    """What a request is answered that its sender signed so long ago."""
    assert service.service.web is not None
    content = json.dumps(fields).encode()
    timestamp = str(int(service.service.clock.now().timestamp()) - age_s)
    headers = {"X-Timestamp": timestamp, "X-Signature": signature_of("hook", timestamp, content)}
    response = requests.post(f"{service.service.web.url}/webhook", data=content, headers=headers, timeout=10)
    assert response.status_code == 202, response.text
    return dict(response.json())


def test_a15_the_send_deadline_of_a_signed_request_begins_when_it_was_signed(tmp_path: Path) -> None:
    with running(
        tmp_path,
        SIXSTEP_WEB__WEBHOOK_SECRET="hook",
        SIXSTEP_LIMITS__SEND_DEADLINE_S="30",
        SIXSTEP_LIMITS__EXIT_DEADLINE_S="120",
    ) as service:
        late = post_signed(service, body(), 31)
        assert (late["status"], late["tag"]) == ("FAILED", Tag.DEADLINE_PASSED)
        assert "X-Timestamp" in late["reason"]
        assert service.row(late["command_id"])["tag"] == Tag.DEADLINE_PASSED
        assert service.sent() == []
        assert post_signed(service, body(), 10)["status"] == "SENT_TO_BROKER"
        assert post_signed(service, body(strategy="beta"), -20)["status"] == "SENT_TO_BROKER"
        leave = post_signed(service, body(strategy="gamma", execution_type="EXIT", side="SELL", price="1550"), 60)
        assert leave["tag"] == Tag.POSITION_ALREADY_FLAT, "an EXIT has the longer deadline"
        assert len(service.sent()) == 2


OTHERS = [
    resting(EXIT, SELL),
    resting(strategy="beta"),
    resting(symbol="TCS-EQ"),
    resting(quantity=25),
    replace(resting(), price=Decimal(1451)),
    replace(resting(), product=Product.NRML),
]


def test_g8_a_key_with_another_order_is_409_with_the_first_and_nothing_is_sent(service: Running) -> None:
    first = post(service, body(idempotency_key=KEY))
    assert first.status_code == 202
    changes: list[dict[str, Any]] = [{"side": "SELL", "execution_type": "EXIT"}, {"strategy": "beta"}, {"quantity": 25}]
    for change in changes:
        answer = post(service, body(idempotency_key=KEY) | change)
        assert answer.status_code == 409
        assert answer.json()["command_id"] == first.json()["command_id"]
        assert answer.json()["status"] == "SENT_TO_BROKER"
    by_header = post(service, body(strategy="beta"), **{"Idempotency-Key": KEY})
    assert by_header.status_code == 409
    assert post(service, body(idempotency_key=KEY)).json()["command_id"] == first.json()["command_id"]
    assert len(service.rows()) == len(service.sent()) == 1
    wait_until(lambda: len(service.alerts("belongs to")) == 4)
    assert check(service.store) == []


def test_g8_after_a_restart_the_key_still_means_the_first_order(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange) as service:
        first = service.submit(resting(idempotency_key=KEY))
    with running(tmp_path, exchange=exchange) as service:
        for other in OTHERS:
            answer = service.submit(replace(other, idempotency_key=KEY))
            assert (answer.success, answer.tag) == (False, Tag.IDEMPOTENCY_KEY_REUSED), other
            assert (answer.command_id, answer.status) == (first.command_id, first.status)
        assert service.submit(resting(idempotency_key=KEY)).command_id == first.command_id
        assert len(service.rows()) == 1
        assert len(service.sent()) == 1


def test_g8_at_the_same_moment_one_order_wins_and_the_other_is_told_of_it(service: Running) -> None:
    intents = [resting(idempotency_key=KEY), resting(strategy="beta", idempotency_key=KEY)] * 4
    answers = [service.answer(box) for box in [service.begin(intent) for intent in intents]]
    assert len({answer.command_id for answer in answers}) == 1
    assert [answer.tag for answer in answers] == [None, Tag.IDEMPOTENCY_KEY_REUSED] * 4
    assert len(service.rows()) == len(service.sent()) == 1


def test_g8_a_key_whose_order_failed_still_means_that_order(service: Running) -> None:
    first = service.submit(resting(EXIT, SELL, idempotency_key=KEY))
    assert first.tag is Tag.POSITION_ALREADY_FLAT
    assert service.submit(resting(EXIT, SELL, idempotency_key=KEY)) == first
    assert service.submit(resting(idempotency_key=KEY)).tag is Tag.IDEMPOTENCY_KEY_REUSED
    assert service.sent() == []


def test_g8_what_is_not_valid_under_a_known_key_is_refused_as_another_order(service: Running) -> None:
    first = service.submit(resting(idempotency_key=KEY))
    answer = service.submit(RawIntent(tuple(body(idempotency_key=KEY, quantity=0).items())))
    assert (answer.tag, answer.command_id) == (Tag.IDEMPOTENCY_KEY_REUSED, first.command_id)
    assert len(service.rows()) == 1


def test_g8_another_basket_under_the_key_sends_no_leg_not_even_a_new_one(service: Running) -> None:
    shared = body(idempotency_key=KEY)
    legs = [{"symbol": "INFY-EQ"}, {"symbol": "TCS-EQ", "price": "2900"}]
    del shared["symbol"]
    first = post(service, {**shared, "legs": legs})
    assert first.status_code == 202
    known = [row["command_id"] for row in service.rows()]
    more = post(service, {**shared, "legs": [*legs, {"symbol": "SBIN-EQ", "price": "700"}]})
    assert more.status_code == 409
    assert more.json()["command_id"] in known
    single = post(service, body(idempotency_key=KEY))
    assert single.status_code == 409
    assert [row["command_id"] for row in service.rows()] == known
    again = post(service, {**shared, "legs": legs})
    assert [leg["command_id"] for leg in again.json()] == [leg["command_id"] for leg in first.json()]


def test_g8_a_restart_of_a_strategy_of_ours_is_no_exception(service: Running) -> None:
    entry = resting(side=BUY, idempotency_key="morning-1")
    assert service.submit(entry).success
    assert not service.submit(replace(entry, quantity=51)).success
