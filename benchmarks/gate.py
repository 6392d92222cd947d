"""The change of coverage that `offmap gate` tells, against known truth, on CLINC150 and BANKING77.

    python benchmarks/gate.py            # writes benchmarks/results/gate.json

Of the intents of a draw of `benchmarks/coverage.py` three tenths (six for the greatest change) have no eval item. Then items of
some of them are added, or those of other intents are removed, or a tenth of all items goes while their intents keep others, so
that nothing changes. The labels say by how much coverage changed: does the interval of the change hold it, and how wide is it
beside one that draws both eval sets apart? Seeds from 100 on; the interval was chosen on seeds 0 to 7.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from coverage import (
    FIRST_SEED,
    ROOT,
    TOPIC_TURNS,
    Drawn,
    Texts,
    coverage_of,
    data_folder,
    draw,
    load_banking,
    load_clinc,
    measured,
    topics_of,
)

from monitor.coverage.change import Change, change_between
from monitor.coverage.estimate import Coverage

RESULT = ROOT / "benchmarks" / "results" / "gate.json"
INTERVAL = 0.9

#: A topic is told when its figure moved by this much (`monitor/coverage/gate.py`).
TOLD = 0.1


@dataclass(frozen=True)
class Case:
    """A change of an eval set: of the intents a share is `missing` and a share `added` or `removed`; of all items a share is
    `thinned`."""

    name: str
    missing: float = 0.3
    added: float = 0.0
    removed: float = 0.0
    thinned: float = 0.0


CASES = (
    Case("added_thirtieth", added=1 / 30),
    Case("added_tenth", added=1 / 10),
    Case("added_fifth", missing=0.6, added=1 / 5),
    Case("removed_thirtieth", removed=1 / 30),
    Case("thinned", thinned=1 / 10),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    arguments = parser.parse_args()
    data = data_folder()
    clinc, banking = load_clinc(data), load_banking(data)
    rows = []
    for texts, turns, items in (
        (clinc, 2_400, 3),
        (clinc, 2_400, 10),
        (clinc, 15_000, 3),
        (banking, 6_000, 3),
        (banking, 6_000, 10),
    ):
        for labelled in (True, False):
            seeds = range(arguments.first_seed, arguments.first_seed + arguments.draws)
            rows.append(row(texts, turns, items, labelled=labelled, seeds=seeds))
            print(rows[-1], flush=True)
    note = "points of coverage; apart: the interval if each eval set met conversations and items of its own"
    result = {"draws": arguments.draws, "seeds_from": arguments.first_seed, "table": rows, "note": note}
    if arguments.first_seed >= FIRST_SEED:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def row(texts: Texts, turns: int, items: int, *, labelled: bool, seeds: range) -> dict:
    found: dict[str, list] = {}
    for seed in seeds:
        for case, told in cases_of(texts, turns, items, labelled=labelled, seed=seed):
            for name, value in told.items():
                found.setdefault(name, []).append(value)
                found.setdefault(f"{case.name}_{name}", []).append(value)
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    told, held = sum(found["topics_told"]), sum(found["topics_held"])
    return {
        "data": texts.name,
        "turns": turns,
        "items_per_intent": items,
        "labelled": labelled,
        "interval_holds": round(mean["holds"], 2),
        "error": round(100 * mean["error"], 1),
        "width": round(100 * mean["width"], 1),
        "width_apart": round(100 * mean["width_apart"], 1),
        "topics_told": told,
        "topics_interval_holds": round(held / told, 2) if told else None,
        "cases": {
            case.name: {
                "truth": round(100 * mean[f"{case.name}_truth"], 1),
                "bias": round(100 * mean[f"{case.name}_bias"], 1),
                "interval_holds": round(mean[f"{case.name}_holds"], 2),
                "width": round(100 * mean[f"{case.name}_width"], 1),
                "said_to_change": round(mean[f"{case.name}_said"], 2),
                "said_wrongly": round(mean[f"{case.name}_wrong"], 2),
            }
            for case in CASES
        },
    }


def cases_of(texts: Texts, turns: int, items: int, *, labelled: bool, seed: int) -> Iterator[tuple[Case, dict]]:
    full = draw(texts, turns, items, missing=0.0, seed=seed)
    topics, known = topics_of(texts, full), {}

    def coverage(drawn: Drawn) -> Coverage:
        key = drawn.items.tobytes()
        if key not in known:
            known[key] = coverage_of(measured(texts, drawn, topics, labelled=labelled), topics)
        return known[key]

    for case in CASES:
        before, now = changed(texts, full, draw(texts, turns, items, missing=case.missing, seed=seed), case, seed)
        one, other = coverage(before), coverage(now)
        won = before.missed.astype(float) - now.missed
        yield case, told(change_between(one, other, INTERVAL), one, other, won, topics[0])


def changed(texts: Texts, full: Drawn, some: Drawn, case: Case, seed: int) -> tuple[Drawn, Drawn]:
    """The eval sets before and now, of the items of the full draw; the traffic is the same."""
    rng = np.random.default_rng(seed)
    labels, intents = np.array(full.labels), len(set(full.labels))
    present = sorted(set(some.labels))
    missing = sorted(set(full.labels) - set(present))
    added = rng.permutation(missing)[: round(case.added * intents)]
    removed = rng.permutation(present)[: round(case.removed * intents)]
    before = np.isin(labels, present)
    now = (before | np.isin(labels, added)) & ~np.isin(labels, removed)
    candidates = np.flatnonzero(before)
    now[rng.permutation(candidates)[: round(case.thinned * len(candidates))]] = False
    return _with(texts, full, before), _with(texts, full, now)


def _with(texts: Texts, full: Drawn, chosen: np.ndarray) -> Drawn:
    labels = [label for label, inside in zip(full.labels, chosen, strict=True) if inside]
    missed = ~np.isin(texts.labels[full.traffic].astype(str), labels)
    return replace(full, items=full.items[chosen], labels=labels, missed=missed)


def told(change: Change, before: Coverage, now: Coverage, won: np.ndarray, topics: np.ndarray) -> dict:
    """`won` [t] is 1 for turns that are covered now and were not, -1 for the others way about."""
    found, truth = change.traffic, float(won.mean())
    apart = now.draws[:, 0] - np.random.default_rng(0).permutation(before.draws[:, 0])
    low, high = np.quantile(apart, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    said = found.low > 0 or found.high < 0
    size = np.bincount(topics)
    of_topics = np.bincount(topics, weights=won) / size
    moved = [topic for topic in np.flatnonzero(size >= TOPIC_TURNS).tolist() if abs(change.topics[topic].value) >= TOLD]
    return {
        "truth": truth,
        "bias": found.value - truth,
        "error": abs(found.value - truth),
        "holds": found.low <= truth <= found.high,
        "width": found.high - found.low,
        "width_apart": high - low,
        "said": said,
        "wrong": said and np.sign(found.value) != np.sign(truth),
        "topics_told": len(moved),
        "topics_held": sum(
            change.topics[topic].low - 1 / size[topic]
            <= of_topics[topic]
            <= change.topics[topic].high + 1 / size[topic]
            for topic in moved
        ),
    }


if __name__ == "__main__":
    raise SystemExit(main())
