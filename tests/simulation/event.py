"""One thing that happens in a world at a moment."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Event", "Value"]

Value = str | int | float | None

_WILL = frozenset({"webhook", "operator", "phone", "market"})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens at a moment, by somebody's will or by fate.

    Attributes:
        at: Seconds since the world began.
        kind: `webhook`, `operator:…`, `phone:…`, `market:…`, or a fault: `broker:…`, `exchange`, `network:…`, `disk:…`,
            `crash`, `crash:…`, `restart`, `second`, `night`, `clock`, `raise`, `freeze`.
        values: What it takes besides.
    """

    at: float
    kind: str
    values: tuple[tuple[str, Value], ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether something goes wrong, rather than somebody wanting something."""
        return self.kind.partition(":")[0] not in _WILL

    def value(self, name: str) -> Value:
        """One of the values; None if it is not given."""
        return dict(self.values).get(name)

    def number(self, name: str) -> float:
        """One of the values, a number."""
        found = self.value(name)
        if not isinstance(found, (int, float)):
            raise TypeError(f"{self.kind}: {name} is {found!r}")
        return float(found)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.values)
        return f"{self.at:8.3f} {self.kind} {told}".rstrip()
