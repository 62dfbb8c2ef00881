"""The session with the broker: whether it is up, and when to log in next (scenarios E1, E2, T30).

After a session has died: at once first, then with growing pauses, and not for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from core.messages import Alert, SessionChanged, Severity
from core.model.alerts import AlertKind
from core.model.outcomes import LoginFailed, LoginRefused

__all__ = ["BrokerSession", "Next"]

PAUSES_S = (0.0, 5.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds before each further login while sessions die young; after the last of them a person must look."""

SHORT_LIVED_S = 300.0
"""A session that lived so long is no part of a storm: after it all begins anew."""

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each further attempt while a login brings no verdict; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows from a login that failed, or from the end of a session; told in this order."""

    changed: SessionChanged | None = None
    alert: Alert | None = None
    login_in_s: float | None = None  # None: no login is to be planned
    needs_person: bool = False  # what waits for a session waits in vain


class BrokerSession:
    """Owned by the BrokerProxy actor. `since` is when it began, by the steady clock; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self.up = False
        self.since = datetime.min.replace(tzinfo=UTC)
        self.needs_person = False
        self.reason = "not logged in yet"
        self._token: str | None = None
        self._began: float | None = None
        self._young = 0  # sessions that died young
        self._without_verdict = 0

    @property
    def changed(self) -> SessionChanged:
        """How it stands."""
        return SessionChanged(self.up, "" if self.up else self.reason, self.needs_person)

    def begin(self, now: float, steady: datetime) -> None:
        """A login succeeded."""
        self.up, self.since, self.needs_person = True, steady, False
        self._began = now
        self._without_verdict = 0

    def end(self, reason: str) -> None:
        """There is no session."""
        self.up, self.reason = False, reason

    def is_new(self, token: str) -> bool:
        """Whether this access token was not tried yet."""
        return token != self._token

    def use(self, token: str | None) -> None:
        """This token is being tried: a person has changed something, and what went before does not count."""
        self._token = token
        self._young = self._without_verdict = 0

    def retry(self) -> Next:
        """What follows when the plan for the next login was lost."""
        return Next() if self.up or self.needs_person else Next(login_in_s=self._backoff_s())

    def after_login(self, outcome: LoginRefused | LoginFailed) -> Next:
        """What follows from a login that did not succeed."""
        if isinstance(outcome, LoginRefused):
            # Another try could lock the account: a person must look (scenario E2).
            return self._need_person(f"the broker refused the login: {outcome.reason}")
        if outcome.retry_in_s is None:
            self.end(f"the broker could not be reached to log in: {outcome.reason}")
            return Next(self.changed, login_in_s=self._backoff_s())
        self.end(f"not logged in yet: {outcome.reason}")
        return Next(self.changed, Alert(Severity.WARNING, AlertKind.SESSION, self.reason), outcome.retry_in_s)

    def after_token(self, outcome: LoginRefused | LoginFailed) -> Next:
        """What follows from a new token that brought no session; one that is up goes on."""
        if self.up:
            text = f"the new access token is not accepted, the session goes on: {outcome.reason}"
            return Next(alert=_alert(AlertKind.LOGIN, text))
        return self.after_login(outcome if isinstance(outcome, LoginRefused) else LoginFailed(outcome.reason))

    def after_loss(self, now: float) -> Next:
        """What follows from the end of a session that was up, after it was told."""
        if self._began is not None and now - self._began >= SHORT_LIVED_S:
            self._young = 0
        self._young += 1
        if self._young <= len(PAUSES_S):
            return Next(alert=_alert(AlertKind.SESSION, self.reason), login_in_s=PAUSES_S[self._young - 1])
        # No login storm (scenario E1).
        return self._need_person(
            f"{self.reason}; each new session ends soon after its login, so no further login is tried: "
            "see whether another program logs in to this account, then restart the service"
        )

    def _need_person(self, reason: str) -> Next:
        self.needs_person = True
        self.end(reason)
        return Next(self.changed, _alert(AlertKind.LOGIN, reason), needs_person=True)

    def _backoff_s(self) -> float:
        self._without_verdict += 1
        return BACKOFF_S[min(self._without_verdict, len(BACKOFF_S)) - 1]


def _alert(kind: AlertKind, text: str) -> Alert:
    return Alert(kind.severity, kind, text)
