"""Requests made from the OpenAPI description: no server error, and only answers that it promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.settings import Settings, WebSettings
from core.web import WebServer, create_app
from tests.web.harness import WebHarness

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = [
    "GET /api/alerts",
    "GET /api/budget",
    "GET /api/candles",
    "GET /api/external-orders",
    "GET /api/feed",
    "GET /api/guard",
    "GET /api/instruments",
    "GET /api/instruments/{symbol}",
    "GET /api/instruments/{underlying}/chain",
    "GET /api/orders",
    "GET /api/orders/{command_id}",
    "GET /api/positions",
    "GET /api/protections",
    "GET /api/quotes",
    "GET /api/risk",
    "GET /api/trace/{command_id}",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "POST /api/halt",
    "POST /api/instruments/refresh",
    "POST /api/orders/{command_id}/cancel",
    "POST /api/orders/{command_id}/modify",
    "POST /api/positions/adopt",
    "POST /api/positions/flatten",
    "POST /api/protections",
    "POST /api/protections/{protection_id}/cancel",
    "POST /api/resume",
    "POST /api/squareoff",
    "POST /webhook",
]


@pytest.fixture(scope="module")
def operations() -> Iterator[dict[str, Any]]:
    """The operations of a house behind a real port, as its description has them."""
    harness = WebHarness()
    app = create_app(harness.gateway, Settings(web=WebSettings(requests_per_min=1_000_000)))
    server = WebServer(app, "127.0.0.1", 0, before_stop=app.state.close_streams)
    server.start()
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    yield {found.ok().label: found.ok() for found in schema.get_all_operations()}
    server.stop()
    assert harness.stop() == []


def test_every_operation_is_tried(operations: dict[str, Any]) -> None:
    assert sorted(operations) == OPERATIONS


# Not by schemathesis' own pytest plugin: it reaches into pytest's private names.
@pytest.mark.parametrize("label", OPERATIONS)
def test_the_service_answers_as_it_describes_itself(operations: dict[str, Any], label: str) -> None:
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operations[label].as_strategy())
    def answers(case: Any) -> None:
        case.validate_response(case.call(timeout=10), checks=CHECKS)

    answers()
