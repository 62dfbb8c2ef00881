"""Which strike an offset such as ATM, ITM2 or OTM1 names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from core.model.instrument import OptionType
from core.rules.option_chain import at_the_money

__all__ = ["MOST_STEPS", "strike_at"]

MOST_STEPS = 50
_OFFSET = re.compile(r"(?P<way>ITM|OTM)(?P<steps>[1-9]\d?)")


def strike_at(
    strikes: Sequence[Decimal], price: Decimal, offset: str, option: OptionType, interval: int | None = None
) -> Decimal | None:
    """The strike that an offset names; None where there is none such.

    Args:
        strikes: Those listed.
        price: Of the underlying.
        offset: ATM, or ITM or OTM with the number of strikes from there, up to `MOST_STEPS`.
        option: Call or put: a call is in the money below the price, a put above it.
        interval: Rupees from one strike to the next, where not every one that is listed counts.
    """
    counted = sorted({one for one in strikes if interval is None or one % interval == 0})
    middle = at_the_money(counted, price)
    if middle is None or offset == "ATM":
        return middle
    found = _OFFSET.fullmatch(offset)
    if found is None or int(found["steps"]) > MOST_STEPS:
        return None
    below = (found["way"] == "ITM") is (option is OptionType.CE)
    steps = -int(found["steps"]) if below else int(found["steps"])
    if interval is not None:
        wanted = middle + steps * interval
        return wanted if wanted in counted else None
    at = counted.index(middle) + steps
    return counted[at] if 0 <= at < len(counted) else None
