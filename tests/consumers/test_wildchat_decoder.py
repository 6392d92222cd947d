"""WildChat rows: hashes that are not unique, times of the last turn, empty messages."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_support import FIXTURES, NOW, at, clock, fixture_lines

from consumers.decoders import Decoded, Defaults, decoder_named
from consumers.files import detect
from consumers.ingest import preview
from monitor.errors import RecordError
from monitor.records import Turn

WILDCHAT = decoder_named("wildchat")
FULL, TWIN, FIRST_EDITION = (orjson.loads(line) for line in fixture_lines("wildchat.jsonl"))


def wildchat_turns(record: Any, position: int = 0) -> tuple[Turn, ...]:
    return WILDCHAT.decode(record, at(position), Defaults(NOW)).turns


def test_a_row_becomes_turns_without_its_empty_messages() -> None:
    first, last = wildchat_turns(FULL)
    assert (first.turn_id, first.turn_index, last.turn_id, last.turn_index) == (
        "wildchat-102002",
        0,
        "wildchat-102004",
        1,
    )
    assert first.conversation_id == last.conversation_id == "cf1267ca6b2f6fccc9c36652a00059a1-102002"
    assert (first.user_text, first.assistant_text) == ("What is a feed-in tariff?", "What the grid pays you.")
    assert (first.model, first.user_id) == ("gpt-3.5-turbo-0301", "22fd87ba9b98f797")
    assert (first.language, last.language) == ("en", "fr")
    assert (first.created_at, last.created_at) == (datetime(2023, 4, 9, 0, 2, 53), datetime(2023, 4, 9, 0, 5, 30))


def test_toxic_and_redacted_are_those_of_the_message() -> None:
    first, last = (turn.metadata or {} for turn in wildchat_turns(FULL))
    assert (first["toxic"], first["redacted"], first.get("flagged")) == (False, False, None)
    assert (last["toxic"], last["redacted"], last["flagged"]) == (True, True, ["harassment"])
    assert first["country"] == "Germany"
    assert first["conversation_hash"] == "cf1267ca6b2f6fccc9c36652a00059a1"
    assert "time_note" not in first
    assert not {"openai_moderation", "detoxify_moderation", "timestamp"} & first.keys()


def test_two_people_who_wrote_the_same_are_two_conversations() -> None:
    assert FULL["conversation_hash"] == TWIN["conversation_hash"]
    (twin,) = wildchat_turns(TWIN)
    assert twin.turn_id == "wildchat-102190"
    assert twin.conversation_id not in {turn.conversation_id for turn in wildchat_turns(FULL)}


def test_the_first_edition_has_one_time_and_no_identifiers() -> None:
    first, last = wildchat_turns(FIRST_EDITION)
    assert first.created_at == last.created_at == datetime(2023, 5, 2, 10, 15)
    assert first.metadata is not None
    assert last.metadata is not None
    assert first.metadata["time_note"] == "timestamp: that of the conversation's last turn"
    assert "time_note" not in last.metadata
    assert [turn.turn_id for turn in wildchat_turns(FIRST_EDITION, 8)] == [first.turn_id, last.turn_id]
    (other, _) = wildchat_turns({**FIRST_EDITION, "timestamp": "2023-05-03T00:00:00+00:00"})
    assert other.conversation_id != first.conversation_id
    (bare, _) = wildchat_turns({**FIRST_EDITION, "timestamp": None})
    assert bare.turn_id == "5e3c1f7a2b9d4c60a1b2c3d4e5f60718-0"
    assert bare.metadata is not None
    assert bare.metadata["time_note"] == "timestamp: missing; the record's arrival stands in"
    (placed, _) = wildchat_turns({**FIRST_EDITION, "conversation_id": None}, 3)
    assert placed.turn_id == "0123456789ab-3-0"


def test_an_absurd_time_of_a_row_gets_a_note() -> None:
    first, last = wildchat_turns({**FIRST_EDITION, "timestamp": "1970-01-01T00:00:00Z"})
    assert first.created_at == last.created_at == NOW
    assert first.metadata is not None
    assert first.metadata["time_note"].startswith("timestamp: '1970-01-01T00:00:00Z' is before the year 2000")


def test_a_row_with_nothing_asked_is_empty() -> None:
    row = {**FULL, "conversation": [{"role": "user", "content": "", "turn_identifier": 1}]}
    assert WILDCHAT.decode(row, at(0), Defaults(NOW)) == Decoded()


def test_a_parquet_file_of_wildchat_is_read(tmp_path: Path) -> None:
    moment = datetime.fromisoformat(TWIN["timestamp"])
    said = [
        {"content": "What is a feed-in tariff?", "role": "user", "turn_identifier": 5, "timestamp": None},
        {"content": "Pay.", "role": "assistant", "turn_identifier": 5, "timestamp": moment},
    ]
    columns = {"conversation_hash": ["h"], "timestamp": [moment], "conversation": [said], "language": ["English"]}
    pq.write_table(pa.table(columns), tmp_path / "wild.parquet")
    assert detect(tmp_path / "wild.parquet") == "wildchat"
    (turn,) = preview(tmp_path / "wild.parquet", clock=clock)
    assert (turn.turn_id, turn.created_at, turn.language) == ("wildchat-5", datetime(2023, 4, 9, 7), "en")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conversation": {}}, "conversation: expected a list, got an object"),
        ({"conversation": ["secret"]}, "conversation[0]: expected an object, got a text"),
        ({"conversation": [{"role": "bot", "content": "secret"}]}, "conversation[0].role: expected one of"),
        (
            {"conversation": [{"role": "user", "content": "secret", "turn_identifier": "x"}]},
            "conversation[0].turn_identifier: expected a whole number, got 'x'",
        ),
        ({"conversation_hash": 5}, "conversation_hash: expected a text, got a number"),
        ({"model": 5}, "model: expected a text, got a number"),
        (
            {"conversation": [{"role": "user", "content": "secret", "hashed_ip": 5}]},
            "hashed_ip: expected a text, got a number",
        ),
        ({"odd": "\ud83d"}, "metadata: holds something that is not JSON"),
    ],
)
def test_a_bad_wildchat_row_names_its_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        wildchat_turns({**FULL, **change})
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


def test_wildchat_is_detected() -> None:
    assert detect(FIXTURES / "wildchat.jsonl") == "wildchat"
    assert not WILDCHAT.matches({"conversation": [1], "conversation_hash": "h"})
