"""The push feed switched off by settings: everything goes on, by the books alone."""

from __future__ import annotations

from pathlib import Path

from core.messages import FeedStatus, GetFeedState
from tests.scenarios.orders import marketable
from tests.support_service import running


def test_b11_without_the_push_feed_fills_are_found_in_the_books(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_BROKER__PUSH_FEED="false") as service:
        service.set_price("1500")
        assert service.ask("order_feed", GetFeedState()).standing is FeedStatus.OFF
        result = service.submit(marketable())
        service.wait_for(result.command_id, "EXECUTED")
