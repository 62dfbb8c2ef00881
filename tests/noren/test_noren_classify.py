"""The table of protocol 15.1 and the catalogue of 2.4, without a network."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.outcomes import Accepted, NotSent, ReadError, ReadFailure, Refusal, Refused, Unknown
from core.noren.classify import EMSGS, Meaning, meaning, object_outcome, order_outcome, rows_outcome
from core.noren.credentials import Redactor
from core.noren.transport import Delivery, RawReply
from tests.noren.conftest import CREDENTIALS

REDACTOR = Redactor(CREDENTIALS)


def answered(document: object, status: int = 200) -> RawReply:
    text = document if isinstance(document, str) else json.dumps(document)
    return RawReply(Delivery.ANSWERED, status=status, text=text)


def not_ok(emsg: str, status: int = 200) -> RawReply:
    return answered({"stat": "Not_Ok", "emsg": emsg}, status)


# Every line of the catalogue in protocol 2.4, with one and with two spaces after the colon where both are seen.
CATALOGUE = [
    ("Session Expired : Invalid Session Key", Meaning.SESSION_EXPIRED),
    ("Session Expired :  Invalid Session Key", Meaning.SESSION_EXPIRED),
    ("SESSION EXPIRED:", Meaning.SESSION_EXPIRED),
    ("Invalid Input : Wrong Password", Meaning.REFUSED),
    ("Invalid Input : INVALID_VERIFIER", Meaning.REFUSED),
    ("Invalid Input : jData is Missing.", Meaning.REFUSED),
    ("Invalid Input :  jData is not valid json object", Meaning.REFUSED),
    ("Invalid Input : Missing uid or actid or prd.", Meaning.REFUSED),
    ("Invalid Input :  Invalid Disc Qty", Meaning.REFUSED),
    ("  invalid input:x", Meaning.REFUSED),
    ("Invalid AMO", Meaning.REFUSED),
    ('Error Occurred : 2 "invalid input"', Meaning.REFUSED),
    ('Error Occured : 2 "invalid input"', Meaning.REFUSED),
    ('Error Occurred : 5 "no data"', Meaning.NO_DATA),
    ('Error Occurred : 5 {"no data"}', Meaning.NO_DATA),
    ("No Data :  ", Meaning.NO_DATA),
    ("Server Timeout :  ", Meaning.TIMEOUT),
    ("Rejected : ORA:Order not found", Meaning.REFUSED),
    ("Rejected : ORA:Order not found to Cancel", Meaning.REFUSED),
    ("Rejected : ALGO_CHK: MKT Order type not allowed for API order", Meaning.REFUSED),
    ("ALGO_CHK: Invalid IP address", Meaning.REFUSED),
    (
        "Invalid Input :  Order Recieved 11 in a current second exceeds Limit 10 for user",
        Meaning.RATE_LIMITED,
    ),
    ("Order Recieved 121 in a current minute exceeds Limit 120 for user", Meaning.RATE_LIMITED),
    ("Trigger price invalid - 0.00", Meaning.REFUSED),
    # Not known: never taken for a refusal.
    ("Error Occurred : 7", Meaning.UNRECOGNISED),
    ("Error Occurred : 25", Meaning.UNRECOGNISED),
    ("OMS : not reachable", Meaning.UNRECOGNISED),
    ("Not Rejected : taken", Meaning.UNRECOGNISED),
    ("", Meaning.UNRECOGNISED),
]


@pytest.mark.parametrize(("emsg", "expected"), CATALOGUE)
def test_the_brokers_words_have_one_meaning(emsg: str, expected: Meaning) -> None:
    assert meaning(emsg) is expected


def test_every_line_of_the_catalogue_is_reached_by_an_example() -> None:
    for known in EMSGS:
        hits = [emsg for emsg, _ in CATALOGUE if re.search(known.pattern, emsg.strip(), re.IGNORECASE)]
        assert hits, known


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answered({"stat": "Ok", "norenordno": "26112300000017"}), Accepted("26112300000017")),
        (answered({"stat": "OK", "result": "26112300000017"}), Accepted("26112300000017")),
        (answered({"stat": "Ok", "norenordno": 26112300000017}), Accepted("26112300000017")),
        (not_ok("Invalid Input :  x"), Refused("Invalid Input : x")),
        (not_ok("Invalid Input : x", 400), Refused("Invalid Input : x")),
        (not_ok("Invalid Input : x", 502), Refused("Invalid Input : x")),
        (not_ok("Session Expired : x", 401), Refused("Session Expired : x", Refusal.SESSION_EXPIRED)),
        (
            not_ok("Order Recieved 9 in a current second exceeds Limit 8"),
            Refused("Order Recieved 9 in a current second exceeds Limit 8", Refusal.RATE_LIMITED),
        ),
        (answered("slow down", 429), Refused("HTTP 429: too many requests", Refusal.RATE_LIMITED)),
        (not_ok("Server Timeout :  "), Unknown("Server Timeout :")),
        (not_ok("Never seen : x"), Unknown("Never seen : x")),
        (RawReply(Delivery.NOT_SENT, problem="refused"), NotSent("refused")),
        (RawReply(Delivery.UNKNOWN, problem="reset"), Unknown("reset")),
    ],
)
def test_order_outcomes(reply: RawReply, outcome: object) -> None:
    assert order_outcome(reply, REDACTOR) == outcome


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 405, 500, 502, 503, 504])
@pytest.mark.parametrize("text", ["", "<html>", "[]", "1", "null", '"Ok"', '{"stat":"Ok"}', '{"emsg":5}', "NaN"])
def test_a5_an_answer_without_a_verdict_is_unknown_whatever_its_status(text: str, status: int) -> None:
    assert isinstance(order_outcome(answered(text, status), REDACTOR), Unknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["stat", "emsg", "norenordno", "result"]), inner),
    max_leaves=8,
)


@given(document=JSON, status=st.sampled_from([200, 400, 429, 500]))
def test_no_answer_breaks_the_classifier_and_only_known_words_refuse(document: Any, status: int) -> None:
    outcome = order_outcome(answered(document, status), REDACTOR)

    if isinstance(outcome, Accepted):
        assert outcome.broker_order_id.strip()
    if isinstance(outcome, Refused) and status != 429:
        assert meaning(document["emsg"]) in (Meaning.REFUSED, Meaning.SESSION_EXPIRED, Meaning.RATE_LIMITED)
    for read in (rows_outcome, object_outcome):
        with suppress(ReadError):
            read(answered(document, status), REDACTOR)


# Reads.


def failed(read: Any, reply: RawReply) -> tuple[ReadFailure, bool]:
    with pytest.raises(ReadError) as caught:
        read(reply, REDACTOR)
    return caught.value.failure, caught.value.rate_limited


@pytest.mark.parametrize(
    "reply",
    [
        not_ok('Error Occurred : 5 "no data"'),
        not_ok('Error Occurred : 5 {"no data"}'),
        not_ok("No Data :  "),
        answered([{"stat": "Not_Ok", "emsg": 'Error Occurred : 5 "no data"'}]),
        answered([]),
    ],
)
def test_b6_no_data_is_an_empty_book(reply: RawReply) -> None:
    assert rows_outcome(reply, REDACTOR) == ()


READ_FAILURES = [
    (not_ok("Session Expired :  Invalid Session Key"), ReadFailure.SESSION_EXPIRED, False),
    (not_ok("unheard of", 401), ReadFailure.SESSION_EXPIRED, False),
    (answered("<html>", 403), ReadFailure.SESSION_EXPIRED, False),
    (not_ok("Server Timeout :  "), ReadFailure.UNREACHABLE, False),
    (not_ok("Server Timeout :  ", 401), ReadFailure.UNREACHABLE, False),
    (answered("<html>", 502), ReadFailure.UNREACHABLE, False),
    (answered("", 504), ReadFailure.UNREACHABLE, False),
    (RawReply(Delivery.NOT_SENT, problem="refused"), ReadFailure.UNREACHABLE, False),
    (RawReply(Delivery.UNKNOWN, problem="reset"), ReadFailure.UNREACHABLE, False),
    (not_ok("x : Order Recieved 9 in a current minute exceeds Limit 8"), ReadFailure.UNREACHABLE, True),
    (answered("slow", 429), ReadFailure.UNREACHABLE, True),
    (not_ok("slow", 429), ReadFailure.UNREACHABLE, True),
    (answered(""), ReadFailure.UNREADABLE, False),
    (answered("<html>"), ReadFailure.UNREADABLE, False),
    (answered("<html>", 405), ReadFailure.UNREADABLE, False),
    (not_ok("unheard of"), ReadFailure.UNREADABLE, False),
    (not_ok("Invalid Input : x"), ReadFailure.UNREADABLE, False),
]


@pytest.mark.parametrize(("reply", "failure", "rate_limited"), READ_FAILURES)
def test_b6_a_book_that_cannot_be_read_says_why(reply: RawReply, failure: ReadFailure, rate_limited: bool) -> None:
    assert failed(rows_outcome, reply) == (failure, rate_limited)


@pytest.mark.parametrize(("reply", "failure", "rate_limited"), READ_FAILURES)
def test_an_object_that_cannot_be_read_says_why(reply: RawReply, failure: ReadFailure, rate_limited: bool) -> None:
    assert failed(object_outcome, reply) == (failure, rate_limited)


def test_b6_a_refusal_inside_an_array_is_a_refusal() -> None:
    reply = answered([{"stat": "Not_Ok", "emsg": "Session Expired : x"}])

    assert failed(rows_outcome, reply) == (ReadFailure.SESSION_EXPIRED, False)


def test_b5_an_object_that_says_ok_is_not_an_empty_book() -> None:
    assert failed(rows_outcome, answered({"stat": "Ok"})) == (ReadFailure.UNREADABLE, False)


def test_rows_come_as_they_are() -> None:
    assert rows_outcome(answered([{"stat": "Ok", "a": "1"}, "odd"]), REDACTOR) == ({"stat": "Ok", "a": "1"}, "odd")
