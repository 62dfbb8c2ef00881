"""GET /metrics, read by Prometheus' own parser."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from core.settings import Settings, WebSettings
from core.web import create_app
from core.web.metrics import Metric, exposition
from tests.web.harness import ORDER, PATIENCE_S, WebHarness, call


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


def test_prometheus_reads_what_the_service_says(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings())
    assert call(app, "POST", "/webhook", content=json.dumps(ORDER).encode()).status_code == 202
    response = call(app, "GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(response.text)
    assert found["sixstep_ready", ()] == 1
    assert found["sixstep_day_pnl_rupees", ()] == -2140
    assert found["sixstep_entry_blocked", ()] == 1
    assert found["sixstep_broker_calls_total", (("kind", "PlaceOrder"),)] == 3
    assert found["sixstep_actor_alive", (("actor", "command_service"),)] == 1
    assert found["sixstep_push_feed_connected", ()] == 1
    assert ("sixstep_push_feed_frame_age_seconds", ()) in found
    assert found["sixstep_dead_letters_total", ()] == 0


def test_figures_that_are_not_known_are_absent_and_not_zero(harness: WebHarness) -> None:
    harness.runtime.stop(PATIENCE_S)
    found = samples(call(create_app(harness.gateway, Settings()), "GET", "/metrics").text)
    assert found["sixstep_ready", ()] == 0
    assert found["sixstep_actor_alive", (("actor", "state"),)] == 0
    assert ("sixstep_day_pnl_rupees", ()) not in found
    harness.runtime.dead_letters.take()


def test_metrics_need_the_token_where_there_is_one(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings(web=WebSettings(api_token=SecretStr("token"))))
    assert call(app, "GET", "/metrics").status_code == 401
    assert call(app, "GET", "/metrics", headers={"Authorization": "Bearer token"}).status_code == 200


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\nb", "a}b", "\u20b9"])
def test_f4_no_label_changes_the_document(label: str) -> None:
    metric = Metric("sixstep_x", "gauge", "X.")
    metric.add(1, strategy=label)
    assert samples(exposition([metric])) == {("sixstep_x", (("strategy", label),)): 1.0}
