"""What a row of the broker's book, or its absence, says of an order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import Order, Status, Tag
from core.rules.order_matching import (
    Absent,
    Looked,
    absence,
    as_changed,
    at_least,
    counted,
    expired,
    is_news,
    needs_trades,
    our_tag_of,
)
from tests.factories import NOON, an_order


def report(
    status: BrokerStatus = BrokerStatus.OPEN, filled: int | None = 0, tag: str | None = None
) -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id="26112300000001",
        client_tag=tag,
        exchange="NSE",
        symbol="INFY-EQ",
        side=None,
        quantity=50,
        status=status,
        raw_status=status.value,
        filled_quantity=filled,
    )


def unknown() -> Order:
    return replace(an_order(), status=Status.SENT_TO_BROKER, unknown=True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (report(BrokerStatus.OPEN, 0), False),
        (report(BrokerStatus.OPEN, 20), True),
        (report(BrokerStatus.COMPLETE, None), True),
        (report(BrokerStatus.CANCELLED, None), True),
        (report(BrokerStatus.CANCELLED, 0), False),
        (report(BrokerStatus.REJECTED, None), False),
    ],
)
def test_b4_the_trade_book_is_asked_where_the_order_book_counts_more_or_says_nothing(
    said: BrokerOrderReport, expected: bool
) -> None:
    assert needs_trades(unknown(), said) is expected


def test_b4_a_silent_row_counts_what_its_status_means() -> None:
    assert counted(unknown(), report(BrokerStatus.COMPLETE, None)) == 50
    assert counted(unknown(), report(BrokerStatus.CANCELLED, None)) == 0
    assert counted(unknown(), report(BrokerStatus.COMPLETE, 30)) == 30


def test_b12_a_final_row_is_explained_again_only_by_more_filled() -> None:
    over = replace(unknown(), status=Status.FAILED, tag=Tag.BROKER_CANCELLED, unknown=False, broker_order_id="1")
    assert not needs_trades(over, report(BrokerStatus.COMPLETE, None))
    assert needs_trades(over, report(BrokerStatus.CANCELLED, 10))
    assert not is_news(over, report(), None)


def test_an_order_given_up_that_turns_up_at_the_broker_is_news_once() -> None:
    given_up = replace(unknown(), status=Status.FAILED, tag=Tag.BROKER_NOT_FOUND, unknown=False)
    assert is_news(given_up, report(), None)
    assert not is_news(given_up, report(), report())


def test_an_order_whose_number_is_known_is_news_again_only_when_it_is_over() -> None:
    resting = replace(unknown(), unknown=False, broker_order_id="1")
    assert not is_news(resting, report(), None)
    assert is_news(resting, report(BrokerStatus.REJECTED), report())
    assert is_news(unknown(), report(), report())


LOOKED = Looked(
    missed=2, asked_at=NOON + timedelta(seconds=20), bare=False, elsewhere_at=None, moved=False, cleared=False
)


def judged(order: Order, looked: Looked, today: date | None = None) -> Absent | None:
    return absence(order, looked, unknown_since=NOON, grace=timedelta(seconds=15), today=today or order.trading_day)


def test_g12_a_bare_order_book_proves_absence_after_four_grace_periods_and_with_the_other_books_alone() -> None:
    bare = replace(LOOKED, bare=True, missed=50, asked_at=NOON + timedelta(seconds=61))
    assert judged(unknown(), bare) is None, "nobody looked elsewhere"
    assert judged(unknown(), replace(bare, elsewhere_at=NOON + timedelta(seconds=59))) is None, "too soon"
    agree = replace(bare, elsewhere_at=NOON + timedelta(seconds=60))
    assert judged(unknown(), replace(agree, moved=True)) is None, "the position says it may have filled"
    verdict = judged(unknown(), agree)
    assert verdict is not None
    assert verdict.tag is Tag.BROKER_NOT_FOUND
    assert "nor do trade book and positions" in verdict.reason


def test_g7_a_book_that_may_have_been_cleared_since_proves_nothing_and_says_so() -> None:
    assert judged(unknown(), replace(LOOKED, missed=1, cleared=True)) is None
    verdict = judged(unknown(), replace(LOOKED, cleared=True))
    assert verdict is not None
    assert verdict.tag is Tag.BROKER_EXPIRED
    assert "may have cleared its books" in verdict.reason
    assert "compare positions" in verdict.reason


def test_a2_absence_is_believed_after_two_reads_and_never_sooner() -> None:
    order = unknown()
    assert judged(order, replace(LOOKED, missed=1)) is None
    verdict = judged(order, LOOKED)
    assert verdict is not None
    assert verdict.tag is Tag.BROKER_NOT_FOUND
    assert "the last 20 s after sending" in verdict.reason


def test_b7_after_its_day_absence_proves_nothing_and_says_so() -> None:
    order = unknown()
    tomorrow = order.trading_day + timedelta(days=1)
    verdict = judged(order, replace(LOOKED, asked_at=NOON), tomorrow)
    assert verdict is not None
    assert verdict.tag is Tag.BROKER_EXPIRED
    assert "compare positions" in verdict.reason


def test_b7_a_numbered_order_of_another_day_expired_with_what_it_had() -> None:
    order = replace(unknown(), unknown=False, broker_order_id="1", filled_quantity=20)
    said = expired(order, order.trading_day + timedelta(days=1))
    assert (said.status, said.filled_quantity, said.broker_order_id) == (BrokerStatus.EXPIRED, 20, "1")


def test_b13_a_fill_count_never_goes_back() -> None:
    assert at_least(report(filled=20), 30).filled_quantity == 30
    assert at_least(report(filled=40), 30).filled_quantity == 40
    assert at_least(report(filled=None), 0).filled_quantity is None


@pytest.mark.parametrize(
    ("tag", "day"), [("261123-abcde-7", "261123"), ("261123-ABCDE-7", None), ("my order", None), (None, None)]
)
def test_b9_our_tags_are_told_from_others(tag: str | None, day: str | None) -> None:
    assert our_tag_of(report(tag=tag)) == day


def test_c12_another_quantity_is_believed_of_two_reads_or_once_it_is_filled() -> None:
    open_still = replace(unknown(), unknown=False, broker_order_id="26112300000001")
    changed = replace(report(), quantity=80)
    assert as_changed(open_still, changed, None).quantity is None
    assert as_changed(open_still, changed, report()).quantity is None
    assert as_changed(open_still, changed, changed).quantity == 80
    filled = replace(report(BrokerStatus.COMPLETE, 80), quantity=80)
    assert as_changed(open_still, filled, report()).quantity == 80
    assert is_news(open_still, changed, changed)
    assert not is_news(open_still, as_changed(open_still, changed, report()), report())
