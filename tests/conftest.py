"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How fast examples are made depends on what else the machine does; a test states behaviour, not speed.
settings.register_profile("sixstep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sixstep")
