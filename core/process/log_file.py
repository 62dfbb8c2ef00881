"""The log's files, and what happens when they cannot be written: one line, then the terminal alone."""

from __future__ import annotations

import contextlib
import copy
import sys
from pathlib import Path

from loguru import logger

from core.settings import LogSettings

__all__ = ["LogFile"]


class LogFile:
    """A sink that writes rotating files and survives a full disk.

    Loguru's own file sink answers every line that cannot be written with a traceback on the terminal, which fills the
    journal of the same disk. It is used here through a logger of its own that raises instead.

    Args:
        file: Where the log goes.
        settings: When a new file begins, and how long old ones are kept.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, file: Path, settings: LogSettings) -> None:
        self._file = file
        self._missing = 0
        # A copy shares no handler with the logger; it must be made while that has none.
        self._writer = copy.deepcopy(logger)
        self._writer.configure(patcher=lambda _: None)
        self._writer.add(
            file, format="{message}", rotation=settings.rotation, retention=settings.retention, catch=False
        )
        self._raw = self._writer.opt(raw=True)

    def write(self, line: str) -> None:
        """Append a line. What goes wrong is said on the terminal itself: logging from a sink could wait for itself."""
        try:
            self._raw.info(str(line))
        except OSError as error:
            self._missing += 1
            if self._missing == 1:
                _say(f"ERROR    {self._file} cannot be written ({error.strerror}); logging to the terminal only")
            return
        if self._missing:
            missing, self._missing = self._missing, 0
            _say(f"WARNING  {self._file} is written again; {missing} lines are missing in it")

    def stop(self) -> None:
        """Close the file; what a full disk did not take is lost, and was said."""
        with contextlib.suppress(OSError):
            self._writer.remove()


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
