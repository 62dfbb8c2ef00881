"""A mailbox for one answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import InvalidStateError
from threading import Lock

from core.messages.envelope import Envelope
from core.runtime.futures import ReplyFuture
from core.runtime.mailbox import Verdict

__all__ = ["REPLY_PREFIX", "ReplyBox"]

REPLY_PREFIX = "reply:"


class ReplyBox:
    """A name that can be told one message, and a future that holds it.

    The name may travel inside a message as plain text. What comes after the first answer, or after `close`, is late: it
    is traced as such and is no dead letter, because an asker that gave up is nobody's fault.
    """

    def __init__(self, name: str, forget: Callable[[str], object]) -> None:
        self.name = name
        """The address to answer to, "reply:" and a number."""

        self.future = ReplyFuture()
        """Done with the answer, or with `AskFailed` once there can be none."""

        self._forget = forget
        self._lock = Lock()
        self._open = True
        # A future cancelled by its holder (an HTTP client that hung up) closes the box behind it.
        self.future.add_done_callback(lambda _: self.close())

    def put(self, envelope: Envelope) -> Verdict:
        """Take the answer. ANSWERED once, LATE ever after."""
        return Verdict.ANSWERED if self._settle(envelope, None) else Verdict.LATE

    def fail(self, error: BaseException) -> None:
        """There will be no answer; no effect if there was one."""
        self._settle(None, error)

    def close(self) -> None:
        """No longer wait. Idempotent."""
        with self._lock:
            self._open = False
        self._forget(self.name)

    def _settle(self, envelope: Envelope | None, error: BaseException | None) -> bool:
        with self._lock:
            if not self._open:
                return False
            self._open = False
        try:
            if envelope is not None:
                self.future.set_result(envelope.message)
            else:
                self.future.set_exception(error)
        except InvalidStateError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<ReplyBox {self.name}>"
