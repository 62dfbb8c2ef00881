"""What a loss of power leaves of an order's life: everything that was told outside (scenario A1)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.addresses import Addresses
from actors.order_repo import OrderRepo
from core.messages import FailOrder, MarkSent, Message, RecordAccepted, RecordUnknown, RegisterOrder
from core.model.order import Order, Status, Tag
from core.runtime import StepRuntime, VirtualClock
from tests.factories import an_order
from tests.simulation.disk import CommitMoment, Disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path, random.Random(1), lambda: 0.0)
    yield made
    made.close()


def after(disk: Disk, *messages: Message, seconds: float = 0.0) -> list[tuple[object, ...]]:
    """The rows that are left when the power goes after these messages."""
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    for message in messages:
        runtime.tell("order_repo", message)
        runtime.run_until_idle()
    runtime.advance(seconds)
    disk.crash(CommitMoment.POWER)
    runtime.dead_letters.take()
    return disk.read("SELECT status, broker_order_id FROM orders")


def registered() -> Order:
    return an_order(command_id="261123-aaaaa-1")


def test_an_intent_that_was_registered_and_not_marked_may_be_lost_for_a_tenth_of_a_second(disk: Disk) -> None:
    assert after(disk, RegisterOrder(registered(), None)) == []


def test_an_intent_that_waits_survives_after_a_tenth_of_a_second(disk: Disk) -> None:
    assert after(disk, RegisterOrder(registered(), None), seconds=0.2) == [("CREATED", None)]


@pytest.mark.parametrize(
    ("more", "row"),
    [
        ((), ("SENT_TO_BROKER", None)),
        ((RecordAccepted("261123-aaaaa-1", "N1"),), ("SENT_TO_BROKER", "N1")),
        ((RecordUnknown("261123-aaaaa-1", "timeout"),), ("SENT_TO_BROKER", None)),
        (
            (FailOrder("261123-aaaaa-1", Status.SENT_TO_BROKER, Tag.BROKER_REJECTED, "margin"),),
            ("FAILED", None),
        ),
    ],
)
def test_law_1_what_follows_the_mark_survives_at_once(disk: Disk, more: tuple[Message, ...], row: object) -> None:
    assert after(disk, RegisterOrder(registered(), None), MarkSent(registered()), *more) == [row]


def test_what_failed_its_checks_survives_at_once(disk: Disk) -> None:
    failed = FailOrder("261123-aaaaa-1", Status.CREATED, Tag.RISK_LIMITS_EXCEEDED, "limit")
    assert after(disk, RegisterOrder(registered(), None), failed) == [("FAILED", None)]
