"""Whose record this is: one broker, one account. Orders of one and positions of another would sell what nobody has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from core.store.errors import ForeignDatabase
from core.store.rows import OrderRows
from core.store.values import time_text

__all__ = ["Owner", "Ownership"]

PAPER = "paper"

_OWNER = "SELECT profile, host, account, since FROM owner"
_CLAIM = "INSERT INTO owner (id, profile, host, account, since) VALUES (1, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_ACCOUNTS = "SELECT DISTINCT account FROM orders ORDER BY account"
# A paper exchange of its own process takes any free port.
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
# What an earlier Sixstep wrote when the paper exchange of its own process began anew.
_WAS_PAPER = "SELECT 1 FROM external_closes WHERE account = ? AND broker_order_id LIKE ? LIMIT 1"
# Risk state written before it carried the account.
_UNNAMED = ("halts", "breaches", "loss_runs")


@dataclass(frozen=True, slots=True)
class Owner:
    """A broker's profile, where it listens, and the account.

    `host` is empty for paper: our own exchange listens at another port each time.
    """

    profile: str
    host: str
    account: str

    def __str__(self) -> str:
        place = f" at {self.host}" if self.host else ""
        return f"account {self.account} of {self.profile}{place}"

    @classmethod
    def of(cls, profile: str, host: str, account: str) -> Owner:
        """The owner that settings name. Of a host its name and port count, of this machine not even the port."""
        place = urlsplit(host if "://" in host else f"//{host}")
        name = place.hostname or ""
        if profile == PAPER:
            name = ""
        elif name not in _THIS_MACHINE and place.port is not None:
            name = f"{name}:{place.port}"
        return cls(profile, name, account)


class Ownership(OrderRows):
    """Operations on the owner."""

    def owner(self) -> Owner | None:
        """Whose the database is; None before its first start, or when it was made by an older Sixstep."""
        found = self._db.execute(_OWNER).fetchone()
        return None if found is None else Owner(found[0], found[1], found[2])

    def claim(self, owner: Owner, at: datetime) -> bool:
        """Make the database this owner's, if it is nobody else's. Inside the caller's transaction.

        Returns:
            Whether it became so now, as at the first start.

        Raises:
            ForeignDatabase: It belongs to another, or by its orders can only be another's.
        """
        if self.owner() is None:
            self._refuse_foreign_rows(owner)
            self._db.write(_CLAIM, (owner.profile, owner.host, owner.account, time_text(at)))
            for table in _UNNAMED:
                self._db.write(f"UPDATE {table} SET account = ? WHERE account = ''", (owner.account,))
            taken = True
        else:
            taken = False
        present = self.owner()
        if present != owner:
            moved = present is not None and (present.profile, present.account) == (owner.profile, owner.account)
            raise ForeignDatabase(
                str(present), str(owner), is_paper=present is not None and present.profile == PAPER, has_moved=moved
            )
        return taken

    def move(self, owner: Owner) -> Owner | None:
        """The broker listens elsewhere now: the database stays the account's. Inside the caller's transaction.

        Returns:
            The owner until now; None if there was none.

        Raises:
            ForeignDatabase: It belongs to another broker or account.
        """
        before = self.owner()
        if before is None:
            return None
        if (before.profile, before.account) != (owner.profile, owner.account):
            raise ForeignDatabase(str(before), str(owner), is_paper=before.profile == PAPER)
        self._db.write("UPDATE owner SET host = ?", (owner.host,))
        return before

    def _refuse_foreign_rows(self, owner: Owner) -> None:
        """A database without an owner was written by an older Sixstep: its orders say whose it can be."""
        accounts = [str(account) for (account,) in self._db.execute(_ACCOUNTS).fetchall()]
        if accounts and owner.account not in accounts:
            raise ForeignDatabase(f"account {', '.join(accounts)}", str(owner))
        if owner.profile == PAPER:
            return
        if owner.account == PAPER.upper() or self._was_paper(owner.account):
            raise ForeignDatabase(f"account {owner.account} of {PAPER}", str(owner), is_paper=True)

    def _was_paper(self, account: str) -> bool:
        return self._db.execute(_WAS_PAPER, (account, "anew-%")).fetchone() is not None
