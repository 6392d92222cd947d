"""What items that repeat others do to coverage, before and now, on CLINC150 and BANKING77.

    python benchmarks/repeats.py            # writes benchmarks/results/repeats.json, 15 minutes

*Moved*: a quarter of the items is said three times more, in the ways of `eval_health.py` or in ways that the rule was not made
for. How far do the coverage of the traffic, the ends of its interval and the coverage of topics of 30 turns or more move? With
items of one text merged alone (before), and with what repeats an item left out (now). *Removed*: how many items that people
wrote are left out as repeats, and how many chains of cosines of 0.92 would take. *Error*: of the estimate, with those and
without. Seeds from 100 on; what was tuned was tuned on CLINC150, seeds 0 to 7.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coverage import FIRST_SEED, MISSING, TOPIC_TURNS, Drawn, Texts, data_folder, draw, topics_of
from eval_health import REWORDINGS, with_texts
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from monitor.coverage.estimate import Coverage, Traffic, estimate_coverage
from monitor.coverage.items import ComparedItems
from monitor.coverage.novelty import EvalVectors, measure_novelty
from monitor.coverage.repeats import near_pairs, without_repeats
from monitor.encoding.encoder import Encoder, make_encoder
from monitor.settings import EncoderSettings

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "repeats.json"

#: Ways that the rule was not made for: two slips at once, more words of politeness, other small words.
SMALL = {"my": "the", "the": "my", "is": "was", "i": "we", "to": "for", "a": "one", "what": "which", "can": "could"}
OTHERWISE = {
    "two slips": lambda text, rng: REWORDINGS["one letter wrong"](REWORDINGS["one letter wrong"](text, rng), rng),
    "politeness and a slip": lambda text, rng: f"could you help me, {REWORDINGS['one letter wrong'](text, rng)}",
    "small words": lambda text, _: " ".join(SMALL.get(word, word) for word in text.split()),
}


@dataclass(frozen=True)
class Asked:
    items: ComparedItems
    vectors: np.ndarray

    @classmethod
    def of(cls, texts: Texts, drawn: Drawn, *, labelled: bool) -> Asked:
        labels = drawn.labels if labelled else [None] * len(drawn.items)
        return cls.once([texts.said[row] for row in drawn.items], labels, texts.vectors[drawn.items])

    @classmethod
    def once(cls, said: list[str], labels: list, vectors: np.ndarray, places: np.ndarray | None = None) -> Asked:
        """Equal texts once, as the product has it: in the order of their texts, with the place of the first."""
        places = np.arange(len(said)) if places is None else places
        first: dict[str, int] = {}
        for row in np.argsort(places).tolist():
            first.setdefault(said[row], row)
        rows = [first[text] for text in sorted(first)]
        return cls(
            ComparedItems(
                sorted(first), [str(row) for row in rows], [labels[row] for row in rows], places[rows].tolist()
            ),
            vectors[rows],
        )

    def now(self) -> Asked:
        return Asked(*without_repeats(self.items, self.vectors))

    def coverage(self, traffic: np.ndarray, topics: np.ndarray) -> Coverage:
        evals = EvalVectors(self.vectors, self.items.labels, self.items.texts)
        novelty = measure_novelty(traffic, evals, topics=list(topics), k=15)
        number, several = np.arange(len(traffic)), int(topics.max()) + 1
        turns = Traffic(number, topics, number)
        return estimate_coverage(novelty, turns, topics=several, interval=0.9, replicates=100, seed=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    data = data_folder()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.draws)
    encoder = make_encoder(EncoderSettings())
    cells = [(with_texts("CLINC150", data)[0], 2_400), (with_texts("BANKING77", data)[0], 6_000)]
    result: dict = {"draws": arguments.draws, "seeds_from": FIRST_SEED, "moved": [], "removed": [], "error": []}
    for texts, turns in cells:
        for items in (3, 10, 30):
            result["removed"].append(said(removed(texts, items, seeds)))
            result["moved"].append(said(moved(texts, turns, items, seeds, encoder)))
            result["error"].append(said(error(texts, turns, items, seeds)))
        for ways, labelled, place in (
            (REWORDINGS, False, "after"),
            (REWORDINGS, True, "anywhere"),
            (OTHERWISE, True, "after"),
        ):
            result["moved"].append(said(moved(texts, turns, 10, seeds, encoder, ways, labelled=labelled, place=place)))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def said(row: dict) -> dict:
    print(row, flush=True)
    return row


def moved(
    texts: Texts,
    turns: int,
    items: int,
    seeds: range,
    encoder: Encoder,
    ways: dict = REWORDINGS,
    *,
    labelled: bool = True,
    place: str = "after",
) -> dict:
    """A fifth of the intents has no item. In points of coverage: the mean and the most over draws, and over all topics."""
    found: dict[str, list[list[np.ndarray]]] = {"before": [], "now": []}
    left = []
    for seed in seeds:
        topics = topics_of(texts, draw(texts, turns, items, missing=0.0, seed=seed))
        drawn = draw(texts, turns, items, missing=0.2, seed=seed)
        traffic = texts.vectors[drawn.traffic]
        alone = Asked.of(texts, drawn, labelled=labelled)
        more = repeated(texts, drawn, np.random.default_rng(seed), encoder, ways, labelled=labelled, place=place)
        for name, one, other in (("before", alone, more), ("now", alone.now(), more.now())):
            figures = [asked.coverage(traffic, topics) for asked in (one, other)]
            size = np.bincount(topics[0])
            found[name].append(difference(*figures, np.flatnonzero(size >= TOPIC_TURNS)))
        left.append([len(more.items) - len(alone.items), len(more.now().items) - len(alone.now().items)])
    row: dict = {
        "data": texts.name,
        "turns": turns,
        "items_per_intent": items,
        "labelled": labelled,
        "said_again": ", ".join(ways),
        "where": place,
        "texts_added": round(float(np.mean(left, axis=0)[0]), 1),
        "of_them_that_count": round(float(np.mean(left, axis=0)[1]), 1),
    }
    for name, some in found.items():
        for place_, what in enumerate(("traffic", "interval", "topics")):
            values = np.concatenate([one[place_] for one in some])
            row[f"{name}_{what}_mean"], row[f"{name}_{what}_max"] = points(values.mean()), points(values.max())
    return row


def difference(one: Coverage, other: Coverage, topics: np.ndarray) -> list[np.ndarray]:
    """How far the figure, the ends of its interval, and the figures of some topics lie apart."""
    ends = np.array([other.traffic.low - one.traffic.low, other.traffic.high - one.traffic.high])
    of_topics = np.array([other.topics[topic].value - one.topics[topic].value for topic in topics.tolist()])
    return [np.abs([other.traffic.value - one.traffic.value]), np.abs(ends), np.abs(of_topics)]


def repeated(
    texts: Texts,
    drawn: Drawn,
    rng: np.random.Generator,
    encoder: Encoder,
    ways: dict,
    *,
    labelled: bool,
    place: str,
) -> Asked:
    """The items with a quarter of them said three times more, after all others or anywhere among them."""
    own = [texts.said[row] for row in drawn.items]
    chosen = np.repeat(rng.choice(len(own), len(own) // 4, replace=False), 3).tolist()
    again = [ways[list(ways)[int(rng.integers(len(ways)))]](own[row], rng) for row in chosen]
    labels = [*drawn.labels, *(drawn.labels[row] for row in chosen)] if labelled else [None] * (len(own) + len(again))
    vectors = np.concatenate([texts.vectors[drawn.items], encoder.encode(again)])
    places = rng.permutation(len(vectors)) if place == "anywhere" else np.arange(len(vectors))
    return Asked.once([*own, *again], labels, vectors, places)


def removed(texts: Texts, items: int, seeds: range) -> dict:
    """In percent of the distinct texts of all intents' items."""
    rows = []
    for seed in seeds:
        drawn = draw(texts, 100, items, missing=0.0, seed=seed)
        row = []
        for labelled in (True, False):
            asked = Asked.of(texts, drawn, labelled=labelled)
            pairs = list(near_pairs(asked.vectors, 0.92))
            first = np.concatenate([one for one, _, _ in pairs] or [np.empty(0, int)])
            second = np.concatenate([one for _, one, _ in pairs] or [np.empty(0, int)])
            names = np.array(asked.items.labels, object)
            same = names[first] == names[second]
            graph = csr_matrix((np.ones(same.sum()), (first[same], second[same])), shape=(len(names),) * 2)
            chains = connected_components(graph, directed=False)[0]
            row += [1 - len(asked.now().items) / len(names), 1 - chains / len(names)]
        rows.append(row)
    names = ("labelled", "labelled_in_chains", "unlabelled", "unlabelled_in_chains")
    return {
        "data": texts.name,
        "items_per_intent": items,
        **dict(zip(names, map(points, np.mean(rows, axis=0)), strict=True)),
    }


def error(texts: Texts, turns: int, items: int, seeds: range) -> dict:
    """The mean error in points with 0 to 60 % of the intents missing, nothing planted."""
    errors: dict[str, list[float]] = {
        f"{kind}_{name}": [] for kind in ("labelled", "unlabelled") for name in ("before", "now")
    }
    for seed in seeds:
        topics = topics_of(texts, draw(texts, turns, items, missing=0.0, seed=seed))
        for missing in MISSING:
            drawn = draw(texts, turns, items, missing=missing, seed=seed)
            for kind in ("labelled", "unlabelled"):
                asked = Asked.of(texts, drawn, labelled=kind == "labelled")
                for name, one in (("before", asked), ("now", asked.now())):
                    value = one.coverage(texts.vectors[drawn.traffic], topics).traffic.value
                    errors[f"{kind}_{name}"].append(value - (1 - drawn.missed.mean()))
    return {
        "data": texts.name,
        "turns": turns,
        "items_per_intent": items,
        **{name: points(np.abs(some).mean()) for name, some in errors.items()},
    }


def points(share: float) -> float:
    return round(100 * float(share), 1)


if __name__ == "__main__":
    raise SystemExit(main())
