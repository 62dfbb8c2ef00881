"""One seed, one world: the whole service, unmodified, on one thread and in virtual time, with faults and laws."""

from __future__ import annotations

from core.simulation.event import Event
from core.simulation.laws import Violation
from core.simulation.plan import PROFILES, Plan, Profile, draw_plan, profile_of
from core.simulation.runtime import ProcessCrashed, SimulatedRuntime
from core.simulation.system import Outside, System
from core.simulation.world import Outcome, World

__all__ = [
    "PROFILES",
    "Event",
    "Outcome",
    "Outside",
    "Plan",
    "ProcessCrashed",
    "Profile",
    "SimulatedRuntime",
    "System",
    "Violation",
    "World",
    "draw_plan",
    "profile_of",
]
