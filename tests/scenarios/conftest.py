from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer
from core.runtime import SystemClock
from tests.store.databases import Schemas, postgresql_server
from tests.support import roll_time
from tests.support_service import Databases, Running, running

# Without it the scenarios run on SQLite, and those of the order's own way on PostgreSQL too; with it, all on both.
_EVERYTHING_ON_BOTH = "TEST_BOTH_DATABASES"
_ON_BOTH = ("test_six_steps",)
_BY_NAME = (
    *("_a1_", "_a2_", "_a3_", "_a4_", "_a9_", "_a10_", "_a11_", "_a13_", "_a14_"),
    *("_b2_", "_b4_", "_b7_", "_b9_a_position_closed", "_b10_", "_b11_", "_b12_", "_b16_"),
    *("_g8_",),
    *("_d9_", "_d10_", "_e4_", "_e5_a_broker", "_e7_", "_e9_"),
    *("_g7_", "_g12_what", "_g15_"),
    *("_g6_", "_g17_"),
    *("_g2_", "_g3_", "_g9_a_person", "_g9_a_converted"),
    *("_e10_a_database", "_e10_a_full_disk", "_e10_a_clock"),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which databases a scenario runs on."""
    metafunc.fixturenames.append("engine")
    both = (
        bool(os.environ.get(_EVERYTHING_ON_BOTH))
        or (metafunc.module.__name__.rpartition(".")[2] in _ON_BOTH and "_b1_" not in metafunc.function.__name__)
        or any(name in metafunc.function.__name__ for name in _BY_NAME)
    )
    metafunc.parametrize("engine", ["sqlite", "postgresql"] if both else ["sqlite"], indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Schemas]:
    """PostgreSQL, started once."""
    with (
        tempfile.TemporaryDirectory(prefix="sixstep-pg-") as directory,
        postgresql_server(Path(directory), durable=False) as schemas,
    ):
        yield schemas


@pytest.fixture
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of every service of a test: one for each directory, the same again after a restart."""
    name = str(request.param)
    if name == "postgresql":
        schemas: Schemas = request.getfixturevalue("postgresql")
        urls: dict[Path, str] = {}

        def url_of(directory: Path) -> str:
            if directory not in urls:
                urls[directory] = schemas.new()
            return urls[directory]

        monkeypatch.setattr(Databases, "url_of", staticmethod(url_of))
    return name


@pytest.fixture
def service(tmp_path: Path, engine: str) -> Iterator[Running]:  # noqa: ARG001 - chooses the database
    """A service that takes orders; INFY-EQ stands still at 1500."""
    with running(tmp_path) as run:
        run.set_price("1500")
        yield run


@pytest.fixture
def own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every actor has its own thread: for tests that hold one of them while others go on."""
    monkeypatch.setattr("actors.service.dispatchers", lambda _: {})


@pytest.fixture
def exchange() -> Iterator[PaperServer]:
    """An exchange that outlives the service; INFY-EQ stands still at 1500."""
    server = PaperServer(
        ExchangeConfig(walk_volatility=0, token_expiry_time=None, day_roll_time=roll_time()), clock=SystemClock()
    )
    server.start()
    server.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "1500"})
    server.control("hold_price", {"exch": "NSE", "tsym": "INFY-EQ", "hold": True})
    yield server
    server.stop()
