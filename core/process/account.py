"""Whose orders the settings are about: broker, where it listens, and account; and the lock of their one service."""

from __future__ import annotations

from pathlib import Path

from core.noren import PROFILES
from core.settings import Settings
from core.store import Owner

__all__ = ["lock_path", "owner_of"]


def owner_of(settings: Settings) -> Owner:
    """The owner of the database that these settings name. Our own exchange is the same at each port."""
    broker = settings.broker
    return Owner.of(broker.profile.value, broker.host or PROFILES[broker.profile.value].host, settings.account)


def lock_path(settings: Settings) -> Path:
    """Beside the SQLite file, so that it holds whatever data_dir another service has; else in data_dir."""
    url = settings.database_url
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///") + ".lock")
    return settings.service.data_dir / "sixstep.lock"
