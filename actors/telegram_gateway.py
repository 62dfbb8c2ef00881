"""Takes commands from Telegram: looks, halts, resumes, changes orders, exits. All it does is messages to the actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import requests
from loguru import logger

from actors.addresses import Addresses
from core.messages import (
    BookUnreadable,
    CancelAnswer,
    CancelOrder,
    ClearHalt,
    GetGuardSnapshot,
    GetPositions,
    GetReadiness,
    GetRiskSnapshot,
    GuardSnapshot,
    HaltChanged,
    Message,
    ModifyAnswer,
    ModifyOrder,
    PositionsRead,
    Readiness,
    ResumeRefused,
    RiskSnapshot,
    SetHalt,
    SquareOff,
    SquareOffBegun,
    Tick,
)
from core.model.calendar import TradingCalendar
from core.model.order import Source, Status
from core.rules.square_off import follows_text
from core.rules.square_off_scope import misnamed, not_touched, not_touched_text
from core.runtime import Actor, Address, Runtime
from core.telegram.client import MOST_UPDATES, TelegramAccount, Written, plain_trouble
from core.telegram.text import HELP, Record, orders_text, pnl_text, positions_text, status_text

__all__ = ["TelegramGateway"]

_POLL = "poll"
_LONGEST_PAUSE_S = 60.0
# A command that waited longer than this at Telegram is not obeyed any more.
_STALE_S = 60.0
# The two clocks may differ by so much; a command dated later is no command of now.
_AHEAD_S = 30.0
_CONFIRM_S = 60.0
_UNANSWERED_S = 20.0
_FIRST_LOOK_S = 0.1
_REMEMBERED = 500  # updates
# What may add risk: only for a command that is this bot's without doubt.
_RISKY = frozenset({"/resume", "/squareoff", "/confirm", "/modify"})
_SESSION_ERRORS = (OSError, ValueError)  # requests' errors are OSErrors


@dataclass(slots=True)
class _Question:
    """What is asked of the actors for one chat, one after the other, and what is made of the answers."""

    chat: str
    asked: Sequence[tuple[Address[Message], Message]]
    tell: Callable[..., str]
    until: float
    answers: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Confirmation:
    code: str
    strategy: str | None
    until: float


class OpenRecord(Protocol):
    """Opens a reader of the database, in this actor's thread."""

    def __call__(self) -> Record: ...


class TelegramGateway(Actor):
    """Fetches what was written every `poll_s` seconds; obeys the chats of `allowed` and nobody else.

    A command is obeyed once, and only by the run of the service that it was written to: Telegram has acknowledged it as
    delivered before it is obeyed, so that no later start is given it again; and what waited at Telegram when this run
    began is not obeyed, nor what was forwarded, dated in the future, or written to another bot.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        account: TelegramAccount,
        allowed: frozenset[str],
        calendar: TradingCalendar,
        open_record: OpenRecord,
        strategies: frozenset[str] = frozenset(),
        poll_s: float = 1.0,
        open_session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._account = account
        self._allowed = allowed
        self._calendar = calendar
        self._open_record = open_record
        self._strategies = strategies
        self._poll_s = poll_s
        self._open_session = open_session
        self._offset = 0
        self._fetched: list[Written] = []  # not acknowledged yet
        self._due: deque[Written] = deque()
        self._backlog = True
        self._earlier = -1
        self._username: str | None = None
        self._failed = 0
        self._lost = 0
        self._seen: deque[int] = deque(maxlen=_REMEMBERED)
        self._questions: list[_Question] = []
        self._confirmations: dict[str, _Confirmation] = {}
        self._strangers: set[str] = set()

    def started(self) -> None:
        self._session = self._open_session()
        self._began = self.clock.now().timestamp()
        self.after(_POLL, min(self._poll_s, _FIRST_LOOK_S))

    def rebuild(self) -> None:
        """Whoever asked has no answer and asks again; a square-off has to be asked for anew."""
        self._questions.clear()
        self._confirmations.clear()
        self.after(_POLL, self._poll_s)

    def stopping(self) -> None:
        self._session.close()

    # What was written

    def on_tick(self, _: Tick) -> None:
        self.after(_POLL, self._pause_s())
        self._give_up_late()
        try:
            # The second time acknowledges what the first brought, so that it can be obeyed at once.
            if self._fetch():
                self._fetch()
        except _SESSION_ERRORS as error:
            self._failed += 1
            if self._failed == 1:
                logger.warning("Telegram cannot be asked for commands: {}", self._account.hide(plain_trouble(error)))
            self.after(_POLL, self._pause_s())
            return
        if self._failed > 1:
            logger.info("Telegram can be asked for commands again, after {} tries that failed", self._failed)
        self._failed = 0

    def _fetch(self) -> bool:
        """Obey what this fetch acknowledges, and keep what it brings; whether it brought anything."""
        found = self._account.fetch(self._session, self._offset)
        self._due.extend(written for written in self._fetched if written.text.startswith("/"))
        # An update delivered again is obeyed once. Numbers may begin anew after a quiet week, so no order is taken from
        # them.
        self._fetched = list({one.update_id: one for one in found if one.update_id not in self._seen}.values())
        self._seen.extend(one.update_id for one in self._fetched)
        self._offset = max([self._offset, *(written.update_id + 1 for written in found)])
        if self._backlog:
            self._earlier = self._offset - 1
            self._backlog = len(found) >= MOST_UPDATES
        while self._due:
            self._take(self._due.popleft())
        return bool(found)

    def _pause_s(self) -> float:
        return float(min(_LONGEST_PAUSE_S, self._poll_s * 2**self._failed))

    def _take(self, written: Written) -> None:
        if written.chat not in self._allowed:
            if written.chat not in self._strangers and len(self._strangers) < 100:
                self._strangers.add(written.chat)
                logger.warning("Telegram: a command from chat {} was ignored; it is not allowed", written.chat)
            return
        words, rest = (*written.text.split(maxsplit=1), "")[:2]
        # In a group commands are written as /status@name_of_the_bot.
        command, _, addressee = words.lower().rstrip(".,:;!").partition("@")
        if addressee and not self._is_for_us(addressee, command):
            return
        obey = self._commands().get(command)
        if obey is None:
            self._say(written.chat, HELP)
        elif why := self._not_obeyed(written, command):
            logger.warning("Telegram: {} from chat {} is not obeyed: it {}", command, written.chat, why)
            self._say(written.chat, f"Ignored: that {why}. Write it again if it still holds.")
        else:
            obey(written.chat, " ".join(rest.split())[:200])

    def _is_for_us(self, addressee: str, command: str) -> bool:
        if self._username is None:
            try:
                self._username = self._account.username(self._session).lower()
            except _SESSION_ERRORS as error:
                logger.warning("Telegram does not tell this bot's name: {}", self._account.hide(str(error)))
                # A look or a halt too many does no harm; a resume meant for another service would.
                return command not in _RISKY
        return addressee == self._username

    def _not_obeyed(self, written: Written, command: str) -> str | None:
        """Why a command is no command of here and now; None for one that is."""
        age = self.clock.now().timestamp() - written.at
        if written.second_hand:
            return "was forwarded, edited, or sent by a program"
        if age < -_AHEAD_S:
            return f"is dated {-age:.0f} s in the future; set this machine's clock if it is wrong"
        # Telegram tells whole seconds. What waited there when this run began may be of an earlier one, whatever the two
        # clocks say; a halt is obeyed then too, as far as its date lets it.
        if written.at < int(self._began) or (written.update_id <= self._earlier and command != "/halt"):
            return "was written before the service started"
        if age > _STALE_S:
            return f"was written {age:.0f} s ago"
        return None

    def _commands(self) -> dict[str, Callable[[str, str], None]]:
        return {
            "/status": self._status,
            "/orders": self._orders,
            "/positions": self._positions,
            "/pnl": self._pnl,
            "/halt": self._halt,
            "/resume": self._resume,
            "/cancel": self._cancel_order,
            "/modify": self._modify,
            "/squareoff": self._squareoff,
            "/confirm": self._confirm,
        }

    # Looking

    def _status(self, chat: str, _: str) -> None:
        addresses = self._addresses
        asked = ((addresses.command_service, GetReadiness()), (addresses.risk_manager, GetRiskSnapshot()))
        self._ask(chat, asked, status_text)

    def _positions(self, chat: str, _: str) -> None:
        addresses = self._addresses
        asked = ((addresses.order_watcher, GetPositions()), (addresses.execution_guard, GetGuardSnapshot()))
        self._ask(chat, asked, positions_text)

    def _pnl(self, chat: str, _: str) -> None:
        self._ask(chat, ((self._addresses.risk_manager, GetRiskSnapshot()),), pnl_text)

    def _orders(self, chat: str, _: str) -> None:
        day: date = self._calendar.day(self.clock.now())
        try:
            record = self._open_record()
            try:
                text = orders_text(record.rows(status=Status.SENT_TO_BROKER, limit=20), record.counts(day))
            finally:
                record.close()
        except Exception as error:
            logger.warning("the database cannot be read for Telegram: {}", error)
            text = "The database cannot be read; see the log."
        self._say(chat, text)

    # Doing

    def _halt(self, chat: str, reason: str) -> None:
        halt = SetHalt(reason or "halted over Telegram", f"telegram {chat}", self.name)
        self._ask(chat, ((self._addresses.order_repo, halt),), _halt_text)

    def _resume(self, chat: str, _: str) -> None:
        self._ask(chat, ((self._addresses.order_repo, ClearHalt(f"telegram {chat}", self.name)),), _halt_text)

    def _cancel_order(self, chat: str, command_id: str) -> None:
        wanted = CancelOrder(command_id, f"telegram {chat}", self.name)
        self._ask(chat, ((self._addresses.order_repo, wanted),), _changed_text)

    def _modify(self, chat: str, words: str) -> None:
        """`/modify 261123-abcde-7 price=101.5 quantity=50`."""
        command_id, *pairs = words.split() or [""]
        fields = tuple((name, value) for name, sign, value in (pair.partition("=") for pair in pairs) if sign)
        if len(fields) < len(pairs) or not fields:
            self._say(chat, HELP)
            return
        wanted = ModifyOrder(command_id, fields, f"telegram {chat}", reply_to=self.name)
        self._ask(chat, ((self._addresses.order_repo, wanted),), _changed_text)

    def _squareoff(self, chat: str, strategy: str) -> None:
        guard = ((self._addresses.execution_guard, GetGuardSnapshot()),)
        self._ask(chat, guard, lambda found: self._offer(chat, strategy or None, found))

    def _offer(self, chat: str, strategy: str | None, guard: GuardSnapshot) -> str:
        """What a square-off would do, and the code that does it; or that nobody knows the strategy (scenario G24)."""
        wrong = misnamed(guard, self._strategies, strategy, None)
        if wrong is not None and strategy is not None and not self._has_rows(strategy):
            return f"{wrong['error'][:1].upper()}{wrong['error'][1:]}"
        code = f"{self.clock.rng.randrange(10_000):04d}"
        until = self.clock.monotonic() + _CONFIRM_S
        self._confirmations[chat] = _Confirmation(code, strategy, until)
        what = f"everything strategy {strategy} holds" if strategy else "everything strategies hold"
        left = not_touched_text(not_touched(guard, strategy, None))
        lines = [f"This exits {what}, but no delivery holdings.", left, f"Write /confirm {code} within a minute."]
        return "\n".join(line for line in lines if line)

    def _has_rows(self, strategy: str) -> bool:
        """Whether the database knows a strategy; what cannot be read keeps no square-off back."""
        try:
            record = self._open_record()
            try:
                return bool(record.rows(strategy=strategy, limit=1))
            finally:
                record.close()
        except Exception as error:
            logger.warning("the database cannot be read for Telegram: {}", error)
            return True

    def _confirm(self, chat: str, code: str) -> None:
        wanted = self._confirmations.pop(chat, None)
        if wanted is None or self.clock.monotonic() > wanted.until or code != wanted.code:
            self._say(chat, "There is nothing to confirm with this code; write /squareoff again.")
            return
        deed = SquareOff("asked for over Telegram", Source.TELEGRAM, wanted.strategy, None, self.name)
        # The guard is asked first: afterwards the exits may have filled.
        asked = ((self._addresses.execution_guard, GetGuardSnapshot()), (self._addresses.execution_guard, deed))
        self._ask(chat, asked, lambda guard, begun: _exits_text(begun, not_touched(guard, wanted.strategy, None)))

    # Asking the actors, and answering

    def _ask(self, chat: str, asked: Sequence[tuple[Address[Message], Message]], tell: Callable[..., str]) -> None:
        question = _Question(chat, asked, tell, self.clock.monotonic() + _UNANSWERED_S)
        self._questions.append(question)
        self._ask_next(question)

    def _ask_next(self, question: _Question) -> None:
        address, message = question.asked[len(question.answers)]
        # Snapshots are answered to whoever asked; this envelope says that it was this actor.
        self.runtime.tell(address.name, message, reply_to=self.name)

    def on_answer_of_the_cast(
        self,
        message: Readiness
        | RiskSnapshot
        | GuardSnapshot
        | PositionsRead
        | BookUnreadable
        | HaltChanged
        | ResumeRefused
        | SquareOffBegun
        | CancelAnswer
        | ModifyAnswer,
    ) -> None:
        """For the first who waits for an answer of this type."""
        for question in self._questions:
            wanted = _ANSWERS[type(question.asked[len(question.answers)][1])]
            if isinstance(message, wanted):
                question.answers.append(message)
                break
        else:
            return
        if len(question.answers) < len(question.asked):
            self._ask_next(question)
        else:
            self._questions.remove(question)
            self._say(question.chat, question.tell(*question.answers))

    def _give_up_late(self) -> None:
        now = self.clock.monotonic()
        for question in [q for q in self._questions if now > q.until]:
            self._questions.remove(question)
            address = question.asked[len(question.answers)][0]
            self._say(question.chat, f"{address.name} does not answer; look at the dashboard.")

    def _say(self, chat: str, text: str) -> None:
        try:
            wait = self._account.send(self._session, text, chat)
        except _SESSION_ERRORS as error:
            # One line for one trouble: what follows until an answer is taken is counted.
            self._lost += 1
            if self._lost == 1:
                logger.warning("Telegram did not take an answer: {}", self._account.hide(plain_trouble(error)))
            return
        if self._lost > 1:
            logger.warning("Telegram takes answers again; {} were lost", self._lost)
        self._lost = 0
        if wait:
            logger.warning("Telegram asks to wait {:g} s; an answer was lost", wait)


_ANSWERS: dict[type[Message], tuple[type[Message], ...]] = {
    GetReadiness: (Readiness,),
    GetRiskSnapshot: (RiskSnapshot,),
    GetGuardSnapshot: (GuardSnapshot,),
    GetPositions: (PositionsRead, BookUnreadable),
    SetHalt: (HaltChanged,),
    ClearHalt: (HaltChanged, ResumeRefused),
    SquareOff: (SquareOffBegun,),
    CancelOrder: (CancelAnswer,),
    ModifyOrder: (ModifyAnswer,),
}


def _halt_text(changed: HaltChanged | ResumeRefused) -> str:
    if isinstance(changed, ResumeRefused):
        return f"Trading is NOT resumed: {changed.reason}. Ask for it again."
    if changed.halt is None:
        return "Trading goes on."
    return f"Trading is halted by {changed.halt.by}: {changed.halt.reason}. EXITs are still sent."


def _changed_text(told: CancelAnswer | ModifyAnswer) -> str:
    return f"{told.standing}: {told.reason}"


def _exits_text(begun: SquareOffBegun, left: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"Cancelled first: {len(begun.cancels)}; exits follow."] if begun.cancels else []
    if begun.exits:
        lines += ["Exits sent:", *(f"{one.strategy}: {one.side} {one.quantity} {one.symbol}" for one in begun.exits)]
    lines += [
        f"Waiting: {one.strategy}: {one.side} {one.quantity} {one.symbol} {follows_text(ids)}"
        for one, ids in begun.waiting
    ]
    lines = lines or ["There was nothing to exit that is not being exited already."]
    return "\n".join([*lines, not_touched_text(left)]).rstrip()
