"""`offmap gate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_support import Offmap
from cli_traffic import MISSING, SUBJECTS, write_eval_set

from monitor.cli.gate import _plain


def test_it_passes_or_fails_by_what_is_asked_and_publishes_nothing(built: Offmap) -> None:
    before = built.done("gaps", "--json").json
    covered = before["coverage"]["value"]
    passed = built("gate", "--eval-set", "shop", "--min-coverage", str(covered - 0.01), "--json")
    assert passed.code == 0 and passed.json["passes"] is True
    # The same set over the same traffic is what was published.
    assert passed.json["coverage"] == before["coverage"]
    assert passed.json["before"] == covered and passed.json["topics"] == []
    assert passed.json["change"] == {"value": 0, "low": 0, "high": 0} and passed.json["changed"] is False
    failed = built("gate", "--eval-set", "shop", "--min-coverage", str(covered + 0.01))
    assert failed.code == 3 and failed.out.startswith(f"Failed: shop covers {covered:.0%}")
    assert "), no change; " in failed.out
    certain = built("gate", "--eval-set", "shop", "--min-coverage", str(covered - 0.01), "--certain")
    assert certain.code == 3 and "low end" in certain.out
    assert built.done("gaps", "--json").json == before


def test_a_file_that_covers_more_is_told_with_its_topics(analysed: Offmap, tmp_path: Path) -> None:
    items = [json.loads(line) for line in write_eval_set(tmp_path / "more.jsonl").read_text().splitlines()]
    for subject in MISSING:
        words = SUBJECTS[subject].split()
        items += [
            {"item_id": f"{subject}{number}", "prompt": " ".join(words[number % 3 : number % 3 + 4]), "label": subject}
            for number in range(6)
        ]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    summary = tmp_path / "summary.md"
    found = analysed("gate", "--file", tmp_path / "more.jsonl", "--min-coverage", "0", "--summary", summary, "--json")
    assert found.code == 0 and found.json["coverage"]["value"] > found.json["before"]
    assert found.json["topics"] and all(one["now"] > one["before"] for one in found.json["topics"][:1])
    analysed.done("gate", "--file", tmp_path / "more.jsonl", "--min-coverage", "0", "--summary", summary)
    text = summary.read_text()
    assert text.count("### offmap gate") == 2  # appended
    assert found.json["before_of"] == "shop" and ") on shop, which the last analysis compared" in text
    assert "**Passed: more.jsonl covers" in text and "| topic | share | before | now | change |" in text
    change = found.json["change"]
    assert change["value"] == pytest.approx(found.json["coverage"]["value"] - found.json["before"])
    assert 0 < change["low"] <= change["value"] <= change["high"] and found.json["changed"] is True
    told = analysed.done("gate", "--file", tmp_path / "more.jsonl", "--min-coverage", "0").out
    points = f"{100 * change['value']:+.0f} points ({100 * change['low']:+.0f} to {100 * change['high']:+.0f})"
    assert points in told and "moves by itself" not in told
    first = found.json["topics"][0]
    assert first["change"]["low"] <= first["change"]["value"] <= first["change"]["high"] and first["changed"] is True
    assert f" to {100 * first['change']['high']:+.0f})" in told
    assert analysed.done("evalset", "list", "--json").json == analysed.done("evalset", "list", "--json").json
    assert [one["name"] for one in analysed.done("evalset", "list", "--json").json["eval_sets"]] == ["shop"]


def test_a_change_that_may_be_none_is_said_to_be(analysed: Offmap, tmp_path: Path) -> None:
    lines = write_eval_set(tmp_path / "fewer.jsonl").read_text().splitlines()
    (tmp_path / "fewer.jsonl").write_text("\n".join(lines[1:]) + "\n")
    gate = ("gate", "--file", tmp_path / "fewer.jsonl", "--min-coverage", "0")
    found = analysed(*gate, "--json").json
    assert found["change"]["low"] <= 0 <= found["change"]["high"] and found["changed"] is False
    summary = tmp_path / "summary.md"
    said = "The change is within what an estimate moves by itself: its 90% interval, "
    assert said in analysed.done(*gate, "--summary", summary).out and said in summary.read_text()


def test_what_cannot_be_said_does_not_pass(analysed: Offmap, tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text('{"prompt": "where is my parcel"}\n')
    ran = analysed("gate", "--file", tmp_path / "few.jsonl", "--min-coverage", "0")
    assert ran.code == 3 and ran.out.startswith("Failed: nothing can be said of few.jsonl") and "at least 30" in ran.out


def test_wrong_use_is_told_from_too_little(built: Offmap, offmap: Offmap, tmp_path: Path) -> None:
    nothing = built("gate", "--min-coverage", "0.8")
    assert nothing.code == 2 and "--eval-set NAME" in nothing.err and "--file FILE" in nothing.err
    assert built("gate", "--eval-set", "shpo", "--min-coverage", "0.8").code == 2
    assert built("gate", "--eval-set", "shop", "--min-coverage", "80").code == 2
    assert built("gate", "--file", tmp_path / "none.jsonl", "--min-coverage", "0.8").code == 1
    offmap.done("init")
    empty = offmap("gate", "--eval-set", "shop", "--min-coverage", "0.8")
    assert empty.code == 1 and "offmap analyse" in empty.err


@pytest.mark.parametrize(
    "hostile", ["<img src=x onerror=alert(1)>", "a | b", "[x](http://y)", "**b**\n# h", "@everyone"]
)
def test_words_of_users_are_no_markup_in_a_summary(hostile: str) -> None:
    shown = _plain(hostile)
    assert "\n" not in shown
    for mark in "<>|[]()*#@":
        assert all(shown[place - 1] == "\\" for place, letter in enumerate(shown) if letter == mark)
