"""Options of one expiry around the price of what is behind them, and the one whose premium is nearest to a sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from core.model.instrument import Instrument, OptionType

__all__ = ["PremiumSearch", "around", "at_the_money", "moneyness"]


def at_the_money(strikes: Iterable[Decimal], price: Decimal) -> Decimal | None:
    """The strike nearest to the price, the lower of two as near; None without strikes."""
    return min(strikes, key=lambda strike: (abs(strike - price), strike), default=None)


def around(options: Iterable[Instrument], price: Decimal, each_side: int) -> tuple[Instrument, ...]:
    """The options of the strike at the money and of `each_side` strikes below and above, by strike."""
    by_strike = sorted((one for one in options if one.strike is not None), key=lambda one: (one.strike, one.option))
    strikes = sorted({one.strike for one in by_strike if one.strike is not None})
    middle = at_the_money(strikes, price)
    if middle is None:
        return ()
    at = strikes.index(middle)
    wanted = set(strikes[max(0, at - each_side) : at + each_side + 1])
    return tuple(one for one in by_strike if one.strike in wanted)


def moneyness(steps: int, option: OptionType) -> str:
    """ATM, or ITM or OTM with the number of strikes from there, such as OTM2; `steps` counts upwards."""
    if steps == 0:
        return "ATM"
    inside = (steps < 0) is (option is OptionType.CE)
    return f"{'ITM' if inside else 'OTM'}{abs(steps)}"


class PremiumSearch:
    """Finds the option nearest to a premium with few quotes, since each quote is a call to the broker.

    The premium of calls falls with the strike and that of puts rises, so that halving finds it. A price that is not
    known is passed over. Where prices do not keep that order, for old last prices of options nobody trades, the best of
    those looked at is told, not the best there is.

    Args:
        options: Of one expiry, all calls or all puts, by rising premium.
        premium: The premium wanted, in rupees.
    """

    def __init__(self, options: Sequence[Instrument], premium: Decimal) -> None:
        self._options = list(options)
        self._premium = premium
        self._low, self._high = 0, len(options) - 1
        self._best: tuple[Decimal, Instrument, Decimal] | None = None

    def next(self) -> Instrument | None:
        """Whose price is needed now; None once the search is over."""
        return self._options[(self._low + self._high) // 2] if self._low <= self._high else None

    def took(self, price: Decimal | None) -> None:
        """The price of the option that `next` named; None where there is none."""
        at = (self._low + self._high) // 2
        if price is None:
            del self._options[at]
            self._high -= 1
            return
        off = abs(price - self._premium)
        if self._best is None or off < self._best[0]:
            self._best = (off, self._options[at], price)
        if price < self._premium:
            self._low = at + 1
        else:
            self._high = at - 1

    @property
    def best(self) -> tuple[Instrument, Decimal] | None:
        """The option nearest to the premium, and its price; None where no price was known."""
        return None if self._best is None else self._best[1:]
