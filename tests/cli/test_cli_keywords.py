"""`offmap keywords`."""

from __future__ import annotations

import pytest
from cli_support import Offmap

WINDOWS = ("--current", "2026-03-08/2026-03-15", "--reference", "2026-03-01/2026-03-08")


def test_rising_words_as_a_table_and_for_programs(built: Offmap) -> None:
    found = built.done("keywords", *WINDOWS, "--json").json
    assert found["current"]["start"] == "2026-03-08T00:00:00Z"
    shown = built.done("keywords", *WINDOWS).out
    for one in found["keywords"]:
        assert one["term"] in shown and one["low"] <= one["odds"] <= one["high"] and one["users"] >= 5
    assert built.done("keywords", *WINDOWS, "--json").json == found


def test_words_of_a_topic_on_every_level(built: Offmap) -> None:
    topics = built.done("topics", "--json").json["topics"]
    for level in ("broad", "middle", "fine"):
        topic = next(one for one in topics if one["level"] == level)
        found = built.done("keywords", "--topic", topic["id"], "--limit", "5", "--json").json
        assert found["topic"] == topic["id"] and 1 <= len(found["keywords"]) <= 5
        assert found["keywords"][0]["odds"] > 1


def test_the_window_before_is_the_default_reference(built: Offmap) -> None:
    found = built.done("keywords", "--current", "2026-03-08/2026-03-15", "--json").json
    assert found["reference"]["end"] == found["current"]["start"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--topic", "nothing"), "Error: no topic 'nothing' in the published atlas"),
        (("--topic", "t", *WINDOWS), "Error: keywords takes --topic, or --current and --reference, and not both"),
        (("--current", "yesterday"), "Error: --current yesterday: "),
    ],
)
def test_wrong_use(built: Offmap, arguments: tuple[str, ...], said: str) -> None:
    assert built("keywords", *arguments).err.startswith(said)
