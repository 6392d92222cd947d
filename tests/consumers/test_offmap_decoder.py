"""offmap's own JSON: what is read, what is refused and with which words, and that the schema says the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_support import NOW, at, fixture_lines, schema
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

import consumers
from consumers.decoders import Defaults, decoder_named
from consumers.fields import EVENT_FIELDS, FIELDS
from monitor.errors import RecordError
from monitor.records import Coordinates, Event, Turn

DEFAULTS = Defaults(NOW)
OFFMAP = decoder_named("offmap")
VALIDATOR = Draft202012Validator(schema())


def decode(record: Any, place: Coordinates = at(7)) -> Turn:
    (turn,) = OFFMAP.decode(record, place, DEFAULTS).turns
    return turn


def event(record: Any) -> Event:
    (found,) = OFFMAP.decode(record, at(7), DEFAULTS).events
    return found


def test_the_schema_is_a_schema_and_ships() -> None:
    Draft202012Validator.check_schema(schema())
    assert consumers.__file__ is not None


def test_the_schema_and_the_code_know_the_same_fields() -> None:
    definitions = schema()["$defs"]
    assert set(definitions["turn"]["properties"]) == set(FIELDS)
    assert set(FIELDS) == set(Turn.__dataclass_fields__)
    assert set(definitions["event"]["properties"]) == {
        "event",
        "turn_id",
        "created_at",
        "tenant",
        "metadata",
        *EVENT_FIELDS,
    }


def test_a_full_turn() -> None:
    record = orjson.loads(fixture_lines("turns.jsonl")[0])
    turn = decode(record)
    assert turn.turn_id == "c42-0"
    assert turn.created_at == datetime(2026, 3, 1, 9, 30)
    assert turn.latency_ms == 840.0
    assert turn.retrieved_documents == [{"id": "d1", "text": "...", "source": "faq.md"}]
    assert turn.metadata is None
    assert {name for name in FIELDS if getattr(turn, name) is not None} == {
        name for name, value in record.items() if value not in (None, {})
    }


def test_every_fixture_line_is_valid_for_schema_and_decoder() -> None:
    for line in fixture_lines("turns.jsonl"):
        record = orjson.loads(line)
        VALIDATOR.validate(record)
        decoded = OFFMAP.decode(record, at(0), DEFAULTS)
        assert len(decoded.turns) + len(decoded.events) == 1


def test_without_ids_two_people_who_ask_the_same_count_twice() -> None:
    first, second = decode({"user_text": "hi"}, at(1)), decode({"user_text": "hi"}, at(2))
    assert first.turn_id == "0123456789ab-1"
    assert second.turn_id == "0123456789ab-2"
    assert first.conversation_id == first.turn_id
    assert first.created_at == NOW


def test_ids_within_a_conversation() -> None:
    assert decode({"user_text": "hi", "conversation_id": "c", "turn_index": 3}).turn_id == "c-3"
    by_content = decode({"user_text": "hi", "conversation_id": "c"}, at(1))
    assert by_content.turn_id == decode({"user_text": "hi", "conversation_id": "c"}, at(2)).turn_id
    assert by_content.turn_id != decode({"user_text": "ho", "conversation_id": "c"}, at(2)).turn_id
    assert decode({"user_text": "hi", "turn_id": "t"}).conversation_id == "t"
    assert decode({"user_text": "hi", "turn_id": "", "conversation_id": ""}).turn_id == "0123456789ab-7"


def test_unknown_fields_are_kept_and_known_metadata_wins() -> None:
    record = {"user_text": "hi", "created_at": 1772357400, "shop": "b", "colour": ["red"], "metadata": {"shop": "a"}}
    turn = decode(record)
    assert turn.metadata == {"shop": "a", "colour": ["red"]}


BAD = [
    ({}, "user_text: missing"),
    ({"user_text": None}, "user_text: missing"),
    ({"user_text": " \n\t"}, "user_text: blank"),
    ({"user_text": 5}, "user_text: expected a text, got a number"),
    ({"user_text": ["secret words"]}, "user_text: expected a text, got a list"),
    ({"user_text": "half \ud83d"}, "user_text: character 5 is half of a surrogate pair"),
    ({"user_text": "x", "latency_ms": "fast"}, "latency_ms: expected a number, got 'fast'"),
    ({"user_text": "x", "latency_ms": True}, "latency_ms: expected a number, got true"),
    ({"user_text": "x", "latency_ms": -1}, "latency_ms: expected 0 or more, got -1"),
    ({"user_text": "x", "latency_ms": float("nan")}, "latency_ms: expected a finite number, got nan"),
    ({"user_text": "x", "cost_usd": 10**400}, "cost_usd: expected a finite number"),
    ({"user_text": "x", "turn_index": 1.5}, "turn_index: expected a whole number from 0 to 2147483647, got 1.5"),
    ({"user_text": "x", "input_tokens": 2**31}, "input_tokens: expected a whole number"),
    ({"user_text": "x", "rolled_back": "yes"}, "rolled_back: expected true or false, got 'yes'"),
    ({"user_text": "x", "created_at": "yesterday"}, "created_at: expected an ISO 8601 time"),
    ({"user_text": "x", "created_at": "0001-01-01T00:00:00+14:00"}, "created_at: expected an ISO 8601 time"),
    (
        {"user_text": "x", "created_at": {}},
        "created_at: expected an ISO 8601 time or epoch seconds (or milli-, micro-, nanoseconds), got an object",
    ),
    ({"user_text": "x", "metadata": []}, "metadata: expected an object, got a list"),
    ({"user_text": "x", "tool_calls": {}}, "tool_calls: expected a list, got an object"),
    ({"user_text": "x", "modalities": ["text", 1]}, "modalities: expected a text, got a number"),
    ({"user_text": "x", "metadata": {"a": "\ud83d"}}, "metadata: holds something that is not JSON"),
    ({"user_text": "x", "odd": "\ud83d"}, "metadata: an unknown field holds something that is not JSON"),
    ({"user_text": "x", "turn_id": 7}, "turn_id: expected a text, got a number"),
    ({"event": "praise", "turn_id": "t"}, "event: expected one of feedback, outcome, deletion, got 'praise'"),
    ({"event": "feedback", "turn_id": ""}, "turn_id: missing; a feedback event names its turn"),
    ({"event": "feedback", "turn_id": "t"}, "event: a feedback event sets none of feedback_score"),
    ({"event": "feedback", "turn_id": "t", "feedback_score": "good"}, "feedback_score: expected a number, got 'good'"),
    ("text", "expected an object, got a text"),
    (None, "expected an object, got null"),
]


@pytest.mark.parametrize(("record", "reason"), BAD)
def test_a_bad_record_names_field_and_value(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        OFFMAP.decode(record, at(0), DEFAULTS)
    assert str(caught.value).startswith(reason)
    assert "secret words" not in str(caught.value)


REFUSED_BY_SCHEMA = [
    {}, {"user_text": None}, {"user_text": " "}, {"user_text": 5}, {"user_text": "x", "latency_ms": "fast"},
    {"user_text": "x", "latency_ms": -1}, {"user_text": "x", "turn_index": 1.5},
    {"user_text": "x", "rolled_back": "yes"},
    {"user_text": "x", "metadata": []}, {"user_text": "x", "modalities": [1]}, {"event": "praise", "turn_id": "t"},
    {"event": "feedback", "turn_id": "t"}, {"event": "feedback", "turn_id": ""}, "text",
]  # fmt: skip


@pytest.mark.parametrize("record", REFUSED_BY_SCHEMA)
def test_the_schema_refuses_the_same(record: Any) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(record)


def test_events() -> None:
    feedback = event(
        {"event": "feedback", "turn_id": "c42-0", "created_at": 1772357400, "feedback_score": -1, "by": "ui"}
    )
    assert feedback == Event(
        kind="feedback",
        turn_id="c42-0",
        created_at=datetime(2026, 3, 1, 9, 30),
        fields={"feedback_score": -1.0, "metadata": {"by": "ui"}},
    )
    assert event({"event": "outcome", "turn_id": "t", "rolled_back": True}).fields == {"rolled_back": True}
    assert event({"event": "deletion", "turn_id": "t", "tenant": "eu"}).created_at == NOW


_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_scalar = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text
_json = st.recursive(_scalar, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
_kinds = {
    "string": _text,
    "number": st.floats(0, 1e9),
    "integer": st.integers(0, 2**31 - 1),
    "boolean": st.booleans(),
    "array": st.lists(_text, max_size=3),
    "object": st.dictionaries(_text, _json, max_size=3),
}


def _field(name: str, properties: dict[str, Any]) -> st.SearchStrategy[Any]:
    if name == "user_text":
        return _text.filter(str.strip)
    if name == "created_at":
        moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(datetime.isoformat)
        return moments | st.integers(0, 4_000_000_000)
    return st.none() | _kinds[properties["type"][0]]


_properties = schema()["$defs"]["turn"]["properties"]
_turns = st.fixed_dictionaries(
    {"user_text": _field("user_text", {})},
    optional={name: _field(name, of) for name, of in _properties.items() if name != "user_text"},
)


@given(_turns)
def test_what_the_schema_allows_is_read_and_nothing_is_lost(record: dict[str, Any]) -> None:
    VALIDATOR.validate(record)
    turn = decode(orjson.loads(orjson.dumps(record)))
    for name, value in record.items():
        if name in ("turn_id", "conversation_id", "created_at") or value in (None, {}):
            continue
        found = getattr(turn, name)
        if name == "metadata" and "time_note" in found and "time_note" not in value:
            found = {key: item for key, item in found.items() if key != "time_note"}
        assert found == value
