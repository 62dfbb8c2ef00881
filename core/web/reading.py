"""Reading the database without holding up the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from loguru import logger

from core.store.errors import StoreError
from core.web.gateway import Record, Unanswered

__all__ = ["Reading"]

T = TypeVar("T")


class Reading:
    """A few threads, each with its own reader of the database, opened when first needed."""

    def __init__(self, open_record: Callable[[], Record], threads: int = 2) -> None:
        self._open_record = open_record
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web-reader")
        self._own = threading.local()

    async def record(self, read: Callable[[Record], T]) -> T:
        """What `read` finds in the database.

        Raises:
            Unanswered: The database cannot be read.
        """
        return await self.run(lambda: self._with_record(read))

    async def run(self, work: Callable[[], T]) -> T:
        """`work` on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Take no further work; what runs may end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _with_record(self, read: Callable[[Record], T]) -> T:
        record: Record | None = getattr(self._own, "record", None)
        try:
            if record is None:
                record = self._own.record = self._open_record()
            return read(record)
        except Exception as error:
            # Whatever was wrong with the connection, the next read begins with a new one.
            self._own.record = None
            if record is not None:
                _close(record)
            _tell(error)
            raise Unanswered("the database cannot be read; see the log") from error


def _tell(error: Exception) -> None:
    """A database that is away is one line; what else goes wrong is shown whole."""
    if isinstance(error, StoreError):
        logger.error("the database cannot be read: {}", error)
    else:
        logger.opt(exception=error).error("the database cannot be read")


def _close(record: Record) -> None:
    try:
        record.close()
    except Exception as error:
        logger.warning("closing a reader of the database failed: {}", error)
