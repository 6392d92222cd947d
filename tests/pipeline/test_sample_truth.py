"""The whole way on the sample traffic, with the packaged model, against `truth.json`."""

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consumers.ingest import ingest_file, utc_now
from monitor.coverage.selftest import self_test
from monitor.drift.comparison import compare_windows
from monitor.drift.look import read_look
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import Analysis, analyse, published_sides
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.reports import GapRow
from monitor.store.store import Store
from sample_data.generate import main as generate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


#: Two weeks before the end a topic becomes three times as popular, and on the control none does.
SHIFT = datetime(2026, 4, 13)


@dataclass(frozen=True)
class Outcome:
    store: Path
    truth: dict
    analysis: Analysis
    gaps: list[GapRow]
    coverage: float
    interval: tuple[float, float]
    contents: dict[str, Counter]  # what the turns of each gap are about, by the truth
    totals: Counter
    drift: tuple[DriftRow, ...]  # the last days, and the days since the planted shift, each with the weeks before


def outcome(folder: Path, *arguments: str) -> Outcome:
    assert generate(["--out", str(folder), *arguments]) == 0
    settings = Settings()
    with Store.open(str(folder / "offmap.duckdb")) as store:
        ingest_file(store, folder / "turns.jsonl.gz")
        import_eval_set(store, folder / "evalset.jsonl", "sample", utc_now)
        found = analyse(store, make_encoder(settings.encoder), settings, eval_sets=["sample"], clock=utc_now)
        report = store.reports.coverage(found.run.report_id)
        gaps = store.reports.gaps(found.run.report_id)
        with gzip.open(folder / "turn_truth.jsonl.gz") as lines:
            records = {record["turn_id"]: record for record in map(json.loads, lines)}
        ids = store.turns.read(columns=["turn_key", "turn_id"]).to_pylist()
        about = {row["turn_key"]: records[row["turn_id"]] for row in ids}
        contents: dict[str, Counter] = {gap.topic_id: Counter() for gap in gaps}
        for row in store.atlases.assignments(found.run.atlas_id).to_pylist():
            for topic in {row["middle"], row["fine"]} & contents.keys():
                if row["act"] is None:
                    record = about[row["turn_key"]]
                    contents[topic][record["intent"] or record["kind"]] += 1
        look = read_look(store, settings, found.run)
        since = Window(SHIFT, look.run.window_end), Window(SHIFT - timedelta(days=28), SHIFT)
        drift = (
            compare_windows(store, settings, look, clock=utc_now),
            compare_windows(store, settings, look, current=since[0], reference=since[1], clock=utc_now),
        )
    totals = Counter(record["intent"] or record["kind"] for record in records.values())
    truth = json.loads((folder / "truth.json").read_text())
    return Outcome(
        folder / "offmap.duckdb", truth, found, gaps, report.value, (report.low, report.high), contents, totals, drift
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome(tmp_path_factory.mktemp("control"), "--control")


def gap_of(found: Outcome, intent: str) -> GapRow | None:
    """The highest gap that is mostly about the intent and holds most of it."""
    for gap in found.gaps:
        content = found.contents[gap.topic_id]
        mine = content[intent]
        if mine > content.total() / 2 and mine > found.totals[intent] / 2:
            return gap
    return None


def test_the_planted_gaps_are_in_the_top_eight(planted: Outcome) -> None:
    ranks = {
        one["name"]: getattr(gap_of(planted, one["name"]), "rank", None) for one in planted.truth["missing_intents"]
    }
    assert len(ranks) == 6
    assert all(rank is not None and rank <= 8 for rank in ranks.values()), ranks


def test_new_topics_are_dated_within_a_week(planted: Outcome) -> None:
    start = datetime.fromisoformat(planted.truth["window"]["start"])
    born = {one["name"]: datetime.fromisoformat(one["born_at"]) for one in planted.truth["missing_intents"]}
    late = {name: moment for name, moment in born.items() if moment - start > timedelta(days=20)}
    assert len(late) == 2
    for name, moment in late.items():
        gap = gap_of(planted, name)
        assert gap is not None
        assert abs(gap.first_seen - moment.replace(tzinfo=None)) <= timedelta(days=7), (name, gap.first_seen, moment)


def test_no_decoy_ranks(planted: Outcome) -> None:
    for gap in planted.gaps:
        content = planted.contents[gap.topic_id]
        decoys = sum(content[kind] for kind in ("small_talk", "flood", "staging"))
        assert decoys < content.total() / 2, (gap.label, content.most_common(3))


def test_the_planted_gaps_lower_coverage(planted: Outcome, control: Outcome) -> None:
    true = planted.truth["true_coverage"]
    assert planted.coverage == pytest.approx(true, abs=0.05)
    assert planted.interval[0] <= true <= planted.interval[1]
    # Where nothing is missing it still reads some points too low: traffic is worded in more ways than items are.
    assert control.interval[1] > 0.97
    assert planted.coverage < control.coverage - 0.06


def test_nothing_is_alerted_on_the_control(control: Outcome) -> None:
    assert [gap.label for gap in control.gaps if gap.alert] == []


def test_the_planted_shift_is_reported_with_its_topic(planted: Outcome) -> None:
    shift = planted.truth["shift"]
    assert (shift["intent"], shift["starts_at"]) == ("power_outage_report", f"{SHIFT:%Y-%m-%dT%H:%M:%SZ}")
    row = planted.drift[1]
    moved = [one for one in row.body["topics"] if one["moved"]]
    assert row.alarm, row.verdict
    print(row.verdict, moved)
    assert any("outage" in one["label"] or "power" in one["label"] for one in moved), moved
    assert "outage" in row.verdict or "power" in row.verdict, row.verdict


def test_the_control_does_not_drift(control: Outcome) -> None:
    assert [row.verdict for row in control.drift if row.alarm] == []


def test_staging_is_kept_out(planted: Outcome) -> None:
    assert planted.analysis.turns == planted.truth["counts"]["production_turns"]


def test_the_self_test_hides_what_is_not_listed_as_it_is(planted: Outcome) -> None:
    settings = Settings()
    with Store.open(str(planted.store)) as store:
        sides = published_sides(store, make_encoder(settings.encoder), settings, [store.eval_sets.load("sample")])
        found = self_test(*sides[:3], settings)
        above = {one.topic_id: one.parent for one in store.atlases.topics(planted.analysis.run.atlas_id)}
    listed = {gap.topic_id for gap in planted.gaps}
    labels = {label for label in sides[1].labels if label}
    assert found.listed and {*found.listed, *found.untested, *(one.name for one in found.hidden)} == labels
    assert not {one.topic_id for one in found.hidden} & (listed | {above[one] for one in listed})
    assert found.found >= 0.6 * len(found.hidden)
