"""What is said on a push connection (protocol 8, 9), without a connection."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade, PriceSource, Quote, Ticks, WrongQuote
from core.model.order import Product, Side
from core.noren.conversation import Conversation, FeedDown, Instrument, ResyncNeeded, Turn
from core.noren.profiles import PROFILES
from tests.factories import NOON

INFY = Instrument("NSE", "INFY-EQ", "1594")
OTHER_EXCHANGE = Instrument("CDS", "USDINR25NOV22F", "1594")

FILL = {
    "t": "om",
    "norenordno": "26110300001240",
    "uid": "FA00001",
    "exch": "NFO",
    "tsym": "NIFTY10NOV26C26000",
    "trantype": "B",
    "qty": "65",
    "prc": "103.00",
    "pcode": "M",
    "remarks": "ex-7f3a-002",
    "rejreason": " ",
    "status": "COMPLETE",
    "reporttype": "Fill",
    "flqty": "65",
    "flprc": "101.60",
    "flid": "380225664",
    "fltm": "03-11-2026 10:20:00",
    "fillshares": "65",
    "avgprc": "101.60",
}


def conversation(profile: str = "paper", *instruments: Instrument) -> Conversation:
    talk = Conversation(PROFILES[profile], "FA00001", "t0ken", ack_timeout_s=15, silence_s=30, instruments=instruments)
    talk.opened(0.0)
    return talk


def tell(talk: Conversation, frame: object, now: float = 1.0) -> Turn:
    return talk.received(frame if isinstance(frame, str) else json.dumps(frame), now, NOON)


def acknowledged(profile: str = "paper", *instruments: Instrument) -> Conversation:
    talk = conversation(profile, *instruments)
    tell(talk, {"t": "ck", "s": "OK"})
    return talk


def frames(turn: Turn) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in turn.frames]


@pytest.mark.parametrize(("profile", "dialect", "key"), [("paper", "c", "susertoken"), ("shoonya", "a", "accesstoken")])
def test_both_dialects_introduce_themselves(profile: str, dialect: str, key: str) -> None:
    talk = Conversation(PROFILES[profile], "FA00001", "t0ken", ack_timeout_s=15, silence_s=30)

    assert frames(talk.opened(0.0)) == [
        {"t": dialect, "uid": "FA00001", "actid": "FA00001", "source": "API", key: "t0ken"}
    ]


@pytest.mark.parametrize("ack", [{"t": "ck", "s": "OK"}, {"t": "ak", "s": "Ok"}, {"t": "ak", "uid": "U", "s": "ok"}])
def test_e3_an_acknowledgement_subscribes_everything_and_asks_for_a_resync(ack: dict[str, str]) -> None:
    turn = tell(conversation("shoonya", INFY, OTHER_EXCHANGE), ack)

    assert frames(turn) == [{"t": "o", "actid": "FA00001"}, {"t": "t", "k": "NSE|1594#CDS|1594"}]
    assert turn.values == (ResyncNeeded("the push connection is up"),)


@pytest.mark.parametrize("said", ["Not_Ok", "NOT_OK", "", None])
def test_a_refused_token_ends_the_connection(said: str | None) -> None:
    turn = tell(conversation(), {"t": "ck", "s": said})

    assert turn.close is not None
    assert turn.close.refused


def test_e3_no_acknowledgement_is_noticed() -> None:
    talk = conversation()
    talk.heard(14.0)

    assert talk.ticked(14.9).close is None
    assert talk.ticked(15.0).close == FeedDown("no acknowledgement within 15 s")


def test_e3_silence_is_noticed_and_any_frame_ends_it() -> None:
    talk = acknowledged()
    talk.heard(20.0)

    assert talk.ticked(49.9).close is None
    assert talk.ticked(50.0).close == FeedDown("no frame for 30 s")


def test_a_heartbeat_goes_out_three_times_in_the_silence() -> None:
    talk = acknowledged()
    sent = [now for now in range(1, 31) if talk.heard(float(now)) or talk.ticked(float(now)).frames]

    assert sent == [10, 20, 30]


def test_a_fill_is_an_order_report_and_a_trade() -> None:
    turn = tell(acknowledged(), FILL)

    assert turn.values == (
        BrokerOrderReport(
            broker_order_id="26110300001240",
            client_tag="ex-7f3a-002",
            exchange="NFO",
            symbol="NIFTY10NOV26C26000",
            side=Side.BUY,
            quantity=65,
            status=BrokerStatus.COMPLETE,
            raw_status="COMPLETE",
            filled_quantity=65,
            average_price=Decimal("101.60"),
            product=Product.NRML,
            price=Decimal("103.00"),
        ),
        BrokerTrade(
            broker_order_id="26110300001240",
            broker_trade_id="380225664",
            client_tag="ex-7f3a-002",
            exchange="NFO",
            symbol="NIFTY10NOV26C26000",
            side=Side.BUY,
            quantity=65,
            price=Decimal("101.60"),
            at=datetime(2026, 11, 3, 4, 50, tzinfo=UTC),
        ),
    )


def test_what_a_frame_leaves_out_is_unchanged() -> None:
    talk = acknowledged()
    tell(talk, {**FILL, "status": "PENDING", "reporttype": "NewAck", "flid": ""})

    (report,) = tell(talk, {"t": "om", "norenordno": "26110300001240", "status": "OPEN", "remarks": " "}).values

    assert isinstance(report, BrokerOrderReport)
    assert (report.client_tag, report.symbol, report.quantity) == ("ex-7f3a-002", "NIFTY10NOV26C26000", 65)
    assert (report.status, report.filled_quantity) == (BrokerStatus.OPEN, None)


def test_a_modified_quantity_replaces_the_old_one() -> None:
    talk = acknowledged()
    tell(talk, FILL)

    report, *_ = tell(talk, {"t": "om", "norenordno": "26110300001240", "status": "OPEN", "qty": "130"}).values

    assert isinstance(report, BrokerOrderReport)
    assert report.quantity == 130


@pytest.mark.parametrize(
    ("status", "report_type", "expected"),
    [
        ("REJECTED", "Rejected", BrokerStatus.REJECTED),
        ("INVALID_STATUS_TYPE", "Rejected", BrokerStatus.REJECTED),
        ("INVALID_STATUS_TYPE", "Canceled", BrokerStatus.CANCELLED),
        ("INVALID_STATUS_TYPE", "Fill", BrokerStatus.UNKNOWN),
        ("OPEN", "ReplaceRejected", BrokerStatus.OPEN),
        ("OPEN", "CancelRejected", BrokerStatus.OPEN),
        ("PENDING", "Rejected", BrokerStatus.PENDING),
    ],
)
def test_b15_only_the_status_ends_an_order(status: str, report_type: str, expected: BrokerStatus) -> None:
    frame = {"t": "om", "norenordno": "1", "status": status, "reporttype": report_type, "rejreason": "RED:x"}

    report = tell(acknowledged(), frame).values[0]

    assert isinstance(report, BrokerOrderReport)
    assert report.status is expected


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        '{"s": "OK"}',
        "[" * 100_000,
        {"t": "om", "status": "OPEN"},
        {**FILL, "status": "ODD"},
        {**FILL, "flqty": "x"},
        {**FILL, "fillshares": "x"},
    ],
)
def test_a_frame_that_cannot_be_trusted_asks_for_a_resync(frame: object) -> None:
    values = tell(acknowledged(), frame).values

    assert isinstance(values[-1], ResyncNeeded)
    assert sum(isinstance(value, ResyncNeeded) for value in values) == 1


@pytest.mark.parametrize("kind", ["ok", "hk", "pm", "am", "rm", "ms", "uk", "new kind"])
def test_other_frames_are_only_signs_of_life(kind: str) -> None:
    talk = acknowledged()

    assert tell(talk, {"t": kind}, now=29.0) == Turn()
    assert talk.ticked(31.0).close is None


SNAPSHOT = {"t": "tk", "e": "NSE", "tk": "1594", "ts": "INFY-EQ", "lp": "1500.00", "bp1": "1499.95", "bq1": "1"}


def test_a_touchline_gathers_what_changed() -> None:
    talk = acknowledged("paper", INFY)

    tell(talk, SNAPSHOT)
    assert talk.has_ticks
    (first,) = talk.ticks().quotes
    assert not talk.has_ticks
    tell(talk, {"t": "tf", "e": "NSE", "tk": "1594", "lp": "1501.00", "ft": "1793681400"})
    (then,) = talk.ticks().quotes

    assert first == Quote(
        exchange="NSE",
        symbol="INFY-EQ",
        last_price=Decimal("1500.00"),
        bid=Decimal("1499.95"),
        ask=None,
        at=NOON,
        received_at=NOON,
        source=PriceSource.FEED,
    )
    assert (then.last_price, then.bid) == (Decimal("1501.00"), Decimal("1499.95"))
    assert then.at == datetime.fromtimestamp(1793681400, UTC)


def test_who_is_slow_gets_the_newest_price_and_the_number_of_those_before() -> None:
    talk = acknowledged("paper", INFY)
    tell(talk, SNAPSHOT)
    for price in ("1501.00", "1502.00", "1503.00"):
        tell(talk, {"t": "tf", "e": "NSE", "tk": "1594", "lp": price})

    (quote,) = talk.ticks().quotes

    assert (quote.last_price, quote.missed) == (Decimal("1503.00"), 3)


def test_an_order_update_does_not_wait_for_prices_that_nobody_takes() -> None:
    talk = acknowledged("paper", INFY)
    tell(talk, SNAPSHOT)

    assert isinstance(tell(talk, FILL).values[0], BrokerOrderReport)


def test_many_prices_are_handed_over_in_parts_the_longest_waiting_first() -> None:
    many = [Instrument("NSE", f"S{number}-EQ", str(number)) for number in range(150)]
    talk = acknowledged("paper", *many)
    for one in many:
        tell(talk, {"t": "tk", "e": "NSE", "tk": one.token, "lp": "10.00"})

    parts = [talk.ticks().quotes, talk.ticks().quotes]

    assert [len(part) for part in parts] == [100, 50]
    assert [quote.symbol for part in parts for quote in part] == [one.symbol for one in many]


def test_a_change_before_the_whole_is_no_price() -> None:
    talk = acknowledged("paper", INFY)
    tell(talk, {"t": "tf", "e": "NSE", "tk": "1594", "lp": "1500.00"})

    assert not talk.has_ticks


def test_a_touchline_with_the_name_of_another_instrument_is_said_and_not_used() -> None:
    talk = acknowledged("paper", INFY)
    tell(talk, {**SNAPSHOT, "ts": "Nifty 50"})

    ticks = talk.ticks()

    assert ticks.quotes == ()
    reason = "the push feed has Nifty 50 under the number of INFY-EQ"
    assert ticks.wrong == (WrongQuote("NSE", "INFY-EQ", reason),)


def test_depth_is_a_subscription_of_its_own_with_five_levels() -> None:
    deep = Instrument("NSE", "SBIN-EQ", "3045", depth=True)
    talk = conversation("paper", INFY, deep)
    assert frames(tell(talk, {"t": "ck", "s": "OK"}))[1:] == [{"t": "t", "k": "NSE|1594"}, {"t": "d", "k": "NSE|3045"}]
    levels = {f"{side}{what}{n}": f"{800 + n}" for side in "bs" for what in "pq" for n in range(1, 6)}
    tell(talk, {"t": "dk", "e": "NSE", "tk": "3045", "lp": "801.00", **levels})
    tell(talk, {"t": "df", "e": "NSE", "tk": "3045", "bq2": "0", "sp5": "806.00"})

    (quote,) = talk.ticks().quotes

    assert [int(price) for price, _ in quote.bids] == [801, 803, 804, 805]
    assert quote.asks[-1] == (Decimal(806), 805)
    # A touchline that is on its way still, from before.
    tell(talk, {"t": "tf", "e": "NSE", "tk": "3045", "lp": "1.00"})
    assert not talk.has_ticks
    assert frames(talk.unwatch([Instrument("NSE", "SBIN-EQ", "3045")])) == [{"t": "ud", "k": "NSE|3045"}]


def test_what_is_not_wanted_any_more_is_unsubscribed_and_passed_over() -> None:
    talk = acknowledged("paper", INFY, OTHER_EXCHANGE)
    tell(talk, SNAPSHOT)

    assert frames(talk.unwatch([INFY])) == [{"t": "u", "k": "NSE|1594"}]
    tell(talk, SNAPSHOT)
    assert not talk.has_ticks
    assert frames(talk.watch([INFY])) == [{"t": "t", "k": "NSE|1594"}]


def test_a_snapshot_replaces_what_was_known() -> None:
    talk = acknowledged("paper", INFY)
    tell(talk, SNAPSHOT)
    tell(talk, {"t": "tk", "e": "NSE", "tk": "1594", "lp": "1501.00"})

    (quote,) = talk.ticks().quotes

    assert quote.bid is None


@pytest.mark.parametrize(
    "frame",
    [
        {"t": "tk", "e": "CDS", "tk": "1594", "lp": "83.25"},
        {"t": "tk", "e": "NSE", "tk": "1594", "lp": "0.00"},
        {"t": "tf", "e": "NSE", "tk": "1594", "v": "10"},
        {"t": "tk", "e": "NSE", "tk": "1594", "lp": "x"},
    ],
)
def test_a_touchline_of_another_exchange_or_without_price_is_no_quote(frame: dict[str, str]) -> None:
    talk = acknowledged("paper", INFY)

    assert tell(talk, frame) == Turn()
    assert talk.ticks() == Ticks(())


def test_more_quotes_can_be_wanted_later() -> None:
    talk = conversation()

    assert talk.watch([INFY]).frames == ()
    assert frames(tell(talk, {"t": "ck", "s": "OK"}))[-1] == {"t": "t", "k": "NSE|1594"}
    assert frames(talk.watch([INFY, OTHER_EXCHANGE])) == [{"t": "t", "k": "CDS|1594"}]


def test_many_instruments_go_out_in_several_frames() -> None:
    many = [Instrument("NSE", f"S{number}-EQ", str(number)) for number in range(250)]

    sent = [frame for frame in frames(tell(conversation("paper", *many), {"t": "ck", "s": "OK"})) if frame["t"] == "t"]

    assert [len(frame["k"].split("#")) for frame in sent] == [100, 100, 50]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["s", "e", "tk", "lp", "ft", *FILL]), inner)
    ),
    max_leaves=10,
)


@given(kind=st.sampled_from(["om", "tk", "tf", "ck", "x"]), frame=JSON)
def test_no_frame_breaks_the_conversation(kind: str, frame: Any) -> None:
    talk = acknowledged("paper", INFY)

    tell(talk, {**frame, "t": kind} if isinstance(frame, dict) else frame)

    assert tell(talk, FILL).values
    talk.ticks()
