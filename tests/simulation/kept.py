"""Plans as files: a plan drawn from a seed changes with the way plans are drawn, a kept one stays the world it was."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.simulation.event import Event
from tests.simulation.plan import PROFILES, Plan

__all__ = ["keep", "kept"]


def keep(plan: Plan, path: Path) -> None:
    """Write a plan to a file."""
    written = {
        "seed": plan.seed,
        "profile": plan.profile.name,
        "start": plan.start.isoformat(),
        "active_s": plan.active_s,
        "limits": {section: dict(values) for section, values in plan.limits.items()},
        "volatility": plan.volatility,
        "depth": plan.depth,
        "exchange": dict(plan.exchange),
        "events": [{"at": event.at, "kind": event.kind, "values": dict(event.values)} for event in plan.events],
    }
    path.write_text(json.dumps(written, indent=1) + "\n")


def kept(path: Path) -> Plan:
    """Read a plan from a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no plan; the text names the file and what is wrong.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return Plan(
            seed=int(found["seed"]),
            profile=PROFILES[found["profile"]],
            start=datetime.fromisoformat(found["start"]),
            active_s=float(found["active_s"]),
            limits=found["limits"],
            volatility=float(found["volatility"]),
            depth=int(found["depth"]),
            exchange=found.get("exchange", {}),
            events=tuple(
                Event(float(event["at"]), str(event["kind"]), tuple(event["values"].items()))
                for event in found["events"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"--plan {path}: no plan of the simulator ({type(error).__name__}: {error})") from error
