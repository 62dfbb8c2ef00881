"""The session with the broker: when to log in next, and when only a person helps (scenarios E1, E2, T30)."""

from __future__ import annotations

from core.messages import SessionChanged
from core.model.outcomes import LoginFailed, LoginRefused
from core.rules.broker_session import BACKOFF_S, PAUSES_S, SHORT_LIVED_S, BrokerSession, Next
from tests.factories import NOON


def test_a_login_without_a_verdict_is_tried_with_growing_pauses() -> None:
    session, failed = BrokerSession(), LoginFailed("no network")
    pauses = [session.after_login(failed).login_in_s for _ in range(7)]
    assert pauses == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]
    session.begin(100.0, NOON)
    assert session.after_login(failed).login_in_s == BACKOFF_S[0]


def test_e1_sessions_that_die_young_are_renewed_with_growing_pauses_and_an_end() -> None:
    session, planned = BrokerSession(), []
    for number in range(len(PAUSES_S) + 1):
        session.begin(float(number), NOON)
        session.end("the broker ended the session: 401")
        planned.append(session.after_loss(number + 0.5))
    assert [following.login_in_s for following in planned] == [*PAUSES_S, None]
    assert [following.needs_person for following in planned] == [False] * len(PAUSES_S) + [True]
    assert "no further login is tried" in session.reason


def test_e1_after_a_session_that_lived_long_pauses_begin_anew() -> None:
    session = BrokerSession()
    for began in (0.0, 1.0, 2.0):
        session.begin(began, NOON)
        session.after_loss(began + 0.5)
    session.begin(10.0, NOON)
    assert session.after_loss(10.0 + SHORT_LIVED_S).login_in_s == PAUSES_S[0]


def test_e2_a_refused_login_needs_a_person_until_one_succeeds() -> None:
    session = BrokerSession()
    following = session.after_login(LoginRefused("wrong password"))
    assert following.changed == SessionChanged(False, "the broker refused the login: wrong password", needs_person=True)
    assert following.needs_person
    assert following.login_in_s is None
    assert session.retry() == Next(), "nor is one planned anew after a failure of ours"
    session.begin(100.0, NOON)
    assert session.changed == SessionChanged(True, "")


def test_a_login_that_must_wait_for_a_new_code_is_planned_when_there_is_one() -> None:
    following = BrokerSession().after_login(LoginFailed("the one-time password was used", 17.0))
    assert following.login_in_s == 17.0
    assert following.alert is not None
    assert following.alert.text == "not logged in yet: the one-time password was used"


def test_t30_a_token_that_is_no_good_ends_no_session_that_is_up() -> None:
    session = BrokerSession()
    session.use("first")
    assert not session.is_new("first")
    assert session.is_new("second")
    session.begin(0.0, NOON)
    following = session.after_token(LoginRefused("no such token"))
    assert session.up
    assert following.changed is None
    assert not following.needs_person
    session.end("the broker ended the session: 401")
    assert session.after_token(LoginRefused("no such token")).needs_person
