"""A refit through the store leans on the published atlas, and on nothing where that was made in another way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from consumers.ingest import utc_now
from monitor.assignment import Assigner
from monitor.atlas.corpus import read_corpus
from monitor.atlas.standing import read_standing
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.recipe import USER_TEXT
from monitor.pipeline import analyse
from monitor.settings import Settings
from monitor.store.store import Store
from tests.pipeline.test_topic_decisions import fixed, ingest

STEADY = fixed().with_value("atlas.steadiness", 0.1, source="test")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "s.duckdb"), threads=2) as opened:
        ingest(opened, tmp_path, seed=3, name="a", conversations=120)
        analyse(opened, HashingEncoder(), STEADY, clock=utc_now)
        yield opened


def of_turns(store: Store, column: str) -> dict[int, str]:
    run = store.runs.current()
    assert run is not None
    table = store.atlases.assignments(run.atlas_id)
    acts = table["act"].to_pylist()
    pairs = zip(table["turn_key"].to_pylist(), table[column].to_pylist(), acts, strict=True)
    return {key: topic for key, topic, act in pairs if act is None}


def standing(
    store: Store, settings: Settings = STEADY, *, encoder: str = "", decisions: tuple[str, ...] = ()
) -> list[int]:
    """Texts with a standing topic, by level."""
    corpus = read_corpus(store, USER_TEXT, window=None, environments=settings.analysis.environments)
    parameters = {"steadiness": settings.atlas.steadiness, "seed": settings.atlas.seed}
    found = read_standing(
        store, corpus, encoder=encoder or HashingEncoder().name, parameters=parameters, decisions=decisions
    )
    return [int((level >= 0).sum()) for level in found]


def test_hardly_a_turn_changes_topic_when_a_few_come(store: Store, tmp_path: Path) -> None:
    before = {column: of_turns(store, column) for column in ("middle", "fine")}
    ingest(store, tmp_path, seed=9, name="b", conversations=6)
    found = analyse(store, HashingEncoder(), STEADY, clock=utc_now)
    assert not found.reused
    for column, topics in before.items():
        now = of_turns(store, column)
        both = topics.keys() & now.keys()
        assert len(both) > 0.95 * len(topics)
        assert np.mean([topics[key] == now[key] for key in both]) >= 0.98


def test_what_was_assigned_between_refits_does_not_hold(store: Store, tmp_path: Path) -> None:
    fitted = standing(store)
    assert len(fitted) == 3 and fitted[2] > 0
    ingest(store, tmp_path, seed=9, name="b", conversations=60)
    assert Assigner(store, HashingEncoder(), STEADY).assign() > 0
    # a text that is new has no standing; one that was said before has that of the fit
    assert standing(store) == fitted


def test_another_encoder_another_setting_or_a_decision_taken_back_is_a_fresh_fit(store: Store) -> None:
    assert standing(store, encoder="another") == []
    assert standing(store, STEADY.with_value("atlas.seed", 7, source="test")) == []
    assert standing(store, decisions=("d1",)) != []


def test_nothing_is_leant_on_before_the_first_atlas(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "new.duckdb"), threads=2) as opened:
        ingest(opened, tmp_path, seed=3, name="a", conversations=5)
        assert standing(opened) == []


def test_ids_of_kept_atlases_are_known(store: Store) -> None:
    run = store.runs.current()
    assert run is not None
    ids = {one.topic_id for one in store.atlases.topics(run.atlas_id)}
    assert store.atlases.topic_ids(besides="") == ids
    assert store.atlases.topic_ids(besides=run.atlas_id) == set()
