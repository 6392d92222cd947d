"""`offmap analyse`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_support import Offmap
from cli_traffic import write_log


def test_analyse_publishes_and_says_the_verdict(analysed: Offmap) -> None:
    found = analysed.done("analyse", "--eval-set", "shop", "--json").json
    keys = {"run", "verdict", "turns", "texts", "encoded", "topics", "gaps", "reused", "seconds", "drift", "alerts"} | {
        "kept_out",
        "naming",
    }
    assert set(found) == keys
    assert found["gaps"] > 1 and found["reused"] is True and found["encoded"] == 0
    assert found["run"]["eval_sets"] == ["shop"]
    shown = analysed.done("analyse", "--eval-set", "shop").out
    assert shown.startswith("The eval set covers ") and "Next: offmap gaps" in shown


@pytest.mark.slow
def test_the_same_again_is_the_same(analysed: Offmap) -> None:
    before = {name: analysed.done(name, "--json").out for name in ("topics", "turns", "signals")}
    gaps = analysed.done("gaps", "--json").json["gaps"]
    analysed.done("analyse", "--eval-set", "shop")
    assert gaps == analysed.done("gaps", "--json").json["gaps"]
    assert before["turns"] == analysed.done("turns", "--json").out
    assert before["signals"] == analysed.done("signals", "--json").out


@pytest.mark.slow
def test_without_an_eval_set_the_rest_works(analysed: Offmap) -> None:
    ran = analysed.done("analyse")
    assert "No eval set was compared" in ran.out and "offmap evalset import FILE" in ran.out
    assert "offmap analyse --eval-set shop" in ran.out
    gaps = analysed.done("gaps")
    assert "No eval set was compared" in gaps.out and "compared with no eval set" in gaps.out
    found = analysed.done("gaps", "--json").json
    assert found["gaps"] == [] and found["coverage"] == {"value": None, "low": None, "high": None}
    topics = analysed.done("topics", "--json").json["topics"]
    assert topics and all(topic["coverage"] is None for topic in topics)


@pytest.mark.slow
def test_rules_keep_turns_out_and_it_is_said(analysed: Offmap) -> None:
    log = (
        analysed.folder / "log.jsonl",
        '{"user_text": "is my parcel there", "app": "playground", "user_id": "<b>"}\n' * 2,
    )
    log[0].write_text(log[1])
    analysed.done("ingest", log[0])
    rule = {"OFFMAP_ANALYSIS_KEEP_OUT": '[{app = "play*"}]'}
    assert 'Kept out by rule: 2 turns with app = "play*".' in analysed.done("analyse", "--eval-set", "shop", **rule).out
    assert 'Kept out by rule: 2 turns with app = "play*".' in analysed.done("topics").out
    assert analysed.done("topics", "--json").json["kept_out"] == [{"rule": 'app = "play*"', "turns": 2}]
    ran = analysed("analyse", OFFMAP_ANALYSIS_KEEP_OUT='[{ap = "x"}]')
    assert ran.code == 2 and "rule 1 has the unknown field ap; did you mean app?" in ran.err
    assert "Kept out" not in analysed.done("analyse").out


def test_a_window_picks_turns(analysed: Offmap) -> None:
    found = analysed.done("analyse", "--window", "2026-03-02/2026-03-09", "--json").json
    assert 0 < found["turns"] < 200
    assert found["run"]["window"] == {"start": "2026-03-02T00:00:00Z", "end": "2026-03-09T00:00:00Z"}


def test_a_bad_window_is_wrong_use(analysed: Offmap) -> None:
    for window in ("yesterday", "2026-03-09/2026-03-02", "2026-03-09/soon"):
        ran = analysed("analyse", "--window", window)
        assert ran.code == 2 and ran.err.startswith(f"Error: --window {window}: ")


def test_an_empty_window_names_where_the_turns_are(analysed: Offmap) -> None:
    ran = analysed("analyse", "--window", "2020-01-01/2020-02-01")
    assert ran.code == 1 and "its 480 turns lie in 2026-03-02" in ran.err


def test_an_unknown_eval_set_is_wrong_use(analysed: Offmap) -> None:
    ran = analysed("analyse", "--eval-set", "shpo")
    assert ran.code == 2 and "did you mean 'shop'?" in ran.err


def test_a_store_without_turns(offmap: Offmap) -> None:
    offmap.done("init")
    ran = offmap("analyse")
    assert (ran.code, ran.err) == (1, "Error: the store holds no turns: run `offmap ingest FILE` first\n")


def test_nothing_is_shown_before_the_first_analysis(offmap: Offmap, tmp_path: Path) -> None:
    offmap.done("ingest", write_log(tmp_path / "log.jsonl", conversations=3))
    for verb in ("topics", "gaps", "turns", "signals"):
        for form in ((), ("--json",)):
            ran = offmap(verb, *form)
            assert (ran.code, ran.out) == (1, "")
            assert ran.err == "Error: nothing has been analysed yet: run `offmap analyse --eval-set NAME`\n"
