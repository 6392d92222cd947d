"""Gaps that stay listed though the estimate of everything rose, through the pipeline; only what was done for one closes it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consumers.ingest import utc_now
from monitor.coverage.estimate import Coverage
from monitor.coverage.gaps import gap_id_of
from monitor.coverage.life import Life, read_lives
from monitor.coverage.parts import Estimator
from monitor.decisions import Decisions
from monitor.encoding.hashing import HashingEncoder
from monitor.errors import OffmapError
from monitor.pipeline import Analysis, analyse
from monitor.settings import Settings
from monitor.store.store import Store
from monitor.turn_marks import TurnMarks
from tests.cli.cli_traffic import MISSING, write_eval_set
from tests.pipeline.test_gap_life import add_items, gaps, keep, of_subject
from tests.pipeline.test_topic_decisions import ingest

_OF_TOPICS = Estimator.of_topics


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An analysed log with four gaps."""
    with Store.open(str(tmp_path / "s.duckdb"), threads=2) as opened:
        ingest(opened, tmp_path, seed=3, name="a", conversations=240)
        keep(opened, write_eval_set(tmp_path / "evals.jsonl"))
        run(opened)
        yield opened


@pytest.fixture
def risen(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The estimate of everything rises: every topic is estimated as covered, and not one turn is nearer to an item."""
    with monkeypatch.context() as patched:
        patched.setattr(Estimator, "of_topics", _risen)
        yield patched


def _risen(estimator: Estimator, topics: int) -> Coverage:
    found = _OF_TOPICS(estimator, topics)
    return replace(found, topics=tuple(replace(one, value=max(one.value, 0.85), high=0.95) for one in found.topics))


def run(store: Store, *, at: datetime | None = None, hold_days: int = 28) -> Analysis:
    settings = Settings().with_value("gaps.hold_days", hold_days, source="test")
    return analyse(store, HashingEncoder(), settings, eval_sets=["shop"], clock=lambda: at or utc_now())


def life(store: Store, gap_id: str) -> Life:
    return read_lives(store, now=utc_now()).of(gap_id)


def test_gaps_that_nothing_was_done_for_are_held_and_one_that_items_came_for_closes(
    store: Store, tmp_path: Path, risen: pytest.MonkeyPatch
) -> None:
    before = {gap.gap_id for gap in gaps(store)}
    own = of_subject(store, "garden").gap_id
    add_items(store, tmp_path, "garden", 8)
    found = run(store)
    assert {gap.gap_id for gap in gaps(store)} == before - {own}
    assert [gap.rank for gap in gaps(store)] == [1, 2, 3]
    assert not any(gap.alert for gap in gaps(store))
    assert "3 gaps are listed, 3 of them held: they seem covered, but nothing was done for them." in found.verdict
    assert (life(store, own).words, life(store, own).by_itself) == ("closed", False)
    for gap_id in before - {own}:
        one = life(store, gap_id)
        assert (one.words, one.closed_at, [event.kind for event in one.events]) == ("held", None, ["opened", "held"])
        assert one.held_since is not None


def test_the_same_analysis_again_finds_the_same_and_is_no_news(
    store: Store, tmp_path: Path, risen: pytest.MonkeyPatch
) -> None:
    add_items(store, tmp_path, "refund", 1)
    first = run(store)
    listed, changes = gaps(store), store.gap_lives.changes()
    for _ in range(2):
        again = run(store, at=utc_now() + timedelta(days=60))  # it is done again as it was, however long ago
        assert (again.run.run_id, again.verdict, again.gaps) == (first.run.run_id, first.verdict, len(MISSING))
        assert (gaps(store), store.gap_lives.changes()) == (listed, changes)


def test_a_run_that_was_killed_before_it_was_published_holds_the_same(
    store: Store, tmp_path: Path, risen: pytest.MonkeyPatch
) -> None:
    add_items(store, tmp_path, "refund", 1)
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr("monitor.pipeline._publish", lambda *_: (_ for _ in ()).throw(OffmapError("killed")))
        with pytest.raises(OffmapError, match="killed"):
            run(store)
    [failed] = [job for job in store.jobs.read() if job.state == "failed"]
    found = run(store)
    assert (found.run.run_id, found.gaps) == (failed.job_id, len(MISSING))


def _analyse_in_a_process(path: str) -> None:
    Estimator.of_topics = _risen  # type: ignore[method-assign]
    with Store.open(path, threads=2) as store:
        run(store)


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_it_holds_the_same(tmp_path: Path, risen: pytest.MonkeyPatch) -> None:
    quiet, killed = tmp_path / "quiet.duckdb", tmp_path / "killed.duckdb"
    risen.undo()
    with Store.open(str(quiet), threads=2) as store:
        ingest(store, tmp_path, seed=3, name="a", conversations=240)
        keep(store, write_eval_set(tmp_path / "evals.jsonl"))
        run(store)
        add_items(store, tmp_path, "garden", 8)
    shutil.copy(quiet, killed)
    risen.setattr(Estimator, "of_topics", _risen)
    with Store.open(str(quiet), threads=2) as store:
        expected = (run(store).run.run_id, gaps(store))
    assert len(expected[1]) == len(MISSING) - 1
    kills = 0
    for delay in (0.8, 1.2, 1.6, 2.0, 2.4):
        process = multiprocessing.get_context("spawn").Process(target=_analyse_in_a_process, args=(str(killed),))
        process.start()
        time.sleep(delay)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
            kills += 1
        process.join()
    assert kills
    with Store.open(str(killed), threads=2) as store:
        assert (run(store).run.run_id, gaps(store)) == expected


def test_held_gaps_are_gaps_again_when_the_estimate_falls_and_close_when_time_is_up(
    store: Store, tmp_path: Path, risen: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    one = gaps(store)[0].gap_id
    add_items(store, tmp_path, "refund", 1)
    run(store, at=now)
    risen.undo()
    add_items(store, tmp_path, "coupon", 1)
    run(store, at=now + timedelta(days=20))
    assert (life(store, one).words, life(store, one).held_since) == ("opened", None)
    risen.setattr(Estimator, "of_topics", _risen)
    for days, subject in ((21, "parcel"), (48, "invoice")):
        add_items(store, tmp_path, subject, 1, seed=days)
        run(store, at=now + timedelta(days=days))
        assert life(store, one).held_since == now + timedelta(days=21)
    add_items(store, tmp_path, "sizes", 1)
    run(store, at=now + timedelta(days=49))
    assert gaps(store) == []
    assert life(store, one).words == "closed by itself"
    kinds = [event.kind for event in life(store, one).events]
    assert kinds == ["opened", "held", "held_no_more", "held", "closed", "by_itself"]


def test_nothing_is_held_for_no_days(store: Store, tmp_path: Path, risen: pytest.MonkeyPatch) -> None:
    add_items(store, tmp_path, "refund", 1)
    run(store, hold_days=0)
    assert gaps(store) == []


def test_what_people_marked_as_covered_is_not_held(store: Store, risen: pytest.MonkeyPatch) -> None:
    own = of_subject(store, "garden")
    current = store.runs.current()
    assert current is not None
    rows = store.atlases.assignments(current.atlas_id).to_pylist()
    for turn in store.turns.fetch([row["turn_key"] for row in rows if row["middle"] == own.topic_id]):
        TurnMarks(store).covered(turn)
    run(store)
    assert {gap.gap_id for gap in gaps(store)}.isdisjoint({own.gap_id})
    assert len(gaps(store)) == len(MISSING) - 1


def test_the_pieces_of_a_topic_that_was_split_are_held(store: Store, tmp_path: Path, risen: pytest.MonkeyPatch) -> None:
    first, second = gaps(store)[:2]
    risen.undo()
    Decisions(store, Settings()).merge(first.topic_id, second.topic_id)
    run(store)
    risen.setattr(Estimator, "of_topics", _risen)
    split = Decisions(store, Settings()).split(second.topic_id)
    run(store)
    pieces = {gap_id_of(topic_id) for topic_id in split.decision.topics}
    assert len(pieces & {gap.gap_id for gap in gaps(store)}) >= 2
    assert {life(store, one).state for one in pieces & {gap.gap_id for gap in gaps(store)}} == {"held"}
