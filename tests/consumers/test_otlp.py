"""OTLP JSON: spellings, values, times and ids, whatever the convention of the attributes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, fixture_lines
from otlp_support import START, TRACE, chat, decoded, document, keyed, said, span, turns

from consumers.decoders import DECODERS, Defaults
from consumers.decoders.genai import GenAIDecoder
from consumers.decoders.otlp import Span, nested, read_spans
from monitor.errors import RecordError

OTLP_FIXTURES = ("otel_genai.jsonl", "openinference.jsonl")


def one(record: Any) -> Span:
    (found,) = read_spans(record)
    assert isinstance(found, Span)
    return found


def alone(**more: Any) -> dict[str, Any]:
    return {"traceId": TRACE, "spanId": "0a" * 8, "attributes": [], **more}


def test_otlp_values_become_plain() -> None:
    plain = {"text": "a", "flag": True, "whole": 2**53 + 1, "part": 0.5, "list": ["a", 1], "pairs": {"b": {"c": 1}}}
    attributes = [*keyed(plain), {"key": "raw", "value": {"bytesValue": "aGk="}}, {"key": "none", "value": {}}]
    assert one(alone(attributes=attributes)).attributes == {**plain, "raw": "aGk="}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"intValue": 7}, 7),
        ({"int_value": "7"}, 7),
        ({"intValue": "9" * 25}, "9" * 25),
        ({"doubleValue": "0.5"}, 0.5),
        ({"doubleValue": "NaN"}, None),
        ({"array_value": {"values": [{"string_value": "a"}]}}, ["a"]),
        ({"arrayValue": {}}, []),
        ({"kvlist_value": {"values": [{"key": "a", "value": {"bool_value": False}}]}}, {"a": False}),
    ],
)
def test_otlp_values_in_every_spelling(value: Any, plain: Any) -> None:
    expected = {} if plain is None else {"k": plain}
    assert one(alone(attributes=[{"key": "k", "value": value}])).attributes == expected
    assert one(alone(attributes={"k": value})).attributes == {"k": plain}


def test_otlp_spans_in_every_spelling() -> None:
    camel = document(span("0B" * 8, {"a": 1}, parent="0C" * 8), service_name="bot")
    inner = camel["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    snake_span = {
        "trace_id": TRACE.upper(),
        "span_id": "0b" * 8,
        "parent_span_id": "0c" * 8,
        "name": "chat",
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 10**9,
        "attributes": {"a": 1},
    }
    snake = {
        "resource_spans": [
            {"resource": {"attributes": {"service.name": "bot"}}, "scope_spans": [{"spans": [snake_span]}]}
        ]
    }
    old = {"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [inner]}]}]}
    printed = {  # Python's ConsoleSpanExporter
        "name": "chat",
        "context": {"trace_id": f"0x{TRACE}", "span_id": "0x" + "0b" * 8, "trace_state": "[]"},
        "parent_id": "0x" + "0c" * 8,
        "start_time": "2026-03-01T09:30:00.000000Z",
        "end_time": "2026-03-01T09:30:01.000000Z",
        "attributes": {"a": 1},
        "resource": {"attributes": {"service.name": "bot"}, "schema_url": ""},
    }
    pairs = {  # a ReadableSpan of the JavaScript SDK
        "_spanContext": {"traceId": TRACE, "spanId": "0b" * 8},
        "parentSpanContext": {"traceId": TRACE, "spanId": "0c" * 8},
        "startTime": [START // 10**9, 0],
        "endTime": [START // 10**9 + 1, 0],
        "attributes": {"a": 1},
    }
    for record in (camel, snake, old, printed, pairs, inner, [camel], [inner]):
        found = one(record)
        assert (found.trace_id, found.span_id, found.parent_id) == (TRACE, "0b" * 8, "0c" * 8)
        assert (found.start_ns, found.latency_ms, found.attributes) == (START, 1000.0, {"a": 1})
    for record in (camel, snake, printed):
        assert one(record).resource == {"service.name": "bot"}


@pytest.mark.parametrize(
    "time",
    [
        START,
        str(START),
        START // 1000,
        START // 10**6,
        START // 10**9,
        START / 10**9,
        [START // 10**9, 0],
        "2026-03-01T10:30:00+01:00",
    ],
)
def test_otlp_times_by_their_size(time: Any) -> None:
    assert one(alone(startTimeUnixNano=time)).start_ns == START


@pytest.mark.parametrize("time", ["soon", "9" * 50, -5, True, [1], ["a", "b"], {}, 10**30, 1e300])
def test_an_unreadable_time_is_noted_and_sinks_nothing(time: Any) -> None:
    (turn,) = turns("otel-genai", {**span("0a" * 8, chat([said("user", "hi")])), "startTimeUnixNano": time})
    assert turn.created_at.isoformat() == "2026-03-10T12:00:00"
    assert turn.metadata is not None and "time_note" in turn.metadata
    assert turn.latency_ms is None


@pytest.mark.parametrize("time", [START - 30 * 365 * 86_400 * 10**9, START + 365 * 86_400 * 10**9])
def test_an_absurd_time_is_noted(time: int) -> None:
    (turn,) = turns("otel-genai", {**span("0a" * 8, chat([said("user", "hi")])), "startTimeUnixNano": str(time)})
    assert turn.created_at.isoformat() == "2026-03-10T12:00:00"
    assert turn.metadata is not None and "time_note" in turn.metadata


@pytest.mark.parametrize("time", [None, 0, "0", ""])
def test_a_missing_time_is_that_of_reading(time: Any) -> None:
    (turn,) = turns("otel-genai", {**span("0a" * 8, chat([said("user", "hi")])), "startTimeUnixNano": time})
    assert turn.created_at.isoformat() == "2026-03-10T12:00:00"
    assert turn.metadata is not None and "time_note" not in turn.metadata


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ({"code": 2, "message": "limit"}, "limit"),
        ({"code": "STATUS_CODE_ERROR"}, "error"),
        ({"status_code": "ERROR", "description": "limit"}, "limit"),
        ({"code": 1}, None),
        ({}, None),
        (None, None),
        ("ERROR", None),
    ],
)
def test_otlp_status(status: Any, error: str | None) -> None:
    assert one(alone(status=status)).error == error


def test_an_error_says_what_was_thrown() -> None:
    event = {"name": "exception", "attributes": keyed({"exception.type": "Timeout", "exception.message": "too slow"})}
    assert one(alone(status={"code": 2}, events=[event])).error == "too slow"
    assert one(alone(status={"code": 2}, attributes={"error.type": "500"})).error == "500"


def test_indexed_names_become_lists() -> None:
    attributes = {"p.10.a": "k", "p.2.a": "c", "p.2": "lost", "p.name": "x", "p.2.b.0.c": 1, "pp.0.a": "no"}
    assert nested(attributes, "p") == [{"a": "c", "b": {"0": {"c": 1}}}, {"a": "k"}]
    assert nested({"p": [{"m.r": 1}, "s"]}, "p") == [{"m": {"r": 1}}, "s"]
    assert nested({}, "p") == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "resourceSpans: expected an OTLP document, got an empty list"),
        ([5], "[0].resourceSpans: expected an OTLP document, got a number"),
        ({"resourceSpans": 5}, "resourceSpans: expected a list, got a number"),
        ({"a": 1}, "resourceSpans: missing"),
        ({"resourceSpans": ["secret"]}, "resourceSpans[0]: expected an object, got a text"),
        (
            {"resourceSpans": [{"resource": 5, "scopeSpans": [{"spans": [alone()]}]}]},
            "resourceSpans[0].resource: expected an object",
        ),
        ({"resourceSpans": [{"scopeSpans": {}}]}, "resourceSpans[0].scopeSpans: expected a list, got an object"),
        (
            {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "a"}]}]}]},
            "resourceSpans[0].scopeSpans[0].spans[0].traceId: expected a text, got null",
        ),
        (alone(spanId=" "), "spanId: blank"),
        (alone(traceId=5), "traceId: expected a text"),
        (alone(parentSpanId=5), "parentSpanId: expected a text"),
        (alone(name=["secret"]), "name: expected a text, got a list"),
        (alone(attributes="secret"), "attributes: expected a list of keys and values, got a text"),
        (alone(attributes=["secret"]), "attributes[0]: expected an object with a key"),
        (alone(attributes=[{"key": "k", "value": "secret"}]), "attributes.k: expected a value such as {stringValue}"),
        (alone(attributes=[{"key": "k", "value": {"stringValue": 5}}]), "attributes.k: expected a text"),
        (alone(attributes=[{"key": "k", "value": {"intValue": "secret"}}]), "attributes.k: expected a whole number"),
        (alone(attributes=[{"key": "k", "value": {"doubleValue": []}}]), "attributes.k: expected a number"),
        (alone(attributes=[{"key": "k", "value": {"boolValue": "yes"}}]), "attributes.k: expected true or false"),
        (alone(attributes=[{"key": "k", "value": {"arrayValue": {"values": 5}}}]), "attributes.k: expected a list"),
        (alone(attributes=[{"key": "k", "value": {"kvlistValue": {"values": [5]}}}]), "attributes.k: expected objects"),
        (alone(attributes=[{"key": "k", "value": {"stringValue": "\udc00"}}]), "attributes.k: character 0 is half"),
        (alone(events=5), "events: expected a list, got a number"),
        (alone(events=["secret"]), "events[0]: expected an object, got a text"),
    ],
)
def test_otlp_refuses_with_a_reason(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        GenAIDecoder().decode(record, at(0), Defaults(NOW))
    assert str(caught.value).startswith(reason)


def test_a_value_without_end_is_refused() -> None:
    deep: Any = {"stringValue": "x"}
    for _ in range(300):
        deep = {"arrayValue": {"values": [deep]}}
    with pytest.raises(RecordError, match=r"attributes\.k: nested more than 32 deep"):
        GenAIDecoder().decode(alone(attributes=[{"key": "k", "value": deep}]), at(0), Defaults(NOW))


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _places(inner, (*path, key))


@pytest.mark.slow
@pytest.mark.parametrize("junk", [None, 5, -1.5, "x", True, [], {}, [[]], [{}], {"type": []}, "[{}]", '{"role": 5}'])
def test_junk_anywhere_is_read_or_refused(junk: Any) -> None:
    for name in OTLP_FIXTURES:
        for line in fixture_lines(name):
            record = orjson.loads(line)
            for path in _places(record):
                if not path:
                    continue
                changed = copy.deepcopy(record)
                owner = changed
                for key in path[:-1]:
                    owner = owner[key]
                owner[path[-1]] = junk
                for decoder in DECODERS:
                    decoder.matches(changed)
                try:
                    decoded("otel-genai", changed)
                except RecordError as error:
                    assert not any(word in str(error) for word in ("Friday", "February", "cancel", "84 euros")), path


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.glob("*.json*")))
def test_otlp_is_told_from_every_other_format(name: str) -> None:
    text = (FIXTURES / name).read_text("utf-8")
    if name.endswith(".json"):
        return  # the cut ShareGPT file is no JSON as a whole
    names = {"otel_genai.jsonl": ["otel-genai"], "openinference.jsonl": ["openinference"]}.get(name)
    for line in text.splitlines():
        record = orjson.loads(line) if line.strip() else None
        found = [decoder.name for decoder in DECODERS if decoder.matches(record)]
        if names is not None:
            assert found == names
        else:
            assert not {"otel-genai", "openinference"} & set(found)


def test_a_conversation_of_sharegpt_is_no_span() -> None:
    record = {"id": "a_0", "conversations": [{"from": "human", "value": "hi"}]}
    assert [decoder.name for decoder in DECODERS if decoder.matches(record)] == ["sharegpt"]


OTHER = "aa" * 16
GOOD = span("11" * 8, chat([said("user", "where is my parcel?")], [said("assistant", "On its way.")]), trace=OTHER)


@pytest.mark.parametrize(
    ("bad", "refused", "reason"),
    [
        ([span("22" * 8, chat([said("user", "half")]), name=["x"])], 1, "spans[0].name: expected a text"),
        # All of the spoiled trace stays out: without the bad span it would be another turn.
        ([span("22" * 8, chat([said("user", "half")])), span("33" * 8, {}, name=["x"])], 2, "spans[1].name"),
        ([{"spanId": "44" * 8, "traceId": 5}], 1, "spans[0].traceId: expected a text"),
        (["secret"], 1, "spans[0]: expected an object, got a text"),
        # Readable as a span, and not as a step of a conversation.
        ([span("22" * 8, {"ai.prompt": '{"prompt": "hi"}', "ai.response.toolCalls": "secret"})], 1, "toolCalls"),
    ],
)
def test_a_bad_span_takes_no_other_trace_with_it(bad: list[Any], refused: int, reason: str) -> None:
    found = decoded("otel-genai", document(*bad, GOOD))
    assert [turn.user_text for turn in found.turns] == ["where is my parcel?"]
    assert found.refused == refused and reason in found.fault and "secret" not in found.fault


def test_a_bad_resource_spoils_only_the_spans_below_it() -> None:
    spoiled = document(span("22" * 8, chat([said("user", "half")])), service_name="\udc00")
    whole = {"resourceSpans": [*spoiled["resourceSpans"], *document(GOOD)["resourceSpans"]]}
    found = decoded("otel-genai", whole)
    assert (len(found.turns), found.refused) == (1, 1) and "resourceSpans[0].resource" in found.fault
