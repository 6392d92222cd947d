"""The detector that is always on: how often it cries wolf, and how soon it sees a change, on CLINC150 and BANKING77.

    python benchmarks/always_on.py           # writes benchmarks/results/always_on.json

A replay draws a reference of 300, 1,500 or 5,000 turns, leaves three intents out of it, and lets a stream of other texts of the
same intents come, with replacement, a turn a conversation, budget one false alarm in 5,000 turns. Null replays go on for 15,000
turns. Changes begin after 0 and after 1,000 turns: the three new intents become 10 or 20 % of the turns, or three known ones
get 20 % more. Beside ours stand, on the same turns, an e-detector on "far or not" that takes the null rate from the reference
as if it were certain, Page and Hinkley's test with such a rate (its limit simulated for the budget), and a window of 200 turns.
What was chosen (bins, bets, weights) was chosen on CLINC150 with seeds 0 to 39; seeds here are from 1000 on, and BANKING77
chose nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coverage import Texts, data_folder, load_banking, load_clinc
from scipy.stats import binom

from monitor.atlas.affinity import topic_graph
from monitor.atlas.communities import leiden_communities
from monitor.drift.bets import BINS
from monitor.drift.detector import Detector
from monitor.drift.landmarks import Landmarks, Placed

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "always_on.json"
FIRST_SEED = 1_000
BUDGET = 5_000
NULL_TURNS, AFTER = 15_000, 1_500
SIZES = (300, 1_500, 5_000)
CHANGES = (("new", 0.1), ("new", 0.2), ("popular", 0.2))
#: Streams that run side by side, of references with about as many topics.
BATCH = 20
#: Peers call a turn far beyond this quantile of the reference.
FAR = 0.95
NEGATIVE = 0.06


@dataclass(frozen=True)
class World:
    """A reference and what may come: where each turn of either lies."""

    topics: int
    edges: np.ndarray
    reference: Placed
    usual: Placed
    new: Placed
    popular: Placed
    negatives: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--vectors", type=Path, help="folder with clinc.npz and banking.npz, rather than encoding here")
    parser.add_argument(
        "--part", choices=("table", "conversations", "others"), help="renew this part of the result only"
    )
    arguments = parser.parse_args()
    data = data_folder()
    sets = (
        (load_clinc(data), load_banking(data))
        if arguments.vectors is None
        else tuple(_given(arguments.vectors / f"{name}.npz", title) for name, title in _FILES)
    )
    result: dict = {"budget_turns": BUDGET, "replays": arguments.replays, "seeds_from": FIRST_SEED}
    if arguments.part and RESULT.exists():
        result = json.loads(RESULT.read_text("utf-8"))
    if arguments.part in (None, "others"):
        result["others"] = [others(texts, arguments.replays) for texts in sets]
        print(json.dumps(result["others"]), flush=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.part in (None, "conversations"):
        result["conversations"] = [conversations(texts, arguments.replays // 2) for texts in sets]
        print(json.dumps(result["conversations"]), flush=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.part in ("others", "conversations"):
        return 0
    result["table"] = []
    for texts in sets:
        for size in SIZES:
            started = time.perf_counter()
            replays = arguments.replays if size < SIZES[-1] else arguments.replays // 4
            worlds = [world(texts, size, seed) for seed in range(FIRST_SEED, FIRST_SEED + replays)]
            worlds.sort(key=lambda one: one.topics)
            row = {
                "data": texts.name,
                "reference": size,
                "references": len(worlds),
                **measured(worlds, arguments.replays),
            }
            print(json.dumps(row), f"{time.perf_counter() - started:.0f} s", flush=True)
            result["table"].append(row)
            RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


_FILES = (("clinc", "CLINC150"), ("banking", "BANKING77"))


def _given(path: Path, name: str) -> Texts:
    found = np.load(path)
    labels = found["labels"].astype(str)
    known = labels != "oos"
    return Texts(name, found["vectors"][known].astype(np.float32), labels[known])


def world(texts: Texts, size: int, seed: int) -> World:
    rng = np.random.default_rng(seed)
    labels = texts.labels.astype(str)
    names = rng.permutation(np.unique(labels))
    is_new, is_popular = np.isin(labels, names[:3]), np.isin(labels, names[3:6])
    known = rng.permutation(np.flatnonzero(~is_new))
    chosen, coming = known[:size], known[size : size + 8_000]
    vectors = texts.vectors[chosen]
    topics = leiden_communities(topic_graph(vectors, k=15), resolutions=(0.0, 0.0, 0.0), seed=1).middle.astype(np.int64)
    own = np.arange(size, dtype=np.uint64)
    marks = Landmarks.of(vectors, topics, own)

    def placed(rows: np.ndarray) -> Placed:
        return marks.place(texts.vectors[rows], np.arange(len(rows), dtype=np.uint64) + size)

    reference = marks.place(vectors, own)
    return World(
        int(topics.max()) + 1,
        reference.edges(),
        reference,
        placed(coming),
        placed(np.flatnonzero(is_new)),
        placed(coming[is_popular[coming]]),
        int(rng.binomial(size, NEGATIVE)),
    )


@dataclass(frozen=True)
class Stream:
    topics: np.ndarray
    bins: np.ndarray
    novelty: np.ndarray
    negative: np.ndarray


def usual_stream(one: World, rows: np.ndarray, rng: np.random.Generator) -> Stream:
    """These of the usual conversations, one after the other."""
    bins = one.usual.bins(one.edges)[rows]
    return Stream(one.usual.topics[rows], bins, one.usual.novelty[rows], rng.random(len(rows)) < NEGATIVE)


def stream(one: World, turns: int, change: str, share: float, begins: int, rng: np.random.Generator) -> Stream:
    rows = rng.integers(len(one.usual.topics), size=turns)
    topics, novelty = one.usual.topics[rows], one.usual.novelty[rows]
    bins = one.usual.bins(one.edges)[rows]
    if share:
        source = one.new if change == "new" else one.popular
        changed = np.flatnonzero((np.arange(turns) >= begins) & (rng.random(turns) < share))
        rows = rng.integers(len(source.topics), size=len(changed))
        topics[changed], novelty[changed] = source.topics[rows], source.novelty[rows]
        bins[changed] = source.bins(one.edges)[rows]
    return Stream(topics, bins, novelty, rng.random(turns) < NEGATIVE)


def measured(worlds: list[World], replays: int) -> dict:
    """Run lengths and delays; where there are fewer references than replays, each has several streams."""
    several = max(1, replays // len(worlds))
    null: dict[str, list[int]] = {}
    for number in range(several):
        for start in range(0, len(worlds), BATCH):
            part = worlds[start : start + BATCH]
            add(null, alarms(part, NULL_TURNS, "", 0.0, 0, seed=number * 10_000 + start))
    row: dict = {"null": {name: run_length(np.array(found)) for name, found in null.items()}}
    for change, share in CHANGES:
        for begins in (0, 1_000):
            found: dict[str, list[int]] = {}
            for start in range(0, len(worlds), BATCH):
                part = worlds[start : start + BATCH]
                add(found, alarms(part, begins + AFTER, change, share, begins, seed=1 + start))
            row[f"{change}_{share:.0%}_after_{begins}"] = {
                name: delay(np.array(values), begins) for name, values in found.items()
            }
    return row


def add(to: dict[str, list[int]], found: dict[str, list[int]]) -> None:
    for name, values in found.items():
        to.setdefault(name, []).extend(values)


def run_length(alarm: np.ndarray) -> dict:
    """Mean turns to a false alarm, by turns over alarms, as replays end; and how many replays had one by the budget."""
    turns = np.where(alarm < 0, NULL_TURNS, alarm + 1)
    count = int((alarm >= 0).sum())
    return {
        "run_length": round(float(turns.sum() / max(count, 1))),
        "alarms": count,
        "within_budget": round(float(((alarm >= 0) & (alarm < BUDGET)).mean()), 3),
    }


def delay(alarm: np.ndarray, begins: int) -> dict:
    """Median turns from the change to the alarm, of replays without an alarm before; None where most see none in time."""
    late = alarm[(alarm < 0) | (alarm >= begins)]
    turns = np.where(late < 0, np.inf, late - begins + 1)
    middle = float(np.median(turns)) if len(turns) else float("inf")
    return {
        "median": round(middle) if np.isfinite(middle) else None,
        "seen": round(float(np.isfinite(turns).mean()), 2),
    }


def alarms(
    worlds: list[World], turns: int, change: str, share: float, begins: int, *, seed: int
) -> dict[str, list[int]]:
    rng = np.random.default_rng(seed)
    streams = [stream(one, turns, change, share, begins, rng) for one in worlds]
    found = {"offmap": ours(worlds, streams, turns)}
    far, usual = [], []
    for one, seen in zip(worlds, streams, strict=True):
        limit = np.quantile(one.reference.novelty, FAR)
        usual.append((one.reference.novelty > limit).mean())
        far.append(seen.novelty > limit)
    hits, rates = np.array(far), np.array(usual)
    return {
        **found,
        "plug_in": plug_in(hits, rates),
        "page_hinkley": page_hinkley(hits, rates),
        "window_200": window(hits, rates),
    }


def ours(
    worlds: list[World], streams: list[Stream], turns: int, *, accepted: bool = False, limit: float = BUDGET
) -> list[int]:
    """The turn of each replay's first alarm, -1 without; `accepted`: begun anew, and what comes says what is usual. Of a budget
    that others share the `limit` is larger."""
    topics = max(one.topics for one in worlds)
    counts = np.concatenate([one.reference.counts(one.edges, topics) for one in worlds])
    detector = Detector.of(counts, np.array([one.negatives for one in worlds], float))
    if accepted:
        detector = detector.restarted()
    of_topic = np.stack([one.topics for one in streams])
    bins, negative = np.stack([one.bins for one in streams]), np.stack([one.negative for one in streams])
    alarm = np.full(len(worlds), -1)
    for turn in range(turns):
        detector.update(of_topic[:, turn], bins[:, turn], negative[:, turn], time=1.0, at=float(turn))
        alarm[(sum(detector.evidence().values()) >= limit) & (alarm < 0)] = turn
        if (alarm >= 0).all():
            break
    return alarm.tolist()


def others(texts: Texts, replays: int, size: int = 1_500) -> dict:
    """Replies that go wrong more often than they did, delays with half of the budget, and the time after an accepted change.

    After 1,000 turns the share of turns with a negative signal becomes two or three times what it was. And three new intents
    are a fifth of the traffic, the detector is restarted, and nothing changes any more: it learns from 300 turns what is usual.
    """
    worlds = [world(texts, size, seed) for seed in range(FIRST_SEED, FIRST_SEED + replays // 4)]
    worlds.sort(key=lambda one: one.topics)
    found: dict = {"data": texts.name, "reference": size, "replays": 4 * len(worlds), "usual_negatives": NEGATIVE}
    for times in (2, 3):
        values: dict[str, list[int]] = {}
        for number in range(4):
            for start in range(0, len(worlds), BATCH):
                part, rng = worlds[start : start + BATCH], np.random.default_rng(number * 10_000 + start)
                streams = [stream(one, 1_000 + AFTER, "", 0.0, 0, rng) for one in part]
                for one in streams:
                    one.negative[1_000:] = rng.random(AFTER) < times * NEGATIVE
                hits = np.stack([one.negative for one in streams])
                rates = np.array([max(one.negatives, 1) / size for one in part])
                add(
                    values,
                    {
                        "offmap": ours(part, streams, 1_000 + AFTER),
                        "plug_in": plug_in(hits, rates),
                        "window_200": window(hits, rates),
                    },
                )
        found[f"{times}_times_as_many_negatives"] = {
            name: delay(np.array(alarm), 1_000) for name, alarm in values.items()
        }
    for change, share in CHANGES:
        told: dict[str, list[int]] = {}
        for number in range(4):
            for start in range(0, len(worlds), BATCH):
                part, rng = worlds[start : start + BATCH], np.random.default_rng(20_000 + number * 10_000 + start)
                streams = [stream(one, 1_000 + AFTER, change, share, 1_000, rng) for one in part]
                for name, limit in (("whole_budget", BUDGET), ("half_of_it", 2 * BUDGET)):
                    add(told, {name: ours(part, streams, 1_000 + AFTER, limit=limit)})
        found[f"{change}_{share:.0%}"] = {name: delay(np.array(alarm), 1_000) for name, alarm in told.items()}
    lengths: list[int] = []
    for number in range(4):
        for start in range(0, len(worlds), BATCH):
            part, rng = worlds[start : start + BATCH], np.random.default_rng(50_000 + number * 10_000 + start)
            streams = [stream(one, NULL_TURNS, "new", 0.2, 0, rng) for one in part]
            lengths += ours(part, streams, NULL_TURNS, accepted=True)
    return found | {"after_an_accepted_change": run_length(np.array(lengths))}


def conversations(texts: Texts, replays: int, size: int = 500, turns: int = 3) -> dict:
    """Null replays of conversations of three turns about one thing: a bet a conversation, and a bet a turn for comparison.

    The budget is 5,000 of what is bet on. A conversation is a text with its two nearest of the same intent, from the half of
    the texts that its side has.
    """
    found: dict[str, list[int]] = {}
    for start in range(0, replays, BATCH):
        seeds = range(FIRST_SEED + start, FIRST_SEED + min(start + BATCH, replays))
        talks = [talk_world(texts, size, turns, seed) for seed in seeds]
        rng = np.random.default_rng(start)
        rows = [rng.integers(len(one.usual.topics), size=3 * BUDGET) for one, _ in talks]
        whole = [one for one, _ in talks]
        single = [one for _, one in talks]
        streams = [usual_stream(one, row, rng) for one, row in zip(whole, rows, strict=True)]
        parts = [(row[:BUDGET, None] * turns + np.arange(turns)).ravel() for row in rows]
        by_turn = [usual_stream(one, row, rng) for one, row in zip(single, parts, strict=True)]
        add(
            found,
            {
                "a_bet_a_conversation": ours(whole, streams, 3 * BUDGET),
                "a_bet_a_turn": ours(single, by_turn, 3 * BUDGET),
            },
        )
    lengths = {name: run_length(np.array(values)) for name, values in found.items()}
    return {"data": texts.name, "reference": size, "turns_each": turns, "replays": replays, **lengths}


def talk_world(texts: Texts, size: int, turns: int, seed: int) -> tuple[World, World]:
    """The same conversations counted whole, and turn by turn."""
    rng = np.random.default_rng(seed)
    labels = texts.labels.astype(str)
    order = rng.permutation(len(labels))
    sides = []
    for half, number in ((order[: len(order) // 2], size), (order[len(order) // 2 :], 2_500)):
        said = []
        for opening in rng.choice(half, number, replace=False):
            alike = half[labels[half] == labels[opening]]
            said.append(alike[np.argsort(-(texts.vectors[alike] @ texts.vectors[opening]))[:turns]])
        sides.append(np.concatenate(said))
    vectors, coming = texts.vectors[sides[0]], texts.vectors[sides[1]]
    topics = leiden_communities(topic_graph(vectors, k=15), resolutions=(0.0, 0.0, 0.0), seed=1).middle.astype(np.int64)
    own = np.repeat(np.arange(size, dtype=np.uint64), turns)
    theirs = np.repeat(np.arange(2_500, dtype=np.uint64) + size, turns)
    marks = Landmarks.of(vectors, topics, own)
    worlds = []
    for reference, usual in (
        (marks.place(vectors, own), marks.place(coming, theirs)),
        (turn_by_turn(marks, vectors, own), turn_by_turn(marks, coming, theirs)),
    ):
        negatives = int(rng.binomial(len(reference.topics), NEGATIVE))
        worlds.append(World(int(topics.max()) + 1, reference.edges(), reference, usual, usual, usual, negatives))
    return worlds[0], worlds[1]


def turn_by_turn(marks: Landmarks, vectors: np.ndarray, conversations: np.ndarray) -> Placed:
    """Each turn on its own, though none has its own conversation for a neighbour."""
    parts = []
    step = int((conversations == conversations[0]).sum())
    for place in range(step):
        parts.append(marks.place(vectors[place::step], conversations[place::step]))
    novelty = np.stack([one.novelty for one in parts], axis=1).ravel()
    topics = np.stack([one.topics for one in parts], axis=1).ravel()
    return Placed(np.arange(len(novelty), dtype=np.uint64), novelty, topics)


def plug_in(hits: np.ndarray, rates: np.ndarray) -> list[int]:
    shares, rate = np.array([0.05, 0.1, 0.2]), rates[:, None]
    bet = (1 - shares) * rate + shares / 2
    evidence, alarm = np.zeros((len(hits), len(shares))), np.full(len(hits), -1)
    for turn in range(hits.shape[1]):
        evidence = (evidence + 1) * np.where(hits[:, turn, None], bet / rate, (1 - bet) / (1 - rate))
        alarm[(evidence.mean(axis=1) >= BUDGET) & (alarm < 0)] = turn
    return alarm.tolist()


def page_hinkley(hits: np.ndarray, rates: np.ndarray) -> list[int]:
    """Sums of (far - rate - 0.02); its limit gives a run of the budget when the rate is what the reference has."""
    sums, alarm = np.zeros(len(hits)), np.full(len(hits), -1)
    for turn in range(hits.shape[1]):
        sums = np.maximum(0, sums + hits[:, turn] - rates - 0.02)
        alarm[(sums >= _limit()) & (alarm < 0)] = turn
    return alarm.tolist()


_LIMIT: list[float] = []


def _limit() -> float:
    if not _LIMIT:
        rng = np.random.default_rng(0)
        sums, best = np.zeros(500), np.zeros(500)
        for _ in range(BUDGET):
            sums = np.maximum(0, sums + (rng.random(500) < 1 - FAR) - (1 - FAR) - 0.02)
            best = np.maximum(best, sums)
        _LIMIT.append(
            float(np.quantile(best, np.exp(-1)))
        )  # runs are about exponential: 1 in e lasts longer than the mean
    return _LIMIT[0]


def window(hits: np.ndarray, rates: np.ndarray, size: int = 200) -> list[int]:
    """More far turns than the rate allows in a window, windows one after the other; 1 in 25 by chance is the budget."""
    alarm = np.full(len(hits), -1)
    limits = binom.ppf(1 - size / BUDGET, size, rates)
    for end in range(size, hits.shape[1] + 1, size):
        alarm[(hits[:, end - size : end].sum(axis=1) > limits) & (alarm < 0)] = end - 1
    return alarm.tolist()


if __name__ == "__main__":
    assert len(BINS) == 4
    raise SystemExit(main())
