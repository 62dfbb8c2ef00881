"""Paths, bodies, sessions and the forms of replies (protocol sections 2 and 14.1)."""

import json

import pytest

from core.paper.wire import Fate
from tests.paper.world import World

NO_DATA = 'Error Occurred : 5 "no data"'
SESSION = "Session Expired :  Invalid Session Key"


@pytest.fixture
def world() -> World:
    world = World()
    world.log_in()
    return world


@pytest.mark.parametrize(
    "path",
    [
        "/NorenWClientTP/Limits",
        "/NorenWClientTP//Limits",
        "/NorenWClientAPI/Limits",
        "/NorenWClientAPIv2//Limits",
        "/PiConnectAPI/Limits",
        "/Limits",
        "//Limits",
    ],
)
def test_every_generation_s_prefix_is_served_with_one_slash_or_two(world: World, path: str) -> None:
    reply = world.raw(path, f'jData={{"uid":"U1"}}&jKey={world.tokens["U1"]}')
    assert reply.status == 200
    assert json.loads(reply.body)["stat"] == "Ok"


@pytest.mark.parametrize("path", ["/NorenWClientTP/NoSuchThing", "/Other/Limits", "/", ""])
def test_an_unknown_path_is_404_without_json(world: World, path: str) -> None:
    reply = world.raw(path, f'jData={{"uid":"U1"}}&jKey={world.tokens["U1"]}')
    assert reply.status == 404
    assert reply.content_type == "text/html"


def test_only_prefixes_that_are_set_are_served() -> None:
    world = World(prefixes=("Mine",))
    assert world.raw("/NorenWClientTP/QuickAuth", "jData={}").status == 404
    assert world.raw("/Mine/QuickAuth", "jData={}").status != 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "Invalid Input :  jData is Missing."),
        ("jKey=abc", "Invalid Input :  jData is Missing."),
        ("jData=", "Invalid Input :  jData is not valid json object"),
        ("jData=[1]", "Invalid Input :  jData is not valid json object"),
        ('jData={"uid":"U1"', "Invalid Input :  jData is not valid json object"),
        ('jData={"remarks":"a&b"}&jKey=x', "Invalid Input :  jData is not valid json object"),
        (b"jData=\xff", "Invalid Input :  jData is not valid json object"),
        ('jData={"remarks":"\\ud800"}', "Invalid Input :  jData is not valid json object"),
        ("jData=" + "[" * 100_000, "Invalid Input :  jData is not valid json object"),
    ],
)
def test_a_broken_body_is_told_in_the_server_s_words(world: World, body: str | bytes, words: str) -> None:
    reply = world.raw("/NorenWClientTP/Limits", body)
    assert reply.status == 400
    answer = json.loads(reply.body)
    assert (answer["stat"], answer["emsg"]) == ("Not_Ok", words)


@pytest.mark.parametrize("tsym", ["M%26M-EQ", "M\\u0026M-EQ"])
def test_an_ampersand_in_a_symbol_may_be_percent_encoded_or_json_escaped(world: World, tsym: str) -> None:
    body = (
        f'{{"uid":"U1","actid":"U1","exch":"NSE","tsym":"{tsym}","qty":"1","prc":"3600","prctyp":"LMT",'
        '"trantype":"B","prd":"I","ret":"DAY"}'
    )
    answer = json.loads(world.raw("/PlaceOrder", f"jData={body}&jKey={world.tokens['U1']}").body)
    assert answer["stat"] == "Ok"
    assert world.row(answer["norenordno"])["tsym"] == "M&M-EQ"


def test_percent_decoding_of_symbols_can_be_switched_off() -> None:
    world = World(percent_decode_tsym=False)
    assert world.order(tsym="M%26M-EQ", prc="3600.00")["stat"] == "Not_Ok"
    assert world.order(tsym="INFY-EQ")["stat"] == "Ok"


def test_a_plus_in_a_search_text_is_a_space(world: World) -> None:
    found = world.call("SearchScrip", exch="NFO", stext="NIFTY+26000+CE")
    assert {row["tsym"] for row in found["values"]} >= {"NIFTY09NOV26C26000"}


def test_remarks_are_not_percent_decoded(world: World) -> None:
    number = world.placed(remarks="100%25+x")
    assert world.row(number)["remarks"] == "100%25+x"


def test_a_bearer_header_serves_as_well_as_a_key(world: World) -> None:
    reply = world.raw("/NorenWClientAPI/Limits", 'jData={"uid":"U1"}', authorization=f"Bearer {world.tokens['U1']}")
    assert json.loads(reply.body)["stat"] == "Ok"


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic abc"])
def test_without_a_good_token_the_session_has_expired(world: World, authorization: str | None) -> None:
    reply = world.raw("/NorenWClientAPI/OrderBook", 'jData={"uid":"U1"}', authorization=authorization)
    assert reply.status == 401
    assert json.loads(reply.body)["emsg"] == SESSION


@pytest.mark.parametrize("uid", ['"U2"', "null"])
def test_a_token_serves_its_own_user_only(world: World, uid: str) -> None:
    reply = world.raw("/NorenWClientTP/OrderBook", f'jData={{"uid":{uid}}}&jKey={world.tokens["U1"]}')
    assert json.loads(reply.body)["emsg"] == SESSION


@pytest.mark.parametrize("book", ["OrderBook", "TradeBook", "PositionBook", "Holdings"])
def test_an_empty_book_is_a_no_data_object_and_no_array(world: World, book: str) -> None:
    reply = world.reply(book, actid="U1", prd="C")
    assert reply.status == 200
    answer = json.loads(reply.body)
    assert (answer["stat"], answer["emsg"]) == ("Not_Ok", NO_DATA)
    assert answer["request_time"] == "10:00:00 03-11-2026"


@pytest.mark.parametrize("book", ["OrderBook", "TradeBook", "PositionBook"])
def test_a_book_is_an_array_whose_values_are_all_strings(world: World, book: str) -> None:
    world.placed()
    (row,) = world.call(book, actid="U1")
    assert row["stat"] == "Ok"
    assert {type(value) for value in row.values()} == {str}


def test_holdings_without_a_product_are_refused(world: World) -> None:
    assert world.call("Holdings", actid="U1")["emsg"] == "Invalid Input : Missing uid or actid or prd."


def test_every_answer_is_given_unless_a_fault_says_otherwise(world: World) -> None:
    assert world.reply("Limits").fate is Fate.ANSWER


def test_calls_beyond_the_limit_of_a_second_are_refused_until_the_next() -> None:
    world = World(rate_per_s=3)
    world.log_in()
    answers = [world.call("Limits") for _ in range(4)]
    assert [answer["stat"] for answer in answers] == ["Ok", "Ok", "Ok", "Not_Ok"]
    assert answers[3]["emsg"] == ("Invalid Input :  Order Recieved 4 in a current second exceeds Limit 3 for user")
    world.wait(1)
    assert world.call("Limits")["stat"] == "Ok"


def test_calls_beyond_the_limit_of_a_minute_are_refused_until_the_next() -> None:
    world = World(rate_per_min=3)
    for _ in range(3):
        world.call("Limits")
        world.wait(5)
    assert "4 in a current minute exceeds Limit 3" in world.call("Limits")["emsg"]
    world.wait(45)
    assert world.call("Limits")["stat"] == "Ok"


def test_limits_may_count_order_calls_alone_and_each_user_apart() -> None:
    world = World(rate_per_s=1, rate_scope="orders")
    assert [world.call("Limits")["stat"] for _ in range(5)] == ["Ok"] * 5
    assert world.order()["stat"] == "Ok"
    assert world.order()["stat"] == "Not_Ok"
    assert world.order("U2")["stat"] == "Ok"


def test_a_rate_limited_order_is_not_placed() -> None:
    world = World(rate_per_s=1, rate_scope="orders")
    world.order()
    world.order()
    assert len(world.call("OrderBook")) == 1


def test_time_does_not_go_back(world: World) -> None:
    world.wait(10)
    world.now = world.now.replace(second=1)
    with pytest.raises(ValueError, match="time went back"):
        world.call("Limits")
