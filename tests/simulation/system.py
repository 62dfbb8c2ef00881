"""The system under simulation, as it is handed in: no file of `core` knows an actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from core.noren import FeedValue, NorenClient
from core.process.call_log import CallLog
from core.runtime import Runtime
from core.settings import Settings
from core.store import Store
from tests.simulation.feed import SimulatedFeed

__all__ = ["Outside", "System"]


@dataclass(frozen=True, slots=True)
class Outside:
    """What the system touches outside its process; the simulation's own."""

    open_store: Callable[[], Store]
    open_client: Callable[[], NorenClient]
    open_telegram: Callable[[], requests.Session]
    open_feed: Callable[[Callable[[FeedValue], object]], SimulatedFeed]
    open_call_log: Callable[[], CallLog]


@dataclass(frozen=True, slots=True)
class System:
    """How to bring the system up and down.

    Attributes:
        build: Spawns all actors and waits, as the real start does, until each actor is there.
        stop: Stops it cleanly, as a signal does; the names of actors left behind.
        strategies: Makes the entries of `[[strategies]]`, to be quiet after a moment in monotonic seconds.
    """

    build: Callable[[Runtime, Settings, Outside], object]
    stop: Callable[[Runtime], list[str]]
    strategies: Callable[[float], tuple[Mapping[str, Any], ...]]
