"""How OrderRepo writes: envelopes in one transaction, facts written sooner or later, a commit in doubt read again.

Three ends of a transaction. Made: what the handlers told is sent. Not made: facts and questions are pending, everything
else is answered. In doubt, because the commit itself failed (scenario G6): nothing is told and nothing further is
handled until the rows say which of the two it was.

While the database is away (scenario A9) it is tried at growing pauses. Between two tries nothing is tried: intents are
refused at once, and recorded as refused when it is back.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from loguru import logger

from actors.addresses import Addresses
from core.messages import (
    Alert,
    Message,
    OrderMarkedSent,
    RecordReport,
    RecordUnknown,
    RecordWritable,
    RegisterRefusal,
    RepublishBrokerStatus,
    Severity,
    Tick,
)
from core.model.alerts import AlertKind
from core.model.order import Status
from core.rules.outage import Outage
from core.rules.unrecorded import Unrecorded
from core.runtime import Actor, Envelope, OutOfReach, Runtime
from core.store import Evidence, Store, StoreUnavailable

__all__ = ["PENDING", "RecordWriter", "WriteBatch"]

PENDING = "pending"
_SYNC = "sync"
_SYNC_AFTER_S = 0.1
"""After so long at most what was registered survives a loss of power, also where nothing else was written since."""

_T = TypeVar("_T")

# Refusals that one transaction records: what waits behind it waits no longer than for these.
_AT_ONCE = 500


@dataclass(slots=True)
class WriteBatch:
    """One transaction: what its handlers did in memory, to be taken back if it was not made."""

    envelopes: Sequence[Envelope] = ()
    unsent: tuple[tuple[str, Message, float | None, Envelope | None], ...] = ()
    evidence: Evidence | None = None
    wrote: bool = False
    lasting: bool = True
    tried: bool = False
    """The database was asked at all; between two tries it is not."""

    committing: bool = False
    answered: dict[str, list[str]] = field(default_factory=dict)
    """Callers that were answered, by command."""

    landed: set[str] = field(default_factory=set)
    """Orders that reached step 5."""

    joined: dict[str, str] = field(default_factory=dict)
    """Repeated submissions that joined another one's callers: their id and the other's."""

    resent: list[tuple[Envelope, Message]] = field(default_factory=list)
    """Pending messages that are handled again; they stay pending if this transaction is not made."""

    recording: list[tuple[Envelope, RegisterRefusal]] = field(default_factory=list)
    """Refusals of the time when the database was away."""


class RecordWriter(Actor):
    """The transaction, what is pending, and what is in doubt. What each message does is the subclass's."""

    batch_limit = 256

    facts: ClassVar[tuple[type[Message], ...]] = ()
    """What has happened, and is written as soon as the database can be written again."""

    questions: ClassVar[tuple[type[Message], ...]] = ()
    """What is answered as soon as the database can be read again."""

    soon_lasting: ClassVar[tuple[type[Message], ...]] = ()
    """What need not be on the disk before anybody hears of it: a later commit, which must be, takes it along."""

    def __init__(self, runtime: Runtime, name: str, *, addresses: Addresses, longest_pause_s: float) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._store: Store
        self._open = WriteBatch()
        self._doubtful: WriteBatch | None = None
        self._outage = Outage(longest_s=longest_pause_s)
        self._unrecorded = Unrecorded()
        self._commits = 0
        # Whether something is committed and not synced, since when a tick is due that syncs it.
        self._unsynced = False
        # Each with the envelope that brought it, so that its effects stay in its order's tree (law 10).
        self._pending: list[tuple[Envelope, Message]] = []

    @abstractmethod
    def refuse_unwritten(self, envelope: Envelope, batch: WriteBatch, reason: str) -> None:
        """Answer an envelope that is neither fact nor question, and is not in the database."""

    @abstractmethod
    def take_back(self, batch: WriteBatch) -> None:
        """Undo in memory what the handlers of a batch did that was not made."""

    def end_of_batch(self) -> None:
        """Before the commit."""

    # One transaction for what stands in the mailbox

    def before_batch(self) -> None:
        self._open = WriteBatch()
        if self._outage.pause(self.clock.monotonic()):
            raise OutOfReach(self._outage.reason)
        self._open.tried = True
        if self._doubtful is not None:
            self._resolve(self._doubtful)

    def batch_begin(self) -> None:
        self._open.lasting = not all(isinstance(envelope.message, self.soon_lasting) for envelope in self.batch)
        with _out_of_reach():
            self._transaction = self._store.transaction(lasting=self._open.lasting)
            self._transaction.__enter__()

    def batch_end(self) -> None:
        self.end_of_batch()
        batch = self._open
        with _out_of_reach():
            if batch.wrote and batch.evidence is None:
                self._commits += 1
                batch.evidence = self._store.note_commit(str(self._commits))
            batch.committing = True
            self._transaction.__exit__(None, None, None)
        batch.committing = False
        if batch.wrote and batch.lasting:
            self._unsynced = False
        elif batch.wrote and not self._unsynced:
            self._unsynced = True
            self.after(_SYNC, _SYNC_AFTER_S)
        self._note_success()

    def is_for_sync(self, tick: Tick) -> bool:
        """Whether a tick is the one that syncs what is not yet: its own commit does."""
        if tick.key != _SYNC:
            return False
        self._open.wrote = self._open.wrote or self._unsynced
        return True

    def batch_failed(self, envelopes: Sequence[Envelope], error: BaseException) -> None:
        self._store.rollback()
        batch, self._open = self._open, WriteBatch()
        batch.envelopes, batch.unsent = envelopes, self.unsent()
        if not batch.committing or batch.evidence is None:
            self._give_up(batch, error)
        else:
            self._doubtful = batch
            try:
                if self._resolve(batch, error):
                    return
            except Exception as still:
                # Whatever the reason, the commit stays in doubt: its envelopes are neither made nor refused yet.
                error = still
        self._note_failure(batch, error)

    def _resolve(self, batch: WriteBatch, error: BaseException | None = None) -> bool:
        """Learn whether the commit in doubt was made, and tell everybody what then is true.

        Returns:
            Whether it was made.

        Raises:
            OutOfReach: It cannot be told yet; the batch stays in doubt.
        """
        assert batch.evidence is not None, "without it the batch wrote nothing that could be in doubt"
        with _out_of_reach():
            committed = self._store.is_committed(batch.evidence)
            never_called = self._marked(batch) if committed else []
        self._doubtful = None
        if not committed:
            self._give_up(batch, error or OutOfReach(self._outage.reason))
            return False
        logger.warning("the answer to a commit was lost; the rows say that it was made")
        self.send_unsent(
            tuple(sent for sent in batch.unsent if not any(sent[1] is marked for marked, _ in never_called))
        )
        for marked, envelope in never_called:
            reason = "the answer to the commit that marked it as sent was lost; it is looked for in the broker's book"
            order = marked.order
            with self.answering(envelope):
                unknown = RecordUnknown(order.command_id, reason, order.part, marked.verified)
                self.tell_name(self.name, unknown)
        return True

    def _marked(self, batch: WriteBatch) -> list[tuple[OrderMarkedSent, Envelope]]:
        """What a batch marked as sent. The broker was not called for that, and no longer will be."""
        found = []
        for _, message, _, cause in batch.unsent:
            if isinstance(message, OrderMarkedSent) and cause is not None:
                order = self._store.order(message.command_id)
                one = order.at_broker[message.order.part - 1] if order is not None else None
                if one is not None and one.status is Status.SENT_TO_BROKER and one.broker_order_id is None:
                    found.append((message, cause))
        return found

    def _give_up(self, batch: WriteBatch, error: BaseException) -> None:
        """Nothing of these envelopes is in the database. Facts are pending, everything else is answered."""
        self.take_back(batch)
        self._pending += batch.resent
        self._unrecorded.put_back(batch.recording)
        reason = f"the database could not be written: {error}"
        for envelope in batch.envelopes:
            if isinstance(envelope.message, self.facts + self.questions):
                self.retry_later(envelope, envelope.message)
            else:
                self.refuse_unwritten(envelope, batch, reason)

    def handler_failed(self, envelope: Envelope) -> None:
        """Whoever rebuilds itself handles nothing until its question is answered: it is asked again in a while."""
        if isinstance(envelope.message, self.questions):
            self._pending.append((envelope, envelope.message))
            self.after(PENDING, 1.0)

    def retry_later(self, envelope: Envelope, message: Message) -> None:
        """Have this message handled once the database can be written."""
        said_already = isinstance(message, RecordReport) and any(pending == message for _, pending in self._pending)
        if not said_already:
            self._pending.append((envelope, message))

    # Away and back

    def _note_failure(self, batch: WriteBatch, error: BaseException) -> None:
        now = self.clock.monotonic()
        if batch.tried and self._outage.failed(now, _plain(error)):
            waiting = f"{len(self._pending)} changes and {len(self._unrecorded)} refusals wait to be recorded"
            tries = f"; tried {self._outage.failures} times" * self._outage.lasts
            self._alert(AlertKind.DATABASE, f"the database could not be written: {_plain(error)}{tries}; {waiting}")
        if batch.tried and self._outage.failures == 2:
            self.tell(self._addresses.command_service, self._writable())
        self.after(PENDING, max(self._outage.pause(now), self._outage.first_s))

    def _note_success(self) -> None:
        ended = self._outage.worked(self.clock.monotonic())
        if ended is None:
            return
        lost = self._unrecorded.forget_lost()
        text = f"the database can be written again after {ended.seconds:.1f} s; {ended.failures} tries failed"
        if lost:
            self._alert(AlertKind.DATABASE, f"{text}; {lost} refused intents are not recorded: there were too many")
        else:
            self.tell(self._addresses.notifier, Alert(Severity.WARNING, AlertKind.DATABASE, text))
        if ended.failures > 1:
            self.tell(self._addresses.command_service, self._writable())

    def _writable(self) -> RecordWritable:
        return RecordWritable(not self._outage.lasts, self._outage.reason)

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        self.tell(self._addresses.command_service, self._writable())

    def resend_pending(self) -> list[tuple[Envelope, Message]]:
        """What is pending, and no longer is unless this batch fails; the caller handles it again."""
        self._open.resent, self._pending = self._pending, []
        return self._open.resent

    def record_refusals(self) -> None:
        """Record what was refused while the database was away, a part at a time."""
        self._open.recording = self._unrecorded.take(_AT_ONCE)
        failed: list[tuple[Envelope, RegisterRefusal]] = []
        again: list[tuple[Envelope, RegisterRefusal]] = []
        for envelope, refusal in self._open.recording:
            with self.answering(envelope):
                try:
                    self._write(lambda refusal=refusal: self.insert_refusal(refusal))  # type: ignore[misc]
                except OutOfReach:
                    raise
                except Exception as error:
                    # The savepoint has undone it alone: the others are recorded, this one is tried again.
                    failed.append((envelope, refusal))
                    if not self._unrecorded.may_try_again(refusal):
                        logger.error("a refused intent, {}, could not be recorded: {}", refusal.command_id, error)
                        continue
                    again.append((envelope, refusal))
        self._open.recording = [one for one in self._open.recording if one not in failed]
        self._unrecorded.put_back(again)
        if self._unrecorded:
            self.after(PENDING, 1.0 if again else 0.0)

    @abstractmethod
    def insert_refusal(self, refusal: RegisterRefusal) -> object:
        """Write the row of a refused intent."""

    # For handlers

    def _alert(self, kind: AlertKind, text: str, command_id: str | None = None) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text, command_id))

    def _read(self, operation: Callable[[], _T]) -> _T:
        """What is asked of the database; asked again when the database cannot be read now."""
        with _out_of_reach():
            return operation()

    def _write(self, operation: Callable[[], _T]) -> _T:
        """One envelope's change: undone alone when it fails, with the whole group when the database does."""
        self._store.newest_event = None
        with _out_of_reach(), self._store.savepoint():
            result = operation()
        self._open.wrote = True
        self._open.evidence = self._store.newest_event or self._open.evidence
        return result


@contextmanager
def _out_of_reach() -> Iterator[None]:
    """A database that is away fails the batch, and is no failure of this actor."""
    try:
        yield
    except StoreUnavailable as error:
        raise OutOfReach(str(error)) from error


def _plain(error: BaseException) -> str:
    return str(error) or type(error).__name__
