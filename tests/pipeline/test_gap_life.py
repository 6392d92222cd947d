"""The life of gaps through the pipeline: analyses note what they see, and decisions survive refits, mergers and splits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.ingest import utc_now
from monitor.coverage.gaps import gap_id_of
from monitor.coverage.life import Life, read_lives
from monitor.coverage.report import Report, compare
from monitor.decisions import Decisions
from monitor.encoding.hashing import HashingEncoder
from monitor.evalsets.importer import import_eval_set
from monitor.gap_decisions import GapDecisions
from monitor.pipeline import Analysis, analyse
from monitor.settings import Settings
from monitor.store.reports import GapRow
from monitor.store.store import Store
from tests.cli.cli_traffic import MISSING, question, write_eval_set
from tests.pipeline.test_topic_decisions import ingest, topic, topics
from tests.store.templates import copied_into, file_name

TICKET = "https://tracker.example.org/OPS-1"


@pytest.fixture(scope="module", params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def analysed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a store with an analysed log of 480 turns with four gaps."""
    folder = tmp_path_factory.mktemp("analysed")
    name = file_name(request.param, folder)
    with Store.open(name, threads=2) as opened:
        ingest(opened, folder, seed=3, name="a", conversations=240)
        keep(opened, write_eval_set(folder / "evals.jsonl"))
        run(opened)
    return name


@pytest.fixture
def store(analysed: str, tmp_path: Path) -> Iterator[Store]:
    """A copy of it, and its eval set beside it."""
    write_eval_set(tmp_path / "evals.jsonl")
    with Store.open(copied_into(tmp_path, analysed), threads=2) as opened:
        yield opened


def keep(store: Store, path: Path) -> None:
    import_eval_set(store, path, "shop", utc_now)


def run(store: Store) -> Analysis:
    return analyse(store, HashingEncoder(), Settings(), eval_sets=["shop"], clock=utc_now)


def gaps(store: Store) -> list[GapRow]:
    current = store.runs.current()
    assert current is not None
    return store.reports.gaps(current.report_id)


def life(store: Store, gap_id: str) -> Life:
    return read_lives(store, now=utc_now()).of(gap_id)


def decided(store: Store, gap_id: str) -> GapDecisions:
    return GapDecisions(store, gap_id, now=utc_now(), who="ann")


def add_items(store: Store, folder: Path, subject: str, count: int, *, seed: int = 8) -> None:
    """A version of the eval set with more items of a subject."""
    import random

    rng = random.Random(seed)
    lines = [json.loads(line) for line in (folder / "evals.jsonl").read_text().splitlines()]
    lines += [{"item_id": f"{subject}-n{n}", "prompt": question(subject, rng), "label": subject} for n in range(count)]
    (folder / "evals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    keep(store, folder / "evals.jsonl")


def of_subject(store: Store, subject: str) -> GapRow:
    return next(gap for gap in gaps(store) if subject in gap.label)


def test_the_first_analysis_opens_gaps_and_the_same_again_is_no_news(store: Store) -> None:
    assert len(gaps(store)) == len(MISSING)
    for gap in gaps(store):
        one = life(store, gap.gap_id)
        assert (one.states, [event.kind for event in one.events]) == (("opened",), ["opened"])
        assert one.last is not None
        assert (one.last.turns, one.last.coverage, one.last.level) == (gap.turns, gap.coverage, 1)
    before = store.gap_lives.changes()
    run(store)
    assert store.gap_lives.changes() == before


def test_a_gap_closes_when_the_eval_set_has_it_and_opens_again_when_it_lost_it(store: Store, tmp_path: Path) -> None:
    gone, stays = of_subject(store, "garden").gap_id, of_subject(store, "keyboard").gap_id
    small = (tmp_path / "evals.jsonl").read_text()
    add_items(store, tmp_path, "garden", 12)
    run(store)
    assert gone not in {gap.gap_id for gap in gaps(store)}
    assert (life(store, gone).state, life(store, gone).by_itself) == ("closed", False)
    assert life(store, stays).state == "opened"
    (tmp_path / "evals.jsonl").write_text(small + '{"item_id": "x", "prompt": "coupon code"}\n')
    keep(store, tmp_path / "evals.jsonl")
    run(store)
    again = life(store, gone)
    assert again.state == "reopened"
    assert [event.kind for event in again.events] == ["opened", "closed", "reopened"]


def test_a_gap_that_closes_though_nothing_was_added_near_it_closed_by_itself(store: Store, tmp_path: Path) -> None:
    added, other = of_subject(store, "garden").gap_id, of_subject(store, "keyboard").gap_id
    add_items(store, tmp_path, "garden", 12)
    strict = Settings().with_value("gaps.min_share", 0.9, source="test")
    analyse(store, HashingEncoder(), strict, eval_sets=["shop"], clock=utc_now)
    assert gaps(store) == []
    assert [life(store, one).words for one in (added, other)] == ["closed", "closed by itself"]


def test_a_gap_whose_part_the_eval_set_gained_is_being_closed(store: Store, tmp_path: Path) -> None:
    third, fourth, other = (of_subject(store, subject) for subject in ("bicycle", "keyboard", "garden"))
    # As one fine topic, of which no part can be listed alone.
    fine = {one.parent: one.topic_id for one in topics(store, 2)}
    for one in (third, fourth):
        Decisions(store, Settings()).merge(fine[one.topic_id], fine[other.topic_id])
    run(store)
    add_items(store, tmp_path, "coupon", 8)
    run(store)
    assert life(store, other.gap_id).state == "opened"
    add_items(store, tmp_path, "bicycle", 8)
    run(store)
    assert life(store, other.gap_id).state == "being_closed"
    newly = store._database.value("SELECT max(newly_covered) FROM gap_sightings WHERE gap_id = ?", [other.gap_id])
    assert 0.5 * third.turns <= newly <= 1.3 * third.turns


def test_a_whole_of_which_a_part_is_left_goes_on_as_that_part(store: Store, tmp_path: Path) -> None:
    gone, whole = of_subject(store, "bicycle"), of_subject(store, "garden")
    made = decided(store, whole.gap_id)
    made.plan(TICKET)
    made.write()
    Decisions(store, Settings()).merge(gone.topic_id, whole.topic_id)
    run(store)
    add_items(store, tmp_path, "bicycle", 8)
    run(store)
    [part] = [one for one in topics(store, 2) if one.parent == whole.topic_id and "garden" in one.label]
    left = "g" + part.topic_id[1:]
    assert left in {gap.gap_id for gap in gaps(store)}
    one = life(store, left)
    assert (one.state, one.ticket) == ("planned", TICKET)
    before = life(store, whole.gap_id)
    assert (before.state, before.went_into) == ("closed", (left,))
    assert "goes on as its part" in before.events[-1].words
    closed = {one.gap_id for one in read_lives(store, now=utc_now()).closed}
    assert closed.isdisjoint({whole.gap_id, gone.gap_id})


def test_an_eval_set_that_is_too_small_to_say_closes_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text('{"item_id": "e1", "prompt": "where is my parcel"}\n')
    one = gaps(store)[0].gap_id
    keep(store, tmp_path / "few.jsonl")
    run(store)
    assert gaps(store) == []
    assert life(store, one).state == "opened"


def test_decisions_stay_when_traffic_comes_and_topics_are_named(store: Store, tmp_path: Path) -> None:
    gap = gaps(store)[0]
    made = decided(store, gap.gap_id)
    made.owner("Ann")
    made.plan(TICKET)
    made.write()
    Decisions(store, Settings()).name(gap.topic_id, "Something else")
    ingest(store, tmp_path, seed=51, name="more-")
    assert not run(store).reused
    again = next(one for one in gaps(store) if one.gap_id == gap.gap_id)
    assert again.label == "Something else"
    assert again.turns > gap.turns
    one = life(store, gap.gap_id)
    assert (one.state, one.owner, one.ticket) == ("planned", "Ann", TICKET)


def test_a_plan_goes_with_its_topic_into_another(store: Store) -> None:
    gone, target = gaps(store)[:2]
    made = decided(store, gone.gap_id)
    made.owner("Ann")
    made.plan(TICKET)
    made.write()
    Decisions(store, Settings()).merge(gone.topic_id, target.topic_id)
    run(store)
    assert topic(store, gone.topic_id) is None
    both = life(store, target.gap_id)
    assert (both.state, both.owner, both.ticket) == ("planned", "Ann", TICKET)
    assert ("merged", gone.gap_id) in {(event.kind, event.text) for event in both.events}
    before = life(store, gone.gap_id)
    assert (before.state, before.went_into) == ("closed", (target.gap_id,))
    assert ("merged_into", target.gap_id) in {(event.kind, event.text) for event in before.events}


def test_a_merger_hides_nothing(store: Store) -> None:
    gone, target = gaps(store)[:2]
    made = decided(store, gone.gap_id)
    made.wont_fix("out of scope", (utc_now() + timedelta(days=30)).date())
    made.write()
    Decisions(store, Settings()).merge(gone.topic_id, target.topic_id)
    run(store)
    assert life(store, target.gap_id).state == "opened"


def test_what_is_decided_of_a_whole_holds_for_its_parts(store: Store) -> None:
    first, second = gaps(store)[:2]
    Decisions(store, Settings()).merge(first.topic_id, second.topic_id)
    run(store)
    made = decided(store, second.gap_id)
    made.wont_fix("out of scope", (utc_now() + timedelta(days=30)).date())
    made.write()
    split = Decisions(store, Settings()).split(second.topic_id)
    run(store)
    pieces = {"g" + topic_id[1:] for topic_id in split.decision.topics}
    listed = {gap.gap_id for gap in gaps(store)}
    assert len(pieces & listed) >= 2
    for gap_id in pieces & listed:
        assert life(store, gap_id).hidden, gap_id


def test_forgetting_everybody_leaves_ids_and_numbers(store: Store) -> None:
    one = gaps(store)[0].gap_id
    made = decided(store, one)
    made.note("the aquarium people: ask for a saddle")
    made.write()
    for user in range(60):
        store.deletion.forget(user=f"u{user}", at=utc_now(), erase=False)
    assert store.turns.count() == 0
    said = " ".join(event.words for event in life(store, one).events)
    assert "note: the … people: ask for a …" in said
    for table in ("gap_looks", "gap_sightings", "gap_links"):
        rows = store._database.query(f"SELECT * FROM {table}").to_pylist()
        assert not any("saddle" in str(value) or "fish" in str(value) for row in rows for value in row.values())


def test_a_topic_of_which_one_tenant_is_left_goes_on_as_that_part_and_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of_subject(store, "garden")
    part = gap_id_of(whole.topic_id, "tenant", "uk")
    decided_by = decided(store, whole.gap_id)
    decided_by.owner("gardeners")
    decided_by.write()

    def one_tenant(*sides: Any) -> Report:
        found = compare(*sides)
        as_part = [
            replace(gap, gap_id=part, attribute="tenant", value="uk") if gap.topic_id == whole.topic_id else gap
            for gap in found.gaps
        ]
        return replace(found, gaps=as_part)

    with monkeypatch.context() as patched:
        patched.setattr("monitor.pipeline.compare", one_tenant)
        add_items(store, tmp_path, "refund", 1)
        run(store)
    assert next(gap.label for gap in gaps(store) if gap.gap_id == part) == f"{whole.label} (tenant uk)"
    assert life(store, whole.gap_id).state == "closed" and life(store, whole.gap_id).went_into == (part,)
    assert life(store, part).owner == "gardeners", "it is a part of what was decided about"
    last = life(store, part).last
    assert last is not None and last.turns == whole.turns and not last.growing
    add_items(store, tmp_path, "coupon", 1)
    run(store)
    assert life(store, whole.gap_id).closed_at is None
    assert life(store, part).state == "closed" and life(store, part).went_into == (whole.gap_id,)
    assert not life(store, part).by_itself
