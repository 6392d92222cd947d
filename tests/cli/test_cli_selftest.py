"""`offmap selftest`."""

from __future__ import annotations

from pathlib import Path

from cli_support import Offmap
from cli_traffic import MISSING, SUBJECTS


def test_it_hides_every_subject_that_the_eval_set_has_and_finds_most(built: Offmap) -> None:
    before = built.done("gaps", "--json").json
    found = built.done("selftest", "--json").json
    covered = set(SUBJECTS) - set(MISSING)
    assert {one["name"] for one in found["hidden"]} | set(found["untested"]) | set(found["listed"]) == covered
    assert found["labelled"] and found["tested"] == len(found["hidden"]) > len(covered) / 2
    assert found["found"] == sum(one["found"] for one in found["hidden"]) >= 0.7 * found["tested"]
    assert all((one["rank"] is not None) == one["found"] for one in found["hidden"])
    shares = [one["share"] for one in found["hidden"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < found["found_low"] < found["found"] / found["tested"] <= found["found_high"] <= 1
    assert found["smallest_share"] in shares and found["hours"] > 0
    large = [one["found"] for one in found["hidden"] if one["share"] >= found["smallest_share"]]
    assert sum(large) >= 0.8 * len(large)
    assert built.done("gaps", "--json").json == before  # nothing is published


def test_it_says_it_in_words(built: Offmap) -> None:
    found = built.done("selftest", "--json").json
    out = built.done("selftest").out
    assert out.startswith(f"It would have found {found['found']} of {found['tested']} kinds of items")
    assert f"{found['smallest_share']:.1%} of the traffic" in out
    assert "as gap " in out


def test_it_needs_an_analysis_and_enough_items(analysed: Offmap, offmap: Offmap, tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text('{"prompt": "where is my parcel"}\n{"prompt": "send it back"}\n')
    analysed.done("evalset", "import", tmp_path / "few.jsonl", "--name", "few")
    few = analysed("selftest", "--eval-set", "few")
    assert few.code == 1 and "2 distinct items in few" in few.err and "coverage.min_eval_items" in few.err
    assert analysed("selftest", "--eval-set", "shpo").code == 2
    analysed.done("analyse")
    alone = analysed("selftest")
    assert alone.code == 1 and "--eval-set NAME" in alone.err
