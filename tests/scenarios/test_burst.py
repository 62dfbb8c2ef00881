"""More orders at once than mailboxes hold: refused at the entrance with an answer, never lost on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import core.messages
from actors.broker_calls import BrokerClient
from actors.system import Outside, spawn_actors
from core.messages import AboutOrder, Message, OrderAnswer, RecordReport, SubmitOrder
from core.model.broker import BrokerOrderReport, BrokerStatus, Quote
from core.model.order import Fill, Source, Status, Tag
from core.model.outcomes import LoggedIn
from core.runtime import StepRuntime, VirtualClock
from core.settings import load_settings
from core.store import Store
from tests.factories import a_fill, an_intent

_WITHOUT_THE_ORDER = {
    "FailOrder",
    "RecordAccepted",
    "RecordUnknown",
    "RecordReport",
    "RecordAbsent",
    "OrderAbandoned",
    "OrderAnswer",
    "RecordPrice",
    "ModifyReported",
    "ModifyNotDone",
    "ModifyAnswer",
    "HoldingChanged",
    "ProtectionRegistered",
    "SaveProtections",
    "ProtectionsSaved",
}


class Quiet:
    """A broker whose books are empty."""

    def login(self) -> LoggedIn:
        return LoggedIn("TEST", "token")

    def order_book(self) -> tuple[()]:
        return ()

    trade_book = positions = take_unreadable = order_book

    def quote(self, exchange: str, symbol: str) -> Quote:
        raise NotImplementedError


def test_a_registration_that_a_full_repo_refuses_is_answered_at_once(tmp_path: Path) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 3, 2, 5, tzinfo=UTC)), mailbox_capacity=8)
    store = f"sqlite:///{tmp_path / 'sixstep.db'}"
    outside = Outside(open_store=lambda: Store.open(store), open_client=lambda: cast(BrokerClient, Quiet()))
    spawn_actors(runtime, load_settings(None, {"SIXSTEP_SERVICE__DATA_DIR": str(tmp_path)}), outside)
    runtime.run_until_idle()
    runtime.advance(2.0)
    box = runtime.open_reply()
    runtime.tell("command_service", SubmitOrder(an_intent(), Source.STRATEGY, box.name))
    # What stands in OrderRepo's mailbox when the registration comes.
    for _ in range(8):
        day = datetime(2026, 3, 2, tzinfo=UTC).date()
        runtime.tell("order_repo", core.messages.GetOpenOrders(day, day))
    runtime.run_until_idle()
    answer = cast(OrderAnswer, box.future.result(0))
    assert (answer.result.status, answer.result.tag) == (Status.FAILED, Tag.SERVICE_NOT_READY)
    assert "neither recorded nor sent" in str(answer.result.reason)
    assert [dead.envelope.to for dead in runtime.dead_letters.take()] == ["order_repo"]
    runtime.stop()


def test_only_new_work_is_bounded() -> None:
    kinds = [kind for kind in vars(core.messages).values() if isinstance(kind, type) and issubclass(kind, AboutOrder)]
    on_the_way = {kind.__name__ for kind in kinds} - {"AboutOrder", "RegisterOrder"} | _WITHOUT_THE_ORDER
    for name, kind in vars(core.messages).items():
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not AboutOrder:
            assert _carries_on(kind) is (name in on_the_way), name


def _carries_on(kind: type[Message]) -> object:
    return vars(next(base for base in kind.__mro__ if "carries_on" in vars(base)))["carries_on"]


def test_an_equal_report_that_waits_already_is_merged_and_one_with_news_is_not() -> None:
    def told(filled: int, *fills: Fill) -> str | None:
        report = BrokerOrderReport(
            broker_order_id="1",
            client_tag="260302-abcde-1",
            exchange="NSE",
            symbol="INFY-EQ",
            side=None,
            quantity=50,
            status=BrokerStatus.OPEN,
            raw_status="OPEN",
            filled_quantity=filled,
        )
        return RecordReport("260302-abcde-1", report, fills).conflation_key

    assert told(0) == told(0) is not None
    assert told(0) != told(10)
    assert told(10, a_fill(10)) is None
