"""POST /api/orders/{command_id}/cancel and /api/squareoff."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.messages import CancelStanding, GuardLine
from core.order import Product, Source
from core.settings import Settings
from core.web import create_app
from tests.web.house import House, call


def post(house: House, path: str, **kwargs: Any) -> httpx.Response:
    return call(create_app(house.doors, Settings()), "POST", path, **kwargs)


@pytest.mark.parametrize(
    ("standing", "status"),
    [
        (CancelStanding.CANCELLED, 200),
        (CancelStanding.TAKEN, 202),
        (CancelStanding.UNKNOWN, 202),
        (CancelStanding.REFUSED, 409),
        (CancelStanding.OVER, 409),
        (CancelStanding.NO_NUMBER, 409),
        (CancelStanding.NOT_SENT, 503),
        (CancelStanding.NO_ORDER, 404),
    ],
)
def test_a_cancel_is_answered_by_what_became_of_it(house: House, standing: CancelStanding, status: int) -> None:
    house.actor("state").cancel_standing = standing
    response = post(house, "/api/orders/261123-a-1/cancel", json={"by": "me"})
    assert response.status_code == status
    assert response.json()["standing"] == standing
    assert response.json()["reason"] == "in its own words"
    assert house.actor("state").cancelled == [("261123-a-1", "me")]


@pytest.mark.parametrize("command_id", ["%00", "a%20b", "x" * 65, "%F0%9F%9A%80"])
def test_what_is_no_command_id_goes_no_further(house: House, command_id: str) -> None:
    assert post(house, f"/api/orders/{command_id}/cancel").status_code == 404
    assert house.actor("state").cancelled == []


@pytest.mark.parametrize("body", [b"[]", b'{"by": 1}', b'{"x": 1}', b"{"])
def test_f1_a_bad_wish_is_refused(house: House, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert post(house, "/api/orders/a-1/cancel", content=body, headers=headers).status_code == 422
    assert post(house, "/api/squareoff", content=body, headers=headers).status_code == 422
    assert (house.actor("state").cancelled, house.actor("state").squared_off) == ([], [])


def test_a_square_off_is_answered_with_its_exits(house: House) -> None:
    response = post(house, "/api/squareoff", json={"strategy": "momentum", "symbol": "RELIANCE-EQ", "reason": "news"})
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
    (wanted,) = house.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol, wanted.reason) == ("momentum", "RELIANCE-EQ", "news")
    assert wanted.source is Source.WEBHOOK


def test_everything_is_exited_when_nothing_is_named(house: House) -> None:
    assert post(house, "/api/squareoff").status_code == 202
    (wanted,) = house.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol) == (None, None)


@pytest.mark.parametrize(
    "wanted", [{"strategy": "momentum"}, {"symbol": "RELIANCE-EQ"}, {"strategy": None, "symbol": None}]
)
def test_what_is_exited_is_narrowed_by_what_is_named(house: House, wanted: dict[str, str | None]) -> None:
    assert post(house, "/api/squareoff", json=wanted).status_code == 202
    (told,) = house.actor("state").squared_off
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
    house: House, body: dict[str, Any], fields: list[str]
) -> None:
    response = post(house, "/api/squareoff", json=body)
    assert response.status_code == 422
    assert [problem["field"] for problem in response.json()["errors"]] == fields
    assert house.actor("state").squared_off == []


def test_g24_a_strategy_nobody_knows_is_404_with_near_names_and_nothing_is_exited(house: House) -> None:
    response = post(house, "/api/squareoff", json={"strategy": "Momentun"})
    assert response.status_code == 404
    assert response.json()["near"] == ["momentum"]
    assert "did you mean momentum?" in response.json()["error"]
    assert house.actor("state").squared_off == []


def test_g24_a_symbol_nobody_holds_is_404_with_near_names(house: House) -> None:
    response = post(house, "/api/squareoff", json={"symbol": "RELIANCE"})
    assert response.status_code == 404
    assert response.json()["near"] == ["RELIANCE-EQ"]
    assert house.actor("state").squared_off == []


def test_g24_a_strategy_that_is_flat_is_known_by_its_rows_and_while_the_record_cannot_be_read(house: House) -> None:
    house.rows.add({"strategy": "flat", "command_id": "a-1", "status": None, **_EMPTY})
    assert post(house, "/api/squareoff", json={"strategy": "flat"}).status_code == 202
    house.rows.unreadable = True
    assert post(house, "/api/squareoff", json={"strategy": "perhaps"}).status_code == 202


def test_g24_what_is_cancelled_and_what_is_left_is_named(house: House) -> None:
    state = house.actor("state")
    state.lines += (GuardLine("momentum", "NSE", "TCS-EQ", Product.CNC, 7, 0, None),)
    answer = post(house, "/api/squareoff").json()
    assert answer["cancels"] == ["261123-test-9"]
    left = {(one["symbol"], one["quantity"], one["strategy"]): one["why"] for one in answer["not_touched"]}
    assert left == {
        ("TCS-EQ", 7, "momentum"): "for delivery (CNC): it stays",
        ("INFY-EQ", 20, None): "unattributed: no strategy owns it",
    }
    narrowed = post(house, "/api/squareoff", json={"symbol": "INFY-EQ"}).json()
    assert [one["symbol"] for one in narrowed["not_touched"]] == ["INFY-EQ"]


_EMPTY = {"trading_day": None, "idempotency_key": None}
