"""Late texts get the topics of the texts nearest to them: the vote, and the rows that `Assigner` appends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consumers.ingest import ingest_file
from monitor.assignment import Assigner
from monitor.atlas import assignment, cells
from monitor.atlas.assignment import Anchors, assign_texts, nearest_anchors
from monitor.encoding.hashing import HashingEncoder
from monitor.pipeline import analyse
from monitor.records import Turn
from monitor.settings import Settings
from monitor.store.store import Store
from tests.store.templates import copied_into, file_name

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "small"
NOW = datetime(2026, 5, 1)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def slow_vote(query: NDArray[np.float32], anchors: Anchors, level: int, k: int) -> set[int]:
    """The classes that have the most weight among the nearest k, one by one."""
    cosines = anchors.vectors.astype(np.float64) @ query.astype(np.float64)
    support: dict[int, float] = {}
    for row in np.argsort(-cosines, kind="stable")[:k].tolist():
        name = int(anchors.classes[level, row])
        support[name] = support.get(name, 0.0) + max(0.0, cosines[row]) ** 4
    best = max(support.values())
    return {name for name, weight in support.items() if weight > best - 1e-5}


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 10), st.integers(1, 12), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_the_vote_is_that_of_a_slow_one(seed: int, texts: int, queries: int, k: int, names: int) -> None:
    rng = np.random.default_rng(seed)
    anchors = Anchors(unit(rng.normal(size=(texts, 5))), rng.integers(-1, names, size=(2, texts)))
    asked = unit(rng.normal(size=(queries, 5)))
    found = assign_texts(asked, anchors, k=k)
    assert found.shape == (2, queries)
    for level in range(2):
        for number in range(queries):
            assert found[level, number] in slow_vote(asked[number], anchors, level, k)


def test_a_text_of_the_atlas_keeps_its_class_and_the_nearest_wins_a_tie() -> None:
    anchors = Anchors(np.eye(3, dtype=np.float32), np.array([[5, 6, 6], [-1, 2, 3]]))
    assert assign_texts(np.eye(3, dtype=np.float32), anchors, k=1).tolist() == [[5, 6, 6], [-1, 2, 3]]
    between = unit(np.array([[1.0, 1.0, 0.0], [0.9, 0.7, 0.7]]))
    assert assign_texts(between, anchors, k=3).tolist() == [[5, 5], [-1, -1]]  # .9^4 = .66 is more than twice .7^4
    # Nothing in common with any anchor: the first of them, and no failure.
    assert assign_texts(-between, anchors, k=3).shape == (2, 2)


def test_no_texts_and_no_anchors_have_no_class() -> None:
    none = np.zeros((0, 4), np.float32)
    some = unit(np.ones((3, 4)))
    assert assign_texts(none, Anchors(some, np.zeros((2, 3), np.int64)), k=5).shape == (2, 0)
    assert assign_texts(some, Anchors(none, np.zeros((2, 0), np.int64)), k=5).tolist() == [[-1] * 3] * 2


def test_an_index_of_anchors_votes_as_all_of_them_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(40, 48))
    names = rng.integers(0, 40, 3_000)
    anchors = Anchors(unit(centres[names] + 0.7 * rng.normal(size=(3_000, 48))), names[None])
    asked = unit(centres[rng.integers(0, 40, 200)] + 0.7 * rng.normal(size=(200, 48)))
    exact = assign_texts(asked, anchors, k=10)
    monkeypatch.setattr(assignment, "EXACT_BELOW", 1_000)
    monkeypatch.setattr(cells, "_CELL", 20)  # 150 cells, of which 40 are searched
    near = nearest_anchors(asked, anchors, k=10)
    assert len(anchors.index().cells) == 150
    assert anchors.index() is anchors.index()
    found = assign_texts(asked, anchors, k=10, near=near)
    assert (found == exact).mean() > 0.98
    truth = np.argsort(-(asked @ anchors.vectors.T), axis=1)[:, :10]
    shared = [len(set(one) & set(other)) for one, other in zip(near.indices.tolist(), truth.tolist(), strict=True)]
    assert sum(shared) / truth.size > 0.97
    alone = [assign_texts(asked[row : row + 1], anchors, k=10) for row in range(20)]
    assert (np.concatenate(alone, axis=1) == found[:, :20]).all()


# --- into the store

ENCODER = HashingEncoder()


@pytest.fixture(scope="module", params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def analysed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a store with the sample, analysed."""
    name = file_name(request.param, tmp_path_factory.mktemp("analysed"))
    with Store.open(name) as opened:
        ingest_file(opened, SAMPLE / "turns.jsonl.gz", clock=lambda: NOW)
        analyse(opened, ENCODER, Settings(), eval_sets=[], clock=lambda: NOW)
    return name


@pytest.fixture
def store(analysed: str, tmp_path: Path) -> Iterator[Store]:
    """A copy of it."""
    with Store.open(copied_into(tmp_path, analysed)) as opened:
        yield opened


def late(store: Store, turn_id: str, text: str, conversation: str | None = None, **fields: object) -> Turn:
    run = store.runs.current()
    assert run is not None
    values: dict[str, object] = {"created_at": run.window_end + timedelta(minutes=1), **fields}
    return Turn(turn_id=turn_id, user_text=text, conversation_id=conversation or f"of {turn_id}", **values)  # type: ignore[arg-type]


def rows_of(store: Store) -> dict[int, dict[str, object]]:
    run = store.runs.current()
    assert run is not None
    return {row["turn_key"]: row for row in store.atlases.assignments(run.atlas_id).to_pylist()}


@pytest.mark.slow
def test_a_text_that_was_there_gets_its_topics_again(store: Store) -> None:
    before = rows_of(store)
    asked = [key for key, row in before.items() if row["act"] is None and row["fine"] is not None][::30]
    turns = [late(store, f"late {turn.key}", turn.user_text) for turn in store.turns.fetch(asked)]
    store.turns.append(turns)
    assigner = Assigner(store, ENCODER, Settings())
    assert assigner.assign() == len(turns) > 10
    assert assigner.assign() == 0  # told once
    after = rows_of(store)
    assert len(after) == len(before) + len(turns)
    assert str({key: after[key] for key in before}) == str(before)  # nan is not equal to nan
    same = [
        before[old.key]["middle"] == after[new.key]["middle"]
        for old, new in zip(store.turns.fetch(asked), turns, strict=True)
    ]
    assert sum(same) >= 0.9 * len(same)
    for new in turns:
        assert after[new.key]["flood"] is False
        assert after[new.key]["act"] is None


def test_a_greeting_has_the_topic_of_its_conversation_or_none(store: Store) -> None:
    rows = rows_of(store)
    key = next(key for key, row in rows.items() if row["act"] is None and row["fine"] is not None)
    (question,) = store.turns.fetch([key])
    turns = [
        late(store, "q", question.user_text, "c", turn_index=0),
        late(store, "thanks", "thanks", "c", turn_index=1),
        late(store, "alone", "thanks", "d"),
    ]
    store.turns.append(turns)
    assert Assigner(store, ENCODER, Settings()).assign() == 3
    asked, thanks, alone = (rows_of(store)[turn.key] for turn in turns)
    assert asked["act"] is None
    assert thanks["act"] is not None
    levels = ("broad", "middle", "fine")
    assert [thanks[level] for level in levels] == [asked[level] for level in levels]
    assert asked["middle"] is not None
    assert [alone[level] for level in levels] == [None] * 3


def test_a_short_text_among_follow_ups_is_one(store: Store) -> None:
    rows = rows_of(store)
    subjects = [key for key, row in rows.items() if row["act"] is None and row["fine"] is not None]
    question = next(turn for turn in store.turns.fetch(subjects) if len(turn.user_text.split()) > 10)
    said = store.turns.fetch([key for key, row in rows.items() if row["act"] == "followup"])
    texts = sorted({turn.user_text for turn in said if len(turn.user_text.split()) <= 7})
    turns = [
        late(store, f"{name} {number}", text, f"c{number}", turn_index=index)
        for number, follow_up in enumerate(texts)
        for index, (name, text) in enumerate((("q", question.user_text), ("f", follow_up)))
    ]
    store.turns.append(turns)
    assert Assigner(store, ENCODER, Settings()).assign() == len(turns) > 20
    after = rows_of(store)
    asked, followed = turns[::2], turns[1::2]
    assert all(after[turn.key]["act"] is None for turn in asked)
    assert {after[turn.key]["act"] for turn in followed} <= {"followup", "challenge"}
    assert {after[turn.key]["fine"] for turn in followed} == {after[turn.key]["fine"] for turn in asked}


def test_what_is_before_the_window_or_in_another_environment_waits(store: Store) -> None:
    run = store.runs.current()
    assert run is not None
    chosen = Settings().analysis.environments
    turns = [
        late(store, "old", "where is it", created_at=run.window_start - timedelta(days=1)),
        late(store, "staging", "where is it", environment="staging of nobody"),
        late(store, "counted", "where is it", environment=chosen[0]),
        late(store, "unnamed", "where is it"),
    ]
    store.turns.append(turns)
    assert Assigner(store, ENCODER, Settings()).assign() == 2
    rows = rows_of(store)
    assert [turn.key in rows for turn in turns] == [False, False, True, True]


class OtherEncoder(HashingEncoder):
    name = "another@1"


def test_another_encoder_and_no_run_assign_nothing(store: Store, tmp_path: Path) -> None:
    store.turns.append([late(store, "new", "where is it")])
    assert Assigner(store, OtherEncoder(), Settings()).assign() == 0
    with Store.open(str(tmp_path / "empty.duckdb")) as empty:
        assert Assigner(empty, ENCODER, Settings()).assign() == 0


@pytest.mark.slow
def test_a_refit_is_noticed(store: Store) -> None:
    assigner = Assigner(store, ENCODER, Settings())
    store.turns.append([late(store, "one", "where is it")])
    assert assigner.assign() == 1
    first = store.runs.current()
    analyse(store, ENCODER, Settings(), eval_sets=[], clock=lambda: NOW)
    second = store.runs.current()
    assert first is not None
    assert second is not None
    assert first.atlas_id != second.atlas_id
    new = late(store, "two", "where is it")
    store.turns.append([new])
    assert assigner.assign() == 1
    assert new.key in rows_of(store)


@pytest.mark.slow
def test_turns_that_a_rule_keeps_out_get_no_topic(store: Store) -> None:
    before = rows_of(store)
    (old,) = store.turns.fetch(list(before)[:1])
    # More than a round of them, before the one that counts.
    bots = [late(store, f"bot {n}", old.user_text, "0", user_id="bot") for n in range(2_010)]
    mine = late(store, "mine", old.user_text, "1")
    store.turns.append([*bots, mine])
    settings_ = Settings().with_value("analysis.keep_out", '[{user_id = "bot"}]', source="test")
    assert Assigner(store, ENCODER, settings_).assign() == 1
    assert set(rows_of(store)) - set(before) == {mine.key}


def test_a_new_text_is_on_the_map_once_and_near_its_topic(store: Store) -> None:
    run = store.runs.current()
    assert run is not None
    before = {row["turn_key"]: (row["x"], row["y"]) for row in store.layouts.read(run.atlas_id).to_pylist()}
    rows = rows_of(store)
    assert set(before) <= {key for key, row in rows.items() if row["act"] is None and row["middle"] is not None}
    (known,) = store.turns.fetch([next(key for key, row in rows.items() if key in before)])
    new = f"{known.user_text} and again, please"
    turns = [
        late(store, "seen", known.user_text),
        late(store, "new", new),
        late(store, "twice", new),
        late(store, "ta", "thanks"),
    ]
    store.turns.append(turns)
    assigner = Assigner(store, ENCODER, Settings())
    assert assigner.assign() == 4
    store.turns.append([late(store, "thrice", new)])
    assert assigner.assign() == 1
    after = {row["turn_key"]: (row["x"], row["y"]) for row in store.layouts.read(run.atlas_id).to_pylist()}
    assert {key: after[key] for key in before} == before
    added = set(after) - set(before)
    assert len(added) == 1
    assert added < {turns[1].key, turns[2].key}
    (key,) = added
    topic = rows_of(store)[key]["broad"]
    own = np.array([place for one, place in before.items() if rows[one]["broad"] == topic])
    low, high = own.min(axis=0), own.max(axis=0)
    assert (low <= after[key]).all()
    assert (after[key] <= high).all()


def by_fine(store: Store, atlas_id: str, places: dict[int, tuple[float, float]]) -> dict[object, list[int]]:
    found: dict[object, list[int]] = {}
    for row in store.atlases.assignments(atlas_id).to_pylist():
        if row["turn_key"] in places:
            found.setdefault(row["fine"], []).append(row["turn_key"])
    return found


@pytest.mark.slow
def test_a_refit_draws_from_the_published_map(store: Store, tmp_path: Path) -> None:
    first = store.runs.current()
    assert first is not None
    store.turns.append([late(store, "one", "where is it")])
    analyse(store, ENCODER, Settings(), eval_sets=[], clock=lambda: NOW)
    second = store.runs.current()
    assert second is not None
    assert first.atlas_id != second.atlas_id
    old, new = (
        {row["turn_key"]: (row["x"], row["y"]) for row in store.layouts.read(run.atlas_id).to_pylist()}
        for run in (first, second)
    )
    assert len(set(old) & set(new)) > 0.95 * len(old)
    width = np.ptp(np.array(list(old.values())), axis=0).max()
    before, after = (
        {
            topic: np.mean([places[key] for key in keys], axis=0)
            for topic, keys in by_fine(store, run.atlas_id, places).items()
        }
        for run, places in ((first, old), (second, new))
    )
    moved = [np.linalg.norm(after[topic] - before[topic]) / width for topic in set(before) & set(after)]
    assert len(moved) > 10
    assert np.quantile(moved, 0.9) < 0.05
    # The same input gives the same map, and a map that a kill left undone is drawn by the next run.
    places = store.layouts.read(second.atlas_id)
    store.layouts.write(second.atlas_id, np.zeros(0, np.uint64), np.zeros((0, 2), np.float32))
    with Store.open(str(tmp_path / "again.db")) as other:
        ingest_file(other, SAMPLE / "turns.jsonl.gz", clock=lambda: NOW)
        analyse(other, ENCODER, Settings(), eval_sets=[], clock=lambda: NOW)
        run = other.runs.current()
        assert run is not None
        assert other.layouts.read(run.atlas_id).equals(store.layouts.read(first.atlas_id))
    analyse(store, ENCODER, Settings(), eval_sets=[], clock=lambda: NOW)
    assert store.layouts.read(second.atlas_id).num_rows == places.num_rows


def without_topic(store: Store) -> list[dict[str, object]]:
    said = [row for row in rows_of(store).values() if row["act"] is None and row["foreign_language"] is None]
    return [row for row in said if row["fine"] is None]


def test_new_turns_that_come_close_together_are_known_to_the_next_process(store: Store) -> None:
    first = Assigner(store, ENCODER, Settings())
    assert first.assign() == 0
    assert not first.dense
    words = ("zeppelin", "quagmire", "xylophone", "obsidian", "vermilion", "jackdaw", "cuneiform", "palimpsest")
    texts = [f"{' '.join(words[:number] + words[number + 1 :])} {end}" for number in range(8) for end in ("one", "two")]
    store.turns.append([late(store, f"n{number}", text) for number, text in enumerate(texts)])
    assert first.assign() == len(texts)
    assert len(without_topic(store)) == len(texts)
    assert first.dense
    second = Assigner(store, ENCODER, Settings())
    assert second.assign() == 0
    assert second.dense
    store.turns.append([late(store, "again", "zeppelin quagmire xylophone obsidian vermilion jackdaw cuneiform three")])
    assert second.assign() == 1  # no text of the atlas has become nearer because others were new
    assert len(without_topic(store)) == len(texts) + 1
