"""LiteLLM: logging payloads and rows of the spend log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, fixture_lines

from consumers.decoders import Decoded, Defaults, decoder_named
from consumers.files import detect
from monitor.errors import RecordError
from monitor.records import Turn

LITELLM = decoder_named("litellm")
PAYLOAD, STREAMED, FAILED, SPEND, UNKEPT, EMBEDDING, LEFT_OUT = (
    orjson.loads(line) for line in fixture_lines("litellm.jsonl")
)


def read_call(record: Any, position: int = 0) -> Decoded:
    return LITELLM.decode(record, at(position), Defaults(NOW))


def call_turn(record: Any, position: int = 0) -> Turn:
    (turn,) = read_call(record, position).turns
    return turn


def test_a_payload_becomes_a_turn() -> None:
    turn = call_turn(PAYLOAD)
    assert (turn.turn_id, turn.conversation_id, turn.turn_index) == ("chatcmpl-L1", "web-20", 1)
    assert (turn.user_text, turn.assistant_text) == (
        "And for my heat pump in the picture?",
        "The heat pump tariff is cheaper.",
    )
    assert (turn.system_prompt, turn.modalities) == ("You answer for Nordwind Energy.", ["text", "image"])
    assert (turn.model, turn.provider, turn.user_id) == ("gpt-4o-mini", "openai", "customer-12")
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (55, 9, 0.0000137)
    assert (turn.created_at, turn.latency_ms) == (datetime(2026, 3, 1, 9, 30, 0, 250000), 1750)
    assert turn.time_to_first_token_ms is None, "without streaming the first token is LiteLLM's end"
    assert turn.runtime_error is None
    assert turn.metadata is not None
    assert turn.metadata["request_tags"] == ["mobile", "beta"]
    assert turn.metadata["trace_id"] == "9f4b1c2d-0000-4000-8000-000000000001"
    assert turn.metadata["user_api_key_alias"] == "support-bot"
    assert not {"hidden_params", "user_api_key_hash", "usage_object", "user_agent"} & turn.metadata.keys()


def test_a_streamed_call_has_a_first_token() -> None:
    turn = call_turn(STREAMED)
    assert (turn.latency_ms, turn.time_to_first_token_ms) == (3000, 500)
    assert (turn.assistant_text, turn.user_id) == ("Sorry! Which line?", "customer-13")
    assert turn.conversation_id == "9f4b1c2d-0000-4000-8000-000000000002"


def test_a_failed_call_keeps_the_turn_and_no_zeros() -> None:
    turn = call_turn(FAILED)
    assert (turn.user_text, turn.assistant_text) == ("How do I read my meter?", None)
    assert turn.runtime_error == "RateLimitError: slow down"
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (None, None, None)
    only_text = {**FAILED, "error_information": None}
    assert call_turn(only_text).runtime_error == FAILED["error_str"]
    assert call_turn({**only_text, "error_str": None}).runtime_error == "failure"


def test_a_spend_log_keeps_its_messages_in_the_request_of_the_proxy() -> None:
    turn = call_turn(SPEND)
    assert (turn.turn_id, turn.conversation_id) == ("chatcmpl-L4", "9f4b1c2d-0000-4000-8000-000000000004")
    assert (turn.user_text, turn.assistant_text) == ("Can I pay by direct debit?", "Yes, on the first of a month.")
    assert (turn.system_prompt, turn.cost_usd) == ("Be brief.", 0.00002)
    assert (turn.created_at, turn.latency_ms) == (datetime(2026, 3, 1, 9, 35, 0, 500000), 1500), "no zone is UTC"
    assert turn.metadata is not None
    assert turn.metadata["request_tags"] == ["web"]
    body = {"body": {"system": "Be kind.", "input": "Can I pay by card?"}}
    asked = call_turn({**SPEND, "proxy_server_request": body})
    assert (asked.user_text, asked.system_prompt) == ("Can I pay by card?", "Be kind.")


@pytest.mark.parametrize("record", [UNKEPT, EMBEDDING, LEFT_OUT, {**PAYLOAD, "messages": None}])
def test_calls_without_a_users_text_are_empty(record: Any) -> None:
    assert LITELLM.matches(record)
    assert read_call(record) == Decoded()


def test_prompts_that_are_no_list() -> None:
    def asked(messages: Any) -> str:
        return call_turn({**PAYLOAD, "call_type": "atext_completion", "messages": messages}).user_text

    assert asked("Where is my bill?") == "Where is my bill?"
    assert asked('{"bill": "lost"}') == '{"bill": "lost"}'
    assert asked('[{"role": "user", "content": "listed"}]') == "listed"
    assert asked({"role": "user", "content": "alone"}) == "alone"
    assert asked({"messages": [{"role": "user", "content": "inside"}]}) == "inside"


def test_other_apis_replies() -> None:
    anthropic = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
    assert call_turn({**PAYLOAD, "call_type": "anthropic_messages", "response": anthropic}).assistant_text == "Hello."
    output = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
    ]
    responses = {**PAYLOAD, "call_type": "aresponses", "response": {"output": output}}
    responses["messages"] = [
        {"role": "user", "content": [{"type": "input_text", "text": "hey"}]},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ]
    assert (call_turn(responses).user_text, call_turn(responses).assistant_text) == ("hey", "Hi.")


def test_a_tool_loop_through_litellm_is_one_turn() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "bill", "arguments": "{}"}}
    asked = {"role": "user", "content": "What do I owe?"}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    first = {**PAYLOAD, "id": "a", "messages": [asked], "response": {"choices": [{"message": said}]}}
    last = {**PAYLOAD, "id": "b", "messages": [asked, said, {"role": "tool", "tool_call_id": "call_1", "content": "9"}]}
    assert call_turn(first).turn_id == call_turn(last).turn_id
    # Anthropic's form gives the tool's result in the user's name.
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "9"}]}
    assert call_turn({**PAYLOAD, "messages": [asked, result]}).user_text == "What do I owe?"


def test_times_that_are_absurd_or_missing() -> None:
    turn = call_turn({**PAYLOAD, "startTime": 0.0})
    assert (turn.created_at, turn.latency_ms) == (NOW, 1750), "response_time stands in for the latency"
    assert turn.metadata is not None
    assert turn.metadata["time_note"] == "startTime: 0.0 is before the year 2000; the record's arrival stands in"
    assert call_turn({**PAYLOAD, "endTime": "later", "response_time": None}).latency_ms is None


def test_without_ids_the_place_is_the_id() -> None:
    record = {**PAYLOAD, "id": None, "trace_id": None, "metadata": {}}
    assert (call_turn(record, 3).turn_id, call_turn(record, 3).conversation_id) == ("0123456789ab-3",) * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"call_type": 5}, "call_type: expected a text, got a number"),
        ({"messages": 5}, "messages: expected a text, a list, or one as JSON, got a number"),
        ({"messages": ["secret"]}, "messages[0]: expected an object, got a text"),
        ({"messages": [{"role": "user", "content": {"secret": 1}}]}, "messages[0].content: expected a text or a list"),
        ({"metadata": "secret"}, "metadata: expected an object, or one as JSON, got a text"),
        ({"messages": "{}", "proxy_server_request": 5}, "proxy_server_request: expected an object, or one as JSON"),
        ({"response": {"choices": "secret"}}, "response.choices: expected a list, got a text"),
        ({"prompt_tokens": "many"}, "prompt_tokens: expected a number, got 'many'"),
        ({"response_cost": -1}, "response_cost: expected 0 or more, got -1"),
        ({"id": 5}, "id: expected a text, got a number"),
        ({"trace_id": 5, "metadata": {}}, "trace_id: expected a text, got a number"),
        ({"end_user": 5}, "end_user: expected a text, got a number"),
        ({"model": 5}, "model: expected a text, got a number"),
        ({"api_base": "\ud83d"}, "metadata: holds something that is not JSON"),
    ],
)
def test_a_bad_call_names_its_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_call({**PAYLOAD, **change})
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


def test_what_is_no_call() -> None:
    for record, reason in ((None, "got null"), ({"messages": []}, "got one without it")):
        with pytest.raises(RecordError, match=f"expected an object with call_type, {reason}"):
            read_call(record)


def test_calls_are_detected() -> None:
    assert detect(FIXTURES / "litellm.jsonl") == "litellm"
    assert not LITELLM.matches({"messages": [], "startTime": 1})
    assert not LITELLM.matches({"call_type": "x", "startTime": 1})
