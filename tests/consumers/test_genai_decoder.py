"""OpenTelemetry GenAI: which spans are one turn, and every form of the conventions, with Vercel's AI SDK."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import NOW, fixture_lines, write_lines
from otlp_support import START, TRACE, called, chat, decoded, document, keyed, said, span, turns, value

from consumers.decoders import Defaults
from consumers.ingest import ingest_file
from consumers.times import TimesRule
from monitor.errors import RecordError
from monitor.records import short_hash
from monitor.store import Store

FORMAT = "otel-genai"
CALL = {"id": "call_7", "type": "function", "function": {"name": "meter_reading", "arguments": '{"month":"2026-02"}'}}
ASK = [said("user", "hi")]


def line(number: int) -> Any:
    return orjson.loads(fixture_lines("otel_genai.jsonl")[number])


def turn_id(text: str, trace: str = TRACE) -> str:
    return f"{trace}-{short_hash(trace, text)}"


def test_an_agent_with_a_tool_is_one_turn() -> None:
    (turn,) = turns(FORMAT, line(0))
    assert turn.turn_id == turn_id("What did I use in February?")
    assert (turn.user_text, turn.assistant_text) == ("What did I use in February?", "You used 212 kWh in February.")
    assert turn.system_prompt == "You help customers of an energy company."
    assert (turn.conversation_id, turn.user_id) == ("conv-5", "cust-81")
    assert (turn.model, turn.provider) == ("small-1-2026", "openai")
    assert (turn.app, turn.environment) == ("tariff-bot", "production")
    assert turn.created_at == datetime(2026, 3, 1, 9, 30, 0, 20_000)
    assert (turn.latency_ms, turn.time_to_first_token_ms) == (2500.0, 1250.0)
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (280, 32, None)
    assert turn.tool_calls == [CALL]
    assert turn.calls is not None
    assert [(call["name"], call["kind"], call.get("input_tokens")) for call in turn.calls] == [
        ("chat small-1", "llm", 120),
        ("meter_reading", "tool", None),
        ("chat small-1", "llm", 160),
    ]
    assert turn.metadata is not None and turn.metadata["gen_ai.agent.name"] == "tariff-agent"
    assert (turn.modalities, turn.runtime_error, turn.turn_index) == (None, None, None)


def test_a_loop_over_a_tool_without_an_agent_is_one_turn() -> None:
    ask = said("user", "How much?")
    first = called("meter_reading", "call_7", month="2026-02")
    told = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_7", "response": "212"}]}
    record = document(
        span("0a" * 8, chat([ask], [first]), ms=100),
        span("0c" * 8, chat([ask, first, told], [said("assistant", "212 kWh.")]), start_ms=300, ms=200),
        span("0b" * 8, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "m"}, start_ms=120, ms=100),
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.assistant_text, turn.tool_calls) == ("212 kWh.", [CALL])
    assert (turn.input_tokens, turn.output_tokens, turn.latency_ms) == (20, 10, 500.0)
    assert turn.calls is not None
    assert [call["kind"] for call in turn.calls] == ["llm", "tool", "llm"]


def test_words_before_a_tool_are_no_reply() -> None:
    back = {"role": "assistant", "parts": [{"type": "text", "content": "One moment."}, *called("look", "c1")["parts"]]}
    (turn,) = turns(FORMAT, document(span("0a" * 8, chat(ASK, [back]))))
    assert turn.assistant_text is None
    assert turn.calls is not None and turn.calls[0]["text"] == "One moment."
    # Its agent has ended, and so the words are all that it said.
    agent = {**chat(ASK, [back]), "gen_ai.operation.name": "invoke_agent"}
    (turn,) = turns(FORMAT, document(span("0a" * 8, agent)))
    assert turn.assistant_text == "One moment."


def test_one_call_alone_has_no_calls() -> None:
    (turn,) = turns(FORMAT, document(span("0a" * 8, chat(ASK, [said("assistant", "hello")]))))
    assert (turn.calls, turn.tool_calls, turn.input_tokens) == (None, None, 10)


def test_outer_and_inner_in_two_records_are_one_turn() -> None:
    record = line(3)
    spans = record["resourceSpans"][0]["scopeSpans"][0]["spans"]
    whole = turns(FORMAT, record)
    assert len(whole) == 1
    for part in (spans[:1], spans[1:2], spans[1:], spans[3:]):
        assert [turn.turn_id for turn in turns(FORMAT, document(*part))] == [whole[0].turn_id]
    # The first step called a tool: the reply is left for the record that has it.
    assert turns(FORMAT, document(spans[1]))[0].assistant_text is None
    assert turns(FORMAT, document(spans[2])) == ()


def test_a_prompt_made_of_the_question_is_no_second_turn() -> None:
    question, prompt = said("user", "How much?"), said("user", "Rewrite as a search: How much?")
    record = document(
        span("0a" * 8, {**chat([question], [said("assistant", "12")]), "gen_ai.operation.name": "invoke_agent"}),
        span("0b" * 8, chat([prompt], [said("assistant", "price")]), parent="0a" * 8, start_ms=10),
        span("0c" * 8, chat([question], [said("assistant", "12")]), parent="0a" * 8, start_ms=20),
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.user_text, turn.assistant_text) == ("How much?", "12")
    assert turn.calls is not None and len(turn.calls) == 2


def test_a_later_message_under_the_same_span_is_its_own_turn() -> None:
    first, reply, second = said("user", "hi"), said("assistant", "hello"), said("user", "How much?")
    record = document(
        span("0a" * 8, {**chat([first]), "gen_ai.operation.name": "invoke_agent"}),
        span("0b" * 8, chat([first], [reply]), parent="0a" * 8, start_ms=10),
        span("0c" * 8, chat([first, reply, second], [said("assistant", "12")]), parent="0a" * 8, start_ms=20),
    )
    assert [(turn.user_text, turn.assistant_text) for turn in turns(FORMAT, record)] == [
        ("hi", "hello"),
        ("How much?", "12"),
    ]


def test_a_session_in_one_trace_keeps_every_message_also_the_same_twice() -> None:
    history: list[Any] = []
    spans = []
    for place, text in enumerate(("yes", "more", "yes")):
        history = [*history, said("user", text)]
        reply = said("assistant", f"reply {place}")
        spans.append(span(f"{place:016x}", chat(history, [reply]), start_ms=place * 100, parent="ff" * 8))
        history = [*history, reply]
    found = turns(FORMAT, document(*spans))
    assert [turn.assistant_text for turn in found] == ["reply 0", "reply 1", "reply 2"]
    assert len({turn.turn_id for turn in found}) == 3
    # Each alone has the same id.
    assert [turns(FORMAT, document(one))[0].turn_id for one in spans] == [turn.turn_id for turn in found]


def test_a_history_gives_the_last_message_only() -> None:
    sent = [said("user", "hi"), said("assistant", "hello"), said("user", "How much?")]
    (turn,) = turns(FORMAT, document(span("0a" * 8, chat(sent, [said("assistant", "12")]))))
    assert turn.user_text == "How much?"


def test_tokens_count_once() -> None:
    outer = {**chat(ASK, [said("assistant", "hello")], tokens=(30, 9)), "gen_ai.operation.name": "invoke_agent"}
    record = document(
        span("0a" * 8, outer),
        span("0b" * 8, chat(ASK, [said("assistant", "hello")], tokens=(30, 9)), parent="0a" * 8),
        span("0c" * 8, chat(ASK, [said("assistant", "hello")], tokens=(30, 9)), parent="0b" * 8),
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.input_tokens, turn.output_tokens) == (30, 9)
    assert turn.calls is not None and len(turn.calls) == 1


def test_two_instrumentations_of_one_call() -> None:
    record = document(
        span("0a" * 8, chat(ASK, [called("look", "c1")]), ms=50),
        span("0b" * 8, chat(ASK, [called("look", "c1")]), parent="0a" * 8, ms=40),
        span("0c" * 8, chat(ASK, [said("assistant", "hello")]), start_ms=100, ms=50),
        span("0d" * 8, chat(ASK, [said("assistant", "hello")]), parent="0c" * 8, start_ms=101, ms=40),
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.input_tokens, len(turn.calls or ())) == (20, 2)


def test_a_failed_call_that_was_tried_again() -> None:
    failed = {"status": {"code": 2, "message": "rate limit"}}
    agent = {**chat(ASK, [said("assistant", "hello")]), "gen_ai.operation.name": "invoke_agent"}
    again = document(
        span("0a" * 8, agent),
        span("0b" * 8, chat(ASK), parent="0a" * 8, **failed),
        span("0c" * 8, chat(ASK, [said("assistant", "hello")]), parent="0a" * 8, start_ms=50),
    )
    (turn,) = turns(FORMAT, again)
    assert (turn.runtime_error, turn.calls is not None and turn.calls[0]["error"]) == (None, "rate limit")
    (turn,) = turns(FORMAT, document(span("0b" * 8, chat(ASK), **failed)))
    assert (turn.runtime_error, turn.assistant_text) == ("rate limit", None)


def test_messages_as_structured_values() -> None:
    attributes = {
        **chat([]),
        "gen_ai.input.messages": [said("system", "Be kind."), said("user", "hi")],
        "gen_ai.output.messages": [said("assistant", "hello"), said("assistant", "another choice")],
        "gen_ai.system_instructions": [{"type": "text", "content": "You help."}],
    }
    (turn,) = turns(FORMAT, document(span("0a" * 8, attributes)))
    assert (turn.user_text, turn.assistant_text, turn.system_prompt) == ("hi", "hello", "You help.\nBe kind.")


def test_messages_encoded_twice_and_in_the_event_of_details() -> None:
    twice = json.dumps(json.dumps([said("user", "hi")]))
    details = {"gen_ai.input.messages": twice, "gen_ai.output.messages": json.dumps([said("assistant", "hello")])}
    record = span(
        "0a" * 8,
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small-1"},
        events=[("gen_ai.client.inference.operation.details", details)],
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.user_text, turn.assistant_text, turn.model) == ("hi", "hello", "small-1")


def test_parts_keep_their_text_and_note_the_rest() -> None:
    parts = [
        {"type": "text", "content": "What is this?"},
        {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
        {"type": "blob", "mime_type": "audio/wav", "content": "aGk="},
        {"type": "file", "file_id": "f1"},
    ]
    (turn,) = turns(FORMAT, document(span("0a" * 8, chat([{"role": "user", "parts": parts}]))))
    assert (turn.user_text, turn.modalities) == ("What is this?", ["text", "image", "audio", "file"])


def test_results_of_tools_in_the_users_name_are_not_the_users_words() -> None:
    result = {"role": "user", "parts": [{"type": "tool_result", "tool_use_id": "c1", "content": "212"}]}
    sent = [said("user", "How much?"), called("look", "c1"), result]
    (turn,) = turns(FORMAT, document(span("0a" * 8, chat(sent, [said("assistant", "212")]))))
    assert turn.user_text == "How much?"
    assert turn.tool_calls == [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


def test_older_events_hold_messages() -> None:
    card, invoice = turns(FORMAT, line(1))
    assert (card.user_text, card.assistant_text) == ("Can I pay by card?", "Yes, in the app.")
    assert (card.system_prompt, card.provider, card.input_tokens) == ("Answer briefly.", "az.ai.inference", 31)
    assert (invoice.user_text, invoice.assistant_text) == ("And by invoice?", "Also by invoice.")


def test_events_with_parts_as_json_and_with_tools() -> None:
    record = span(
        "0a" * 8,
        {"gen_ai.operation.name": "chat"},
        events=[
            ("gen_ai.user.message", {"content": '[{"text": "How much?"}]'}),
            (
                "gen_ai.assistant.message",
                {"content": '[{"toolUse": {"toolUseId": "c1", "name": "look", "input": {}}}]'},
            ),
            ("gen_ai.tool.message", {"content": "212", "id": "c1"}),
            ("gen_ai.choice", {"message": '[{"text": "212 kWh."}]', "finish_reason": "end_turn"}),
        ],
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.user_text, turn.assistant_text) == ("How much?", "212 kWh.")
    assert turn.tool_calls == [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


def test_earlier_events_and_logfires_list() -> None:
    earlier = span(
        "0a" * 8,
        {"gen_ai.system": "openai"},
        events=[
            ("gen_ai.content.prompt", {"gen_ai.prompt": '[{"role": "user", "content": "hi"}]'}),
            ("gen_ai.content.completion", {"gen_ai.completion": '[{"role": "assistant", "content": "hello"}]'}),
        ],
    )
    listed = [
        {"event.name": "gen_ai.user.message", "role": "user", "content": "hi"},
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "hello"}},
    ]
    for record in (earlier, span("0a" * 8, {"gen_ai.system": "openai", "events": json.dumps(listed)})):
        (turn,) = turns(FORMAT, record)
        assert (turn.user_text, turn.assistant_text) == ("hi", "hello")


def test_indexed_attributes_in_snake_case() -> None:
    (turn,) = turns(FORMAT, line(2))
    assert (turn.user_text, turn.modalities) == ("Is this my meter?", ["text", "image"])
    assert (turn.assistant_text, turn.system_prompt) == ("Yes, that is your meter.", "Be kind.")
    assert (turn.conversation_id, turn.user_id, turn.app) == ("s-12", "cust-9", "tariff-bot")
    assert (turn.model, turn.input_tokens, turn.output_tokens) == ("small-1-2026", 44, 7)


def test_indexed_tool_calls_and_older_names() -> None:
    attributes = {
        "llm.request.type": "chat",
        "gen_ai.prompt.0.content": "How much?",
        "gen_ai.prompt.1.role": "assistant",
        "gen_ai.prompt.1.tool_calls.0.id": "call_7",
        "gen_ai.prompt.1.tool_calls.0.name": "meter_reading",
        "gen_ai.prompt.1.tool_calls.0.arguments": '{"month":"2026-02"}',
        "gen_ai.prompt.2.role": "tool",
        "gen_ai.prompt.2.content": "212",
        "gen_ai.completion.0.content": "212 kWh.",
    }
    old = {
        name.replace("gen_ai.prompt", "llm.prompts").replace("gen_ai.completion", "llm.completions"): value
        for name, value in attributes.items()
    }
    for form in (attributes, old):
        (turn,) = turns(FORMAT, document(span("0a" * 8, form)))
        assert (turn.user_text, turn.assistant_text, turn.tool_calls) == ("How much?", "212 kWh.", [CALL])


def test_vercels_outer_and_inner_spans_are_one_turn() -> None:
    (turn,) = turns(FORMAT, line(3))
    assert (turn.user_text, turn.assistant_text) == (
        "I move on Friday, what must I do?",
        "Tell us the new address in the app.",
    )
    assert (turn.conversation_id, turn.user_id, turn.system_prompt) == ("web-3", "cust-3", "You help.")
    assert (turn.model, turn.provider) == ("small-1-2026", "openai.chat")
    assert (turn.input_tokens, turn.output_tokens, turn.latency_ms) == (90, 21, 3000.0)
    assert turn.time_to_first_token_ms == 1200.0
    assert turn.tool_calls == [
        {"id": "t1", "type": "function", "function": {"name": "contract", "arguments": '{"of":"me"}'}}
    ]
    assert turn.calls is not None
    assert [call["name"] for call in turn.calls] == ["ai.streamText.doStream", "contract", "ai.streamText.doStream"]
    assert turn.metadata is not None and turn.metadata["channel"] == "app"


def test_vercels_times_are_pairs() -> None:
    (turn,) = turns(FORMAT, line(4))
    assert (turn.created_at, turn.latency_ms) == (datetime(2026, 3, 1, 9, 30, 0, 250_000), 750.0)
    assert (turn.user_text, turn.assistant_text, turn.input_tokens) == ("Where is my bill?", "Under Documents.", 12)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ('{"prompt": "hi"}', "hi"),
        ('{"system": "You help.", "prompt": "[1, 2]"}', "[1, 2]"),
        (
            '{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "file", "data": ""}]}]}',
            "hi",
        ),
        ('{"prompt": [{"role": "user", "content": "hi"}]}', "hi"),
    ],
)
def test_vercels_prompts(prompt: str, text: str) -> None:
    attributes = {"ai.operationId": "ai.generateObject", "ai.prompt": prompt, "ai.response.object": '{"a": 1}'}
    (turn,) = turns(FORMAT, document(span("0a" * 8, attributes)))
    assert (turn.user_text, turn.assistant_text) == (text, '{"a": 1}')


def test_vercels_marks_beside_messages_in_the_current_form() -> None:
    attributes = {"ai.operationId": "ai.generateText", **chat(ASK, [said("assistant", "hello")])}
    (turn,) = turns(FORMAT, document(span("0a" * 8, attributes)))
    assert (turn.user_text, turn.assistant_text, turn.model) == ("hi", "hello", "small-1")


def test_an_evaluation_in_the_span_is_feedback() -> None:
    result = decoded(FORMAT, line(1))
    (event,) = result.events
    assert (event.kind, event.turn_id) == ("feedback", result.turns[1].turn_id)
    assert event.created_at == datetime(2026, 3, 1, 9, 30, 10)
    assert event.fields == {
        "feedback_score": 0.75,
        "feedback_comment": "Says how.",
        "metadata": {"name": "helpfulness", "label": "good"},
    }


def test_a_judge_below_the_call_is_feedback_and_no_turn() -> None:
    judge = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "rude"}
    record = document(
        span("0a" * 8, chat(ASK, [said("assistant", "hello")])),
        span("0b" * 8, judge, parent="0a" * 8),
        span("0c" * 8, chat([said("user", "Rate this.")]), parent="0b" * 8),
    )
    result = decoded(FORMAT, record)
    assert len(result.turns) == 1
    assert [dict(event.fields) for event in result.events] == [
        {"feedback_comment": "rude", "metadata": {"name": "tone", "label": "rude"}}
    ]


def test_a_score_without_its_turn_is_refused() -> None:
    judge = span("0b" * 8, {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 1.0}, parent="0a" * 8)
    with pytest.raises(RecordError, match="a score without its turn; export the span that it is about in the same"):
        decoded(FORMAT, document(judge))
    # Beside other turns it costs nothing else.
    other = span("0c" * 8, chat(ASK), trace="1" * 32)
    result = decoded(FORMAT, document(judge, other))
    assert (len(result.turns), result.events) == (1, ())


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    """An OTLP document of logs, all of one span."""
    common = {"traceId": TRACE, "spanId": "0a" * 8, "timeUnixNano": str(START)}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [{**common, **one} for one in records]}]}]}


def test_events_that_come_as_logs() -> None:
    of = [{"key": "gen_ai.system", "value": {"stringValue": "openai"}}]
    record = logs(
        {"eventName": "gen_ai.user.message", "attributes": of, "body": value({"content": "hi", "role": "user"})},
        {"eventName": "gen_ai.choice", "attributes": of, "body": value({"index": 0, "message": {"content": "hello"}})},
        {"eventName": "gen_ai.evaluation.result", "attributes": keyed({"gen_ai.evaluation.score.value": 1.0})},
        {"traceId": "", "body": {"stringValue": "no span"}},
    )
    result = decoded(FORMAT, record)
    (turn,) = result.turns
    assert (turn.turn_id, turn.assistant_text, turn.provider) == (turn_id("hi"), "hello", "openai")
    assert turn.created_at == datetime(2026, 3, 1, 9, 30)
    assert [event.turn_id for event in result.events] == [turn.turn_id]
    details = {**chat(ASK, [said("assistant", "hello")]), "gen_ai.conversation.id": "conv-5"}
    (turn,) = turns(
        FORMAT, logs({"eventName": "gen_ai.client.inference.operation.details", "attributes": keyed(details)})
    )
    assert (turn.turn_id, turn.assistant_text, turn.conversation_id) == (turn_id("hi"), "hello", "conv-5")
    # Beside their span they add to it.
    (turn,) = turns(FORMAT, [record, document(span("0a" * 8, {"gen_ai.request.model": "small-1"}))])
    assert (turn.user_text, turn.model, turn.latency_ms) == ("hi", "small-1", 1000.0)
    assert decoded(FORMAT, logs({"body": {"stringValue": "started"}})).turns == ()


def test_a_title_is_no_answer() -> None:
    agent = {**chat(ASK, [said("assistant", "hello")]), "gen_ai.operation.name": "invoke_agent"}
    record = document(
        span("0a" * 8, agent),
        span("0b" * 8, chat(ASK, [said("assistant", "hello")], model="large-1"), parent="0a" * 8),
        span(
            "0c" * 8, chat([said("user", "Title: hi")], [said("assistant", "A greeting")]), parent="0a" * 8, start_ms=9
        ),
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.assistant_text, turn.model) == ("hello", "large-1")


def test_spans_of_a_trace_line_by_line_are_stored_as_one_turn(tmp_path: Path) -> None:
    spans = line(3)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    path = write_lines(tmp_path / "spans.jsonl", [document(one) for one in reversed(spans)])
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        done = ingest_file(store, path, clock=lambda: NOW)
        assert (done.format, done.counts.records, done.counts.turns, done.counts.dead_letters) == (FORMAT, 4, 1, 0)
        (turn,) = store.turns.fetch(store.turns.read(columns=["turn_key"]).column(0).to_pylist())
    assert turn.assistant_text == "Tell us the new address in the app."
    assert (turn.system_prompt, turn.conversation_id) == ("You help.", "web-3")


def test_documents_of_a_retrieval_beside_the_call() -> None:
    found = [{"id": "faq-1", "score": 0.9}]
    retrieval = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": json.dumps(found)}
    record = document(
        span("0a" * 8, retrieval, ms=10),
        span("0b" * 8, chat(ASK, [said("assistant", "hello")]), start_ms=20),
    )
    (turn,) = turns(FORMAT, record)
    assert turn.retrieved_documents == found


@pytest.mark.parametrize(
    "record",
    [
        line(5),
        {"resourceSpans": []},
        document(),
        document(span("0a" * 8, chat([]))),
        document(span("0a" * 8, chat([said("user", "  ")]))),
        document(span("0a" * 8, chat([{"role": "user", "parts": [{"type": "uri", "modality": "image"}]}]))),
        document(span("0a" * 8, {"gen_ai.operation.name": "embeddings", "gen_ai.input.messages": "hi"})),
        document(span("0a" * 8, {"ai.operationId": "ai.embed", "ai.value": '"hi"'})),
        document(span("0a" * 8, {**chat(ASK), "gen_ai.operation.name": "invoke_agent"}, parent="0b" * 8)),
    ],
)
def test_nothing_said_gives_nothing(record: Any) -> None:
    result = decoded(FORMAT, record)
    assert (result.turns, result.events) == ((), ())


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("gen_ai.usage.input_tokens", -1, "expected a whole number from 0 to"),
        ("gen_ai.request.model", 5, "expected a text, got a number"),
        ("gen_ai.input.messages", 5, "expected a list of messages, got a number"),
        ("gen_ai.input.messages", "[5]", "expected a message, got a number"),
        ("gen_ai.input.messages", '[{"role": 5, "content": "secret"}]', "expected a text, got a number"),
        ("gen_ai.input.messages", '[{"role": "user", "parts": [5]}]', "expected a text or a list of parts"),
        ("gen_ai.input.messages", '[{"role": "user", "parts": [{"type": "text", "content": 5}]}]', "expected a text"),
        ("gen_ai.response.time_to_first_chunk", "soon", "expected a number"),
        ("gen_ai.evaluation.score.value", "high", "expected a number, got 'high'"),
        ("session.id", [1], "expected a text, got a list"),
    ],
)
def test_a_bad_attribute_is_named(attribute: str, value: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decoded(FORMAT, document(span("0a" * 8, {**chat(ASK), attribute: value})))
    assert f"resourceSpans[0].scopeSpans[0].spans[0].attributes.{attribute}" in str(caught.value)
    assert reason in str(caught.value) and "secret" not in str(caught.value)


def test_bad_calls_of_vercel_are_named() -> None:
    attributes = {"ai.prompt": '{"prompt": "hi"}', "ai.response.toolCalls": "secret"}
    with pytest.raises(RecordError, match=r"attributes\.ai\.response\.toolCalls: expected a list of calls, got a text"):
        decoded(FORMAT, document(span("0a" * 8, attributes)))


def test_a_span_that_comes_twice_counts_once() -> None:
    one = span("0a" * 8, chat(ASK, [said("assistant", "hello")]))
    (turn,) = turns(FORMAT, [document(one), document(one)])
    assert turn.input_tokens == 10


def test_a_circle_of_parents_ends() -> None:
    record = document(
        span("0a" * 8, chat(ASK), parent="0b" * 8),
        span("0b" * 8, chat(ASK), parent="0a" * 8),
        span("0c" * 8, {}, parent="0c" * 8),
    )
    assert len(turns(FORMAT, record)) == 1


def test_the_rule_for_times_serves_spans_without_one() -> None:
    rule = Defaults(NOW, TimesRule.parse("at:2026-03-02"))
    (turn,) = decoded(FORMAT, {**span("0a" * 8, chat(ASK)), "startTimeUnixNano": "0"}, rule).turns
    assert turn.created_at == datetime(2026, 3, 2)


@pytest.mark.slow
def test_a_batch_of_many_traces_is_linear() -> None:
    def batch(traces: int) -> Any:
        spans = []
        for number in range(traces):
            trace = f"{number:032x}"
            for place in range(4):
                parent = f"{place - 1:016x}" if place else None
                spans.append(span(f"{place:016x}", chat(ASK, [said("assistant", "x")]), trace=trace, parent=parent))
        return document(*spans)

    def deep(length: int) -> Any:
        return document(*(span(f"{n:016x}", chat(ASK), parent=f"{n - 1:016x}" if n else None) for n in range(length)))

    def session(length: int) -> Any:
        return document(*(span(f"{n:016x}", chat([said("user", f"m{n}")]), start_ms=n) for n in range(length)))

    for make in (batch, deep, session):
        small, large = make(100), make(800)
        assert len(turns(FORMAT, large)) == {batch: 800, deep: 1, session: 800}[make]
        took = []
        for record in (small, large):
            times = []
            for _ in range(3):
                begin = time.perf_counter()
                turns(FORMAT, record)
                times.append(time.perf_counter() - begin)
            took.append(timedelta(seconds=min(times)))
        assert took[1] < 30 * took[0]
