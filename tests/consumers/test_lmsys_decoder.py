"""LMSYS-Chat-1M rows: whole conversations without times."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, fixture_lines

from consumers.decoders import Decoded, Defaults, decoder_named
from consumers.decoders.languages import language_code
from consumers.files import detect
from consumers.times import TimesRule
from monitor.errors import RecordError
from monitor.records import Turn

LMSYS = decoder_named("lmsys")
ROWS = [orjson.loads(line) for line in fixture_lines("lmsys.jsonl")]


def lmsys_turns(record: Any, position: int = 0, times: str = "now") -> tuple[Turn, ...]:
    decoded = LMSYS.decode(record, at(position), Defaults(NOW, TimesRule.parse(times)))
    assert decoded.events == ()
    return decoded.turns


def test_a_row_is_a_conversation() -> None:
    first, second = lmsys_turns(ROWS[0])
    assert first == Turn(
        turn_id="0b5f7c2e9d1a4c36-0",
        conversation_id="0b5f7c2e9d1a4c36",
        turn_index=0,
        created_at=NOW,
        user_text="How do I change my electricity supplier?",
        assistant_text="Sign with the new one; it ends the old contract.",
        model="vicuna-13b",
        language="en",
        metadata={"turn": 2, "redacted": False},
    )
    assert (second.turn_id, second.turn_index) == ("0b5f7c2e9d1a4c36-1", 1)
    assert second.metadata == {"turn": 2, "redacted": False, "flagged": ["harassment"]}


def test_the_rule_dates_rows_that_have_no_times() -> None:
    first, second = lmsys_turns(ROWS[0], times="spread:2023-04-01/2023-09-01")
    assert datetime(2023, 4, 1) <= first.created_at < second.created_at < datetime(2023, 9, 1)


def test_languages_are_codes_and_unknown_ones_keep_their_name() -> None:
    (german,), (unknown,) = lmsys_turns(ROWS[1]), lmsys_turns(ROWS[2])
    assert (german.language, german.metadata) == ("de", {"turn": 1, "redacted": True})
    assert unknown.language is None
    assert unknown.metadata is not None
    assert unknown.metadata["language_name"] == "unknown"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Chinese", "zh"),
        ("PORTUGUESE", "pt"),
        (" Scots Gaelic ", "gd"),
        ("Haitian_Creole", "ht"),
        ("no language", None),
        ("en", "en"),
        ("zh-Hant", "zh"),
        ("xx", None),
        ("", None),
        (None, None),
    ],
)
def test_names_of_languages(name: Any, code: str | None) -> None:
    assert language_code(name) == code


def test_without_an_id_the_place_is_the_conversation() -> None:
    first, second = lmsys_turns({**ROWS[0], "conversation_id": ""}, 4)
    assert (first.turn_id, second.conversation_id) == ("0123456789ab-4-0", "0123456789ab-4")


def test_a_row_in_which_nobody_asks_is_empty() -> None:
    row = {**ROWS[0], "conversation": [{"role": "assistant", "content": "hello"}, {"role": "user", "content": " "}]}
    assert LMSYS.decode(row, at(0), Defaults(NOW)) == Decoded()
    assert LMSYS.decode({**ROWS[0], "conversation": []}, at(0), Defaults(NOW)) == Decoded()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conversation": "secret"}, "conversation: expected a list, got a text"),
        ({"conversation": ["secret"]}, "conversation[0]: expected an object, got a text"),
        ({"conversation": [{"role": "ghost", "content": "secret"}]}, "conversation[0].role: expected one of system, "),
        ({"conversation": [{"role": "user", "content": 5}]}, "conversation[0].content: expected a text or a list"),
        ({"conversation_id": 5}, "conversation_id: expected a text, got a number"),
        ({"model": []}, "model: expected a text, got a list"),
        ({"language": 5}, "language: expected a text, got a number"),
        ({"odd": "\ud83d"}, "metadata: holds something that is not JSON"),
    ],
)
def test_a_bad_row_names_its_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        lmsys_turns({**ROWS[0], **change})
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("moderation", ["x", [], [1], [{"flagged": "yes"}], [{"flagged": True, "categories": None}]])
def test_odd_moderation_sinks_no_row(moderation: Any) -> None:
    assert len(lmsys_turns({**ROWS[0], "openai_moderation": moderation})) == 2


def test_rows_are_detected() -> None:
    assert detect(FIXTURES / "lmsys.jsonl") == "lmsys"
    assert not LMSYS.matches({"conversation": [{"text": "x"}], "conversation_id": "c", "model": "m"})
    assert not LMSYS.matches({"conversation": [], "model": "m"})
