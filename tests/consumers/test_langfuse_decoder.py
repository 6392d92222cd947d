"""Langfuse: traces, batches of the ingestion API, and parts of traces that come alone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, fixture_lines

from consumers.decoders import DECODERS, Decoded, Defaults, decoder_named
from monitor.errors import RecordError
from monitor.records import Turn
from monitor.store.identity import TURN, incoming, merge

RECORDS = [orjson.loads(line) for line in fixture_lines("langfuse.jsonl")]
HI = {"type": "output_text", "text": "hi"}
TRACE, ALONE, JOB, BATCH, LATER, GENERATION, SCORE = RECORDS


def decode(record: Any) -> Decoded:
    return decoder_named("langfuse").decode(record, at(0), Defaults(NOW))


def turn_of(record: Any) -> Turn:
    (turn,) = decode(record).turns
    return turn


def said(turn: Turn) -> dict[str, Any]:
    return {name: value for name, value in asdict(turn).items() if value is not None}


def trace(**fields: Any) -> dict[str, Any]:
    return {"id": "t", "timestamp": "2026-03-02T08:00:00Z", "sessionId": None, **fields}


def generation(**fields: Any) -> dict[str, Any]:
    return {"id": "g", "traceId": "t", "type": "GENERATION", "startTime": "2026-03-02T08:00:00Z", **fields}


def test_langfuse_trace_with_observations_is_one_turn() -> None:
    turn = turn_of(TRACE)
    assert (turn.turn_id, turn.conversation_id, turn.user_id) == ("tr-1", "ses-9", "cust-17")
    assert turn.user_text == "Why is my bill for March twice as high as for February?"
    assert turn.assistant_text == "Your March bill also holds the yearly adjustment of 84 euros."
    assert turn.system_prompt == "You answer customers of Nordlicht Energy."
    assert (turn.turn_index, turn.created_at) == (1, datetime(2026, 3, 2, 8, 15))
    assert (turn.model, turn.prompt_template, turn.prompt_version) == ("gpt-4o-mini", "support-answer", "7")
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (650, 52, 0.0031)
    assert (turn.latency_ms, turn.time_to_first_token_ms) == (4200, 350)
    assert (turn.environment, turn.runtime_error) == ("production", None)
    assert turn.metadata == {"name": "support-chat", "tags": ["billing"], "release": "2026.3", "channel": "web"}


def test_langfuse_observations_become_calls_in_order() -> None:
    turn = turn_of(TRACE)
    assert turn.calls == [
        {"name": "handbook", "latency_ms": 300.0},
        {
            "name": "plan",
            "model": "gpt-4o",
            "input_tokens": 250,
            "output_tokens": 12,
            "cost_usd": 0.0011,
            "latency_ms": 1000.0,
        },
        {"name": "get_bill", "latency_ms": 400.0, "error": "first try timed out"},
        {
            "name": "answer",
            "model": "gpt-4o-mini",
            "input_tokens": 400,
            "output_tokens": 40,
            "cost_usd": 0.002,
            "latency_ms": 2200.0,
        },
    ]
    assert [call["id"] for call in turn.tool_calls or ()] == ["call_1"]
    assert [document["metadata"]["source"] for document in turn.retrieved_documents or ()] == ["billing.md", "pay.md"]


def test_langfuse_scores_are_events_on_the_turn() -> None:
    thumb, label = decode(TRACE).events
    assert (thumb.kind, thumb.turn_id, thumb.created_at) == (
        "feedback",
        "tr-1",
        datetime(2026, 3, 2, 8, 16, 0, 500000),
    )
    assert thumb.fields["feedback_score"] == -1.0
    assert thumb.fields["feedback_comment"] == "That does not explain it."
    assert (label.kind, "feedback_score" in label.fields) == ("outcome", False)
    assert label.fields["metadata"] == {
        "name": "tone",
        "value": "polite",
        "source": "ANNOTATION",
        "observation_id": "ob-4",
    }
    (stars,) = decode(SCORE).events
    assert (stars.turn_id, stars.fields["feedback_score"], decode(SCORE).turns) == ("tr-6", 2.5, ())


def test_langfuse_trace_without_observations() -> None:
    assert said(turn_of(ALONE)) == {
        "turn_id": "tr-2",
        "user_text": "How do I read my meter?",
        "assistant_text": "Note the digits before the comma.",
        "created_at": datetime(2026, 3, 2, 8, 20),
        "conversation_id": "ses-9",
        "environment": "production",
        "metadata": {"name": "support-chat"},
    }


def test_langfuse_trace_without_a_user_is_empty() -> None:
    assert decode(JOB) == Decoded()
    assert decode(trace(input=[{"role": "system", "content": "x"}])) == Decoded()
    assert decode(trace(input=None, observations=["ob-1"], scores=["sc-1"])) == Decoded()


def test_langfuse_batch_merges_what_it_holds() -> None:
    decoded = decode(BATCH)
    first, second = decoded.turns
    assert (first.turn_id, first.conversation_id, first.user_text) == ("tr-4", "ses-12", "Can I pay in instalments?")
    assert first.assistant_text == "Yes, up to six instalments are possible."
    assert (first.modalities, first.model) == (["text", "image"], "claude-3-5-haiku")
    assert (first.input_tokens, first.output_tokens, first.cost_usd) == (81, 14, 0.0003)
    assert (first.latency_ms, first.time_to_first_token_ms) == (1300, 300)
    assert first.metadata == {"name": "support-chat", "channel": "app", "plan": "green"}
    assert [call["latency_ms"] for call in first.calls or ()] == [1200]
    assert (second.turn_id, second.user_text, second.assistant_text) == (
        "tr-5",
        "When does the tariff change?",
        None,
    )
    assert [(event.turn_id, event.fields["feedback_score"]) for event in decoded.events] == [("tr-4", 1.0)]


def test_langfuse_batch_is_read_in_the_order_of_its_times() -> None:
    shuffled = {"batch": BATCH["batch"][::-1]}
    assert {turn.turn_id: turn for turn in decode(shuffled).turns} == {
        turn.turn_id: turn for turn in decode(BATCH).turns
    }


def test_langfuse_update_without_the_question_is_an_outcome() -> None:
    decoded = decode(LATER)
    (event,) = decoded.events
    assert decoded.turns == ()
    assert (event.kind, event.turn_id) == ("outcome", "tr-5")
    assert event.fields == {"assistant_text": "On the first of April.", "input_tokens": 20, "output_tokens": 6}


def test_langfuse_generation_without_its_trace_has_the_trace_s_id() -> None:
    turn = turn_of(GENERATION)
    assert (turn.turn_id, turn.conversation_id) == ("tr-6", "tr-6")
    assert (turn.user_text, turn.assistant_text) == (
        "Is my green tariff really green?",
        "Yes, it comes from wind and water.",
    )
    assert (turn.model, turn.input_tokens, turn.metadata, turn.calls) == ("gpt-4o-mini", 30, None, None)


def test_langfuse_trace_after_its_generation_fills_and_differs_in_nothing() -> None:
    early = turn_of(GENERATION)
    late = turn_of(
        {
            **trace(id="tr-6", timestamp="2026-03-04T07:00:00Z", userId="u", metadata={"channel": "web"}),
            "input": "Is my green tariff really green?",
            "output": "Yes, it comes from wind and water.",
            "totalCost": 0.5,
            "observations": [{**GENERATION, "id": "ob-12"}],
        }
    )
    merged = merge(incoming(early).row, incoming(late).row)
    assert merged.conflicts == ()
    assert {"user_id", "cost_usd", "calls", "metadata"} <= set(merged.filled)
    assert merged.row[TURN.names.index("turn_id")] == "tr-6"


def test_langfuse_trace_without_text_takes_that_of_its_steps() -> None:
    top = generation(type="SPAN", id="s", input={"args": ["hi", "u1"], "kwargs": {}}, output="hello")
    inner = generation(input="Answer this: hi", output="HELLO", parentObservationId="s")
    turn = turn_of(trace(observations=[inner, top]))
    assert (turn.user_text, turn.assistant_text) == ("hi", "hello")
    turn = turn_of(trace(observations=[inner]))
    assert (turn.user_text, turn.assistant_text) == ("Answer this: hi", "HELLO")
    tool = generation(type="TOOL", input="hi", output="x")
    assert decode(trace(observations=[tool])) == Decoded()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("hi", "hi"),
        ('"hi"', "hi"),
        ('{"a": 1}', '{"a": 1}'),
        ("[1, 2]", "[1, 2]"),
        ("{not json", "{not json"),
        ({"role": "user", "content": "hi"}, "hi"),
        ('{"messages": [{"role": "user", "content": "hi"}]}', "hi"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ({"question": "hi", "user": "u1"}, "hi"),
        ({"input": "hi", "chat_history": []}, "hi"),
        ([{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}], "hi"),
        ({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, "hi"),
        ({"messages": [["system", "s"], ["user", "hi"]]}, "hi"),
        (
            {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": [{"type": "tool_result"}]}]},
            "hi",
        ),
    ],
)
def test_langfuse_input_in_every_shape(given: Any, text: str) -> None:
    assert turn_of(trace(input=given)).user_text == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("hi", "hi"),
        ('{"role": "assistant", "content": "hi"}', "hi"),
        ('{"intent": "billing"}', '{"intent": "billing"}'),
        ('{"result": 5}', '{"result": 5}'),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "hi"}]}, "hi"),
        ({"choices": [{"message": {"role": "assistant", "content": "hi"}}]}, "hi"),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "hi"}]}, "hi"),
        ([{"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "content": [HI]}], "hi"),
        ({"rows": 5}, None),
        ([], None),
    ],
)  # fmt: skip
def test_langfuse_output_in_every_shape(given: Any, text: str | None) -> None:
    assert turn_of(trace(input="q", output=given)).assistant_text == text


def test_langfuse_errors_count_when_nobody_was_answered() -> None:
    failed = generation(input="hi", level="ERROR", statusMessage="rate limit", endTime="2026-03-02T08:00:01Z")
    turn = turn_of(trace(input="hi", observations=[failed]))
    assert (turn.runtime_error, turn.calls) == ("rate limit", [{"latency_ms": 1000.0, "error": "rate limit"}])
    assert turn_of(trace(input="hi", output="yes", observations=[failed])).runtime_error is None


def test_langfuse_usage_in_its_older_forms() -> None:
    usage = {"input": 5, "output": 7, "total": 12, "unit": "TOKENS", "totalCost": 0.25}
    turn = turn_of(trace(input="hi", observations=[generation(usage=usage)]))
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (5, 7, 0.25)
    turn = turn_of(trace(input="hi", observations=[generation(usage={**usage, "unit": "CHARACTERS"})]))
    assert (turn.input_tokens, turn.output_tokens) == (None, None)
    turn = turn_of(trace(input="hi", observations=[generation(promptTokens=3, calculatedTotalCost=0.5)]))
    assert (turn.input_tokens, turn.cost_usd) == (3, 0.5)


def test_langfuse_absurd_times_leave_a_note() -> None:
    turn = turn_of(trace(input="hi", timestamp="soon"))
    assert turn.created_at == NOW
    assert "timestamp: 'soon' is no time" in (turn.metadata or {})["time_note"]
    turn = turn_of(trace(input="hi", timestamp=0, observations=[generation(input="hi")]))
    assert turn.created_at == datetime(2026, 3, 2, 8)
    assert (turn.metadata or {})["time_note"].endswith("the first step's stands in")


def test_langfuse_same_record_gives_the_same_ids() -> None:
    for record in RECORDS:
        decoder = decoder_named("langfuse")
        first = decoder.decode(record, at(0), Defaults(NOW))
        assert decoder.decode(record, at(99), Defaults(NOW)) == first


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "expected an object, got a list"),
        ({"timestamp": 1}, "id: missing; a trace is known by its id"),
        ({"batch": {}}, "batch: expected a list, got an object"),
        ({"batch": ["secret"]}, "batch[0]: expected an object, got a text"),
        ({"batch": [{"type": "ghost", "body": {}}]}, "batch[0].type: expected a type of the ingestion API"),
        ({"batch": [{"type": "trace-create", "body": 1}]}, "batch[0].body: expected an object, got a number"),
        ({"batch": [{"type": "trace-create", "body": {}}]}, "batch[0].body.id: missing"),
        (trace(observations={}), "observations: expected a list, got an object"),
        (trace(observations=[1]), "observations[0]: expected an object, got a number"),
        (trace(observations=[{"id": "g"}]), "observations[0].type: expected a text, got null"),
        (trace(observations=[generation(usageDetails=[])]), "observations[0].usageDetails: expected an object"),
        (trace(observations=[generation(usageDetails={"input": -1})]), "observations[0].usageDetails.input: expected a"),
        (trace(observations=[generation(costDetails={"total": "x"})]), "observations[0].costDetails.total: expected a n"),
        (trace(observations=[generation(model=5)]), "observations[0].model: expected a text, got a number"),
        (trace(observations=[generation(input=[{"role": "ghost", "content": "secret"}])]), "observations[0].input[0].role"),
        (trace(input=[{"role": "user", "content": 5}]), "input[0].content: expected a text or a list of parts"),
        (trace(input=[{"role": "user", "content": [5]}]), "input[0].content: expected parts to be objects or texts"),
        (trace(input=[{"role": "user", "content": "secret"}, "secret"]), "input[1]: expected an object, got a text"),
        (trace(input="\udc00"), "input: character 0 is half of a surrogate pair"),
        (trace(output="\udc00", input="secret"), "output: character 0 is half of a surrogate pair"),
        (trace(input="secret", sessionId=[]), "sessionId: expected a text, got a list"),
        (trace(input="secret", userId={}), "userId: expected a text, got an object"),
        (trace(input="secret", latency="long"), "latency: expected a number, got 'long'"),
        (trace(scores=[{"name": "n", "value": []}]), "scores[0].value: expected a number or a text, got a list"),
        (trace(scores=[{"value": 1}]), "scores[0].name: expected a text, got null"),
    ],
)  # fmt: skip
def test_langfuse_refuses_with_a_reason(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode(record)
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_langfuse_records_are_known_and_nobody_else_s(record: Any) -> None:
    assert [decoder.name for decoder in DECODERS if decoder.matches(record)] == ["langfuse"]


@pytest.mark.parametrize(
    "path", sorted(path for path in FIXTURES.glob("*.jsonl") if path.stem != "langfuse"), ids=lambda path: path.stem
)
def test_langfuse_leaves_other_formats_alone(path: Path) -> None:
    records = [orjson.loads(line) for line in fixture_lines(path.name)]
    assert not any(map(decoder_named("langfuse").matches, records))


def test_langfuse_download_of_one_trace() -> None:
    record = {"trace": {**ALONE, "id": "tr-9"}, "observations": [{**GENERATION, "traceId": "tr-9"}]}
    assert decoder_named("langfuse").matches(record)
    assert (turn_of(record).turn_id, turn_of(record).model) == ("tr-9", "gpt-4o-mini")


def test_langfuse_item_that_cannot_be_read_takes_no_other_trace_with_it() -> None:
    good = {"id": "e1", "type": "trace-create", "body": {"id": "tr-1", "input": "where is my parcel?"}}
    bad = [
        {"id": "e2", "type": "trace-create", "body": {"id": "tr-2", "input": "secret", "userId": {}}},
        {"id": "e3", "type": "poll-create", "body": {}},
        {"id": "e4", "type": "trace-create", "body": {"id": []}},
    ]
    found = decode({"batch": [bad[0], good, *bad[1:]]})
    assert [turn.turn_id for turn in found.turns] == ["tr-1"]
    # The first in the order of reading: items, then their traces.
    assert (
        found.refused == 3 and found.fault.startswith("batch[2].type: expected a type") and "secret" not in found.fault
    )
    assert decoder_named("langfuse").matches({"batch": [bad[1], good]})
