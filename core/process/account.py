"""Whose orders the settings are about: broker, where it listens, and account."""

from __future__ import annotations

from core.noren import PROFILES
from core.settings import Settings
from core.store import Owner

__all__ = ["owner_of"]


def owner_of(settings: Settings) -> Owner:
    """The owner of the database that these settings name. Our own exchange is the same at each port."""
    broker = settings.broker
    return Owner.of(broker.profile.value, broker.host or PROFILES[broker.profile.value].host, settings.account)
