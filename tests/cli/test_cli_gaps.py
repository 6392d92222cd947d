"""`offmap gaps`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cli_support import Offmap
from cli_traffic import MISSING, SUBJECTS

KEYS = {
    "id", "topic", "label", "turns", "share", "coverage", "priority", "first_seen", "growth", "examples",
    "nearest_eval_items",
    "state", "owner", "history",
}  # fmt: skip
EXTRA = {
    "share_low", "share_high", "rank", "conversations", "low", "high", "novelty", "alert", "risk", "attribute", "value",
    "priority_parts", "splits", "growth_low", "growth_high", "risk_low", "risk_high",
}  # fmt: skip
LIFE = {"states", "ticket", "reason", "until", "opened_at", "closed_at", "held_since", "by_itself", "went_into"}


def test_the_shape_of_the_gaps(built: Offmap) -> None:
    found = built.done("gaps", "--json").json
    assert set(found) == {"run", "verdict", "coverage", "languages", "gaps", "closed"}
    assert set(found["coverage"]) == {"value", "low", "high"}
    assert 0 <= found["coverage"]["low"] <= found["coverage"]["value"] <= found["coverage"]["high"] <= 1
    topics = {topic["id"] for topic in built.done("topics", "--json").json["topics"]}
    for rank, gap in enumerate(found["gaps"], 1):
        assert set(gap) == KEYS | EXTRA | LIFE
        assert gap["risk_low"] <= gap["risk"] <= gap["risk_high"]
        assert gap["rank"] == rank and gap["topic"] in topics
        assert all(set(one) == {"turn_id", "text"} for one in gap["examples"]) and gap["examples"]
        assert all(set(one) == {"item_id", "prompt"} for one in gap["nearest_eval_items"])
        assert all(isinstance(one["prompt"], str) for one in gap["nearest_eval_items"])
        assert gap["first_seen"].endswith("Z")


def test_the_gaps_are_of_subjects_that_the_eval_set_misses(built: Offmap) -> None:
    """How well gaps are found is tested elsewhere; here they must be the ones that the log was made with."""
    missing = {word for subject in MISSING for word in SUBJECTS[subject].split()}
    gaps = built.done("gaps", "--json").json["gaps"]
    assert len(gaps) > 1
    assert all(set(gap["label"].replace(",", "").split()) <= missing for gap in gaps)


def test_examples_are_redacted(built: Offmap) -> None:
    for form in ((), ("--json",)):
        out = built.done("gaps", *form).out
        assert "[email]" in out and "ann@example.org" not in out


def test_redaction_can_be_switched_off(built: Offmap) -> None:
    assert "ann@example.org" in built.done("gaps", "--json", OFFMAP_EXPORT_REDACT="false").out


def test_a_limit_counts_and_says_how_many_more(built: Offmap) -> None:
    assert len(built.done("gaps", "--json", "--limit", "1").json["gaps"]) == 1
    found = len(built.done("gaps", "--json").json["gaps"])
    assert f"{found - 1} more: offmap gaps --limit {found}" in built.done("gaps", "--limit", "1").out
    assert built("gaps", "--limit", "0").code == 2


def test_the_table_says_what_to_do_next(built: Offmap) -> None:
    out = built.done("gaps").out
    worst = built.done("gaps", "--json").json["gaps"][0]
    assert out.startswith("The eval set covers ")
    assert f"offmap export --gap {worst['id']} --format openai-chat --out" in out
    assert f"offmap turns --topic {worst['topic']}" in out
    assert f"!1  {worst['label'].split()[0]}" in out  # the rest may stand on a line below


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_table_fits_the_terminal(built: Offmap, width: int) -> None:
    code = "from monitor.cli import main; import sys; sys.exit(main())"
    environment = {**os.environ, **built.environment, "COLUMNS": str(width)}
    ran = subprocess.run(
        [sys.executable, "-c", code, "gaps"], env=environment, capture_output=True, text=True, check=True
    )
    table = ran.stdout.split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= width
    text = " ".join(" ".join(table).split())
    for gap in built.done("gaps", "--json").json["gaps"]:
        assert gap["id"] in text and f"{gap['turns']}" in text
