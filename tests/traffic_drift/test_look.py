"""What a look reads of a published run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from consumers.ingest import ingest_file
from monitor.drift.look import Look, read_look
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import Analysis, analyse
from monitor.settings import Settings
from monitor.store import Store
from tests.cli.cli_traffic import write_eval_set, write_log

NOW = datetime(2026, 6, 1)
SETTINGS = Settings().with_value("encoder.kind", "hashing", source="test")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with Store.open(str(tmp_path / "s.duckdb")) as opened:
        ingest_file(opened, write_log(tmp_path / "log.jsonl", conversations=240), clock=lambda: NOW)
        import_eval_set(opened, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        yield opened


def analysed(store: Store, *eval_sets: str) -> Analysis:
    return analyse(store, make_encoder(SETTINGS.encoder), SETTINGS, eval_sets=eval_sets, clock=lambda: NOW)


def look_at(store: Store, *eval_sets: str) -> Look:
    return read_look(store, SETTINGS, analysed(store, *eval_sets).run)


def test_each_row_is_its_own_turn(store: Store) -> None:
    look = look_at(store, "shop")
    told = {row["turn_key"]: row for row in store.turns.read().to_pylist()}
    placed = {row["turn_key"]: row for row in store.atlases.assignments(look.run.atlas_id).to_pylist()}
    of_their_own = {key for key, row in placed.items() if row["act"] is None and not row["flood"]}
    assert set(look.keys.tolist()) == of_their_own and 400 < len(of_their_own) < 480
    for number, key in enumerate(look.keys.tolist()):
        turn, place = told[key], placed[key]
        assert place["act"] is None and not place["flood"]
        assert look.created[number] == (turn["created_at"] - datetime(1970, 1, 1)).total_seconds() * 1e6
        assert look.hashes[number] == place["text_hash"]
        assert (look.topics[look.fine[number]].topic_id if look.fine[number] >= 0 else None) == place["fine"]
        assert (look.topics[look.middle[number]].topic_id if look.middle[number] >= 0 else None) == place["middle"]
    # Turns of one conversation, and of one user, have one number; those of others another.
    for numbers, column in ((look.conversation, "conversation_id"), (look.user, "user_id")):
        pairs = {(int(number), told[key][column]) for number, key in zip(numbers, look.keys.tolist(), strict=True)}
        assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)


def test_members_of_a_topic_are_those_of_its_level(store: Store) -> None:
    look = look_at(store)
    for topic in look.topics:
        if topic.level in (1, 2):
            members = look.members(look.position[topic.topic_id])
            assert len(members) and len(members) <= topic.turns
    assert (
        look.report is not None and look.report.value is None and list(look.gaps) == [] and np.isnan(look.covered).all()
    )


@pytest.mark.slow
def test_coverage_is_of_the_run(store: Store) -> None:
    look = look_at(store, "shop")
    known = {row["turn_key"]: row["covered"] for row in store.reports.turn_coverage(look.run.report_id).to_pylist()}
    assert look.report is not None and len(known) > 0
    for key, covered in zip(look.keys.tolist(), look.covered.tolist(), strict=True):
        assert known.get(key, float("nan")) == pytest.approx(covered, nan_ok=True)


@pytest.mark.slow
def test_a_forgotten_turn_is_not_there(store: Store) -> None:
    run = analysed(store, "shop").run
    before = read_look(store, SETTINGS, run)
    gone = store.deletion.forget(user="u3", tenant="eu", at=NOW)
    after = read_look(store, SETTINGS, run)
    assert gone and set(after.keys.tolist()) < set(before.keys.tolist())
