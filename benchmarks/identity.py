"""Whether topics stay themselves: refits over twelve windows in which intents appear, split and fade, with the truth known.

    python benchmarks/identity.py            # CLINC150, writes benchmarks/results/identity.json; some minutes
    python benchmarks/identity.py --tune     # BANKING77, that the pull and the margins were chosen on; prints only

A replay has 60 intents drawn by its seed. Most persist at rates that differ; some begin, slowly; some fade; of some only one
half (2-means of the vectors) is said first and both later. Each window holds the arrivals of four steps, three of which the
window before held too. `apart` has the same with four windows that share no turn. Three ways: fresh fits whose topics are
matched by nothing (a topic's id is its number), fresh fits matched by shared turns, and offmap's, which lean on the atlas
before and are matched by shared turns and by centroids. `five percent` is the share of turns that change topic between two
refits of which the second has 5 % more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.topics import encode, read_banking, read_clinc  # noqa: E402
from monitor.atlas.affinity import topic_graph  # noqa: E402
from monitor.atlas.centroids import centroid_cosines  # noqa: E402
from monitor.atlas.communities import leiden_communities  # noqa: E402
from monitor.atlas.lineage import match_topics  # noqa: E402
from monitor.atlas.topics import members  # noqa: E402
from monitor.settings import AtlasSettings  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "identity.json"
SEEDS, TUNING = (101, 102, 103, 104, 105), (1, 2)
INTENTS, WINDOWS, KEPT_STEPS, PER_STEP = 60, 12, 4, 9
#: A topic is an intent's when more than half of it is, and it has more than half of the intent.
HALF = 0.5
ENOUGH = 30


@dataclass(frozen=True)
class Replay:
    """Rows of the vectors that arrive in each step, the life of each intent, and the step in which it begins anew."""

    steps: list[NDArray[np.int64]]
    life: dict[str, str]


@dataclass
class Refits:
    """What stands: keys and ids of the atlas before by level, and every id that there ever was with its last window."""

    pull: float
    matched: bool
    alike: bool
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    ids: list[NDArray[np.object_]] = field(default_factory=lambda: [np.empty(0, object)] * 3)
    number: int = 0
    last_seen: dict[str, int] = field(default_factory=dict)
    reused: int = 0
    events: dict[str, int] = field(default_factory=dict)

    def refit(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> list[NDArray[np.object_]]:
        """Ids [n] of the rows by level, from the atlas before."""
        self.number += 1
        graph = topic_graph(vectors[rows], k=AtlasSettings().neighbours)
        standing = [self._standing(level, rows) for level in range(3)]
        found = leiden_communities(graph, resolutions=(0.0, 0.0, 0.0), seed=1, standing=standing, pull=self.pull)
        groups = {level: members(one, int(one.max()) + 1) for level, one in enumerate(found.levels())}
        names = self._names(groups, rows, vectors)
        ids = [np.array(names[level], object)[one] for level, one in enumerate(found.levels())]
        for one in {one for level in names.values() for one in level}:
            self.reused += self.last_seen.get(one, self.number - 1) < self.number - 1
            self.last_seen[one] = self.number
        self.rows, self.ids = rows, ids
        return ids

    def _standing(self, level: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        codes = dict(
            zip(self.rows.tolist(), np.unique(self.ids[level].astype(str), return_inverse=True)[1], strict=True)
        )
        return np.array([codes.get(row, -1) for row in rows.tolist()], np.int64)

    def _names(
        self, groups: dict[int, list[NDArray[np.int64]]], rows: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> dict[int, list[str]]:
        if not self.matched:
            return {level: [f"{level}-{number}" for number in range(len(found))] for level, found in groups.items()}
        previous = {
            level: {str(one): self.rows[self.ids[level] == one].astype(np.uint64) for one in set(self.ids[level])}
            for level in range(3)
        }
        current = {level: [rows[group].astype(np.uint64) for group in found] for level, found in groups.items()}

        def alike(level: int, olds: Sequence[str], news: Sequence[int]) -> NDArray[np.float64]:
            of_old = [vectors[previous[level][one].astype(np.int64)] for one in olds]
            return centroid_cosines(of_old, [vectors[rows[groups[level][one]]] for one in news])

        found = match_topics(
            previous, current, minted=f"w{self.number}-{{}}-{{}}".format, alike=alike if self.alike else None
        )
        if self.number > 1:
            for event in found.events:
                self.events[event.event] = self.events.get(event.event, 0) + 1
        return found.ids


WAYS = {
    "numbers": lambda pull: Refits(0.0, False, False),
    "shared turns": lambda pull: Refits(0.0, True, False),
    "offmap": lambda pull: Refits(pull, True, True),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true", help="on BANKING77 and other seeds; nothing is written")
    parser.add_argument("--pull", type=float, default=AtlasSettings().steadiness)
    parser.add_argument("--vectors", type=Path, help="a .npz with vectors and labels, rather than encoding here")
    arguments = parser.parse_args()
    loaded = load(arguments.tune, arguments.vectors)
    if loaded is None:
        return 1
    vectors, labels = loaded
    seeds = TUNING if arguments.tune else SEEDS
    result: dict = {"data": "BANKING77" if arguments.tune else "CLINC150", "seeds": list(seeds), "pull": arguments.pull}
    for kind in ("sliding", "apart"):
        runs: dict[str, list[dict]] = {name: [] for name in WAYS}
        for seed in seeds:
            replay = sliding(labels, vectors, seed) if kind == "sliding" else apart(labels, seed)
            for name, way in WAYS.items():
                runs[name].append(replayed(way(arguments.pull), replay, vectors, labels))
        result[kind] = {name: medians(found) for name, found in runs.items()}
    result["five percent"] = [
        five_percent(vectors, texts, seed, arguments.pull) for texts in (4_000, len(vectors)) for seed in seeds[:2]
    ]
    print(json.dumps(result, indent=2))
    if not arguments.tune:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def load(tune: bool, given: Path | None) -> tuple[NDArray[np.float32], NDArray[np.str_]] | None:
    if given is not None:
        found = np.load(given)
        inside = found["labels"] != "oos"
        return found["vectors"][inside].astype(np.float32), found["labels"][inside]
    data = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
    path = data / "banking77" if tune else data / "clinc150" / "data_full.json"
    if not path.exists():
        print(f"set OFFMAP_DATA to the folder that holds {path.name}: {data} does not", file=sys.stderr)
        return None
    texts, labels = read_banking(path) if tune else read_clinc(path)
    return encode(texts), np.array(labels)


def sliding(labels: NDArray[np.str_], vectors: NDArray[np.float32], seed: int) -> Replay:
    """Twelve windows and the steps before the first."""
    rng = np.random.default_rng(seed)
    steps = WINDOWS + KEPT_STEPS - 1
    arriving: list[list[int]] = [[] for _ in range(steps)]
    life: dict[str, str] = {}
    for position, intent in enumerate(rng.permutation(np.unique(labels))[:INTENTS].tolist()):
        rows = rng.permutation(np.flatnonzero(labels == intent))
        rate = PER_STEP * np.exp(rng.normal(0.0, 0.3))
        rates = np.full(steps, rate)
        turn = int(rng.integers(KEPT_STEPS, steps - KEPT_STEPS))
        kind = "begins" if position < 10 else "fades" if position < 20 else "halves" if position < 26 else "persists"
        life[intent] = kind
        if kind == "begins":
            rates = np.clip(rate * (np.arange(steps) - turn + 1) / 3, 0.0, rate)
        elif kind == "fades":
            rates = np.clip(rate * (turn - np.arange(steps)) / 3, 0.0, rate)
        pools = [rows]
        if kind == "halves":
            from sklearn.cluster import KMeans

            half = KMeans(2, n_init=3, random_state=seed).fit_predict(vectors[rows])
            pools = [rows[half == 0], rows[half == 1]]
        for number, pool in enumerate(pools):
            rest = pool.tolist()
            for step in range(steps):
                if number == 1 and step < turn:
                    continue
                wanted = int(rng.poisson(rates[step] / (len(pools) if kind == "halves" and step >= turn else 1)))
                arriving[step] += [rest.pop() for _ in range(min(wanted, len(rest)))]
    return Replay([np.sort(np.array(rows, np.int64)) for rows in arriving], life)


def apart(labels: NDArray[np.str_], seed: int) -> Replay:
    """Four windows without a turn in common; every intent persists."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.unique(labels))[:INTENTS]
    rows = rng.permutation(np.flatnonzero(np.isin(labels, chosen)))
    return Replay([np.sort(part) for part in np.array_split(rows, 4)], dict.fromkeys(chosen.tolist(), "persists"))


def replayed(refits: Refits, replay: Replay, vectors: NDArray[np.float32], labels: NDArray[np.str_]) -> dict:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    together = KEPT_STEPS if len(replay.steps) > WINDOWS else 1
    held: list[dict[str, tuple[str, int, bool]]] = []
    quality, changed, seconds = [], [[], []], []
    for end in range(together, len(replay.steps) + 1):
        rows = np.sort(np.concatenate(replay.steps[end - together : end]))
        before = [dict(zip(refits.rows.tolist(), level, strict=True)) for level in refits.ids]
        started = time.process_time()
        ids = refits.refit(rows, vectors)
        seconds.append(time.process_time() - started)
        truth = labels[rows]
        fine = np.unique(ids[2].astype(str), return_inverse=True)[1]
        quality.append((normalized_mutual_info_score(truth, fine), adjusted_rand_score(truth, fine)))
        held.append(holding(truth, ids[2], replay))
        for place, level in enumerate((1, 2)):
            both = [
                (before[level][row], id_)
                for row, id_ in zip(rows.tolist(), ids[level], strict=True)
                if row in before[0]
            ]
            if both:
                changed[place].append(sum(old != new for old, new in both) / len(both))
    kept = [
        now[intent][0] == then[intent][0]
        for then, now in pairwise(held)
        for intent in now.keys() & then.keys()
        if now[intent][1] >= ENOUGH <= then[intent][1]
    ]
    long = [intent for intent, kind in replay.life.items() if kind in ("persists", "halves") and intent in held[0]]
    through = [held[0][intent][0] == held[-1][intent][0] for intent in long if intent in held[-1]]
    late, new = births(held, replay)
    return {
        "kept": sum(kept) / len(kept),
        "kept_through": sum(through) / len(through),
        "born_in_time": (new - late) / new if new else float("nan"),
        "new": new,
        "reused": refits.reused,
        "changed_middle": statistics.mean(changed[0]) if changed[0] else float("nan"),
        "changed_fine": statistics.mean(changed[1]) if changed[1] else float("nan"),
        "nmi": statistics.mean(one[0] for one in quality),
        "ari": statistics.mean(one[1] for one in quality),
        "last_nmi": quality[-1][0],
        "last_ari": quality[-1][1],
        "seconds": statistics.median(seconds),
        **{f"{event} a refit": count / (len(held) - 1) for event, count in sorted(refits.events.items())},
    }


def holding(truth: NDArray[np.str_], ids: NDArray[np.object_], replay: Replay) -> dict[str, tuple[str, int, bool]]:
    """For each intent the id that most of its turns have, how many turns it has, and whether that topic is its own."""
    found = {}
    for intent in replay.life:
        mine = truth == intent
        if mine.any():
            names, counts = np.unique(ids[mine].astype(str), return_counts=True)
            best = names[counts.argmax()]
            own = counts.max() > HALF * mine.sum() and counts.max() > HALF * (ids == best).sum()
            found[intent] = (best, int(mine.sum()), bool(own))
    return found


def births(held: Sequence[dict[str, tuple[str, int, bool]]], replay: Replay) -> tuple[int, int]:
    """Intents that began and had no topic of their own one refit after the first with 30 of their turns; and all of these."""
    late = new = 0
    for intent, kind in replay.life.items():
        with_enough = [window for window, found in enumerate(held) if intent in found and found[intent][1] >= ENOUGH]
        if kind != "begins" or not with_enough or with_enough[0] + 1 >= len(held):
            continue
        new += 1
        late += not any(held[window][intent][2] for window in (with_enough[0], with_enough[0] + 1))
    return late, new


def five_percent(vectors: NDArray[np.float32], texts: int, seed: int, pull: float) -> dict:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(vectors), texts, replace=False))
    first = rows[rng.random(len(rows)) < 1 / 1.05]
    found: dict = {"texts": texts, "seed": seed}
    for name in ("shared turns", "offmap"):
        refits = WAYS[name](pull)
        before = refits.refit(first, vectors)
        after = refits.refit(rows, vectors)
        inside = np.isin(rows, first)
        for level, title in ((1, "middle"), (2, "fine")):
            found[f"{name}, {title}"] = round(float((after[level][inside] != before[level]).mean()), 4)
    return found


def medians(runs: Sequence[dict]) -> dict:
    """Of the seeds: the mean of each figure."""
    return {name: round(statistics.mean(run.get(name, 0.0) for run in runs), 4) for name in runs[0]}


if __name__ == "__main__":
    raise SystemExit(main())
