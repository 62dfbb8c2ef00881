"""A point of the day's P&L is written with whatever else is, and nothing waits for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from actors.addresses import Addresses
from actors.order_repo import OrderRepo
from core.messages import RecordPnl
from core.runtime import StepRuntime, VirtualClock
from tests.simulation.disk import Disk, DiskFault, DiskTrouble

MORNING = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path, random.Random(1), lambda: 0.0)
    yield made
    made.close()


def test_a_point_the_database_cannot_take_is_lost_and_the_next_is_kept(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(MORNING))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    disk.troubles.append(DiskTrouble(DiskFault.FULL, "COMMIT", 1))
    runtime.tell("order_repo", RecordPnl(MORNING.date(), MORNING, Decimal(-1)))
    runtime.advance(60.0)
    runtime.tell("order_repo", RecordPnl(MORNING.date(), runtime.clock.now(), Decimal("-2.50")))
    runtime.advance(60.0)
    assert disk.read("SELECT account, trading_day, pnl FROM day_pnl") == [("ACC1", "2026-11-23", "-2.50")]
    runtime.dead_letters.take()
    runtime.stop()
