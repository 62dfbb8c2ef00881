"""Corrections of what strategies hold that no external order makes: by a person, by a conversion, by a contract's end.

A person gives a position of the account to a strategy, or writes off what the broker does not have. Both are refused
where the broker's positions do not bear them. What the broker did by itself is booked where it is proven.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from core.messages import AdoptPosition
from core.model.calendar import TradingCalendar
from core.model.order import Product
from core.model.positions import Correction, ExternalClose
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook
from core.rules.lines import Stake

__all__ = ["adopt", "conversions", "expiries", "expiry_of", "opened_by_conversion"]

Account = tuple[str, str, Product]

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# NIFTY24NOV26F, NIFTY10NOV26C26000, RELIANCE24NOV26P1400.5: the contract's name carries its last day.
_DATED = re.compile(rf"[A-Z0-9&-]+?(\d\d)({'|'.join(_MONTHS)})(\d\d)(F|[CP]\d+(\.\d+)?)")
_DERIVATIVES = frozenset({"NFO", "CDS", "MCX", "BFO", "BCD", "NCO"})


def expiry_of(exchange: str, symbol: str) -> date | None:
    """The last day of a future or option by its name; None where the name does not say, or it is none."""
    found = _DATED.fullmatch(symbol) if exchange in _DERIVATIVES else None
    if found is None:
        return None
    day, month, year = int(found[1]), _MONTHS.index(found[2]) + 1, 2000 + int(found[3])
    try:
        return date(year, month, day)
    except ValueError:
        return None


def adopt(wanted: AdoptPosition, book: GuardBook, cap: ExitCap) -> ExternalClose | str:
    """The correction that a person wants, or why it is refused."""
    account = (wanted.exchange, wanted.symbol, wanted.product)
    place = f"{wanted.exchange} {wanted.symbol} {wanted.product}"
    net, price = cap.net(account), cap.price(account)
    if net is None or book.busy_in(account):
        return f"{place}: positions have not been read since the last change, or orders are in flight; try again"
    if price is None and not wanted.write_off:
        return f"{place}: the broker gives no price of it"
    found = _bearable(wanted, account, net, book, cap)
    if isinstance(found, str):
        return f"{place}: {found}"
    sign, kind = found
    return ExternalClose(
        *(wanted.strategy, *account, sign * wanted.quantity, price or Decimal(0), ""), kind=kind, note=f"by {wanted.by}"
    )


def _bearable(
    wanted: AdoptPosition, account: Account, net: int, book: GuardBook, cap: ExitCap
) -> tuple[int, Correction] | str:
    """The sign and kind of the correction, or why the broker's positions do not bear it."""
    unattributed = net - book.held_in(account)
    held = book.held_by(wanted.strategy, account)
    told = f"the broker has {net:+d}, strategies hold {book.held_in(account):+d}"
    if wanted.write_off:
        # What left the position without an order may have been replaced there since, by nobody's.
        lacking = [lost for lost in (unattributed, cap.unexplained(account)) if held * lost < 0]
        missing = min(abs(held), max(map(abs, lacking), default=0))
        if wanted.quantity > missing:
            mine = f"of the {held:+d} of strategy {wanted.strategy}"
            return f"{told}; {mine}, {missing} can be written off, not {wanted.quantity}"
        return (-1 if held > 0 else 1), Correction.WRITTEN_OFF
    if wanted.quantity > abs(unattributed):
        return f"{told}; {abs(unattributed)} can be adopted, not {wanted.quantity}"
    sign = 1 if unattributed > 0 else -1
    against = [stake.strategy for stake in book.stakes(account, sign, frozenset())]
    if against:
        return f"strategy {against[0]} holds the other side; the account would net the two"
    return sign, Correction.ADOPTED


def conversions(book: GuardBook, cap: ExitCap) -> Iterator[tuple[ExternalClose, ExternalClose]]:
    """Holdings converted to another product: an equal and opposite change of both, which no order made.

    What the broker does not have there any more is not followed: an external order has closed it since. It stays a
    difference where it was, which no EXIT closes, until a person writes it off.
    """
    for account in sorted(book.accounts()):
        lost = cap.unexplained(account)
        if not lost or not book.loses_by(account, lost) or book.busy_in(account):
            continue
        into = [(*account[:2], product) for product in Product if product is not account[2]]
        found = [other for other in into if cap.gained(other, account) == -lost and not book.busy_in(other)]
        mine = cap.lost(account)
        price = cap.price(account) or (cap.price(found[0]) if found else None)
        if len(found) != 1 or price is None or not mine or not _stands(found[0], -mine, book, cap):
            continue
        for strategy, quantity in _losers(book.stakes(account, 1 if lost > 0 else -1, frozenset()), mine):
            note = f"converted from {account[2]} to {found[0][2]} at the broker"
            out = ExternalClose(*(strategy, *account, quantity, price, ""), kind=Correction.CONVERTED, note=note)
            yield out, replace(out, product=found[0][2], quantity=-quantity)


def opened_by_conversion(book: GuardBook, cap: ExitCap) -> Iterator[tuple[ExternalClose, ExternalClose]]:
    """Holdings converted to another product while an EXIT was on its way: it opened a position where they had been.

    The first correction is what the EXIT opened, the second what the strategy holds in the other product since.
    """
    for account, strategy, opened in sorted(cap.overtaken()):
        price = cap.price(account)
        if price is None or book.busy_in(account) or book.held_in(account):
            continue
        into = [(*account[:2], product) for product in Product if product is not account[2]]
        gained = [one for one in into if cap.gained(one, account) == -opened and not book.busy_in(one)]
        if len(gained) == 1 and _stands(gained[0], -opened, book, cap):
            note = f"converted from {account[2]} to {gained[0][2]} at the broker before an EXIT of it filled"
            out = ExternalClose(strategy, *account, opened, price, "", True, Correction.EXIT_OPENED, note)
            into_other = replace(out, product=gained[0][2], quantity=-opened, beyond=False, kind=Correction.CONVERTED)
            yield out, into_other


def _stands(account: Account, gained: int, book: GuardBook, cap: ExitCap) -> bool:
    """Whether the broker has what a position gained beside what strategies hold of it."""
    net = cap.net(account)
    beside = 0 if net is None else net - book.held_in(account)
    return beside * gained > 0 and abs(beside) >= abs(gained)


def expiries(book: GuardBook, cap: ExitCap, calendar: TradingCalendar, now: datetime) -> Iterator[ExternalClose]:
    """What is over by itself, once the broker does not have it any more: contracts after their last day, and intraday
    positions (MIS) of an earlier trading day, which every broker closes at the end of theirs.
    """
    today = calendar.day(now)
    for account in sorted(book.accounts()):
        if book.busy_in(account) or not cap.proven(account):
            continue
        stakes = [(sign, stake) for sign in (1, -1) for stake in book.stakes(account, sign, frozenset())]
        last_day = expiry_of(account[0], account[1])
        if last_day is not None and last_day < today and cap.net(account) == 0:
            note = f"the contract ended on {last_day}"
        elif account[2] is Product.MIS:
            stakes = [(sign, stake) for sign, stake in stakes if _of_before(stake, calendar, today)]
            if not stakes or cap.unexplained(account) != sum(sign * stake.quantity for sign, stake in stakes):
                continue
            note = "an intraday position (MIS) ends with its trading day; the broker does not have it any more"
        else:
            continue
        price = cap.price(account) or Decimal(0)
        for sign, stake in stakes:
            close = ExternalClose(stake.strategy, *account, sign * stake.quantity, price, "")
            yield replace(close, kind=Correction.EXPIRED, note=note)


def _of_before(stake: Stake, calendar: TradingCalendar, today: date) -> bool:
    """Whether all of a holding is of an earlier date: what was added to it today, in the hours in which a broker's day
    begins too, the broker has to have.
    """
    added = [stake.opened_at, *(at for at, quantity in stake.changes if quantity > 0)]
    return all(at is not None and at.astimezone(calendar.zone).date() < today for at in added)


def _losers(stakes: tuple[Stake, ...], lost: int) -> list[tuple[str, int]]:
    """Who lost how much (signed), where that is certain: one holds, or all lost all."""
    sign = 1 if lost > 0 else -1
    if len(stakes) == 1 and stakes[0].quantity >= abs(lost):
        return [(stakes[0].strategy, lost)]
    if sum(stake.quantity for stake in stakes) == abs(lost):
        return [(stake.strategy, sign * stake.quantity) for stake in stakes]
    return []
