"""What people say of turns through the pipeline: analyse, mark, analyse again, take back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from consumers.ingest import utc_now
from monitor.assignment import Assigner
from monitor.coverage.told import read_told
from monitor.encoding.hashing import HashingEncoder
from monitor.errors import UsageError
from monitor.pipeline import Analysis, analyse, weigh
from monitor.records import Turn
from monitor.settings import Settings
from monitor.store import Store
from monitor.turn_marks import TurnMarks, find_turn, hash_of
from tests.cli.cli_support import in_folder
from tests.cli.cli_traffic import write_eval_set, write_log
from tests.store.conftest import NOON, make_turn

SETTINGS = Settings().with_value("encoder.kind", "hashing", source="test")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = in_folder(tmp_path_factory.mktemp("marked"))
    made.done("ingest", write_log(made.folder / "log.jsonl"))
    made.done("evalset", "import", write_eval_set(made.folder / "evalset.jsonl"), "--name", "shop")
    made.done("analyse", "--eval-set", "shop")
    return made.store


@pytest.fixture
def opened(built: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(built, tmp_path / "store.duckdb")
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        yield store


def run(store: Store) -> Analysis:
    return analyse(store, HashingEncoder(), SETTINGS, eval_sets=["shop"], clock=utc_now)


def covered(store: Store) -> dict[int, float | None]:
    current = store.runs.current()
    assert current is not None
    table = store.reports.turn_coverage(current.report_id)
    return dict(zip(table["turn_key"].to_pylist(), table["covered"].to_pylist(), strict=True))


def value(store: Store) -> float:
    current = store.runs.current()
    assert current is not None
    report = store.reports.coverage(current.report_id)
    assert report is not None and report.value is not None and report.low is not None and report.high is not None
    assert report.low <= report.value <= report.high
    return report.value


def pianos(store: Store) -> list[Turn]:
    """Turns that ask about pianos, which the eval set misses."""
    table = store.turns.read(columns=("turn_key", "user_text"))
    keys = table.filter(pc.match_substring(table["user_text"], "pedals"))["turn_key"].to_pylist()
    return [one for one in store.turns.fetch(keys) if "piano" in one.user_text]


def test_a_run_without_marks_is_the_same_run(opened: Store) -> None:
    before = opened.runs.current()
    mark = TurnMarks(opened)
    mark.noise(pianos(opened)[0])
    mark.undo(pianos(opened)[0])
    assert run(opened).run.run_id == (before.run_id if before else "")


def test_covered_turns_count_as_covered(opened: Store) -> None:
    before, first, probabilities = opened.runs.current(), value(opened), covered(opened)
    assert before is not None
    chosen = pianos(opened)
    assert len(chosen) >= 5 and all((probabilities[one.key] or 0) < 0.5 for one in chosen)
    for one in chosen:
        TurnMarks(opened, "ann").covered(one, item_id="parcel-0")
    after = run(opened).run
    assert (after.atlas_id == before.atlas_id, after.report_id == before.report_id) == (True, False)
    now = covered(opened)
    assert all(now[one.key] == 1 for one in chosen)
    # What was marked counts in full: the traffic's coverage rises by about what the marked were thought to miss.
    counted = [key for key, one in now.items() if one is not None]
    missed = sum(1 - (probabilities[one.key] or 0) for one in chosen)
    assert value(opened) == pytest.approx(first + missed / len(counted), abs=0.03)
    told = read_told(opened, after, chosen[0].key, hash_of(chosen[0]))
    assert told.applied and told.sentences(1)[0] == "It counts as covered, as somebody marked it."
    topic = told.topic
    assert topic is not None and told.topic_coverage is not None and told.topic_coverage.coverage is not None
    members = opened.curation.members(after.atlas_id, "middle", topic.topic_id)["turn_key"].to_pylist()
    mean = np.mean([now[key] for key in members if now.get(key) is not None])
    assert told.topic_coverage.coverage == pytest.approx(mean, abs=0.02)
    marked = {one.key for one in chosen}
    assert all(marked.isdisjoint(gap.examples) for gap in opened.reports.gaps(after.report_id))
    for one in chosen:
        TurnMarks(opened).undo(one)
    listed = opened.reports.gaps(before.report_id)
    again = run(opened).run  # another report, since what was listed before it is another
    assert again.atlas_id == before.atlas_id
    assert opened.reports.gaps(again.report_id) == listed
    assert value(opened) == first


def test_a_covered_turn_is_no_example_of_its_gap(opened: Store) -> None:
    before = opened.runs.current()
    assert before is not None
    gap = opened.reports.gaps(before.report_id)[0]
    [example] = opened.turns.fetch(gap.examples[:1])
    TurnMarks(opened).covered(example)
    now = {one.gap_id: one for one in opened.reports.gaps(run(opened).run.report_id)}[gap.gap_id]
    assert now.examples and example.key not in now.examples
    assert now.coverage > gap.coverage


def test_a_mark_by_an_item_holds_while_a_set_has_it(opened: Store) -> None:
    before = opened.runs.current()
    TurnMarks(opened).covered(pianos(opened)[0], item_id="parcel-0")
    marked = run(opened).run
    assert before is not None and marked.report_id != before.report_id
    [kept] = opened.marks.in_force()
    other = opened.eval_sets.load("shop")
    without = [item for item in other.items if item.item_id != "parcel-0"]
    encoder = HashingEncoder()
    gone = weigh(opened, encoder, SETTINGS, [replace(other, items=tuple(without))]).report
    there = weigh(opened, encoder, SETTINGS, [other]).report
    at = gone.turns["turn_key"].to_pylist().index(kept.turn_keys[0])
    assert there.turns["covered"][at].as_py() == 1 > gone.turns["covered"][at].as_py()


def test_noise_counts_in_nothing(opened: Store) -> None:
    before, chosen = opened.runs.current(), pianos(opened)
    assert before is not None
    for one in chosen:
        TurnMarks(opened).noise(one)
    encoder = HashingEncoder()
    # What is marked since the atlas was made is left out of a look at it too.
    now = weigh(opened, encoder, SETTINGS, [opened.eval_sets.load("shop")]).report.turns
    said = dict(zip(now["turn_key"].to_pylist(), now["covered"].to_pylist(), strict=True))
    assert {said[one.key] for one in chosen} == {None}
    done = run(opened)
    assert (done.run.atlas_id == before.atlas_id, done.run.report_id == before.report_id) == (False, False)
    of_turns = opened.atlases.assignments(done.run.atlas_id)
    acts = dict(zip(of_turns["turn_key"].to_pylist(), of_turns["act"].to_pylist(), strict=True))
    assert {acts[one.key] for one in chosen} == {"noise"}
    probabilities = covered(opened)
    assert all(probabilities[one.key] is None for one in chosen)
    marked = {one.key for one in chosen}
    assert all(marked.isdisjoint(one.representatives) for one in opened.atlases.topics(done.run.atlas_id))
    assert all(marked.isdisjoint(gap.examples) for gap in opened.reports.gaps(done.run.report_id))
    for one in chosen:
        TurnMarks(opened).undo(one)
    assert run(opened).run.atlas_id == before.atlas_id


def test_a_new_turn_that_says_noise_is_noise_at_once(opened: Store) -> None:
    chosen, current = pianos(opened)[0], opened.runs.current()
    assert current is not None
    TurnMarks(opened).noise(chosen)
    at = current.window_end
    texts = (chosen.user_text, "piano strings pedals tuning out of tune")
    new = [make_turn(f"n{number}", user_text=text, created_at=at) for number, text in enumerate(texts)]
    opened.turns.append(new)
    assert Assigner(opened, HashingEncoder(), SETTINGS).assign() == 2
    rows = [opened.atlases.assignment(current.atlas_id, one.key) for one in new]
    assert [row["act"] if row else "" for row in rows] == ["noise", None]


def test_a_forgotten_turn_takes_its_mark_along(opened: Store) -> None:
    before, chosen = opened.runs.current(), pianos(opened)[0]
    TurnMarks(opened).noise(chosen)
    assert len(opened.marks.in_force()) == 1
    opened.deletion.forget(turn=chosen.turn_id, tenant=chosen.tenant, at=utc_now())
    assert opened.marks.in_force() == []
    assert before is not None and run(opened).run.run_id != before.run_id  # the corpus is another


def test_turns_are_named_without_doubt(opened: Store) -> None:
    assert find_turn(opened, "c1-0", None).tenant == "eu"
    opened.turns.append([make_turn("c1-0", tenant="us", created_at=NOON)])
    for arguments, message in (
        (("c1-0", None), "2 tenants have a turn 'c1-0': choose with --tenant, eu, us"),
        (("c1-0", "asia"), "no turn 'c1-0' of tenant 'asia'"),
        (("nothing", None), "no turn 'nothing' in the store"),
    ):
        with pytest.raises(UsageError, match=message):
            find_turn(opened, *arguments)


def test_near_copies_go_with_a_mark(tmp_path: Path, built: Path) -> None:
    """A text in another spelling is one text to the network, and to a mark."""
    made = in_folder(tmp_path)
    shutil.copy(built, made.store)
    with Store.open(str(made.store)) as store:
        chosen = pianos(store)[0]
        copy = make_turn("copy", user_text=chosen.user_text.upper() + " !", created_at=chosen.created_at, user_id="zoe")
        store.turns.append([copy])
        TurnMarks(store).covered(chosen)
        run(store)
        assert covered(store)[copy.key] == 1
        current = store.runs.current()
        assert current is not None
        told = read_told(store, current, copy.key, hash_of(copy))
        assert told.mark is not None and (told.mark.text_hash, told.applied) == (hash_of(chosen), True)
        TurnMarks(store).undo(copy)
        assert store.marks.in_force() == []
