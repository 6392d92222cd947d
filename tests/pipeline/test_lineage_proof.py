"""Refits through the store: the turns that an event names were in the old topic, and are in the new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.ingest import utc_now
from monitor.published import became
from monitor.store.atlases import LineageRow
from monitor.store.store import Store
from tests.pipeline.test_topic_decisions import COLUMNS, decisions, fixed, ingest, run, topic, topics

#: Fewer topics than `fixed` asks for: a refit after that has topics to split, the other way round to merge.
COARSE = (
    fixed()
    .with_value("atlas.resolution_fine", 3, source="test")
    .with_value("atlas.resolution_middle", 2, source="test")
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "s.duckdb"), threads=2) as opened:
        ingest(opened, tmp_path, seed=3, name="a", conversations=120)
        yield opened


def held(store: Store) -> dict[str, set[int]]:
    """Turns of each topic on every level, without what only follows a topic."""
    current = store.runs.current()
    assert current is not None
    found: dict[str, set[int]] = {}
    for row in store.atlases.assignments(current.atlas_id).to_pylist():
        for column in COLUMNS:
            if row["act"] is None and row[column] is not None:
                found.setdefault(row[column], set()).add(row["turn_key"])
    return found


def lineage(store: Store) -> list[LineageRow]:
    current = store.runs.current()
    assert current is not None
    return store.atlases.lineage(current.atlas_id)


def check(before: dict[str, set[int]], now: dict[str, set[int]], events: list[LineageRow]) -> dict[str, int]:
    """Every event by what the two atlases say; how many of each kind named turns."""
    counts: dict[str, int] = {}
    had = {key for keys in before.values() for key in keys}
    for row in events:
        turns = set(row.turns)
        assert len(turns) == len(row.turns) <= 5
        counts[row.event] = counts.get(row.event, 0) + bool(turns)
        if row.event == "died":
            assert turns <= before[row.topic_id]
        elif row.event == "born":
            assert turns <= now[row.topic_id]
            assert not turns & had or not now[row.topic_id] - had
        else:
            assert turns and turns <= before[row.other or row.topic_id] & now[row.topic_id]
    return counts


def test_the_first_atlas_is_born_of_turns_of_its_topics(store: Store) -> None:
    run(store)
    counts = check({}, held(store), lineage(store))
    assert counts == {"born": len(held(store))}


def test_mergers_and_splits_are_proven_by_turns_of_both_sides(store: Store, tmp_path: Path) -> None:
    run(store)
    fine = held(store)
    run(store, COARSE)
    coarse = held(store)
    assert check(fine, coarse, lineage(store))["merged"] > 0
    merged = {row.topic_id for row in lineage(store) if row.event == "merged"}
    for one in merged:
        sources = {row.other or row.topic_id: row for row in lineage(store) if row.topic_id == one}
        assert len(sources) > 1
        assert all(set(row.turns) <= fine[source] & coarse[one] for source, row in sources.items())
    ingest(store, tmp_path, seed=9, name="b", conversations=40)
    run(store)
    assert check(coarse, held(store), lineage(store))["split"] > 0


def test_a_merger_that_people_decide_is_proven(store: Store) -> None:
    run(store)
    before = held(store)
    target = topics(store, 2)[0]
    gone = next(one for one in topics(store, 2) if one.parent != target.parent)
    decisions(store).merge(gone.topic_id, target.topic_id)
    run(store)
    now = held(store)
    check(before, now, lineage(store))
    (row,) = [one for one in lineage(store) if one.event == "merged" and one.other == gone.topic_id]
    assert set(row.turns) <= before[gone.topic_id] & now[target.topic_id]
    current, merged = store.runs.current(), topic(store, target.topic_id)
    assert current is not None and merged is not None
    shown = became(store, current.atlas_id, [merged], least=1, redacted=True, died=False)
    (said,) = [one for one in shown if one.row.event == "merged"]
    assert said.words == f"{gone.label} came in"
    texts = {turn.turn_id for turn in store.turns.fetch(list(row.turns))}
    assert {one.turn_id for one in said.examples} == texts and len(texts) == len(row.turns)
    hidden = became(store, current.atlas_id, [merged], least=10**6, redacted=True)
    assert [one.other for one in hidden if one.row.event == "merged"] == [gone.topic_id]


def test_a_forgotten_turn_proves_nothing_any_more_also_after_the_next_refit(store: Store, tmp_path: Path) -> None:
    run(store)
    named = sorted({key for row in lineage(store) for key in row.turns})[:4]
    for turn in store.turns.fetch(named):
        store.deletion.forget(turn=turn.turn_id, tenant=turn.tenant, at=utc_now())
    assert not {key for row in lineage(store) for key in row.turns} & set(named)
    ingest(store, tmp_path, seed=9, name="b", conversations=10)
    run(store)
    assert not {key for row in lineage(store) for key in row.turns} & set(named)
