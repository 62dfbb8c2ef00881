"""G27: which alerts wait, in which order they are told, and what becomes of one that is refused."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.messages import Alert, Severity
from core.model.alerts import AlertKind
from core.telegram.alert_queue import AlertQueue, RecentList
from core.telegram.client import TEXT_LIMIT, cut, units
from tests.factories import NOON

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def a(severity: Severity, text: str, kind: AlertKind = AlertKind.FAILED) -> Alert:
    return Alert(severity, kind, text)


def told(queue: AlertQueue) -> list[str]:
    """All texts until nothing waits."""
    texts = []
    while queue:
        texts.append(queue.text())
        queue.delivered()
    return texts


def test_g27_a_flood_of_small_alerts_drops_no_critical_one_and_does_not_stand_before_it() -> None:
    queue = AlertQueue(20)
    queue.add(a(CRITICAL, "first", AlertKind.MAX_LOSS))
    for number in range(1000):
        queue.add(a(WARNING, f"small {number}"))
    queue.add(a(CRITICAL, "second", AlertKind.MAX_LOSS))
    lines = queue.text().splitlines()
    assert lines[:2] == ["CRITICAL: first", "CRITICAL: second"]
    assert lines[2:-1] == [f"WARNING: small {number}" for number in range(980, 1000)]
    assert lines[-1] == "(980 older alerts dropped)"


def test_g27_the_least_severe_are_dropped_first() -> None:
    queue = AlertQueue(2)
    for alert in (a(INFO, "i"), a(WARNING, "w1"), a(WARNING, "w2"), a(INFO, "late")):
        queue.add(alert)
    assert [waiting.text for waiting in queue.waiting()] == ["w1", "w2"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CRITICAL, WARNING, INFO]),
            st.sampled_from([AlertKind.MAX_LOSS, AlertKind.LOGIN, AlertKind.CLOCK]),
            st.integers(0, 30),
        ),
        max_size=200,
    )
)
def test_g27_no_critical_alert_is_ever_lost(alerts: list[tuple[Severity, AlertKind, int]]) -> None:
    """Its text is told, or a newer one of its kind that counts it."""
    queue = AlertQueue(5)
    for severity, kind, number in alerts:
        queue.add(a(severity, f"{kind}{number}", kind))
    assert len(queue) <= 10
    lines = [line for text in told(queue) for line in text.splitlines() if line.startswith("CRITICAL")]
    counted = sum(int(line.split("(")[1].split()[0]) if "(" in line else 1 for line in lines)
    criticals = [(kind, f"{kind}{number}") for severity, kind, number in alerts if severity is CRITICAL]
    assert counted == len(criticals)
    for kind in {kind for kind, _ in criticals}:
        newest = [text for one, text in criticals if one == kind][-1]
        assert any(newest in line for line in lines)


def test_g27_criticals_keep_their_order_and_repetitions_are_counted() -> None:
    queue = AlertQueue(50)
    for text in ("one", "two", "one", "three"):
        queue.add(a(CRITICAL, text))
    assert queue.text().splitlines() == ["CRITICAL: one (2 times)", "CRITICAL: two", "CRITICAL: three"]


def test_g27_a_resume_never_reads_as_the_end_of_a_later_halt() -> None:
    queue = AlertQueue(50)
    for alert in (
        a(CRITICAL, "halted", AlertKind.HALT),
        a(INFO, "resumed", AlertKind.HALT),
        a(CRITICAL, "halted again", AlertKind.HALT),
    ):
        queue.add(alert)
    assert queue.text().splitlines() == ["CRITICAL: halted", "CRITICAL: halted again", "INFO: resumed (earlier)"]


def test_g27_one_refused_text_is_found_sent_plain_once_and_given_up_alone() -> None:
    queue, taken, given_up = AlertQueue(50), [], []
    for number in range(8):
        queue.add(a(CRITICAL, "bad \u2028 <b" if number == 5 else f"number {number}"))
    attempts = 0
    while queue:
        text, attempts = queue.text(), attempts + 1
        if "bad" not in text:
            taken += text.splitlines()
            queue.delivered()
        elif (lost := queue.refused()) is not None:
            given_up.append((text, lost.text))
    assert taken == [f"CRITICAL: number {number}" for number in range(8) if number != 5]
    assert given_up == [("CRITICAL: bad ? <b", "bad \u2028 <b")], "plain at last, and in vain"
    assert attempts < 15


def test_g27_a_text_taken_once_it_is_plain_and_short_is_not_lost() -> None:
    queue = AlertQueue(50)
    queue.add(a(CRITICAL, "ü" * 5000))
    assert units(queue.text()) <= TEXT_LIMIT
    assert queue.refused() is None
    plain = queue.text()
    assert plain.isascii() is False, "the ellipsis alone"
    assert units(plain) == 1000
    queue.delivered()
    assert not queue
    for text in ("one", "two"):
        queue.add(a(CRITICAL, text))
    assert queue.text() == "CRITICAL: one\nCRITICAL: two", "together again"


def test_texts_are_measured_as_telegram_measures_them() -> None:
    assert units("a") == 1
    assert units("😀") == 2
    assert cut("😀😀", 4) == "😀😀"
    assert cut("😀😀😀", 4) == "😀…"
    queue = AlertQueue(50)
    queue.add(a(WARNING, "😀" * 4000))
    assert units(queue.text()) <= TEXT_LIMIT


def test_the_pages_keep_critical_alerts_through_a_flood_of_lesser_ones() -> None:
    recent = RecentList(10)
    recent.add(NOON, a(CRITICAL, "the one that matters"))
    for number in range(50):
        recent.add(NOON + timedelta(seconds=number), a(INFO, f"{number}"))
    shown = [alert.text for _, alert in recent.newest_first()]
    assert shown == [*(f"{number}" for number in range(49, 39, -1)), "the one that matters"]
