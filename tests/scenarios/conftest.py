from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer
from core.runtime import SystemClock
from tests.support_service import Running, running


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """A service that takes orders; INFY-EQ stands still at 1500."""
    with running(tmp_path) as run:
        run.set_price("1500")
        yield run


@pytest.fixture
def exchange() -> Iterator[PaperServer]:
    """An exchange that outlives the service; INFY-EQ stands still at 1500."""
    server = PaperServer(ExchangeConfig(walk_volatility=0), clock=SystemClock())
    server.start()
    server.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "1500"})
    server.control("hold_price", {"exch": "NSE", "tsym": "INFY-EQ", "hold": True})
    yield server
    server.stop()
