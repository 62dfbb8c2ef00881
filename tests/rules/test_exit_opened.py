"""What an EXIT opened because somebody else had closed the holding before: since when, and whether it is booked."""

from __future__ import annotations

import pytest

from core.model.order import Side
from core.model.positions import ExternalClose
from tests.rules.test_exit_cap import INFY, Account, second

BUY, SELL = Side.BUY, Side.SELL


def record(account: Account) -> list[ExternalClose]:
    """Read, and record what is concluded, as ExecutionGuard does; all of it."""
    recorded = []
    for _ in range(3):
        account.read()
        for close in account.cap.corrections(account.book):
            account.cap.note_close(close)
            at = account.cap.filled_at(close)
            account.book.book_external_close(close, second(account.now), at)
            account.cap.note_drained(close, account.book)
            recorded.append(close)
    return recorded


def test_g1_what_an_exit_opened_stands_since_the_exit_filled_and_not_since_it_was_recorded() -> None:
    account = Account()
    assert account.enter("alpha", 50)
    account.read()
    assert account.leave("alpha", 50) == 50
    account.phone(SELL, 50)
    account.fill()
    filled_at = second(account.now)
    account.told()
    account.phone(BUY, 20)
    opened, closed = record(account)
    assert (opened.quantity, opened.beyond) == (-50, True)
    assert account.cap.filled_at(opened) == filled_at
    assert (closed.quantity, closed.beyond) == (20, False), "a person closed that of it before it was recorded"
    assert account.book.held_in(INFY) == account.net == -30


@pytest.mark.parametrize(("sooner_s", "opened"), [(0, 0), (1, -5)])
def test_g1_what_filled_in_the_second_of_an_exit_opened_no_more_than_the_account_shows(
    sooner_s: int, opened: int
) -> None:
    """25 and 10 are held, 5 are a person's; 10 leave, and the person sells 30: that is flat whoever was first."""
    account = Account()
    account.phone(BUY, 5)
    account.read()
    assert account.enter("alpha", 25)
    assert account.enter("beta", 10)
    account.read()
    assert account.leave("beta", 10) == 10
    account.phone(SELL, 30)
    account.now -= 1 - sooner_s
    account.fill()
    account.told()
    recorded = record(account)
    assert sum(close.quantity for close in recorded if close.beyond) == opened
    assert account.book.held_in(INFY) == opened
    account.phone(SELL, 5)
    assert record(account) == [], "what a person sells later is not what the EXIT opened"
