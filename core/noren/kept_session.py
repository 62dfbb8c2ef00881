"""The session's token kept in a file, so that a restart goes on with it and needs no new one-time password."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from core.files.private import write_private
from core.noren.login import usable_token

__all__ = ["KeptSession"]


class KeptSession:
    """One token, readable by the file's owner alone, and good for this broker, host and user only.

    A file that cannot be read is as none; one that cannot be written costs a login at the next start.

    Args:
        path: The file.
        profile: The broker profile's name.
        host: Base URL of the broker.
        user_id: Who logs in.
    """

    def __init__(self, path: Path, *, profile: str, host: str, user_id: str) -> None:
        self._path = path
        self._bound = {"profile": profile, "host": host, "user_id": user_id}

    def token(self) -> str | None:
        """The token kept for this broker, host and user; None where there is none."""
        try:
            found = json.loads(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or {key: found.get(key) for key in self._bound} != self._bound:
            return None
        return usable_token(found.get("token"))

    def keep(self, token: str) -> None:
        """Keep this token instead of the one before."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, json.dumps({**self._bound, "token": token}))

    def forget(self) -> None:
        """The token is not good any more."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
