"""Planted bugs about what is believed: commits in doubt, one read's loss, what the broker moved by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from actors import execution_guard
from actors.record_writer import RecordWriter
from core.messages import OrderAnswer
from core.model.calendar import TradingCalendar
from core.rules.exit_cap import ExitCap
from core.rules.exit_freshness import ExitFreshness
from core.rules.losses import AgreedPnl
from core.rules.risk import RiskBook
from core.store import Store
from tests.simulation import staged
from tests.simulation.bugs import bug

# The answer to a commit is lost


@bug("hostile", 60)
def lost_commit_taken_as_undone() -> Iterator[None]:
    """A commit whose answer is lost counts as not made, although it was."""
    with patch.object(Store, "is_committed", lambda *_: False):
        yield


@bug("hostile", 60)
def lost_commit_taken_as_done() -> Iterator[None]:
    """A commit whose answer is lost counts as made, although it was not."""
    with patch.object(Store, "is_committed", lambda *_: True):
        yield


@bug("hostile", 100)
def caller_forgotten_after_a_lost_commit() -> Iterator[None]:
    """Once the rows say that a commit in doubt was made, nobody answers those who wait for it."""
    send = RecordWriter.send_unsent

    def send_unsent(self: RecordWriter, unsent: tuple[Any, ...]) -> None:
        send(self, tuple(sent for sent in unsent if not isinstance(sent[1], OrderAnswer)))

    with patch.object(RecordWriter, "send_unsent", send_unsent):
        yield


# What one read shows, and what the broker did by itself


@bug("fresh", 60)
def breach_from_one_read() -> Iterator[None]:
    """One read that shows the daily loss is a breach."""

    def note(self: AgreedPnl, pnl: Decimal, _: datetime, *, strange: bool) -> None:
        assert strange in (True, False)
        self.pnl = pnl

    with patch.object(AgreedPnl, "note", note):
        yield


@bug("fresh", 60)
def loss_of_one_read_ignored() -> Iterator[None]:
    """A loss that one read shows keeps nothing out until another agrees."""
    with patch.object(RiskBook, "_unconfirmed", lambda _: None):
        yield


@bug("fresh", 150)
def conversion_not_followed() -> Iterator[None]:
    """A holding that is converted stays where it was in our books."""
    with patch.object(execution_guard, "conversions", lambda *_: ()):
        yield


@bug("fresh", 100, staged.delivered)
def delivery_not_followed() -> Iterator[None]:
    """What was delivered overnight is neither looked for nor known as the strategy's own."""
    with (
        patch.object(ExitCap, "lacks_delivery", lambda *_: False),
        patch.object(ExitCap, "note_holdings", lambda *_: None),
    ):
        yield


# What was true when it was looked at


@bug("fresh", 150, staged.closed_while_an_exit_waits)
def exit_verified_long_ago() -> Iterator[None]:
    """An EXIT that waited for its call goes by what the account showed before."""
    with patch.object(ExitFreshness, "judge", lambda *_, **__: None):
        yield


@bug("rough", 150)
def absence_from_a_cleared_book() -> Iterator[None]:
    """A book that may have been cleared since an order was sent proves that there is none."""
    with patch.object(TradingCalendar, "may_be_cleared", lambda *_: False):
        yield
