"""OpenInference: chains with retrieval, calls of tools, values of every kind, annotations."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import orjson
import pytest
from ingest_support import fixture_lines
from otlp_support import chat, decoded, document, messages, said, span, turns

from monitor.errors import RecordError

FORMAT = "openinference"
KIND = "openinference.span.kind"


def line(number: int) -> Any:
    return orjson.loads(fixture_lines("openinference.jsonl")[number])


def llm(*sent: tuple[str, str], reply: str | None = "hello", **more: Any) -> dict[str, Any]:
    back = messages("output", ("assistant", reply)) if reply is not None else {}
    return {KIND: "LLM", "llm.model_name": "small-1", **messages("input", *sent), **back, **more}


def test_a_chain_with_retrieval_is_one_turn() -> None:
    (turn,) = turns(FORMAT, line(0))
    assert (turn.user_text, turn.assistant_text) == ("How do I cancel my contract?", "In the app, under Contract.")
    assert (turn.conversation_id, turn.user_id, turn.app) == ("web-77", "cust-42", "tariff-bot")
    assert (turn.created_at, turn.latency_ms) == (datetime(2026, 3, 1, 9, 30), 2200.0)
    assert (turn.model, turn.provider, turn.system_prompt) == ("small-1", "openai", "You help.")
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (310, 12, 0.0042)
    assert turn.prompt_template == "Answer from these pages.\n\nPages: {pages}\n\nQuestion: {question}"
    assert (turn.prompt_version, turn.prompt_variables) == ("v3", {"question": "How do I cancel my contract?"})
    assert turn.retrieved_documents == [
        {"id": "faq-12", "content": "Contracts end after a month.", "score": 0.83, "metadata": {"page": 4}},
        {"id": "faq-2", "content": "The app shows your contract.", "score": 0.5},
    ]
    assert turn.calls is not None and [call["name"] for call in turn.calls] == ["retrieve", "ChatCompletion"]
    assert turn.metadata is not None
    assert (turn.metadata["channel"], turn.metadata["tag.tags"]) == ("web", ["beta", "de"])


def test_a_loop_over_a_tool_is_one_turn_with_its_annotation() -> None:
    result = decoded(FORMAT, line(1))
    (turn,) = result.turns
    assert (turn.user_text, turn.assistant_text) == ("What does this bill say?", "You owe 84 euros.")
    assert turn.modalities == ["text", "image"]
    assert turn.tool_calls == [
        {"id": "call_1", "type": "function", "function": {"name": "read_bill", "arguments": '{"page": 1}'}}
    ]
    assert (turn.input_tokens, turn.output_tokens, turn.time_to_first_token_ms) == (60, 13, 1560.0)
    assert turn.calls is not None
    assert [call["name"] for call in turn.calls] == ["ChatCompletion", "read_bill", "ChatCompletion"]
    (event,) = result.events
    assert (event.kind, event.turn_id) == ("feedback", turn.turn_id)
    assert event.fields == {
        "feedback_score": 1.0,
        "feedback_comment": "The sum is right.",
        "metadata": {"name": "correctness", "label": "correct", "annotator_kind": "HUMAN"},
    }


def test_one_span_a_line() -> None:
    (turn,) = turns(FORMAT, line(2))
    assert (turn.user_text, turn.assistant_text, turn.conversation_id) == (
        "thanks!",
        "You are welcome.",
        "c30c63257de34c926f9efcd03927272e",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("How much?", "How much?"),
        ('{"input": "How much?"}', "How much?"),
        ('{"question": "How much?", "history": []}', "How much?"),
        ('{"query": {"query_str": "How much?"}}', "How much?"),
        ('"{\\"question\\": \\"How much?\\"}"', "How much?"),
        ('{"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "How much?"}]}', "How much?"),
        (
            '{"messages": [[{"id": ["x", "HumanMessage"], "kwargs": {"type": "human", "content": "How much?"}}]]}',
            "How much?",
        ),
        ('[{"type": "human", "content": "How much?"}]', "How much?"),
        ('{"role": "user", "content": "How much?"}', "How much?"),
        ('{"customer": 81}', None),
        ("{'question': 'How much?'}", None),
        ("[1, 2]", None),
    ],
)
def test_the_input_of_a_chain(value: str, text: str | None) -> None:
    root = {KIND: "CHAIN", "input.value": value, "output.value": '{"output": "12"}'}
    inner = llm(("user", "Context: ... How much?"), reply="12")
    record = document(span("0a" * 8, root), span("0b" * 8, inner, parent="0a" * 8))
    (turn,) = turns(FORMAT, record)
    assert (turn.user_text, turn.assistant_text) == (text or "Context: ... How much?", "12")


def test_the_same_text_in_chain_and_call_counts_once() -> None:
    outer = {KIND: "AGENT", "input.value": "How much?", "output.value": "12"}
    parts = (span("0a" * 8, outer), span("0b" * 8, llm(("user", "How much?"), reply="12"), parent="0a" * 8))
    (whole,) = turns(FORMAT, document(*parts))
    assert [turns(FORMAT, document(part))[0].turn_id for part in parts] == [whole.turn_id] * 2


def test_a_step_below_a_root_elsewhere_is_no_turn() -> None:
    step = {KIND: "CHAIN", "input.value": "Context: ...", "output.value": "12"}
    assert turns(FORMAT, document(span("0a" * 8, step, parent="0f" * 8))) == ()
    inner = span("0b" * 8, llm(("user", "How much?")), parent="0a" * 8)
    (turn,) = turns(FORMAT, document(span("0a" * 8, step, parent="0f" * 8), inner))
    assert turn.user_text == "Context: ..."


@pytest.mark.parametrize("kind", ["TOOL", "RETRIEVER", "EMBEDDING", "RERANKER", "EVALUATOR", "GUARDRAIL"])
def test_other_kinds_are_no_turn(kind: str) -> None:
    record = document(
        span("0a" * 8, {KIND: kind, "input.value": "How much?"}),
        span("0b" * 8, {KIND: "CHAIN", "input.value": "x"}, parent="0a" * 8),
    )
    assert turns(FORMAT, record) == ()


def test_a_guard_beside_the_call_asks_nothing() -> None:
    record = document(
        span("0a" * 8, {KIND: "GUARDRAIL", "input.value": "hi"}),
        span("0b" * 8, llm(("user", "Is this harmful: hi"), reply="no"), parent="0a" * 8, start_ms=1),
        span("0c" * 8, llm(("user", "hi")), start_ms=50),
    )
    (turn,) = turns(FORMAT, record)
    assert (turn.user_text, turn.assistant_text) == ("hi", "hello")


def test_a_call_without_messages_says_its_values() -> None:
    request = {
        "model": "small-1",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    }
    attributes = {KIND: "LLM", "input.value": json.dumps(request), "output.value": "hello"}
    (turn,) = turns(FORMAT, document(span("0a" * 8, attributes)))
    assert (turn.user_text, turn.assistant_text, turn.system_prompt) == ("hi", "hello", "Be kind.")
    prompts = {KIND: "LLM", "llm.prompts.0.prompt.text": "Once upon", "output.value": " a time"}
    (turn,) = turns(FORMAT, document(span("0a" * 8, prompts)))
    assert (turn.user_text, turn.assistant_text) == ("Once upon", " a time")


def test_messages_as_a_list_and_with_a_function_call() -> None:
    listed = [{"message.role": "user", "message.content": "hi"}]
    for form in (listed, json.dumps(listed)):
        (turn,) = turns(FORMAT, document(span("0a" * 8, {KIND: "LLM", "llm.input_messages": form})))
        assert turn.user_text == "hi"
    old = {
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.function_call_name": "look",
        "llm.output_messages.0.message.function_call_arguments_json": "{}",
    }
    (turn,) = turns(FORMAT, document(span("0a" * 8, llm(("user", "hi"), reply=None, **old))))
    assert turn.tool_calls == [{"type": "function", "function": {"name": "look", "arguments": "{}"}}]


def test_annotations_of_the_trace_and_evaluations() -> None:
    scores = {
        "trace.annotations.0.annotation.name": "retrieval",
        "trace.annotations.0.annotation.score": 0.5,
        "evaluations.0.evaluation.name": "tone",
        "evaluations.0.evaluation.label": "kind",
        "session.annotations.0.annotation.name": "session",
        "session.annotations.0.annotation.score": 0,
    }
    record = document(span("0a" * 8, llm(("user", "hi"), **scores)))
    events = decoded(FORMAT, record).events
    assert [(event.fields["metadata"]["name"], event.fields.get("feedback_score")) for event in events] == [
        ("tone", None),
        ("retrieval", 0.5),
    ]


def test_a_batch_may_mix_conventions() -> None:
    other = span("0b" * 8, chat([said("user", "How much?")]), trace="1" * 32)
    record = document(span("0a" * 8, llm(("user", "hi"))), other)
    for name in (FORMAT, "otel-genai"):
        assert [turn.user_text for turn in turns(name, record)] == ["hi", "How much?"]


@pytest.mark.parametrize("metadata", ["no json", "[1]", '{"a": 1}'])
def test_metadata_of_any_kind(metadata: str) -> None:
    (turn,) = turns(FORMAT, document(span("0a" * 8, llm(("user", "hi"), metadata=metadata))))
    expected = {"no json": {"metadata": "no json"}, "[1]": {"metadata": [1]}, '{"a": 1}': {"a": 1}}[metadata]
    assert turn.metadata == {**expected, "span_id": "0a" * 8}


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        (KIND, 5, "expected a text, got a number"),
        ("llm.token_count.prompt", "many", "expected a number, got 'many'"),
        ("llm.cost.total", -1.0, "expected 0 or more"),
        ("llm.model_name", 5, "expected a text, got a number"),
        ("llm.input_messages", "secret", "expected a list of messages, got a text"),
        ("llm.input_messages", ["secret", 5], "expected a message, got a number"),
        ("retrieval.documents.0", "secret", "expected documents, got a text"),
        ("annotations.0.annotation.score", "high", "expected a number, got 'high'"),
        ("user.id", [1], "expected a text, got a list"),
    ],
)
def test_a_bad_attribute_of_openinference_is_named(attribute: str, value: Any, reason: str) -> None:
    attributes = {**llm(("user", "hi")), attribute: value}
    with pytest.raises(RecordError) as caught:
        decoded(FORMAT, document(span("0a" * 8, attributes)))
    assert attribute.removesuffix(".0") in str(caught.value) and reason in str(caught.value)
    assert "secret" not in str(caught.value)
