"""`offmap trends`."""

from __future__ import annotations

import pytest
from cli_support import Offmap

WINDOWS = ("--current", "2026-03-08/2026-03-15", "--reference", "2026-03-01/2026-03-08")


@pytest.mark.parametrize("level", ["broad", "middle", "fine"])
def test_every_topic_of_a_level_as_a_table_and_for_programs(built: Offmap, level: str) -> None:
    found = built.done("trends", *WINDOWS, "--level", level, "--limit", "1000", "--json").json
    topics = [one["id"] for one in built.done("topics", "--level", level, "--json").json["topics"]]
    moved = [one["topic"] for one in found["topics"]]
    assert moved and set(moved) <= set(topics) and len(set(moved)) == len(moved)
    shown = built.done("trends", *WINDOWS, "--level", level, "--limit", "1000").out
    for one in found["topics"]:
        assert one["topic"] in shown and one["low"] <= one["ratio"] <= one["high"]
        assert 0 <= one["share"] <= 1 and 0 <= one["p_value"] <= 1


def test_the_calendar_of_the_users_decides_what_is_alike(built: Offmap) -> None:
    day = ("--current", "2026-03-10/2026-03-11", "--reference", "2026-03-03/2026-03-04", "--json")
    here, there = (
        built.done("trends", *day, OFFMAP_ANALYSIS_TIME_ZONE=zone).json["topics"]
        for zone in ("UTC", "Pacific/Auckland")
    )
    assert {one["topic"]: one["conversations"] for one in here} == {one["topic"]: one["conversations"] for one in there}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--current", "yesterday"), "Error: --current yesterday: "),
        (("--current", "2019-01-01/2019-01-02"), ""),
    ],
)
def test_wrong_use_and_empty_windows(built: Offmap, arguments: tuple[str, ...], said: str) -> None:
    done = built("trends", *arguments)
    assert done.err.startswith(said)
    assert said or "The windows have no hour of the week in common" in done.out


def test_no_time_zone_is_told(built: Offmap) -> None:
    done = built("trends", OFFMAP_ANALYSIS_TIME_ZONE="Europe/Berlyn")
    assert done.code == 2
    assert "analysis.time_zone" in done.err and "did you mean Europe/Berlin?" in done.err
