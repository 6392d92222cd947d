"""The pipeline on a small log: every step again and again, without an eval set, with too small a one, and killed."""

import multiprocessing
import os
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from consumers.ingest import ingest_file, utc_now
from monitor.encoding.hashing import HashingEncoder
from monitor.errors import InputError, UsageError
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import analyse
from monitor.records import EvalItem, EvalSet, Turn, Window
from monitor.settings import Settings
from monitor.store.jobs import KEPT_WHY
from monitor.store.store import Store
from tests.cli.cli_traffic import write_eval_set, write_log

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "small"


def filled(path: str) -> Store:
    store = Store.open(path)
    ingest_file(store, SAMPLE / "turns.jsonl.gz", clock=lambda: datetime(2026, 5, 1))
    import_eval_set(store, SAMPLE / "evalset.jsonl", "sample", lambda: datetime(2026, 5, 1))
    return store


def run(store: Store, settings: Settings | None = None, **kwargs):
    kwargs = {"eval_sets": ["sample"], "clock": utc_now, **kwargs}
    return analyse(store, HashingEncoder(), settings or Settings(), **kwargs)


def published(store: Store) -> dict:
    """Everything that readers see, without times of the clock."""
    current = store.runs.current()
    assert current is not None
    return {
        "ids": (current.run_id, current.atlas_id, current.report_id),
        "topics": store.atlases.topics(current.atlas_id),
        "assignments": store.atlases.assignments(current.atlas_id).to_pylist(),
        "gaps": store.reports.gaps(current.report_id),
        "coverage": store.reports.topic_coverage(current.report_id),
        "turns": sorted(map(str, store.reports.turn_coverage(current.report_id).to_pylist())),
        "signals": sorted(map(str, store.reports.signals(current.report_id).to_pylist())),
    }


@pytest.fixture
def store(tmp_path: Path):
    with filled(str(tmp_path / "s.duckdb")) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def test_a_second_run_encodes_nothing_and_changes_nothing(tmp_path: Path, kind: str) -> None:
    prefix = "ducklake:" if kind == "ducklake" else ""
    with filled(f"{prefix}{tmp_path / 's.db'}") as store:
        first = run(store)
        before = published(store)
        second = run(store)
        assert first.encoded > 0 == second.encoded
        assert second.reused
        assert published(store) == before
        assert before["topics"]
        assert before["assignments"]


@pytest.mark.slow
def test_two_stores_with_the_same_turns_in_another_order_agree(tmp_path: Path, store: Store) -> None:
    run(store)
    with Store.open(str(tmp_path / "other.duckdb")) as other:
        keys = store.turns.read(columns=["turn_key"]).column("turn_key").to_pylist()
        turns = store.turns.fetch(keys[::-1])
        other.turns.append(turns[: len(turns) // 3])
        other.turns.append(turns[len(turns) // 3 :])
        import_eval_set(other, SAMPLE / "evalset.jsonl", "sample", utc_now)
        run(other)
        assert published(other) == published(store)


def test_without_an_eval_set_topics_are_there_and_the_report_says_how_to_start_one(store: Store) -> None:
    found = run(store, eval_sets=[])
    assert found.topics > 0 == found.gaps
    assert "offmap evalset import" in found.verdict


def test_too_small_an_eval_set_says_so(store: Store) -> None:
    items = [item for item in store.eval_sets.load("sample").items if "fr" not in item.tags and item.prompt.isascii()][
        :6
    ]
    again = EvalItem(item_id="again", prompt=f"hi, {items[0].prompt}", label=items[0].label)
    said = EvalItem(item_id="other", prompt="how do I submit a reading")
    store.eval_sets.save(EvalSet("tiny", "1", datetime(2026, 5, 1), (*items, again, said)))
    found = run(store, eval_sets=["tiny"])
    assert "7 distinct items, too few" in found.verdict
    report = store.reports.coverage(found.run.report_id)
    assert report is not None
    assert report.value is None
    novelty = store.reports.turn_coverage(found.run.report_id).column("novelty")
    assert novelty.null_count < len(novelty)


@pytest.mark.slow
def test_eval_sets_count_as_their_union(store: Store) -> None:
    whole = store.eval_sets.load("sample").items
    for name, part in (("odd", whole[::2]), ("even", whole[1::2])):
        store.eval_sets.save(EvalSet(name, "1", datetime(2026, 5, 1), part))
    union = run(store, eval_sets=["odd", "even"])
    together = store.reports.coverage(union.run.report_id)
    alone = store.reports.coverage(run(store).run.report_id)
    assert together is not None
    assert alone is not None
    assert together.value == alone.value
    assert together.eval_items == alone.eval_items


@pytest.mark.slow
def test_topic_ids_survive_a_refit_with_more_turns(store: Store) -> None:
    span = store.turns.span()
    assert span is not None
    run(store, window=Window(span.start, span.start + (span.end - span.start) * 0.9))
    before = {topic.topic_id for topic in published(store)["topics"]}
    run(store)
    after = {topic.topic_id for topic in published(store)["topics"]}
    assert len(before & after) >= 0.5 * len(before)


def test_every_turn_of_the_window_is_assigned_and_acts_inherit(store: Store) -> None:
    found = run(store)
    rows = published(store)["assignments"]
    assert len(rows) == found.turns
    assert all(row["fine"] is not None for row in rows if row["act"] is None and row["foreign_language"] is None)
    assert any(row["act"] and row["fine"] for row in rows)


@pytest.mark.slow
def test_covered_of_turns_means_the_coverage(store: Store) -> None:
    found = run(store)
    report = store.reports.coverage(found.run.report_id)
    covered = store.reports.turn_coverage(found.run.report_id).column("covered").drop_null().to_pylist()
    assert report is not None
    assert sum(covered) / len(covered) == pytest.approx(report.value, abs=1e-3)


def test_an_empty_store_and_an_empty_window_say_what_to_do(tmp_path: Path, store: Store) -> None:
    with (
        Store.open(str(tmp_path / "empty.duckdb")) as empty,
        pytest.raises(InputError, match="offmap ingest"),
    ):
        run(empty, eval_sets=[])
    with pytest.raises(InputError, match=r"analysis\.environments"):
        run(store, window=Window(datetime(1999, 1, 1), datetime(1999, 1, 2)))


def test_an_unknown_eval_set_is_wrong_use(store: Store) -> None:
    with pytest.raises(UsageError, match="sample"):
        run(store, eval_sets=["sampel"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_few_turns_are_enough_to_run(tmp_path: Path, number: int) -> None:
    with Store.open(str(tmp_path / "few.duckdb")) as few:
        few.turns.append(
            [
                Turn(
                    turn_id=str(n),
                    user_text=f"where is parcel {n}",
                    created_at=datetime(2026, 1, n + 1),
                    conversation_id="c",
                )
                for n in range(number)
            ]
        )
        import_eval_set(few, SAMPLE / "evalset.jsonl", "sample", utc_now)
        assert run(few).turns == number


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hdbscan_can_be_selected(store: Store) -> None:
    settings = Settings().with_value("atlas.clusterer", "hdbscan", source="test")
    assert run(store, settings).turns > 0


def _analyse_in_a_process(path: str) -> None:
    with Store.open(path) as store:
        run(store)


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_it_ends_in_the_same_state(tmp_path: Path) -> None:
    with filled(str(tmp_path / "quiet.duckdb")) as quiet:
        run(quiet)
        expected = published(quiet)
    path = str(tmp_path / "killed.duckdb")
    filled(path).close()
    spawn = multiprocessing.get_context("spawn")
    killed = 0
    for delay in (0.9, 1.2, 1.5, 1.8, 2.1, 2.4, 2.8, 3.2):
        process = spawn.Process(target=_analyse_in_a_process, args=(path,))
        process.start()
        time.sleep(delay)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
            killed += 1
        process.join()
    assert killed >= 1
    with Store.open(path) as store:
        run(store)
        assert published(store) == expected


@pytest.mark.slow
def test_an_eval_run_in_the_log_does_not_inflate_coverage_when_it_is_kept_out(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "shop.duckdb")) as store:
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=240))
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "sample", utc_now)
        _check_an_eval_run(store)


def _check_an_eval_run(store: Store) -> None:
    # A refit leans on the atlas before, and nothing of the eval run may be left in what is compared.
    fresh = Settings().with_value("atlas.steadiness", 0.0, source="test")

    def coverage(settings: Settings = fresh) -> float:
        report = store.reports.coverage(run(store, settings).run.report_id)
        assert report is not None
        assert report.value is not None
        return report.value

    alone, before = coverage(), published(store)["turns"]
    span, items = store.turns.span(), store.eval_sets.load("sample").items
    assert span is not None
    store.turns.append(
        [
            Turn(
                turn_id=f"e{n}-{i}",
                user_text=item.prompt,
                created_at=span.start,
                conversation_id=f"run {n}",
                user_id="eval-bot",
            )
            for n in range(5)
            for i, item in enumerate(items)
        ]
    )
    assert coverage() > alone + 0.1
    for rule in ("[{eval_runs = true}]", '[{user_id = "eval-*"}]'):
        settings = fresh.with_value("analysis.keep_out", rule, source="test")
        assert coverage(settings) == alone
        assert published(store)["turns"] == before
        (kept,) = run(store, settings).kept_out
        assert (kept.rule, kept.turns) == (rule[2:-2], 5 * len(items))
    # Without the rule they count again.
    assert coverage() > alone + 0.1


def test_when_everything_is_kept_out_the_error_says_so(store: Store) -> None:
    settings = Settings().with_value("analysis.keep_out", '[{conversation_id = "*"}]', source="test")
    with pytest.raises(InputError, match=r"turns are kept out by rules \(setting analysis\.keep_out\)"):
        run(store, settings)


@pytest.mark.slow
def test_a_watch_list_is_no_reason_for_another_atlas(store: Store) -> None:
    before = run(store)
    lists = '[{name = "parcels", phrases = ["parcel"]}]'
    after = run(store, Settings().with_value("analysis.watch_lists", lists, source="test"))
    assert (after.run.run_id, after.run.atlas_id) == (before.run.run_id, before.run.atlas_id)


def test_an_analysis_takes_old_jobs_along(store: Store) -> None:
    """An answer to Why? holds for one run: nobody reads it again once there is another for a day."""
    old = utc_now() - KEPT_WHY * 2
    for job_id, begun in (("old", old), ("new", utc_now())):
        store.jobs.begin(job_id, "why", {"turn": "1"})
        store.jobs.finish(job_id, {"run": "run1"})
        store._database.execute("UPDATE jobs SET started_at = ? WHERE job_id = ?", [begun, job_id])
    current = run(store).run
    assert {job.job_id for job in store.jobs.read()} == {"new", current.run_id}
