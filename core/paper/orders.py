"""One order, its events and its trades (protocol section 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from core.paper.instruments import Instrument

__all__ = ["Entry", "Event", "Order", "Report", "Stage", "Status", "Trade"]

Stage = tuple[datetime, int, str, str, tuple[object, ...]]
"""When, a number that keeps equals in order, what, of which order, with what."""


class Status(StrEnum):
    """What an order is (protocol section 6.1)."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    COMPLETE = "COMPLETE"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows, but for a fill that comes late."""
        return self in _FINAL


_FINAL = frozenset({Status.COMPLETE, Status.CANCELED, Status.REJECTED})


class Report(StrEnum):
    """What happened to an order: `rpt` in REST, `reporttype` on the socket (protocol section 6.2)."""

    NEW_ACK = "NewAck"
    PENDING_NEW = "PendingNew"
    NEW = "New"
    MOD_ACK = "ModAck"
    PENDING_REPLACE = "PendingReplace"
    REPLACED = "Replaced"
    REPLACE_REJECTED = "ReplaceRejected"
    CAN_ACK = "CanAck"
    PENDING_CANCEL = "PendingCancel"
    CANCELED = "Canceled"
    CANCEL_REJECTED = "CancelRejected"
    FILL = "Fill"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Entry:
    """What an order asks for, as PlaceOrder gave it or ModifyOrder left it.

    Attributes:
        side: `B` or `S`.
        qty: Total quantity in units, what is filled included.
        prctyp: LMT, MKT, SL-LMT or SL-MKT.
        prc: Limit in rupees; 0 for market types.
        trgprc: Trigger in rupees; 0 where there is none.
        ret: DAY, IOC or EOS.
        prd: Product code: C, M, I, H, B or F.
        dscqty: Disclosed quantity.
    """

    side: str
    qty: int
    prctyp: str
    prc: Decimal
    trgprc: Decimal = Decimal(0)
    ret: str = "DAY"
    prd: str = "I"
    dscqty: int = 0

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a trigger."""
        return self.prctyp.startswith("SL")

    @property
    def is_market(self) -> bool:
        """Whether it takes any price."""
        return self.prctyp.endswith("MKT")


@dataclass(slots=True)
class Trade:
    """One execution of one order.

    Attributes:
        flid: Trade number, rising through the day.
        at: When.
        qty: Units.
        prc: Price in rupees.
        filled: Units of the order filled with this one.
        value: Sum of quantity times price with this one, in rupees.
        shown: Its row as it was told last, behind what it was told from.
    """

    flid: str
    at: datetime
    qty: int
    prc: Decimal
    filled: int
    value: Decimal
    shown: tuple[Entry, str, bytes] | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Event:
    """One line of an order's history: what happened and what the order was after it."""

    at: datetime
    report: Report
    status: Status
    entry: Entry
    filled: int
    value: Decimal
    cancelqty: int
    rejreason: str
    rejby: str
    exchordid: str
    exch_at: datetime | None
    trade: Trade | None = None


@dataclass(slots=True, eq=False)
class Order:
    """One order from the first word to the last.

    Attributes:
        number: `norenordno`.
        account: The account's id.
        instrument: The contract.
        entry: What is asked for now.
        original: What was asked for first.
        remarks: The user's tag; empty for none.
        source: `ordersource`: API, WEB, or ADM for the broker's own.
        amo: Whether it was given for the next session.
        entered_at: When PlaceOrder took it.
        priority: Its place in time at its price; smaller stands earlier.
        triggered: Whether a stop has been set off.
        unit_margin: Rupees blocked for each unit that opens exposure.
        margin_units: Units that margin is blocked for.
        reserved: Units counted among the position's pending orders.
        next_stage_at: The earliest moment its next stage may come, so that stages never overtake each other.
        parked: Whether it waits for the session to open before anything is done with it.
        fill_before_cancel: The fault that fills it between the acceptance of a cancel and the cancel itself.
        stages: What is scheduled for it and not yet done.
        place: Its place among the day's orders of the account.
        shown: Its row as it was told last, behind what it was told from.
    """

    number: str
    account: str
    instrument: Instrument
    entry: Entry
    original: Entry
    remarks: str
    source: str
    amo: bool
    entered_at: datetime
    priority: int = 0
    status: Status = Status.PENDING
    filled: int = 0
    value: Decimal = Decimal(0)
    cancelqty: int = 0
    exchordid: str = ""
    exch_at: datetime | None = None
    triggered: bool = False
    unit_margin: Decimal = Decimal(0)
    margin_units: int = 0
    reserved: int = 0
    reserved_price: Decimal = Decimal(0)
    next_stage_at: datetime | None = None
    parked: bool = False
    fill_before_cancel: bool = False
    history: list[Event] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    place: int = 0
    shown: tuple[int, Decimal, bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def remaining(self) -> int:
        """Units still wanted."""
        return max(0, self.entry.qty - self.filled)

    @property
    def waits_for_trigger(self) -> bool:
        """Whether it is a stop that has not been set off."""
        return self.entry.is_stop and not self.triggered

    @property
    def resting_status(self) -> Status:
        """What it is while it stands at the exchange."""
        return Status.TRIGGER_PENDING if self.waits_for_trigger else Status.OPEN

    @property
    def is_at_exchange(self) -> bool:
        """Whether the exchange has confirmed it and it has not ended."""
        return bool(self.exchordid) and not self.status.is_final


def average(value: Decimal, quantity: int, precision: int = 2) -> Decimal:
    """Average price in rupees, rounded half up to `precision` places."""
    if not quantity:
        return Decimal(0).scaleb(-precision)
    return (value / quantity).quantize(Decimal(1).scaleb(-precision), rounding=ROUND_HALF_UP)
