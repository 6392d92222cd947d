"""A run is published whole, and what nothing uses is swept; on both kinds of store."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from monitor.errors import StoreError
from monitor.store import Store
from monitor.store.atlases import ASSIGNMENTS, AtlasRow, LineageRow, TopicRow
from monitor.store.reports import SIGNALS, TURN_COVERAGE, CoverageRow, GapRow, TopicCoverageRow
from monitor.store.runs import PublishedRun
from tests.store.conftest import NOON, make_turn

WEEK = timedelta(days=7)
TURNS = sorted((make_turn(f"r{number}") for number in (3, 4, 9)), key=lambda turn: turn.key)
KEYS = [turn.key for turn in TURNS]  # the last is over 2**63


def atlas_row(atlas_id: str) -> AtlasRow:
    return AtlasRow(atlas_id, NOON, NOON - WEEK, NOON, "mini", "text", "leiden", "{}", 3, 2, "f")


def topic_row(topic_id: str = "k1", level: int = 0, representatives: tuple[int, ...] = (KEYS[0], KEYS[2])) -> TopicRow:
    return TopicRow(topic_id, level, None, "parcels", ("parcel", "late"), 3, 2, 1, 0.5, representatives, NOON)


def assignments(keys: Sequence[int] = KEYS) -> pa.Table:
    rows = [
        {"turn_key": key, "text_hash": b"h" * 16, "broad": "k1", "middle": None, "fine": None, "act": None,
         "flood": False, "intent": None, "intent_similarity": 0.5}
        for key in reversed(keys)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, ASSIGNMENTS)


def coverage_row(report_id: str, atlas_id: str = "a1") -> CoverageRow:
    return CoverageRow(report_id, atlas_id, NOON, ("e1",), 30, 0.8, 0.7, None, "four of five are covered", "{}")


def gap_row(gap_id: str = "g1", rank: int = 1, examples: tuple[int, ...] = (KEYS[0], KEYS[2])) -> GapRow:
    return GapRow(
        gap_id,
        rank,
        "k1",
        "parcels",
        3,
        2,
        0.5,
        0.1,
        0.0,
        0.4,
        0.0,
        0.2,
        0.6,
        0.9,
        True,
        NOON,
        1.5,
        0.2,
        examples,
        ("e1", "e2"),
    )


def turn_coverage(keys: Sequence[int] = KEYS) -> pa.Table:
    rows = [{"turn_key": key, "novelty": 0.5, "covered": 0.25, "nearest_item": "e1"} for key in keys]
    return pa.Table.from_pylist(rows, TURN_COVERAGE)


def signals(keys: Sequence[int] = KEYS) -> pa.Table:
    rows = [{"turn_key": key, "signal": "challenge", "span_start": 0, "span_end": None, "detail": "d"} for key in keys]
    return pa.Table.from_pylist(rows, SIGNALS)


def run_row(run_id: str, atlas_id: str, report_id: str, at: datetime = NOON) -> PublishedRun:
    return PublishedRun(run_id, atlas_id, report_id, at, NOON - WEEK, NOON, ("support",), '{"a":1}')


def write_all(store: Store, atlas_id: str, report_id: str) -> None:
    store.turns.append(TURNS)
    store.atlases.write(atlas_row(atlas_id), [topic_row()], [LineageRow("k1", "born", None, 0.0)], assignments())
    store.reports.write_coverage(
        coverage_row(report_id, atlas_id), [TopicCoverageRow("k1", 0.5, None, None, None)], turn_coverage()
    )
    store.reports.write_gaps(report_id, [gap_row("g2", 2), gap_row("g1", 1)])
    store.reports.write_signals(report_id, signals())


def test_all_of_a_run_comes_back(store: Store) -> None:
    for _ in range(2):  # a run that was killed writes again what it had written
        write_all(store, "a1", "r1")
    assert store.atlases.load("a1") == atlas_row("a1")
    assert store.atlases.topics("a1") == [topic_row()]
    assert store.atlases.lineage("a1") == [LineageRow("k1", "born", None, 0.0)]
    assert store.atlases.assignments("a1").equals(assignments().sort_by("turn_key"))
    assert store.reports.coverage("r1") == coverage_row("r1")
    assert store.reports.topic_coverage("r1") == [TopicCoverageRow("k1", 0.5, None, None, None)]
    assert store.reports.turn_coverage("r1").equals(turn_coverage())
    assert store.reports.gaps("r1") == [gap_row("g1", 1), gap_row("g2", 2)]
    assert store.reports.signals("r1").equals(signals())
    assert (store.atlases.load("a2"), store.reports.coverage("r2"), store.reports.gaps("r2")) == (None, None, [])


def test_the_turns_that_prove_what_became_of_topics_come_back_in_their_order(store: Store) -> None:
    turns = [make_turn(f"t{number}") for number in range(7)]
    store.turns.append(turns)
    keys = [turn.key for turn in turns]
    lineage = [
        LineageRow("k1", "grew", None, 0.5, (keys[4], keys[0], keys[2])),
        LineageRow("k1", "merged", "k0", 0.75, (keys[5], keys[1])),
        LineageRow("k1", "merged", "k9", 0.75, (keys[5],)),
        LineageRow("k2", "died", None, 0.0),
    ]
    for _ in range(2):  # a run that was killed writes again what it had written
        store.atlases.write(atlas_row("a1"), [topic_row()], lineage, assignments())
    assert store.atlases.lineage("a1") == lineage
    store.atlases.write(
        atlas_row("a2"), [topic_row()], [LineageRow("k1", "kept", None, 1.0, (keys[6],))], assignments()
    )
    assert store.atlases.lineage("a1") == lineage
    store.runs.sweep()
    assert store.atlases.lineage("a1") == [] == rows_of(store, "lineage_turns")


def rows_of(store: Store, table: str) -> list[object]:
    return store._database.query(f"SELECT * FROM {table}").to_pylist()


def test_what_was_forgotten_meanwhile_does_not_come_back_as_a_proof(store: Store) -> None:
    """An analysis has read the turns before: what it writes may name one that is gone."""
    turns = [make_turn(f"t{number}") for number in range(3)]
    store.turns.append(turns)
    store.deletion.forget(turn="t1", at=NOON)
    lineage = [LineageRow("k1", "born", None, 0.0, tuple(turn.key for turn in turns))]
    store.atlases.write(atlas_row("a1"), [topic_row()], lineage, assignments())
    assert store.atlases.lineage("a1")[0].turns == (turns[0].key, turns[2].key)


def test_topics_that_are_gone_are_found_in_the_latest_atlas_that_had_them(store: Store) -> None:
    for number in range(3):
        one = replace(atlas_row(f"a{number}"), created_at=NOON + timedelta(hours=number))
        topics = [topic_row("now"), *([replace(topic_row("old"), label=f"old {number}")] if number < 2 else [])]
        store.atlases.write(one, topics, [], assignments())
    found = store.atlases.former_topics(["old", "now", "never"], besides="a2")
    assert {topic_id: one.label for topic_id, one in found.items()} == {"old": "old 1", "now": "parcels"}
    assert store.atlases.former_topics([], besides="a2") == {}


def test_empty_results(store: Store) -> None:
    store.atlases.write(atlas_row("a1"), [], [], ASSIGNMENTS.empty_table())
    store.reports.write_coverage(coverage_row("r1"), [], TURN_COVERAGE.empty_table())
    store.reports.write_gaps("r1", [])
    store.reports.write_signals("r1", SIGNALS.empty_table())
    assert store.atlases.topics("a1") == store.atlases.lineage("a1") == store.reports.gaps("r1") == []
    assert store.atlases.assignments("a1").schema.equals(ASSIGNMENTS)


def test_readers_see_the_old_run_until_the_new_one_is_whole(store: Store) -> None:
    write_all(store, "a1", "r1")
    store.runs.publish(run_row("one", "a1", "r1"))
    seen: list[PublishedRun | None] = []

    def look() -> None:
        seen.append(store.runs.current())

    with pytest.raises(RuntimeError), store.transaction():
        write_all(store, "a2", "r2")
        store.runs.publish(run_row("two", "a2", "r2", NOON + WEEK))
        reader = threading.Thread(target=look)
        reader.start()
        reader.join()
        raise RuntimeError
    look()
    assert [run.run_id if run else None for run in seen] == ["one", "one"]
    write_all(store, "a2", "r2")
    store.runs.publish(run_row("two", "a2", "r2", NOON + WEEK))
    current = store.runs.current()
    assert current == run_row("two", "a2", "r2", NOON + WEEK)
    assert current.generation == 2


def test_what_is_published_never_changes(store: Store) -> None:
    write_all(store, "a1", "r1")
    store.runs.publish(run_row("one", "a1", "r1"))
    assert not store.atlases.write(atlas_row("a1"), [], [], ASSIGNMENTS.empty_table())
    assert not store.reports.write_gaps("r1", [])
    assert not store.reports.write_signals("r1", SIGNALS.empty_table())
    assert len(store.reports.gaps("r1")) == 2
    with pytest.raises(StoreError, match="its atlas a9 is not stored"):
        store.runs.publish(run_row("nine", "a9", "r9"))


def test_generations_break_ties_and_a_run_can_be_published_again(store: Store) -> None:
    assert store.runs.current() is None
    write_all(store, "a1", "r1")
    for name in ("one", "two", "one"):
        store.runs.publish(run_row(name, "a1", "r1"))
    current = store.runs.current()
    assert current is not None
    assert (current.run_id, current.generation) == ("one", 3)


def test_sweep_removes_what_nothing_uses(store: Store) -> None:
    now = store._database.clock()  # claims of jobs are measured by the store's clock
    for number in range(4):
        write_all(store, f"a{number}", f"r{number}")
        store.runs.publish(run_row(f"run{number}", f"a{number}", f"r{number}", now + timedelta(minutes=number)))
    write_all(store, "claimed", "claimed-report")
    write_all(store, "loose", "loose-report")
    store.jobs.begin("j1", "analyse", {"atlas_id": "claimed", "report_id": "claimed-report"})
    assert store.runs.sweep(keep=2) == 2 + 3 + 3  # runs 0 and 1, their atlases and reports, and the loose ones
    assert [bool(store.atlases.load(name)) for name in ("a0", "a1", "a2", "a3", "claimed", "loose")] == [
        False, False, True, True, True, False,
    ]  # fmt: skip
    assert store.reports.coverage("claimed-report") is not None
    assert store.reports.gaps("loose-report") == []
    assert store.atlases.assignments("a0").num_rows == 0
    store.jobs.finish("j1")
    assert store.runs.sweep(keep=2) == 2
    assert store.runs.sweep(keep=2) == 0


def test_what_was_forgotten_meanwhile_leaves_no_row(store: Store) -> None:
    """An analysis has read the turns before, and so has who draws the map or finds languages."""
    store.turns.append(TURNS)
    store.deletion.forget(turn=TURNS[2].turn_id, at=NOON)
    topic, said = replace(topic_row(), label="parcels, quixotrope", keywords=("parcel", "quixotrope")), list[int]()

    def texts(keys: Collection[int]) -> list[str]:
        said.extend(keys)
        return ["my quixotrope"]

    store.atlases.write(atlas_row("a1"), [topic], [], assignments(KEYS[1:]), texts)
    assert said == KEYS[2:]
    kept = replace(topic, representatives=(KEYS[0],), label="parcels, …", keywords=("parcel",))
    assert store.atlases.topics("a1") == [kept]
    assert store.atlases.append("a1", assignments()) == 1
    assert store.atlases.assignments("a1").column("turn_key").to_pylist() == KEYS[:2]
    store.reports.write_coverage(coverage_row("r1"), [], turn_coverage())
    store.reports.write_gaps("r1", [gap_row()])
    store.reports.write_signals("r1", signals())
    assert store.reports.turn_coverage("r1").equals(turn_coverage(KEYS[:2]))
    assert store.reports.gaps("r1") == [gap_row(examples=(KEYS[0],))]
    assert store.reports.signals("r1").equals(signals(KEYS[:2]))
    keys, places = np.array(KEYS, np.uint64), np.zeros((3, 2), np.float32)
    store.layouts.write("a1", keys[1:], places[1:])
    assert store.layouts.append("a1", keys, places) == 1
    assert store.layouts.read("a1").column("turn_key").to_pylist() == KEYS[:2]
    store.languages.note(keys, ["en", "de", "fr"], np.ones(3))
    assert store.languages.of(KEYS) == {KEYS[0]: "en", KEYS[1]: "de"}


def test_a_text_that_stood_for_near_copies_is_gone_with_the_last_turn_that_said_it(store: Store) -> None:
    """Of many turns, with keys over 2**63: DuckDB cannot hand these to an Arrow table as a filter."""
    turns = [make_turn(f"n{number}") for number in range(300)]
    keys, own = [turn.key for turn in turns], [bytes([number % 256, number // 256]) * 8 for number in range(300)]
    store.turns.append(turns)
    store.vectors.append("mini", "text", own, np.ones((300, 4), np.float32))
    store.vectors.note_texts("text", keys, own)
    table = assignments(keys).set_column(1, "text_hash", pa.array([own[0]] * 3 + own[:2:-1], pa.binary()))
    by_text = dict(zip(table["turn_key"].to_pylist(), table["text_hash"].to_pylist(), strict=True))
    store.atlases.write(atlas_row("a1"), [], [], table)
    store.deletion.forget(turn="n0", at=NOON)
    rows = store.atlases.assignments("a1").to_pylist()
    expected = {key: own[keys.index(key)] if hash_ == own[0] else hash_ for key, hash_ in by_text.items()}
    del expected[keys[0]]
    assert {row["turn_key"]: row["text_hash"] for row in rows} == expected
    assert store.vectors.missing("mini", "text", own) == [own[0]]
