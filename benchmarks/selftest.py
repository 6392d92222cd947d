"""Is what the self-test predicts true? Where the truth is known, and intents are really missing from the eval set.

    python benchmarks/selftest.py                # writes benchmarks/results/selftest.json

*Finding*: the self-test hides each kind of the items that are there and predicts which share of such kinds would be found, and
from which share of the traffic on 80 % are. What share of the intents that are really missing does the analysis list (the topic
in which most of an intent's turns lie, or one in it), and of those of at least that share? CLINC150 with a fifth of its intents
missing, and the sample traffic, of held-out seeds (`benchmarks/gaps.py` says how they are made), with the items' labels and
without. Beside it what was said before: only kinds that lie alone in a topic counted.

*Days*: of CLINC150 a third of the missing intents is not asked before the middle of the eight weeks. The traffic so far is
analysed again and again, as `offmap serve` does. After how long is each listed, in a gap that was not there before it began,
and what did the self-test of the middle predict? By the conversations that a gap needs alone (before), and by the turns of the
smallest kind that is noticed. An intent whose first turns lie in a gap that was listed already counts when a new one lists it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.coverage import load_clinc_pairs
from benchmarks.gaps import END, FIRST_DRAW, SAMPLE_SEEDS, START, Case, clinc_case, clinc_turns, sample_case
from consumers.ingest import ingest_file
from monitor.atlas.assembly import read_atlas
from monitor.atlas.corpus import read_corpus
from monitor.coverage.report import compare
from monitor.coverage.selftest import self_test
from monitor.coverage.slices import MIDDLE
from monitor.encoding.encoder import make_encoder
from monitor.encoding.recipe import USER_TEXT
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import analyse, published_sides
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "selftest.json"

BEGIN = START + (END - START) / 2
NEW = 1 / 3
DAYS = (1, 2, 4, 7, 10, 14, 20, 28)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4, help="of CLINC150")
    parser.add_argument("--replays", type=int, default=3, help="of CLINC150, for the days")
    parser.add_argument("--clinc", type=int, default=FIRST_DRAW, help="the first seed")
    parser.add_argument("--sample", type=int, nargs="*", default=SAMPLE_SEEDS)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    pairs = load_clinc_pairs(Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data")))
    runs: list[dict] = []
    days: list[dict] = []
    for name, seeds in (
        ("sample", arguments.sample),
        ("CLINC150", range(arguments.clinc, arguments.clinc + arguments.draws)),
    ):
        for seed in seeds:
            case = sample_case(seed) if name == "sample" else clinc_case(pairs, seed)
            for labelled in (True, False):
                runs.append({"data": name, "seed": seed, "labelled": labelled, **finding(case, labelled)})
                print({key: value for key, value in runs[-1].items() if not isinstance(value, list)}, flush=True)
            write(arguments.out, runs, days)
    for seed in range(arguments.clinc, arguments.clinc + arguments.replays):
        days += replay(pairs, seed)
        write(arguments.out, runs, days)
    return 0


def finding(case: Case, labelled: bool) -> dict:
    """What the self-test predicts, and what became of the intents that are missing; each kind as [share, found]."""
    items = case.items if labelled else replace(case.items, labels=[None] * len(case.items))
    told = self_test(case.production, items, case.vectors, Settings())
    really = missing_intents(case, items)
    return {
        "smallest": None if math.isnan(told.smallest) else told.smallest,
        "hidden": [[one.share, one.found] for one in told.hidden],
        "hidden_alone": [[one.share, one.found] for one in told.hidden if one.alone],
        "untested": len(told.untested),
        "listed": len(told.listed),
        "hours": None if math.isnan(told.hours) else told.hours,
        "missing": really,
    }


def missing_intents(case: Case, items: object) -> list[list]:
    """Of each missing intent its share of the turns that count, and whether the analysis lists it."""
    production = case.production
    listed = {gap.topic_id for gap in compare(production, items, case.vectors, Settings()).gaps}
    of_turns, counted = production.atlas.of_turns[MIDDLE], production.counted
    found = []
    for intent in sorted(case.missing):
        rows = counted[case.intents[counted] == intent]
        found.append([len(rows) / len(counted), is_listed(production.atlas.topics, of_turns[rows], listed)])
    return found


def is_listed(topics: list, of_turns: np.ndarray, listed: Iterable[str]) -> bool:
    at = of_turns[of_turns >= 0]
    if not len(at):
        return False
    home = topics[int(np.bincount(at).argmax())].topic_id
    return any(one.topic_id in listed for one in topics if home in (one.topic_id, one.parent))


def replay(pairs: list[tuple[str, str]], seed: int) -> list[dict]:
    """When each new intent was listed for the first time, in days from when it began, and what was predicted."""
    settings, encoder = Settings(), make_encoder(Settings().encoder)
    turns, items, truth, new = dated(pairs, seed)
    with tempfile.TemporaryDirectory() as name, Store.open(str(Path(name) / "s.duckdb")) as store:
        for file, rows in (("turns.jsonl", turns), ("evals.jsonl", items)):
            (Path(name) / file).write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
        ingest_file(store, Path(name) / "turns.jsonl")
        import_eval_set(store, Path(name) / "evals.jsonl", "evals", lambda: START)
        analyse(store, encoder, settings, eval_sets=["evals"], window=Window(START, BEGIN), clock=lambda: BEGIN)
        sides = published_sides(store, encoder, settings, [store.eval_sets.load("evals")])
        told = self_test(*sides[:3], settings)
        before = len(sides[0].counted)
        known = {gap.topic_id for gap in store.reports.gaps(store.runs.current().report_id)}
        first: dict[str, int] = {}
        for days in DAYS:
            end = BEGIN + timedelta(days=days)
            analyse(store, encoder, settings, eval_sets=["evals"], window=Window(START, end), clock=lambda end=end: end)
            for intent in listed_intents(store, settings, truth, new, known):
                first.setdefault(intent, days)
    after = [one for one in turns if one["created_at"] >= BEGIN.replace(tzinfo=UTC).isoformat()]
    rows = []
    for intent in sorted(new):
        own = sum(truth[one["turn_id"]] == intent for one in after)
        rows.append(
            {
                "seed": seed,
                "share": round(own / len(after), 5),
                "listed_after_days": first.get(intent),
                "smallest": None if math.isnan(told.smallest) else told.smallest,
                "turns_before": before,
                "a_day": len(after) / (END - BEGIN).days,
            }
        )
        print(rows[-1], flush=True)
    return rows


def listed_intents(
    store: Store, settings: Settings, truth: dict[str, str], new: frozenset[str], known: set[str]
) -> list[str]:
    """The new intents that the last analysis lists, in gaps that were not there before they began (`known`)."""
    run = store.runs.current()
    above = {one.topic_id: one.parent for one in store.atlases.topics(run.atlas_id)}
    gaps = {gap.topic_id for gap in store.reports.gaps(run.report_id)}
    listed = {topic for topic in gaps if not {topic, above[topic]} & known}
    window = Window(run.window_start, run.window_end)
    corpus = read_corpus(store, USER_TEXT, window=window, environments=settings.analysis.environments)
    atlas = read_atlas(store, run.atlas_id, corpus)
    intents = np.array([truth[one.turn_id] for one in store.turns.fetch(corpus.keys.tolist())])
    return [one for one in new if is_listed(atlas.topics, atlas.of_turns[MIDDLE][intents == one], listed)]


def dated(pairs: list[tuple[str, str]], seed: int) -> tuple[list[dict], list[dict], dict[str, str], frozenset[str]]:
    """Turns, items, each turn's intent, and the missing intents that nobody asks before the middle."""
    turns, items, truth, missing = clinc_turns(pairs, seed)
    new = frozenset(missing[: round(NEW * len(missing))])
    begin = BEGIN.replace(tzinfo=UTC).isoformat()
    turns = [one for one in turns if truth[one["turn_id"]] not in new or one["created_at"] >= begin]
    return turns, items, {one["turn_id"]: truth[one["turn_id"]] for one in turns}, new


def write(place: Path, runs: list[dict], days: list[dict]) -> None:
    place.write_text(json.dumps({"runs": runs, "days": days}, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
