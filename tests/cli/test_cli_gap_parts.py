"""Gaps that are a part of their topic, and values that hold most of a gap: listed, exported, decided about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cli_support import Offmap

from monitor.coverage.gaps import gap_id_of

SPLIT = {
    "attribute": "tenant", "value": "eu", "share_of_gap": 0.88, "share_of_traffic": 0.4, "p_value": 0.001,
    "failures": 0.3, "failures_of_rest": None,
}  # fmt: skip


@pytest.fixture
def part(analysed: Offmap) -> dict[str, Any]:
    """The worst gap's turns of the prompt version v4, which every third turn has, instead of the whole gap."""
    whole = analysed.done("gaps", "--json").json["gaps"][0]
    id_ = gap_id_of(whole["topic"], "prompt_version", "v4")
    with duckdb.connect(str(analysed.store)) as database:
        database.execute("UPDATE turns SET prompt_version = 'v4' WHERE turn_key % 3 = 0")
        of_v4 = {one for (one,) in database.execute("SELECT turn_id FROM turns WHERE prompt_version = 'v4'").fetchall()}
        database.execute(
            "UPDATE gaps SET gap_id = ?, attribute = 'prompt_version', value = 'v4', splits = ? WHERE gap_id = ?",
            [id_, json.dumps([SPLIT]), whole["id"]],
        )
    return whole | {"part": id_, "turns_of_v4": of_v4}


def test_each_part_of_the_priority_is_shown(built: Offmap) -> None:
    for gap in built.done("gaps", "--json").json["gaps"]:
        traffic, uncovered, risk, growth = gap["priority_parts"].values()
        assert traffic == gap["share"] and uncovered == pytest.approx(1 - gap["high"]) and risk == gap["risk"]
        assert traffic * uncovered * risk * growth == pytest.approx(gap["priority"])


def test_a_part_is_called_by_its_topic_and_its_value(analysed: Offmap, part: dict[str, Any]) -> None:
    found = next(one for one in analysed.done("gaps", "--json").json["gaps"] if one["id"] == part["part"])
    assert found["label"] == f"{part['label']} (prompt version v4)"
    assert (found["attribute"], found["value"], found["topic"]) == ("prompt_version", "v4", part["topic"])
    assert found["share_low"] is None and found["share_high"] is None
    (split,) = found["splits"]
    assert split.items() >= SPLIT.items()
    said = "88% of it comes from tenant eu, which has 40% of the traffic of those weeks"
    assert split["words"] == said
    # The first column alone: where a name is broken depends on the topic that is the worst.
    named = " ".join(" ".join(line[4:30] for line in analysed.done("gaps").out.splitlines()).split())
    assert "(prompt version v4)" in named and "88% of it comes from tenant" in named


def test_the_export_of_a_part_holds_its_turns_alone(analysed: Offmap, part: dict[str, Any]) -> None:
    ran = analysed.done("export", "--gap", part["part"], "--out", analysed.folder / "out", "--json").json
    manifest = json.loads(Path(ran["manifest"]).read_bytes())
    assert manifest["query"] == manifest["query"] | {"gap": part["part"], "attribute": "prompt_version", "value": "v4"}
    assert manifest["label"] == f"{part['label']} (prompt version v4)"
    assert manifest["turn_ids"] and set(manifest["turn_ids"]) <= part["turns_of_v4"]
    whole = analysed.done("export", "--topic", part["topic"], "--out", analysed.folder / "whole", "--json").json
    assert 0 < manifest["counts"]["slice"] < whole["counts"]["slice"]


def test_a_part_is_decided_about_like_any_gap(analysed: Offmap, part: dict[str, Any]) -> None:
    analysed.done("gap", part["part"], "--owner", "ops")
    found = next(one for one in analysed.done("gaps", "--json").json["gaps"] if one["id"] == part["part"])
    assert found["owner"] == "ops"
    said = analysed.done("gap", part["part"]).out
    assert part["label"] in said and "ops" in said
