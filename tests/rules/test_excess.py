"""EXITs that work at the exchange for more than is left to close (scenario G1), as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.messages import AccountRead, CancelStatus
from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Order, Product, Side
from core.model.positions import Holding, OwnFill
from core.rules.excess import PAUSES_S, Excess, ExcessExits, excess_text
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

PLACE = ("NSE", "INFY-EQ", Product.MIS)


class World:
    """Strategies that hold, EXITs that rest, and a broker whose books are read each second."""

    def __init__(self, held: dict[str, int], resting: list[tuple[str, int]]) -> None:
        self.now = NOON
        self.net = sum(held.values())
        self.orders: list[BrokerOrderReport] = []
        self.book, self.cap, self.rules = GuardBook(), ExitCap(), ExcessExits()
        holdings = [Holding(name, *PLACE, quantity, None, opened_at=NOON) for name, quantity in held.items()]
        self.exits = [
            an_order(an_intent(ExecutionType.EXIT, Side.SELL, quantity, strategy=name), at=NOON + timedelta(seconds=i))
            for i, (name, quantity) in enumerate(resting)
        ]
        self.book.restore(holdings, self.exits, NOON)
        self.unlisted: set[str] = set()
        self.read()

    def phone(self, quantity: int, *, listed: bool = True) -> None:
        self.net -= quantity
        if listed:
            self.orders.append(
                BrokerOrderReport(
                    broker_order_id=f"E{len(self.orders)}",
                    client_tag=None,
                    exchange="NSE",
                    symbol="INFY-EQ",
                    side=Side.SELL,
                    quantity=quantity,
                    status=BrokerStatus.COMPLETE,
                    raw_status="COMPLETE",
                    filled_quantity=quantity,
                    average_price=None,
                    product=Product.MIS,
                    at=self.now,
                )
            )

    def read(self, seconds: float = 1.0, *, stale_orders: bool = False) -> list[Excess]:
        self.now += timedelta(seconds=seconds)
        own = [
            OwnFill(order.command_id, *PLACE, -1, order.filled_quantity, order.filled_quantity)
            for order, _ in self.book.in_flight()
            if order.command_id not in self.unlisted
        ]
        orders_at = NOON if stale_orders else self.now
        message = AccountRead((a_position(self.net),), tuple(self.orders), tuple(own), orders_at, self.now, self.now)
        self.cap.read(message, self.book)
        return self.rules.step(self.cap, self.book, message, self.now)

    def gone(self, order: Order) -> None:
        self.book.force_clear_symbol(order, self.now)

    def drain(self) -> list[tuple[int, int]]:
        """Which EXITs are cancelled, by their place in line, with the room each had; each cancel works."""
        found = []
        for _ in range(10):
            for excess in self.read():
                number = [order.command_id for order in self.exits].index(excess.order.command_id)
                found.append((number, excess.room))
                self.gone(excess.order)
        return found


ALPHA = {"alpha": 100}
BOTH = {"alpha": 100, "beta": 50}


@pytest.mark.parametrize("listed", [True, False], ids=["an order explains it", "no order explains it"])
@pytest.mark.parametrize(
    ("held", "resting", "sold", "cancelled"),
    [
        (ALPHA, [("alpha", 100)], 0, []),
        (ALPHA, [("alpha", 100)], 100, [(0, 0)]),
        (ALPHA, [("alpha", 100)], 130, [(0, 0)]),
        (ALPHA, [("alpha", 100)], 40, [(0, 60)]),
        (ALPHA, [("alpha", 60)], 40, []),
        (ALPHA, [("alpha", 60), ("alpha", 40)], 40, [(1, 0)]),
        (ALPHA, [("alpha", 60), ("alpha", 40)], 50, [(0, 50)]),
        (ALPHA, [("alpha", 60), ("alpha", 40)], 100, [(1, 0), (0, 0)]),
        (BOTH, [("alpha", 100), ("beta", 50)], 30, [(1, 20)]),
        (BOTH, [("beta", 50), ("alpha", 100)], 30, [(1, 70)]),
        (BOTH, [("beta", 50)], 100, []),
        (BOTH, [("alpha", 100), ("beta", 50)], 150, [(1, 0), (0, 0)]),
        ({"beta": 50}, [("alpha", 100), ("beta", 50)], 0, [(0, 0)]),
    ],
)
def test_g1_what_rests_beyond_what_is_left_is_cancelled_and_nothing_else(
    held: dict[str, int], resting: list[tuple[str, int]], sold: int, cancelled: list[tuple[int, int]], listed: bool
) -> None:
    world = World(held, resting)
    if sold:
        world.phone(sold, listed=listed)
    assert world.drain() == cancelled


def test_g1_one_read_without_an_order_that_explains_it_decides_nothing() -> None:
    world = World(ALPHA, [("alpha", 100)])
    world.phone(100, listed=False)
    assert world.read() == []
    world.net += 100
    assert [world.read() for _ in range(3)] == [[], [], []]


def test_g1_an_order_book_read_before_the_positions_may_lack_a_fill_of_ours() -> None:
    world = World(ALPHA, [("alpha", 100)])
    world.net -= 50  # the EXIT filled in part: the order book has not been read since
    assert [world.read(stale_orders=True) for _ in range(4)] == [[]] * 4
    [order] = world.exits
    fill = a_fill(50, at=world.now)
    world.cap.note_fill(replace(order, filled_quantity=50), fill, world.book.held_before(order), closes=True)
    world.book.book_fill(order, fill, world.now)
    assert [world.read() for _ in range(4)] == [[]] * 4


def test_g1_an_exit_that_the_book_does_not_list_neither_counts_nor_is_touched() -> None:
    world = World(ALPHA, [("alpha", 60), ("alpha", 40)])
    world.unlisted = {world.exits[0].command_id}
    world.phone(60)
    assert [world.read() for _ in range(3)] == [[]] * 3
    world.unlisted = set()
    assert world.drain() == [(0, 40)]


def test_g1_a_cancel_that_comes_to_nothing_is_repeated_after_a_pause_and_a_read_and_then_handed_to_a_person() -> None:
    world = World(ALPHA, [("alpha", 100)])
    world.phone(100)
    began, asked = world.now, []
    for _ in range(100):
        for excess in world.read():
            asked.append(((world.now - began).total_seconds(), excess.given_up, excess.unanswered))
            assert world.rules.answered(excess.order.command_id) is not None or excess.given_up
    assert asked == [(1, False, False), (3, False, False), (8, False, False), (18, False, False), (38, True, False)]
    assert len(asked) == len(PAUSES_S) + 1


def test_g1_an_answer_that_does_not_come_is_told_with_the_next_cancel() -> None:
    world = World(ALPHA, [("alpha", 100)])
    world.phone(100)
    [first], [again] = world.read(), world.read(PAUSES_S[0])
    assert (first.unanswered, again.unanswered) == (False, True)
    assert world.rules.answered("another") is None


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (CancelStatus.TAKEN, "it is being cancelled: so it says; once it is cancelled, send it again for 60"),
        (CancelStatus.CANCELLED, "cancelled: so it says"),
        (CancelStatus.UNKNOWN, "is not known (so it says); tried again"),
        (CancelStatus.REFUSED, "its cancel failed (so it says); tried again"),
        (CancelStatus.NOT_SENT, "its cancel failed (so it says); tried again"),
        (CancelStatus.NO_NUMBER, "its cancel failed (so it says); tried again"),
        (None, "no answer to its cancel came; it is cancelled again"),
    ],
)
def test_g1_a_person_is_told_what_came_of_the_cancel(standing: CancelStatus | None, words: str) -> None:
    [order] = World(ALPHA, [("alpha", 100)]).exits
    excess = Excess(order, 100, 60, "external order E0 sold 40")
    text = excess_text(excess, standing, "so it says") or ""
    assert words in text
    assert f"{order.command_id}: EXIT of alpha works at the exchange for SELL 100 INFY-EQ MIS, and 60 is left" in text
    assert "external order E0 sold 40" in text
    assert "a person must cancel it" in (excess_text(replace(excess, given_up=True), None) or "")
    assert excess_text(excess, CancelStatus.OVER) is None


def test_g1_reads_follow_at_once_until_an_exit_that_lost_its_holding_is_cancelled() -> None:
    world = World({"s1": 100}, [("s1", 100)])
    assert not world.cap.wants_another_read(world.book)
    world.phone(100, listed=False)
    found: list[Excess] = []
    reads = 0
    while not found:
        found = world.read()
        reads += 1
        assert found or world.cap.wants_another_read(world.book)
    assert reads == 3
    world.read()
    assert not world.cap.wants_another_read(world.book), "what is known for long is not asked for again and again"
