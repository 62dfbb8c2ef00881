"""What a person asked for and the database does not know: a note in a file keeps it over the end of the process."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Note"]


class Note:
    """A file that says one thing, such as: trading is halted, and the database does not know it yet.

    Args:
        file: Where it is; None keeps nothing.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def leave(self, reason: str) -> bool:
        """Write the note and sync it. On a full disk it stays empty, which says it as well; False: there is none."""
        if self._file is None:
            return False
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError:
            return False
        try:
            os.write(handle, reason.encode())
            os.fsync(handle)
        except OSError:
            pass  # the file is there, and that is what counts
        finally:
            os.close(handle)
        return True

    def read(self) -> str | None:
        """The words that were left; None where there is no note."""
        if self._file is None:
            return None
        try:
            return self._file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError:
            return ""

    def remove(self) -> None:
        """Forget it: the database knows, or a person resumed."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
