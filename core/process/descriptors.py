"""File descriptors: as many as this user may have. Sockets, the database, traces and the broker share them."""

from __future__ import annotations

import resource

__all__ = ["raise_descriptor_limit"]

_ENOUGH = 65_536


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, at most to 65,536; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # Some systems have a lower bound of their own, which they do not tell.
        return soft
    return wanted
