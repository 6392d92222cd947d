"""`offmap evalset health`, on an eval set with planted faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_support import Offmap
from cli_traffic import MISSING, write_eval_set

KEYS = {
    "eval_set", "version", "run", "items", "texts", "labels", "left_out", "repeats", "conflicts", "doubts",
    "least_asked", "least_asked_kinds", "needed", "balance", "diversity", "unasked",
}  # fmt: skip

STALE = "orchid fertiliser petals pollen stem"


@pytest.fixture
def faulty(analysed: Offmap, tmp_path: Path) -> Path:
    """The eval set, with a repeat, a contradiction, a wrong label and questions that nobody asks."""
    rows = [json.loads(line) for line in write_eval_set(tmp_path / "evals.jsonl").read_text().splitlines()]
    parcel = next(row for row in rows if row["label"] == "parcel")
    rows += [
        {**parcel, "item_id": "again"},
        {**parcel, "item_id": "other", "label": "refund"},
        {"item_id": "wrong", "prompt": "vat billing invoice download pdf", "label": "coupon"},
        *({"item_id": f"stale-{n}", "prompt": f"{STALE} {n}", "label": "orchids"} for n in range(5)),
    ]
    file = tmp_path / "faulty.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_planted_faults_are_found_and_nothing_is_published(analysed: Offmap, faulty: Path, tmp_path: Path) -> None:
    before = analysed.done("gaps", "--json").json
    analysed.done("evalset", "import", faulty, "--name", "faulty")
    found = analysed.done("evalset", "health", "faulty", "--subset", tmp_path / "few.jsonl", "--json").json
    assert set(found) == KEYS
    assert (found["items"], found["labels"], found["left_out"]) == (72, 9, 0) and found["texts"] <= 70
    assert any({"again", "other"} < set(group) for group in found["repeats"])
    assert any({"other"} & {one["first"], one["second"]} and one["cosine"] == 1 for one in found["conflicts"])
    assert {"item": "wrong", "label": "coupon", "likely": "invoice"}.items() <= found["doubts"][0].items()
    assert found["least_asked_kinds"][0]["label"] == "orchids"
    assert {one["item"] for one in found["least_asked"][:5]} == {f"stale-{n}" for n in range(5)}
    assert 0 < len(found["needed"]) < found["texts"]
    assert sum(one["share"] for one in found["balance"]) == pytest.approx(1, abs=0.01)
    lacking = [one for one in found["balance"] if one["items"] == 0 and one["share"] > 0.04]
    assert len(lacking) >= len(MISSING) - 1  # what nobody asks lies nearest to one of them
    written = [json.loads(line) for line in (tmp_path / "few.jsonl").read_text().splitlines()]
    assert [row["item_id"] for row in written] == found["needed"]
    assert analysed.done("evalset", "import", tmp_path / "few.jsonl", "--name", "few", "--json").json["items"] == len(
        written
    )
    assert analysed.done("gaps", "--json").json == before


def test_it_says_it_in_words(analysed: Offmap, faulty: Path) -> None:
    analysed.done("evalset", "import", faulty, "--name", "faulty")
    out = analysed.done("evalset", "health", "faulty").out
    assert out.startswith("72 items, which ask") and "Least asked for: orchids (5 items" in out
    assert "coupon, or rather invoice? wrong: vat billing" in out and "parcel or refund?" in out.replace(
        "refund or parcel?", "parcel or refund?"
    )
    assert "are nearly as near to what people ask as all of them" in out


def test_every_analysis_examines_and_the_trend_is_told(analysed: Offmap, tmp_path: Path) -> None:
    more = write_eval_set(tmp_path / "more.jsonl", each=12)
    analysed.done("evalset", "import", more, "--name", "shop")
    assert "Versions that were compared" not in analysed.done("evalset", "health", "shop").out
    analysed.done("analyse", "--eval-set", "shop")
    out = analysed.done("evalset", "health", "shop").out
    trend = out[out.index("Versions that were compared") :]
    assert " 64 " in trend and " 96 " in trend


def test_it_needs_an_analysis_and_a_known_name(offmap: Offmap, tmp_path: Path) -> None:
    offmap.done("evalset", "import", write_eval_set(tmp_path / "evals.jsonl"), "--name", "shop")
    ran = offmap("evalset", "health", "shop")
    assert ran.code == 1 and "offmap analyse" in ran.err


def test_an_unknown_name_and_version(analysed: Offmap) -> None:
    assert analysed("evalset", "health", "shpo").code == 2
    assert analysed("evalset", "health", "shop", "--version", "1").code == 2
