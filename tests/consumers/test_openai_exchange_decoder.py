"""OpenAI chat completions: request and response in one line, and stored completions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, clock, fixture_lines

from consumers.decoders import Decoded, Defaults, decoder_named
from consumers.files import detect
from consumers.ingest import ingest_file
from monitor.errors import RecordError
from monitor.records import Turn
from monitor.store import Store

EXCHANGE = decoder_named("openai-exchange")
LINES = [orjson.loads(line) for line in fixture_lines("openai_exchange.jsonl")]
ASKED = {"messages": [{"role": "user", "content": "hello there"}]}


def read_exchange(record: Any, position: int = 0) -> Decoded:
    return EXCHANGE.decode(record, at(position), Defaults(NOW))


def exchange_turn(record: Any, position: int = 0) -> Turn:
    (turn,) = read_exchange(record, position).turns
    return turn


def test_a_line_becomes_the_turn_of_its_last_user_message() -> None:
    turn = exchange_turn(LINES[0])
    assert turn == Turn(
        turn_id="chatcmpl-B9a1f0c3d5e7a9b1c3d5e7f901234",
        conversation_id="web-7f1",
        turn_index=1,
        created_at=datetime(2026, 3, 1, 9, 30),
        user_text="Can you read it from this photo?",
        assistant_text="It shows 48,213 kWh.",
        system_prompt="You answer for Nordwind Energy.",
        model="gpt-4o-mini-2024-07-18",
        input_tokens=412,
        output_tokens=11,
        latency_ms=1840.5,
        user_id="customer-88",
        environment="production",
        modalities=["text", "image"],
        metadata={
            "temperature": 0.2,
            "system_fingerprint": "fp_1",
            "finish_reason": "stop",
            "usage": {"prompt_tokens_details": {"cached_tokens": 128}},
            "requested_model": "gpt-4o-mini",
            "channel": "app",
        },
    )


def test_request_and_response_as_json_texts_are_the_same() -> None:
    turn = exchange_turn(LINES[1])
    assert (turn.user_text, turn.assistant_text) == (
        "How do I end my contract?",
        "Write to us two weeks before its end.",
    )
    assert (turn.created_at, turn.input_tokens) == (datetime(2026, 3, 1, 9, 31, 40), 12)
    twice = {name: orjson.dumps(orjson.dumps(LINES[0][name]).decode()).decode() for name in ("request", "response")}
    assert exchange_turn({**LINES[0], **twice}) == exchange_turn(LINES[0])


def test_the_requests_of_a_tool_loop_are_one_turn() -> None:
    first, last = exchange_turn(LINES[2]), exchange_turn(LINES[3])
    assert first.turn_id == last.turn_id
    assert (first.assistant_text, last.assistant_text) == (None, "You owe 61.20 euros.")
    assert first.tool_calls == last.tool_calls
    assert first.metadata is not None
    assert first.metadata["said_with_tool_calls"] == "Let me look."


def test_errors_keep_the_turn() -> None:
    refused, silent = exchange_turn(LINES[4]), exchange_turn(LINES[5])
    assert (refused.turn_id, refused.runtime_error) == ("line-5", "rate_limit_exceeded: Rate limit reached")
    assert (refused.user_text, refused.assistant_text) == ("Is there a power cut in my street?", None)
    assert (silent.turn_id, silent.runtime_error) == ("line-6", "no response")
    assert exchange_turn({"request": ASKED, "error": "timed out"}).runtime_error == "timed out"
    assert exchange_turn({"request": ASKED, "response": {"error": {"x": 1}}}).runtime_error == "error"


def test_a_stored_completion_with_the_messages_of_the_second_endpoint() -> None:
    turn = exchange_turn(LINES[6])
    assert (turn.user_text, turn.assistant_text) == ("Do you buy solar power back?", "Yes, from any roof.")
    assert (turn.conversation_id, turn.created_at) == ("th-4", datetime(2026, 3, 1, 9, 40))
    assert turn.metadata is not None
    assert turn.metadata["other_choices"] == ["You can."]
    whole = {"object": "list", "data": LINES[6]["messages"]}
    assert exchange_turn({**LINES[6], "messages": whole}) == turn
    asked = {name: value for name, value in LINES[6].items() if name != "messages"}
    assert exchange_turn({**asked, "input": LINES[6]["messages"]}) == turn
    assert replace(exchange_turn({**asked, "input": "Do you buy solar power back?"}), modalities=["text"]) == turn


def test_a_stored_completion_without_its_request_names_the_remedy() -> None:
    assert EXCHANGE.matches(LINES[7])
    with pytest.raises(RecordError, match=r"messages: missing; .* GET /chat/completions/\{id\}/messages"):
        read_exchange(LINES[7])


def test_a_request_without_a_user_message_is_empty() -> None:
    assert read_exchange(LINES[8]) == Decoded()
    picture = [{"type": "image_url", "image_url": {"url": "x"}}]
    history = [*ASKED["messages"], {"role": "user", "content": picture}]
    assert read_exchange({"request": {"messages": history}, "response": None}) == Decoded()


def test_ids_without_a_long_one_of_the_response() -> None:
    assert exchange_turn({"request": ASKED, "response": None}, 4).turn_id == "0123456789ab-4"
    short = {"request": ASKED, "response": {"id": "chatcmpl-417", "choices": []}}
    other = {"request": {"messages": [{"role": "user", "content": "bye"}]}, "response": short["response"]}
    assert exchange_turn(short).turn_id == exchange_turn(short, 9).turn_id != exchange_turn(other).turn_id
    named = {"request": ASKED, "response": None, "thread_id": "t", "timestamp": "2026-03-01"}
    assert exchange_turn(named).turn_id == exchange_turn(named, 9).turn_id
    assert exchange_turn(named).turn_id != exchange_turn({**named, "timestamp": "2026-03-02"}).turn_id


def test_odd_replies_are_read() -> None:
    def reply(message: Any) -> Turn:
        return exchange_turn({"request": ASKED, "response": {"choices": [{"index": 0, "message": message}]}})

    assert reply({"role": "assistant", "content": None, "refusal": "I can't."}).assistant_text == "I can't."
    assert reply({"role": "assistant", "audio": {"transcript": "Said."}}).assistant_text == "Said."
    assert reply({"content": [{"type": "text", "text": "No role."}]}).assistant_text == "No role."
    called = reply({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}})
    assert called.tool_calls == [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_absurd_and_missing_times_get_a_note() -> None:
    turn = exchange_turn({"request": ASKED, "response": {"created": 0, "choices": []}})
    assert turn.created_at == NOW
    assert turn.metadata == {"time_note": "created_at: 0 is before the year 2000; the record's arrival stands in"}
    late = exchange_turn({"request": ASKED, "response": None, "timestamp": "soon"})
    assert late.metadata == {"time_note": "created_at: 'soon' is no time; the record's arrival stands in"}


def test_latency_in_seconds() -> None:
    assert exchange_turn({"request": ASKED, "response": None, "latency_s": 0.25}).latency_ms == 250


BAD: list[tuple[Any, str]] = [
    ([], "expected an object with request and response, got a list"),
    ({"request": 5, "response": None}, "request: expected an object, or one as JSON, got a number"),
    ({"request": "{secret", "response": None}, "request: expected an object, or one as JSON, got a text"),
    ({"request": {}, "response": None}, "request.messages: expected a list, got null"),
    ({"request": {"messages": ["secret"]}, "response": None}, "request.messages[0]: expected an object, got a text"),
    ({"request": {"messages": [{"role": "secret"}]}, "response": None}, "request.messages[0].role: expected one of"),
    ({"request": ASKED, "response": [1]}, "response: expected an object, one as JSON, or null, got a list"),
    ({"request": ASKED, "response": "secret"}, "response: expected an object, one as JSON, or null, got a text"),
    ({"request": ASKED, "response": {"choices": {}}}, "response.choices: expected a list, got an object"),
    ({"request": ASKED, "response": {"choices": [1]}}, "response.choices[0]: expected an object, got a number"),
    ({"request": ASKED, "response": {"choices": [{"message": "secret"}]}}, "response.choices[0].message: expected an"),
    ({"request": ASKED, "response": {"choices": [], "usage": []}}, "usage: expected an object, got a list"),
    (
        {"request": ASKED, "response": {"choices": [], "usage": {"prompt_tokens": -1}}},
        "response.usage.prompt_tokens: expected a whole number",
    ),
    ({"request": ASKED, "response": {"id": 7}}, "response.id: expected a text, got a number"),
    ({"request": ASKED, "response": {"model": 7}}, "model: expected a text, got a number"),
    ({"request": ASKED, "response": None, "metadata": "secret"}, "metadata: expected an object, got a text"),
    ({"request": ASKED, "response": None, "duration_ms": -1}, "duration_ms: expected 0 or more, got -1"),
    ({"request": ASKED, "response": None, "user": 5}, "user: expected a text, got a number"),
    ({"request": ASKED, "response": None, "thread_id": 5}, "thread_id: expected a text, got a number"),
    ({"request": ASKED, "response": None, "odd": "\ud83d"}, "metadata: holds something that is not JSON"),
    ({"request": {"messages": [{"role": "user", "content": "\udc00"}]}, "response": None}, "request.messages[0].con"),
    ({"choices": [], "messages": 5}, "messages: expected a list, got a number"),
]


@pytest.mark.parametrize(("record", "reason"), BAD)
def test_a_bad_exchange_names_its_field(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_exchange(record)
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value).replace("'secret'", "")  # a role is no message


def test_exchanges_are_detected() -> None:
    assert detect(FIXTURES / "openai_exchange.jsonl") == "openai-exchange"
    assert not EXCHANGE.matches({"request": {"url": "/v1"}, "response": {}})
    assert not EXCHANGE.matches({"request": "GET /", "response": "ok"})
    assert not EXCHANGE.matches({"request": ASKED})


def test_the_store_merges_a_tool_loop(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "x.duckdb")) as store:
        result = ingest_file(store, FIXTURES / "openai_exchange.jsonl", redact=False, clock=clock)
        assert (result.counts.turns, result.counts.dead_letters) == (6, 1)
        turn = store.turns.find(exchange_turn(LINES[2]).turn_id)
    assert turn is not None
    assert (turn.assistant_text, turn.input_tokens) == ("You owe 61.20 euros.", 40)
