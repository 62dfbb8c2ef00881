"""The interpreter under the actors: threads that must not wait for each other, nor all of them for the garbage
collector.

Both settings hold for the whole process.
"""

from __future__ import annotations

import gc
import sys

__all__ = ["freeze_start", "tune_interpreter"]

# One busy Python thread otherwise costs every hop up to 5 ms.
_SWITCH_INTERVAL_S = 0.0005

# Reference counts free nearly all there is; the collector is for cycles, which die young here. By default it looked at
# young objects for every fourth order, and at all there are every thousand or so: a fifth of an order's CPU, and every
# thread stood still for up to 0.3 s. Now: young ones some 10,000 objects at a time, a few ms; middle-aged ones after
# five of these; the old ones, of which the trace keeps hundreds of thousands, only if hardly any are freed for days.
_COLLECT_AT = (10_000, 5, 1_000)


def tune_interpreter() -> None:
    """Share the interpreter in short turns, and collect garbage seldom. Call it before the actors starts."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_COLLECT_AT)


def freeze_start() -> None:
    """Once everything is started: what there is now stays to the end, and no collection looks at it again."""
    gc.collect()
    gc.freeze()
