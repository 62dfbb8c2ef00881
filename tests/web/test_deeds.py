"""POST /api/orders/{command_id}/cancel and /api/squareoff."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.messages import CancelStanding
from core.order import Source
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
    response = post(house, "/api/squareoff", json={"strategy": "momentum", "symbol": "M&M-EQ", "reason": "news"})
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
    assert (wanted.strategy, wanted.symbol, wanted.reason) == ("momentum", "M&M-EQ", "news")
    assert wanted.source is Source.WEBHOOK


def test_everything_is_exited_when_nothing_is_named(house: House) -> None:
    assert post(house, "/api/squareoff").status_code == 202
    (wanted,) = house.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol) == (None, None)


@pytest.mark.parametrize("wanted", [{"strategy": "momentum"}, {"symbol": "M&M-EQ"}, {"strategy": None, "symbol": None}])
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
