"""F1, F3: no body makes a server error, and a refused one leaves no order behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.order import Status
from core.rules.validation import ALIASES
from core.settings import Settings, WebSettings
from core.web import create_app
from tests.web.harness import ORDER, WebHarness, call

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["BUY", "SELL", "EXIT", "MARKET", "SL", "SL-M", "M&M-EQ", "50", 50, 100.05, "k"])
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
_names = st.sampled_from([*ORDER, *ALIASES, "secret", "legs", "basket", "idempotency_key", "trigger_price"])
_changes = st.dictionaries(_names | st.text(max_size=8), _values, max_size=4)
_legs = st.fixed_dictionaries({"legs": st.lists(st.dictionaries(_names, _scalars, max_size=4), max_size=3)})
_orders = st.builds(
    lambda changes, legs, less: {key: value for key, value in {**ORDER, **changes, **legs}.items() if key not in less},
    _changes,
    st.just({}) | _legs,
    st.sets(st.sampled_from(sorted(ORDER)), max_size=2),
)
_bodies = st.one_of(
    _orders.map(lambda order: json.dumps(order).encode()),
    _values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=300),
)


@pytest.fixture(scope="module")
def long_lived() -> Iterator[tuple[WebHarness, FastAPI]]:
    harness = WebHarness()
    yield harness, create_app(harness.gateway, Settings(web=WebSettings(requests_per_min=1_000_000)))
    assert harness.stop() == []


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=_bodies, key=st.none() | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=70))
def test_f1_f3_no_webhook_body_makes_a_server_error(
    long_lived: tuple[WebHarness, FastAPI], body: bytes, key: str | None
) -> None:
    harness, app = long_lived
    before = len(harness.rows.all())
    headers = {} if key is None else {"Idempotency-Key": key.encode("latin-1")}
    response = call(app, "POST", "/webhook", content=body, headers=headers)
    assert response.status_code in (202, 409, 422), response.text
    answer: Any = response.json()
    if response.status_code == 409:
        assert answer["command_id"] in {row["command_id"] for row in harness.rows.all()}
    added = harness.rows.all()[before:]
    if response.status_code == 422:
        assert answer["errors"]
        assert all(row["status"] is Status.FAILED for row in added)
        assert answer["command_id"] == (added[0]["command_id"] if added else None)


@settings(max_examples=100, deadline=None)
@given(body=_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100))
def test_f1_no_halt_body_makes_a_server_error(long_lived: tuple[WebHarness, FastAPI], body: bytes) -> None:
    _, app = long_lived
    for path in ("/api/halt", "/api/resume"):
        response = call(app, "POST", path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 400, 422), response.text


@settings(max_examples=100, deadline=None)
@given(query=st.dictionaries(st.sampled_from(["status", "strategy", "day", "limit", "x"]), st.text(max_size=10)))
def test_f1_no_filter_makes_a_server_error(long_lived: tuple[WebHarness, FastAPI], query: dict[str, str]) -> None:
    _, app = long_lived
    try:
        [value.encode() for value in query.values()]
    except UnicodeEncodeError:
        return
    assert call(app, "GET", "/api/orders", params=query).status_code in (200, 422)
