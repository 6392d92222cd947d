"""LangSmith: runs, runs inside runs, batch bodies of its clients, and feedback."""

from __future__ import annotations

import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, fixture_lines

from consumers.decoders import DECODERS, Decoded, Defaults, decoder_named
from consumers.times import TimesRule
from monitor.errors import RecordError
from monitor.records import Turn
from monitor.store.identity import incoming, merge

RECORDS = [orjson.loads(line) for line in fixture_lines("langsmith.jsonl")]
TREE, LLM, BATCH, CHILD, JOB, FEEDBACK = RECORDS


def decode(record: Any) -> Decoded:
    return decoder_named("langsmith").decode(record, at(0), Defaults(NOW))


def turn_of(record: Any) -> Turn:
    (turn,) = decode(record).turns
    return turn


def run(**fields: Any) -> dict[str, Any]:
    return {"id": "r", "run_type": "llm", "start_time": "2026-03-05T08:00:00", "inputs": {"input": "secret"}, **fields}


def serialised(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind], "kwargs": kwargs}


def test_langsmith_tree_of_runs_is_one_turn() -> None:
    turn = turn_of(TREE)
    assert (turn.turn_id, turn.conversation_id, turn.user_id) == (TREE["id"], "th-7", "cust-3")
    assert turn.user_text == "Why did my supplier change without my consent?"
    assert turn.assistant_text == "A change needs your signature; we will look into the contract."
    assert turn.system_prompt == "You answer customers of Nordlicht Energy."
    assert (turn.created_at, turn.turn_index, turn.environment) == (datetime(2026, 3, 5, 9), 0, "production")
    assert (turn.model, turn.provider) == ("gpt-4o-mini", "openai")
    assert (turn.prompt_template, turn.prompt_version) == ("support-answer", "ab12cd")
    assert (turn.input_tokens, turn.output_tokens, turn.cost_usd) == (420, 35, 0.00123)
    assert (turn.latency_ms, turn.time_to_first_token_ms, turn.runtime_error) == (6000, 4000, None)
    assert (turn.feedback_score, turn.feedback_comment) == (-1.0, "Not helpful")
    assert turn.metadata is not None
    assert (turn.metadata["name"], turn.metadata["channel"], turn.metadata["tags"]) == (
        "support-graph",
        "web",
        ["billing"],
    )
    assert turn.metadata["feedback_stats"]["correctness"]["avg"] == 0.9


def test_langsmith_child_runs_become_calls_in_order() -> None:
    turn = turn_of(TREE)
    assert [(call["name"], call.get("model"), call.get("error")) for call in turn.calls or ()] == [
        ("VectorStoreRetriever", None, None),
        ("ChatOpenAI", "gpt-4o", None),
        ("get_contract", None, "contract service slow"),
        ("ChatOpenAI", "gpt-4o-mini", None),
    ]
    assert (turn.calls or ())[3] == {
        "name": "ChatOpenAI",
        "model": "gpt-4o-mini",
        "input_tokens": 300,
        "output_tokens": 25,
        "cost_usd": 0.001,
        "latency_ms": 3000.0,
    }
    assert [call["id"] for call in turn.tool_calls or ()] == ["call_a"]
    assert [document["metadata"]["source"] for document in turn.retrieved_documents or ()] == ["switch.md"]


def test_langsmith_sums_the_model_runs_where_the_root_has_no_total() -> None:
    bare = {name: value for name, value in TREE.items() if name not in ("prompt_tokens", "total_cost", "outputs")}
    turn = turn_of(bare)
    assert (turn.input_tokens, turn.cost_usd) == (420, 0.001)
    assert turn.assistant_text == "A change needs your signature; we will look into the contract."


def test_langsmith_model_run_from_a_javascript_client() -> None:
    turn = turn_of(LLM)
    assert (turn.turn_id, turn.conversation_id, turn.turn_index) == (LLM["id"], "chat-5", 1)
    assert (turn.created_at, turn.latency_ms, turn.time_to_first_token_ms) == (datetime(2026, 3, 5, 10), 1500, 400)
    assert (turn.user_text, turn.modalities) == ("What is this letter?", ["text", "image"])
    assert (turn.assistant_text, turn.system_prompt) == ("It tells you the new price.", "Be brief.")
    assert (turn.model, turn.provider, turn.app) == ("gpt-4o-mini", "openai", "support-prod")
    assert (turn.input_tokens, turn.output_tokens, turn.calls) == (90, 12, None)


def test_langsmith_batch_lays_patches_over_posts() -> None:
    decoded = decode(BATCH)
    (turn,) = decoded.turns
    assert (turn.turn_id, turn.conversation_id) == (BATCH["post"][0]["id"], "conv-8")
    assert (turn.user_text, turn.assistant_text) == (
        "How do I cancel my contract?",
        "Send us a message with your contract number.",
    )
    assert (turn.created_at, turn.latency_ms, turn.app) == (datetime(2026, 3, 6, 8), 1200, "support-prod")
    assert turn.calls == [
        {
            "name": "ChatAnthropic",
            "model": "claude-3-5-haiku",
            "input_tokens": 40,
            "output_tokens": 11,
            "latency_ms": 1000.0,
        }
    ]
    (event,) = decoded.events
    assert (event.kind, event.turn_id) == ("outcome", BATCH["patch"][2]["id"])
    assert event.fields == {"assistant_text": "Your tariff stays the same."}


def test_langsmith_calls_wait_until_they_are_finished() -> None:
    assert turn_of({"post": BATCH["post"]}).calls is None
    early, late = turn_of({"post": BATCH["post"]}), turn_of(BATCH)
    merged = merge(incoming(early).row, incoming(late).row)
    assert merged.conflicts == ()
    assert {"assistant_text", "calls", "latency_ms", "input_tokens"} <= set(merged.filled)


def test_langsmith_patch_that_repeats_the_inputs_fills_the_turn() -> None:
    early = turn_of(run(trace_id="r"))
    late = turn_of({"patch": [run(trace_id="r", outputs={"output": "yes"}, end_time="2026-03-05T08:00:02")]})
    merged = merge(incoming(early).row, incoming(late).row)
    assert (merged.conflicts, set(merged.filled)) == ((), {"assistant_text", "latency_ms"})


def test_langsmith_child_alone_speaks_for_its_trace() -> None:
    turn = turn_of(CHILD)
    assert (turn.turn_id, turn.conversation_id) == (CHILD["trace_id"], "th-9")
    assert (turn.user_text, turn.assistant_text) == ("Is my meter smart?", "Yes, it sends its own readings.")
    assert (turn.model, turn.input_tokens, turn.metadata, turn.calls) == ("gpt-4o-mini", 12, None, None)
    root = run(id=CHILD["trace_id"], run_type="chain", inputs={"question": "Is my meter smart?"})
    late = turn_of({**root, "start_time": CHILD["start_time"], "extra": CHILD["extra"], "child_runs": [CHILD]})
    merged = merge(incoming(turn).row, incoming(late).row)
    assert merged.conflicts == ()
    assert {"calls", "metadata"} <= set(merged.filled)


def test_langsmith_retriever_alone_leaves_its_documents() -> None:
    alone = {**TREE["child_runs"][0]}
    (event,) = decode(alone).events
    assert (event.kind, event.turn_id, decode(alone).turns) == ("outcome", TREE["id"], ())
    assert list(event.fields) == ["retrieved_documents"]
    tool = {**TREE["child_runs"][1]["child_runs"][2]}
    assert decode(tool) == Decoded()


def test_langsmith_trace_is_known_by_its_dotted_order() -> None:
    order = CHILD["dotted_order"]
    child = {name: value for name, value in CHILD.items() if name not in ("trace_id", "parent_run_id")}
    assert turn_of(child).turn_id == CHILD["trace_id"]
    assert turn_of({**child, "dotted_order": None, "parent_run_id": "p"}).turn_id == "p"
    assert order.startswith("2026")


def test_langsmith_runs_without_a_user_are_empty() -> None:
    assert decode(JOB) == Decoded()
    assert decode(run(inputs={"messages": [serialised("SystemMessage", content="x")]})) == Decoded()


def test_langsmith_feedback_is_an_event_on_the_trace() -> None:
    decoded = decode(FEEDBACK)
    (event,) = decoded.events
    assert (decoded.turns, event.kind, event.turn_id) == ((), "feedback", CHILD["trace_id"])
    assert event.created_at == datetime(2026, 3, 6, 9, 6)
    assert (event.fields["feedback_score"], event.fields["feedback_comment"]) == (1.0, "thanks")
    (tag,) = decode({**FEEDBACK, "score": None, "value": "billing", "comment": None}).events
    assert (tag.kind, tag.fields["metadata"]["value"]) == ("outcome", "billing")
    assert decode({**FEEDBACK, "run_id": None, "trace_id": None}) == Decoded()


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"input": "hi"}, "hi"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "hi"),
        ({"messages": [serialised("HumanMessage", content="hi")]}, "hi"),
        ({"messages": [[serialised("HumanMessageChunk", content=["hi", {"type": "image_url"}])]]}, "hi"),
        ({"messages": [{"id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "hi"}}]}, "hi"),
        ({"messages": [{"type": "human", "data": {"content": "hi"}}, {"type": "ai", "data": {"content": "x"}}]}, "hi"),
        ({"messages": [serialised("ChatMessage", content="hi", role="user")]}, "hi"),
        ({"messages": [serialised("HumanMessage", content="hi"), serialised("RemoveMessage", content="")]}, "hi"),
        ({"input": {"id": ["langchain", "ChatPromptValue"], "kwargs": {"messages": [["human", "hi"]]}}}, "hi"),
        ({"prompts": ["hi"]}, "hi"),
        ({"input": '[{"role": "user", "content": "hi"}]'}, "hi"),
    ],
)  # fmt: skip
def test_langsmith_inputs_in_every_shape(inputs: Any, text: str) -> None:
    assert turn_of(run(inputs=inputs)).user_text == text


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"output": "hi"}, "hi"),
        ({"output": serialised("AIMessage", content="hi")}, "hi"),
        ({"choices": [{"message": {"role": "assistant", "content": "hi"}}]}, "hi"),
        ({"choices": [{"text": "hi", "index": 0}]}, "hi"),
        ({"generations": [[{"text": "hi"}]]}, "hi"),
        ({"generations": [[{"text": "hi", "message": serialised("AIMessage", content="")}]]}, "hi"),
        ({"messages": [serialised("HumanMessage", content="q"), serialised("AIMessage", content="hi")]}, "hi"),
        ({"messages": [serialised("AIMessage", content="old"), serialised("HumanMessage", content="q")]}, None),
        ({"output": {"id": ["x", "AgentFinish"], "kwargs": {"return_values": {"output": "hi"}}}}, "hi"),
        ({"rows": 3}, None),
        (None, None),
    ],
)
def test_langsmith_outputs_in_every_shape(outputs: Any, text: str | None) -> None:
    assert turn_of(run(outputs=outputs)).assistant_text == text


def test_langsmith_errors_are_the_root_s() -> None:
    assert turn_of(run(error="rate limit")).runtime_error == "rate limit"
    child = run(id="c", parent_run_id="r", error="rate limit")
    assert turn_of(run(run_type="chain", outputs={"output": "yes"}, child_runs=[child])).runtime_error is None
    assert turn_of(run(run_type="chain", child_runs=[child])).runtime_error == "rate limit"


def test_langsmith_absurd_times_leave_a_note() -> None:
    turn = turn_of(run(start_time=5))
    assert (turn.created_at, turn.latency_ms) == (NOW, None)
    assert "start_time: 5 is before the year 2000" in (turn.metadata or {})["time_note"]
    rule = Defaults(NOW, TimesRule.parse("at:2026-03-01"))
    bare = {name: value for name, value in run().items() if name != "start_time"}
    assert decoder_named("langsmith").decode(bare, at(0), rule).turns[0].created_at == datetime(2026, 3, 1)


def test_langsmith_deep_and_wide_trees_stay_linear() -> None:
    deep = run(id="c0")
    for number in range(1, 200):
        deep = run(id=f"c{number}", child_runs=[deep])
    wide = [run(id=f"w{number}", parent_run_id="r") for number in range(5000)]
    turn = turn_of(run(run_type="chain", child_runs=[deep, *wide]))
    assert len(turn.calls or ()) == 5200


def test_langsmith_records_stay_as_they_were() -> None:
    for record in RECORDS:
        before = copy.deepcopy(record)
        first = decode(record)
        assert decoder_named("langsmith").decode(record, at(99), Defaults(NOW)) == first
        assert record == before


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "expected an object, got a list"),
        ({"run_type": "llm"}, "id: missing; a run is known by its id"),
        (run(id=[]), "id: expected a text, got a list"),
        (run(run_type=5), "run_type: expected a text, got a number"),
        (run(inputs="secret"), "inputs: expected an object, got a text"),
        (run(inputs={"messages": [{"role": "ghost", "content": "secret"}]}), "inputs.messages[0].role: expected one of"),
        (run(inputs={"messages": [serialised("HumanMessage", content=5)]}), "inputs.messages[0].content: expected a text"),
        (run(inputs={"input": "\udc00"}), "inputs.input: character 0 is half of a surrogate pair"),
        (run(outputs=["secret"]), "outputs: expected an object, got a list"),
        (run(extra=[]), "extra: expected an object, got a list"),
        (run(extra={"metadata": 1}), "extra.metadata: expected an object, got a number"),
        (run(extra={"metadata": {"thread_id": {}}}), "extra.metadata.thread_id: expected a text, got an object"),
        (run(prompt_tokens=1.5), "prompt_tokens: expected a whole number"),
        (run(total_cost="dear"), "total_cost: expected a number, got a text that is none"),
        (run(total_cost=-1), "total_cost: expected 0 or more, got -1"),
        (run(error={}), "error: expected a text, got an object"),
        (run(child_runs={}), "child_runs: expected a list, got an object"),
        (run(child_runs=["secret"]), "child_runs[0]: expected an object, got a text"),
        (run(child_runs=[run(id="c", name=5)]), "child_runs[0].name: expected a text, got a number"),
        (run(feedback_stats={"user_score": {"avg": "high"}}), "feedback_stats.user_score.avg: expected a number"),
        ({"post": [5]}, "post[0]: expected an object, got a number"),
        ({"post": [], "patch": [{}]}, "patch[0].id: missing"),
        ({**FEEDBACK, "score": "good"}, "score: expected a number, got 'good'"),
        ({**FEEDBACK, "key": None}, "key: expected a text, got null"),
    ],
)  # fmt: skip
def test_langsmith_refuses_with_a_reason(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode(record)
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_langsmith_records_are_known_and_nobody_else_s(record: Any) -> None:
    assert [decoder.name for decoder in DECODERS if decoder.matches(record)] == ["langsmith"]


@pytest.mark.parametrize(
    "path", sorted(path for path in FIXTURES.glob("*.jsonl") if path.stem != "langsmith"), ids=lambda path: path.stem
)
def test_langsmith_leaves_other_formats_alone(path: Path) -> None:
    records = [orjson.loads(line) for line in fixture_lines(path.name)]
    assert not any(map(decoder_named("langsmith").matches, records))


def test_langsmith_run_that_cannot_be_read_takes_no_other_trace_with_it() -> None:
    good = run(id="g", trace_id="g", inputs={"question": "where is my parcel?"})
    found = decode({"post": [5, good, run(id="b", trace_id="b", name=5, inputs={"question": "secret"})], "patch": []})
    assert [turn.turn_id for turn in found.turns] == ["g"]
    assert found.refused == 2 and found.fault.startswith("post[0]: expected an object, got a number")
    assert decoder_named("langsmith").matches({"post": [5, good]})


def test_langsmith_trace_with_a_bad_run_inside_is_not_stored_without_it() -> None:
    good, spoiled = run(id="g", trace_id="g"), run(id="b", trace_id="b", child_runs=[{"name": "no id"}])
    found = decode({"post": [spoiled, good]})
    assert [turn.turn_id for turn in found.turns] == ["g"]
    assert found.refused == 2 and found.fault.startswith("post[0].child_runs[0].id: missing")
