"""POST /api/orders/{command_id}/cancel and /api/squareoff."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.messages import CancelStatus, ModifyStatus, Seen
from core.model.order import Product, Source
from core.model.positions import GuardLine
from core.settings import Settings
from core.web import create_app
from tests.web.harness import WebHarness, call


def post(harness: WebHarness, path: str, **kwargs: Any) -> httpx.Response:
    return call(create_app(harness.gateway, Settings()), "POST", path, **kwargs)


@pytest.mark.parametrize(
    ("standing", "status"),
    [
        (CancelStatus.CANCELLED, 200),
        (CancelStatus.TAKEN, 202),
        (CancelStatus.UNKNOWN, 202),
        (CancelStatus.REFUSED, 409),
        (CancelStatus.OVER, 409),
        (CancelStatus.NO_NUMBER, 409),
        (CancelStatus.NOT_SENT, 503),
        (CancelStatus.NO_ORDER, 404),
    ],
)
def test_a_cancel_is_answered_by_what_became_of_it(harness: WebHarness, standing: CancelStatus, status: int) -> None:
    harness.actor("state").cancel_standing = standing
    response = post(harness, "/api/orders/261123-a-1/cancel", json={"by": "me"})
    assert response.status_code == status
    assert response.json()["standing"] == standing
    assert response.json()["reason"] == "in its own words"
    assert harness.actor("state").cancelled == [("261123-a-1", "me")]


def test_a_modification_is_answered_by_what_became_of_it_and_what_the_order_is(harness: WebHarness) -> None:
    statuses = {"TAKEN": 202, "UNKNOWN": 202, "UNCHANGED": 200, "CHANGED": 409, "BLOCKED": 409, "NOT_SENT": 503}
    for standing, status in statuses.items():
        harness.actor("state").modify_standing = ModifyStatus(standing)
        wanted = {"price": 1501.5, "seen": {"filled_quantity": 20}, "by": "me"}
        response = post(harness, "/api/orders/261123-a-1/modify", json=wanted)
        assert (response.status_code, response.json()["standing"]) == (status, standing)
    assert response.json()["order"]["filled_quantity"] == 20
    asked = harness.actor("state").modified[0]
    assert (asked.fields, asked.seen, asked.by) == ((("price", 1501.5),), Seen(filled_quantity=20), "me")


@pytest.mark.parametrize("command_id", ["%00", "a%20b", "x" * 65, "%F0%9F%9A%80"])
def test_what_is_no_command_id_goes_no_further(harness: WebHarness, command_id: str) -> None:
    assert post(harness, f"/api/orders/{command_id}/cancel").status_code == 404
    assert harness.actor("state").cancelled == []


@pytest.mark.parametrize("body", [b"[]", b'{"by": 1}', b'{"x": 1}', b"{"])
def test_f1_a_bad_wish_is_refused(harness: WebHarness, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert post(harness, "/api/orders/a-1/cancel", content=body, headers=headers).status_code == 422
    assert post(harness, "/api/squareoff", content=body, headers=headers).status_code == 422
    assert (harness.actor("state").cancelled, harness.actor("state").squared_off) == ([], [])


def test_a_square_off_is_answered_with_its_exits(harness: WebHarness) -> None:
    response = post(harness, "/api/squareoff", json={"strategy": "momentum", "symbol": "RELIANCE-EQ", "reason": "news"})
    assert response.status_code == 202
    assert response.json()["exits"] == [
        {
            "strategy": "momentum",
            "exchange": "NSE",
            "symbol": "RELIANCE-EQ",
            "product": "MIS",
            "side": "SELL",
            "quantity": 50,
        }
    ]
    (wanted,) = harness.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol, wanted.reason) == ("momentum", "RELIANCE-EQ", "news")
    assert wanted.source is Source.WEBHOOK


def test_what_an_exit_opened_is_flattened_once_and_only_as_it_stands(harness: WebHarness) -> None:
    wanted = {"exchange": "NSE", "symbol": "RELIANCE-EQ", "product": "MIS", "quantity": -100}
    refused = post(harness, "/api/positions/flatten", json={**wanted, "quantity": -50})
    assert (refused.status_code, refused.json()["error"]) == (409, "-100 can be flattened")
    sent = post(harness, "/api/positions/flatten", json=wanted)
    assert sent.status_code == 202
    assert [(one["side"], one["quantity"]) for one in sent.json()["exits"]] == [("SELL", 50)]
    again = post(harness, "/api/positions/flatten", json=wanted)
    assert (again.status_code, again.json()) == (202, {"exits": [], "under_way": ["261123-test-7"]})
    for missing in ("symbol", "product", "quantity"):
        unread = post(harness, "/api/positions/flatten", json={k: v for k, v in wanted.items() if k != missing})
        assert unread.status_code == 422
        assert [problem["field"] for problem in unread.json()["errors"]] == [missing]


def test_everything_is_exited_when_nothing_is_named(harness: WebHarness) -> None:
    assert post(harness, "/api/squareoff").status_code == 202
    (wanted,) = harness.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol) == (None, None)


@pytest.mark.parametrize(
    "wanted", [{"strategy": "momentum"}, {"symbol": "RELIANCE-EQ"}, {"strategy": None, "symbol": None}]
)
def test_what_is_exited_is_narrowed_by_what_is_named(harness: WebHarness, wanted: dict[str, str | None]) -> None:
    assert post(harness, "/api/squareoff", json=wanted).status_code == 202
    (told,) = harness.actor("state").squared_off
    assert (told.strategy, told.symbol) == (wanted.get("strategy"), wanted.get("symbol"))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"strategy": ""}, ["strategy"]),
        ({"symbol": ""}, ["symbol"]),
        ({"strategy": "a b", "symbol": "\n"}, ["strategy", "symbol"]),
        ({"symbol": ["INFY-EQ"]}, ["symbol"]),
        ({"symbols": "INFY-EQ"}, ["symbols"]),
        ({"strategy": "momentum", "reason": ""}, ["reason"]),
    ],
)
def test_f1_a_square_off_that_cannot_be_read_names_its_fields_and_exits_nothing(
    harness: WebHarness, body: dict[str, Any], fields: list[str]
) -> None:
    response = post(harness, "/api/squareoff", json=body)
    assert response.status_code == 422
    assert [problem["field"] for problem in response.json()["errors"]] == fields
    assert harness.actor("state").squared_off == []


def test_g24_a_strategy_nobody_knows_is_404_with_near_names_and_nothing_is_exited(harness: WebHarness) -> None:
    response = post(harness, "/api/squareoff", json={"strategy": "Momentun"})
    assert response.status_code == 404
    assert response.json()["near"] == ["momentum"]
    assert "did you mean momentum?" in response.json()["error"]
    assert harness.actor("state").squared_off == []


@pytest.mark.parametrize(
    "path", ["/api/squareoff?strategy=momentum", "/api/resume?by=me", "/api/positions/adopt?quantity=1"]
)
def test_g24_fields_in_the_query_are_refused_and_never_widen_what_is_done(harness: WebHarness, path: str) -> None:
    response = post(harness, path)
    assert response.status_code == 422
    assert "JSON body" in response.json()["errors"][0]["message"]
    assert harness.actor("state").squared_off == []


def test_g24_a_symbol_nobody_holds_is_404_with_near_names(harness: WebHarness) -> None:
    response = post(harness, "/api/squareoff", json={"symbol": "RELIANCE"})
    assert response.status_code == 404
    assert response.json()["near"] == ["RELIANCE-EQ"]
    assert harness.actor("state").squared_off == []


def test_g24_a_strategy_that_is_flat_is_known_by_its_rows_and_while_the_record_cannot_be_read(
    harness: WebHarness,
) -> None:
    harness.rows.add({"strategy": "flat", "command_id": "a-1", "status": None, **_EMPTY})
    assert post(harness, "/api/squareoff", json={"strategy": "flat"}).status_code == 202
    harness.rows.unreadable = True
    assert post(harness, "/api/squareoff", json={"strategy": "perhaps"}).status_code == 202


def test_g24_what_is_cancelled_and_what_is_left_is_named(harness: WebHarness) -> None:
    state = harness.actor("state")
    state.lines += (GuardLine("momentum", "NSE", "TCS-EQ", Product.CNC, 7, 0, None),)
    answer = post(harness, "/api/squareoff").json()
    assert answer["cancels"] == ["261123-test-9"]
    [waiting] = answer["waiting"]
    assert (waiting["symbol"], waiting["quantity"], waiting["waits_for"]) == ("RELIANCE-EQ", 50, ["261123-test-8"])
    left = {(one["symbol"], one["quantity"], one["strategy"]): one["why"] for one in answer["not_touched"]}
    assert left == {
        ("TCS-EQ", 7, "momentum"): "for delivery (CNC): it stays",
        ("INFY-EQ", 20, None): "unattributed: no strategy owns it",
        ("M&M-EQ", -5, None): "unattributed: no strategy owns it",
    }
    narrowed = post(harness, "/api/squareoff", json={"symbol": "INFY-EQ"}).json()
    assert [one["symbol"] for one in narrowed["not_touched"]] == ["INFY-EQ"]


_EMPTY = {"trading_day": None, "idempotency_key": None}


@pytest.mark.parametrize("body", [b'{"strategy":"f","strategy":null}', b'{"symbol":"A","symbol":"B"}'])
def test_d7_a_square_off_whose_scope_stands_twice_is_refused(harness: WebHarness, body: bytes) -> None:
    response = post(harness, "/api/squareoff", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert "stands twice" in response.text
