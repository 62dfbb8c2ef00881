"""The points of the day's P&L, on both databases."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from core.store import Store
from tests.store.factories import DAY, T0, later


def note(store: Store, seconds: float, pnl: str, account: str = "FA1", days: int = 0) -> None:
    with store.transaction():
        store.note_pnl(account, DAY + timedelta(days=days), later(seconds), Decimal(pnl))


def test_points_come_back_in_order_after_a_restart(store: Store, url: str) -> None:
    note(store, 60, "-12.50")
    note(store, 0, "0")
    note(store, 60, "-12.75")
    store.close()
    again = Store.open(url)
    assert again.day_pnl("FA1", DAY) == [(T0, Decimal(0)), (later(60), Decimal("-12.75"))]
    again.close()


def test_accounts_keep_their_points_apart(store: Store) -> None:
    note(store, 0, "1")
    note(store, 0, "2", account="OTHER", days=1)
    assert store.day_pnl("FA1", DAY) == [(T0, Decimal(1))]
    assert store.day_pnl("OTHER", DAY) == []


def test_only_the_newest_day_is_kept(store: Store) -> None:
    note(store, 0, "1")
    note(store, 86400, "2", days=1)
    assert store.day_pnl("FA1", DAY) == []
    assert store.day_pnl("FA1", DAY + timedelta(days=1)) == [(later(86400), Decimal(2))]
