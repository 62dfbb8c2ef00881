"""The chart of the day's P&L."""

from __future__ import annotations

import re
from decimal import Decimal

from core.web.pages.drawing import pnl_chart


def test_u7_the_chart_paints_gains_and_losses_by_where_they_are_not_by_the_last_value() -> None:
    """Red before and green now: the gain is green, the loss stays red."""
    points = [(float(at), Decimal(value)) for at, value in enumerate((0, -500, 300))]
    chart = str(pnl_chart(points, Decimal(0), ["09:15", "09:17"]))
    (zero,) = (float(found) for found in re.findall(r'class="zero"[^>]* y1="([\d.]+)"', chart))
    gain, loss = re.findall(
        r'<clipPath id="(?:gain|loss)"><rect x="0" y="([\d.]+)" width="\d+" height="([\d.]+)"', chart
    )
    assert (float(gain[0]), float(gain[1])) == (0.0, zero)
    assert float(loss[0]) == zero
    assert 'url(#gain)"><polygon class="area up"' in chart
    assert 'url(#loss)"><polygon class="area down"' in chart
