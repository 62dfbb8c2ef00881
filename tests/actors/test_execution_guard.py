"""Step 2B as an actor: a square-off goes on whatever happens to one of its steps (scenario D7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from actors.addresses import Addresses
from actors.execution_guard import ExecutionGuard
from core.files.note import Note
from core.messages import (
    AccountRead,
    Alert,
    CancelOrder,
    CheckGuard,
    EndSquareOff,
    ExitDoubted,
    FillBooked,
    FlattenPosition,
    GetGuardSnapshot,
    GetGuardState,
    GuardPassed,
    GuardSnapshot,
    GuardState,
    HoldingClosed,
    Message,
    OrderNotSent,
    OrderReserved,
    PlaceOrder,
    RecordBaselines,
    SquareOff,
    SquareOffBegun,
    SubmitOrder,
    Verified,
    VerifyAccount,
    VerifyAgain,
)
from core.model.alerts import AlertKind
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Product, Side, Source, Tag
from core.model.positions import ExternalClose, Holding, OwnFill
from core.rules.guard import GuardBook
from core.rules.square_off import SquareOffRun, Step
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

HELD = Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 50, None)


class Told(Actor):
    """Stands for whom ExecutionGuard tells."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(
        self,
        message: Alert
        | CancelOrder
        | ExitDoubted
        | GetGuardState
        | GuardPassed
        | OrderNotSent
        | PlaceOrder
        | RecordBaselines
        | SubmitOrder
        | SquareOffBegun
        | VerifyAccount,
    ) -> None:
        self._kept.append(message)


class Harness:
    def __init__(self, note: Note | None = None) -> None:
        self.told: list[Message] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        addresses = Addresses.of(self.runtime)
        names = ("command_service", "order_repo", "notifier", "broker_proxy", "trading_bot", "order_watcher")
        for name in names:
            self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(
            ExecutionGuard, "execution_guard", addresses=addresses, calendar=TradingCalendar(), square_off_note=note
        )
        self.say(GuardState((HELD,), (), frozenset()))

    def say(self, message: Message) -> None:
        self.runtime.tell("execution_guard", message)
        self.runtime.run_until_idle()

    def exits(self) -> int:
        return sum(isinstance(message, SubmitOrder) for message in self.told)


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.runtime.dead_letters.take()
    harness.runtime.stop()


@pytest.mark.parametrize("failing", ["begin", "step"])
def test_d7_a_square_off_whose_step_raises_goes_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def raising(*_: object) -> Step:
        raise RuntimeError("planted")

    if failing == "step":
        harness.say(SquareOff("by hand", Source.DASHBOARD))
    before = harness.exits()
    with monkeypatch.context() as patch:
        patch.setattr(SquareOffRun, failing, raising)
        if failing == "begin":
            harness.say(SquareOff("by hand", Source.DASHBOARD))
        else:
            harness.runtime.advance(0.3)
    harness.say(GuardState((HELD,), (), frozenset()))
    harness.runtime.advance(5.0)
    assert harness.exits() > before


def test_g1_an_exit_that_fills_while_a_close_is_being_recorded_is_told_to_have_opened_a_position(
    harness: Harness,
) -> None:
    """The close was proven before the EXIT's fill was booked, and is recorded after it."""
    order = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 30))
    harness.say(OrderReserved(order))
    harness.say(FillBooked(replace(order, filled_quantity=30), a_fill(30)))
    close = ExternalClose("alpha", "NSE", "INFY-EQ", Product.MIS, -50, Decimal(1490), "26112300000009")
    harness.say(HoldingClosed(close))
    [alert] = [message for message in harness.told if isinstance(message, Alert)]
    assert alert.kind is AlertKind.EXIT_OPENED
    assert "26112300000009" in alert.text
    assert "-30" in alert.text


def test_g1_what_an_exit_opened_begins_with_the_fill_of_the_exit(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[object] = []
    monkeypatch.setattr(GuardBook, "book_external_close", lambda *given: began.append(given[-1]))
    order = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 50))
    fill = a_fill(50)
    harness.say(OrderReserved(order))
    harness.say(FillBooked(replace(order, filled_quantity=50), fill))
    harness.runtime.advance(5.0)
    close = ExternalClose("alpha", "NSE", "INFY-EQ", Product.MIS, -50, Decimal(1490), "26112300000009", beyond=True)
    harness.say(HoldingClosed(close))
    assert began == [fill.at]


def test_g15_a_resume_ends_the_square_off_of_max_loss_and_tells_what_is_held_still(harness: Harness) -> None:
    harness.say(SquareOff("loss limit", Source.RISK))
    harness.say(EndSquareOff())
    sent = harness.exits()
    harness.runtime.advance(60.0)
    assert harness.exits() == sent
    alerts = [one for one in harness.told if isinstance(one, Alert)]
    [told] = [one.text for one in alerts if one.kind is AlertKind.SQUARE_OFF_FAILED]
    assert "(loss limit) ended, for trading was resumed; held still: alpha +50 INFY-EQ MIS" in told


def test_g15_a_resume_leaves_the_square_off_of_a_person_alone(harness: Harness) -> None:
    harness.say(SquareOff("by hand", Source.DASHBOARD))
    harness.say(EndSquareOff())
    sent = harness.exits()
    harness.runtime.advance(3.0)
    assert harness.exits() > sent


OPENED = Holding("alpha", "NSE", "INFY-EQ", Product.NRML, -40, None, opened_at=NOON)
COMMAND = "python run.py flatten INFY-EQ --quantity=-40 --exchange NSE --product NRML"


def opened(harness: Harness) -> Callable[[], list[str]]:
    """A guard whose strategy stands at -40, which an EXIT opened; what is told of that from now on."""
    mine = (OPENED.strategy, OPENED.exchange, OPENED.symbol, OPENED.product)
    harness.say(GuardState((OPENED,), (), unintended=frozenset({mine})))
    return lambda: [one.text for one in harness.told if isinstance(one, Alert) and COMMAND in one.text]


def read(harness: Harness, net: int) -> None:
    now = harness.clock.steady()
    harness.say(AccountRead((replace(a_position(net), product=Product.NRML),), (), (), now, now, now))


def test_g1_what_an_exit_opened_is_told_anew_on_each_day_that_it_stands(harness: Harness) -> None:
    told = opened(harness)
    assert len(told()) == 1
    for days in (1, 2):
        read(harness, -40)
        read(harness, -40)
        assert len(told()) == days, "once a day"
        harness.clock.advance(24 * 3600)
        read(harness, -40)
        assert len(told()) == days + 1


def test_g20_a_flatten_that_nothing_fills_is_handed_to_a_person_with_the_command(harness: Harness) -> None:
    told = opened(harness)
    box = harness.runtime.open_reply()
    harness.say(FlattenPosition("NSE", "INFY-EQ", Product.NRML, -40, Source.DASHBOARD, box.name))
    for _ in range(80):
        read(harness, -40)
        harness.runtime.advance(2.0)
    orders = [one.intent for one in harness.told if isinstance(one, SubmitOrder)]
    assert len(orders) > 1
    assert {(one.side, one.quantity, one.product) for one in orders} == {(Side.BUY, 40, Product.NRML)}
    [_, given_up] = told()
    assert "alpha still holds -40 INFY-EQ NRML; a person must end it" in given_up


def test_d7_a_square_off_of_a_person_that_the_end_of_the_process_cut_off_is_told_at_the_next_start(
    tmp_path: Path,
) -> None:
    def started() -> tuple[Harness, list[str]]:
        harness = Harness(Note(tmp_path / "square-off"))
        alerts = [message for message in harness.told if isinstance(message, Alert)]
        return harness, [one.text for one in alerts if one.kind is AlertKind.SQUARE_OFF_FAILED]

    def ended(harness: Harness) -> None:
        harness.runtime.dead_letters.take()
        harness.runtime.stop()

    harness, told = started()
    harness.say(SquareOff("loss limit", Source.RISK))
    ended(harness)
    harness, told = started()
    assert told == [], "RiskManager begins its own again"
    harness.say(SquareOff("by hand", Source.DASHBOARD, symbol=HELD.symbol))
    ended(harness)
    harness, told = started()
    assert len(told) == 1
    assert f"(by hand, of {HELD.symbol})" in told[0]
    assert f"{HELD.strategy} {HELD.quantity:+d} {HELD.symbol}" in told[0]
    ended(harness)
    harness, told = started()
    assert told == [], "told once"
    harness.say(SquareOff("by hand", Source.DASHBOARD))
    harness.say(GuardState((), (), frozenset()))
    harness.runtime.advance(1.0)
    ended(harness)
    harness, told = started()
    assert told == [], "it came to its end"
    ended(harness)


def test_e10_when_positions_were_compared_is_shown_by_the_clock_on_the_wall(harness: Harness) -> None:
    harness.clock.step(3_600.0)
    steady = harness.clock.steady()
    harness.say(AccountRead((), (), (), steady, steady, harness.clock.now()))
    snapshot = harness.runtime.ask(harness.runtime.address("execution_guard"), GetGuardSnapshot(), 1.0)
    assert isinstance(snapshot, GuardSnapshot)
    assert snapshot.reconciled_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("left", "tag"), [(50, None), (20, Tag.EXECUTION_GUARD_BLOCKED), (0, Tag.POSITION_ALREADY_FLAT)]
)
def test_g1_an_exit_that_waited_for_its_call_goes_only_if_all_of_it_may_still_be_closed(
    harness: Harness, left: int, tag: Tag | None
) -> None:
    """Its row is marked already, so it cannot be cut."""

    def read(net: int) -> None:
        harness.runtime.advance(1.0)
        now = harness.clock.steady()
        harness.say(AccountRead((a_position(net),), (), (), now, now, harness.clock.now()))

    read(50)
    read(50)
    order = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 50))
    harness.say(OrderReserved(order))
    harness.say(VerifyAgain(order, Verified(harness.clock.steady())))
    assert any(isinstance(message, VerifyAccount) for message in harness.told)
    read(left)
    read(left)
    placed = [message for message in harness.told if isinstance(message, PlaceOrder)]
    refused = [message for message in harness.told if isinstance(message, OrderNotSent)]
    if tag is None:
        [again] = placed
        assert again.verified is not None
        assert (again.order.quantity, again.verified.looks, refused) == (50, 2, [])
    else:
        assert placed == []
        [told] = refused
        assert told.tag is tag
        assert any(isinstance(message, Alert) and message.kind == "exit_cut" for message in harness.told)


@pytest.mark.parametrize(("left", "doubted"), [(50, 0), (49, 1), (0, 1)])
def test_g1_an_exit_that_goes_unverified_is_doubted_once_a_read_leaves_less(
    harness: Harness, left: int, doubted: int
) -> None:
    """One read proves nothing, but the EXIT may still wait for its call; once a book shows it, it is at the broker."""

    def read(net: int, *own: OwnFill) -> None:
        harness.runtime.advance(1.0)
        now = harness.clock.steady()
        harness.say(AccountRead((a_position(net),), (), own, now, now, harness.clock.now()))

    read(50)
    order = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 50))
    harness.say(CheckGuard(order))
    harness.runtime.advance(3.5)
    [passed] = [message for message in harness.told if isinstance(message, GuardPassed)]
    assert passed.verified is not None
    assert passed.verified.unread
    read(left)
    asked = [message for message in harness.told if isinstance(message, ExitDoubted)]
    assert [message.command_id for message in asked] == [order.command_id] * doubted
    read(left)
    assert sum(isinstance(message, ExitDoubted) for message in harness.told) == doubted, "told once"
    at_broker = OwnFill(order.command_id, "NSE", "INFY-EQ", Product.MIS, order.side.sign, 0, 0)
    read(left, at_broker)
    read(0, at_broker)
    assert sum(isinstance(message, ExitDoubted) for message in harness.told) == doubted
