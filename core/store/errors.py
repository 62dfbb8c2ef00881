"""What can go wrong in the database, by name, so that a full disk is never mistaken for a bug."""

from __future__ import annotations

from core.model.order import Order

__all__ = [
    "CommandIdTaken",
    "ConstraintViolated",
    "DatabaseNotOpened",
    "ForeignDatabase",
    "IllegalChange",
    "KeyTaken",
    "StoreError",
    "StoreUnavailable",
    "UnknownOrder",
]


class StoreError(Exception):
    """The base of all errors of `core.store`."""


class StoreUnavailable(StoreError):
    """The database cannot be written or read just now: full, locked, unreachable (scenarios A9, A10, E10).

    The transaction has been rolled back and the store may be used again. Nothing of the transaction is recorded,
    unless it was raised by the commit itself: then nobody knows until it is read again (`is_committed`, scenario G6).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DatabaseNotOpened(StoreError):
    """The database named by `[database] url` could not be opened; the text says why and never holds a password."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"[database] url: {reason}")


class ForeignDatabase(StoreError):
    """The database belongs to another broker or account than the settings name (scenario G17)."""

    def __init__(self, belongs_to: str, wanted: str, *, is_paper: bool = False, has_moved: bool = False) -> None:
        more = ""
        if has_moved:
            more = ", or, if this is the same broker at a new address, run `python run.py db move` once"
        elif is_paper:
            more = ", or remove this database if what was traded on paper may go"
        super().__init__(
            f"[database] url: this database belongs to {belongs_to}, and the settings say {wanted}; give each its own "
            f"[database] url or [service] data_dir{more}"
        )


class CommandIdTaken(StoreError):
    """A new order came with a command_id that a row has already."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"command_id {command_id} is taken by another row")
        self.command_id = command_id


class KeyTaken(StoreError):
    """The idempotency key of a new order belongs to another one, which stays as it is (scenario G8)."""

    def __init__(self, first: Order) -> None:
        super().__init__(f"the idempotency key belongs to another order, {first.command_id}")
        self.first = first


class UnknownOrder(StoreError):
    """No row, or no complete order, has this command_id."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"there is no order {command_id}")
        self.command_id = command_id


class IllegalChange(StoreError):
    """A change that the life of a row does not allow, for instance a broker_order_id for a row still CREATED."""


class ConstraintViolated(StoreError):
    """The database refused a row. `unique` tells a duplicate key from a broken CHECK, trigger or NOT NULL."""

    def __init__(self, text: str, *, unique: bool) -> None:
        super().__init__(text)
        self.unique = unique
