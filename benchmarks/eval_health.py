"""The health of an eval set against planted truth, through the product's own code, on CLINC150 and BANKING77.

    python benchmarks/eval_health.py         # writes benchmarks/results/eval_health.json

Planted: items that repeat others in other words of the surface, labels that were swapped with one of the five nearest, and
intents that the traffic does not have. Measured: what is found, beside the plain way and a peer; what the smallest subset
keeps of nearness, of estimated coverage and of what is found, beside random and k-means subsets of its size; and seconds with
10,000 items. Seeds from 100 on; what was tuned was tuned on CLINC150, seeds 0 to 3.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from coverage import FIRST_SEED, Drawn, Texts, data_folder, draw, encoded, measured, topics_of
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from monitor.coverage.demand import demand_by_kind, measure_demand
from monitor.coverage.doubts import doubtfulness, find_doubts
from monitor.coverage.estimate import Traffic, estimate_coverage
from monitor.coverage.items import ComparedItems
from monitor.coverage.repeats import find_conflicts, find_leaders, find_repeats
from monitor.coverage.subset import nearness, smallest_subset
from monitor.encoding.encoder import make_encoder
from monitor.settings import EncoderSettings

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "eval_health.json"

#: How somebody asks the same again.
REWORDINGS = {
    "case and punctuation": lambda text, rng: text.upper() + "?!",
    "politeness": lambda text, rng: f"hi, {text}, please",
    "one letter wrong": lambda text, rng: _slip(text, rng),
    "one word less": lambda text, rng: _without_a_word(text, rng),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument(
        "--only", nargs="+", metavar="PART", help="parts that are measured anew; the others stay as they are"
    )
    arguments = parser.parse_args()
    data = data_folder()
    warnings.filterwarnings("ignore", module="sklearn")
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.draws)
    sets = [with_texts("CLINC150", data), with_texts("BANKING77", data)]
    turns = (11_400, 6_000)
    parts = {
        "repeats": lambda: [said(find_planted_repeats(*one, seeds)) for one in sets],
        "labels": lambda: [said(find_swapped(texts, n, seeds)) for texts, _ in sets for n in (5, 10, 20)],
        "unasked": lambda: [
            said(find_unasked(texts, of_set, n, seeds))
            for (texts, _), of_set in zip(sets, turns, strict=True)
            for n in (3, 10)
        ],
        "subset": lambda: [
            said(keep_subset(texts, of_set, n, seeds))
            for (texts, _), of_set in zip(sets, turns, strict=True)
            for n in (10, 30)
        ],
        "seconds": lambda: [said(seconds(sets[0][0], items)) for items in (1_000, 10_000)],
    }
    result: dict = {"draws": arguments.draws, "seeds_from": FIRST_SEED}
    if arguments.only:
        result = json.loads(RESULT.read_text())
    for name in arguments.only or parts:
        result[name] = parts[name]()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def said(row: dict) -> dict:
    print(row, flush=True)
    return row


def find_planted_repeats(texts: Texts, words: list[str], seeds: range) -> dict:
    """A tenth of the items is asked again, each way a quarter of them."""
    encoder = make_encoder(EncoderSettings())
    found: dict[str, list[float]] = {name: [] for name in REWORDINGS}
    natural, wrong, exact = [], [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows = items_of(texts, 10, rng)
        planted = rng.choice(len(rows), len(rows) // 10, replace=False)
        ways = [list(REWORDINGS)[place % len(REWORDINGS)] for place in range(len(planted))]
        said_again = [REWORDINGS[way](words[rows[one]], rng) for way, one in zip(ways, planted, strict=True)]
        vectors = np.concatenate([texts.vectors[rows], encoder.encode(said_again)])
        origin = np.concatenate([np.arange(len(rows)), planted])
        labels = texts.labels[rows][origin]
        ids = [str(row) for row in range(len(vectors))]
        asked = ComparedItems([*(words[row] for row in rows), *said_again], ids, labels.tolist(), range(len(ids)))
        groups = find_repeats([[one] for one in ids], find_leaders(asked, vectors))
        group_of = {member: number for number, group in enumerate(groups) for member in group}
        hits = [
            group_of.get(str(len(rows) + place), -1) == group_of.get(str(one), -2) for place, one in enumerate(planted)
        ]
        for way in REWORDINGS:
            found[way].append(np.mean([hit for hit, own in zip(hits, ways, strict=True) if own == way]))
        pairs = [(int(one), int(other)) for group in groups for k, one in enumerate(group) for other in group[k + 1 :]]
        others = [(one, other) for one, other in pairs if origin[one] != origin[other]]
        natural.append(len(others) / len(seeds))
        wrong.append(sum(labels[one] != labels[other] for one, other in others) / len(seeds))
        exact.append(
            np.mean([plain(words[rows[one]]) == plain(again) for one, again in zip(planted, said_again, strict=True)])
        )
    return {
        "data": texts.name,
        "items": len(rows) + len(planted),
        "recall": {name: rounded(values) for name, values in found.items()},
        "recall_of_equal_texts": rounded(exact),
        "further_pairs": round(sum(natural), 1),
        "of_them_with_other_labels": round(sum(wrong), 1),
    }


def find_swapped(texts: Texts, items: int, seeds: range) -> dict:
    """5 % of the labels are swapped with one of the five nearest labels."""
    rows: dict[str, list[list[float]]] = {}
    pairs = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        chosen = items_of(texts, items, rng)
        vectors, labels, wrong = swapped(texts, chosen, rng)
        ids = [str(row) for row in range(len(labels))]
        doubtful = doubtfulness(labels, vectors, fewest=4)[0]
        scores = {"nearest mean": doubtful, "10 neighbours' vote": vote(vectors, labels)}
        if len(labels) <= 1_600:  # it takes minutes with more
            scores["logistic regression, out of fold"] = regression(vectors, labels)
        for name, score in scores.items():
            top = np.argsort(-score)[: wrong.sum()]
            rows.setdefault(name, []).append([average_precision_score(wrong, rid_of_inf(score)), wrong[top].mean()])
        flagged = np.isin(ids, [one.item for one in find_doubts(ids, labels, vectors)])
        rows.setdefault("offmap", []).append(
            [wrong[flagged].mean() if flagged.any() else np.nan, wrong[flagged].sum() / wrong.sum(), flagged.sum()]
        )
        clean = texts.labels[chosen].astype(str).tolist()
        false = len(find_doubts(ids, clean, vectors))
        rows["offmap"][-1].append(false)
        conflicts = find_conflicts([[one] for one in zip(ids, labels, strict=True)], vectors)
        right = [wrong[int(one.first)] or wrong[int(one.second)] for one in conflicts]
        touched = {int(one) for pair in conflicts for one in (pair.first, pair.second)}
        pairs.append(
            [
                np.mean(right) if right else np.nan,
                sum(wrong[one] for one in touched) / wrong.sum(),
                len(conflicts),
            ]
        )
    precision, recall, told, false = np.nanmean(rows.pop("offmap"), axis=0)
    pair_precision, pair_recall, pair_told = np.nanmean(pairs, axis=0)
    return {
        "data": texts.name,
        "items_per_intent": items,
        "items": len(labels),
        "swapped": int(wrong.sum()),
        "average_precision": {name: rounded([row[0] for row in some]) for name, some in rows.items()},
        "precision_of_as_many": {name: rounded([row[1] for row in some]) for name, some in rows.items()},
        "doubts": {
            "told": round(float(told), 1),
            "precision": round(float(precision), 3),
            "recall": round(float(recall), 3),
            "told_where_nothing_is_swapped": round(float(false), 1),
        },
        "pairs": {
            "told": round(float(pair_told), 1),
            "precision": round(float(pair_precision), 3),
            "recall": round(float(pair_recall), 3),
        },
    }


def find_unasked(texts: Texts, turns: int, items: int, seeds: range) -> dict:
    """A tenth of the eval set's intents is not in the traffic; the others are, with log-normal popularity."""
    names = ("offmap", "nearest turn", "3 nearest turns", "15 nearest turns")
    rows: dict[str, list[list[float]]] = {name: [] for name in names}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        drawn = draw(texts, turns, items, missing=0.0, seed=seed)
        intents = np.unique(texts.labels.astype(str))
        away = rng.choice(intents, len(intents) // 10, replace=False)
        traffic = texts.vectors[drawn.traffic[~np.isin(texts.labels[drawn.traffic].astype(str), away)]]
        vectors, labels = texts.vectors[drawn.items], drawn.labels
        ids = [str(row) for row in range(len(labels))]
        demand = measure_demand(ids, labels, vectors, traffic)
        value = {one.item: one.value for one in demand}
        order = [one.label for one in demand_by_kind(demand)]
        cosines = -np.sort(-(vectors @ traffic.T), axis=1)[:, :15]
        scores = {
            "offmap": np.array([value[one] for one in ids]),
            **{name: cosines[:, :k].mean(axis=1) for name, k in zip(names[1:], (1, 3, 15), strict=True)},
        }
        missing = np.isin(labels, away)
        of_label = np.array(labels)
        for name, score in scores.items():
            means = np.array([score[of_label == label].mean() for label in order])
            worst = np.isin(np.array(order)[np.argsort(means)[: len(away)]], away).mean()
            rows[name].append(
                [roc_auc_score(missing, -score), roc_auc_score(np.isin(order, away), -means), float(worst)]
            )
    return {
        "data": texts.name,
        "turns": turns,
        "items_per_intent": items,
        **{
            name: dict(zip(("auroc_items", "auroc_kinds", "precision_of_as_many_kinds"), mean(some), strict=True))
            for name, some in rows.items()
        },
    }


def keep_subset(texts: Texts, turns: int, items: int, seeds: range) -> dict:
    """A fifth of the intents has no item. What subsets of one size keep of nearness, coverage and finding."""
    rows: dict[str, list[list[float]]] = {name: [] for name in ("offmap", "k-means", "random")}
    whole, size, truth = [], [], []
    for seed in seeds:
        drawn = draw(texts, turns, items, missing=0.2, seed=seed)
        topics = topics_of(texts, drawn)
        all_items, traffic = texts.vectors[drawn.items], texts.vectors[drawn.traffic]
        chosen = smallest_subset(traffic, all_items)
        rng = np.random.default_rng(seed)
        centres = KMeans(len(chosen), n_init=1, max_iter=20, random_state=seed).fit(all_items).cluster_centers_
        subsets = {
            "offmap": chosen,
            "k-means": np.unique((centres @ all_items.T).argmax(axis=1)).tolist(),
            "random": rng.choice(len(all_items), len(chosen), replace=False).tolist(),
        }
        near = nearness(traffic, all_items)
        whole.append([1.0, *compared(texts, drawn, topics, range(len(all_items)))])
        size.append(len(chosen) / len(all_items))
        truth.append(1 - drawn.missed.mean())
        for name, some in subsets.items():
            rows[name].append([nearness(traffic, all_items[some]) / near, *compared(texts, drawn, topics, some)])
    return {
        "data": texts.name,
        "turns": turns,
        "items": len(all_items),
        "part": rounded(size),
        "true_coverage": rounded(truth),
        **{
            name: dict(zip(("nearness_kept", "estimated", "auroc_missed"), mean(some), strict=True))
            for name, some in {"all": whole, **rows}.items()
        },
    }


def compared(texts: Texts, drawn: Drawn, topics: np.ndarray, some: list[int] | range) -> list[float]:
    """With these items: the coverage that is estimated, and the AUROC of turns of intents that have no item."""
    part = Drawn(drawn.traffic, drawn.items[list(some)], [drawn.labels[row] for row in some], drawn.missed)
    novelty = measured(texts, part, topics, labelled=True)
    number = np.arange(len(drawn.traffic))
    traffic = Traffic(number, topics, number)
    found = estimate_coverage(
        novelty, traffic, topics=int(topics.max()) + 1, interval=0.9, replicates=20, seed=1
    ).traffic
    return [float(found.value), float(roc_auc_score(drawn.missed, novelty.texts))]


def seconds(texts: Texts, items: int) -> dict:
    """Of each part, with so many items and 12,000 texts of traffic."""
    rng = np.random.default_rng(FIRST_SEED)
    rows = rng.permutation(len(texts.labels))
    chosen, traffic = rows[:items], texts.vectors[rows[items : items + 12_000]]
    vectors, labels = texts.vectors[chosen], texts.labels[chosen].astype(str).tolist()
    ids = [str(row) for row in chosen]
    asked = ComparedItems([texts.said[row] for row in chosen], ids, labels, range(items))
    parts = {
        "repeats": lambda: find_repeats([[one] for one in ids], find_leaders(asked, vectors)),
        "conflicts": lambda: find_conflicts([[one] for one in zip(ids, labels, strict=True)], vectors),
        "doubts": lambda: find_doubts(ids, labels, vectors),
        "demand": lambda: measure_demand(ids, labels, vectors, traffic),
        "subset": lambda: smallest_subset(traffic, vectors),
    }
    found = {}
    for name, part in parts.items():
        started = time.process_time()
        part()
        found[name] = round(time.process_time() - started, 2)
    return {"items": items, "cpu_seconds": found, "sum": round(sum(found.values()), 1)}


def items_of(texts: Texts, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate(
        [rng.permutation(np.flatnonzero(texts.labels == name))[:count] for name in np.unique(texts.labels.astype(str))]
    )


def swapped(texts: Texts, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[str], np.ndarray]:
    vectors, labels = texts.vectors[rows], texts.labels[rows].astype(str)
    names, number = np.unique(labels, return_inverse=True)
    means = np.stack([vectors[number == one].mean(axis=0) for one in range(len(names))])
    cosines = means @ means.T
    np.fill_diagonal(cosines, -1)
    wrong = np.zeros(len(rows), bool)
    wrong[rng.choice(len(rows), round(0.05 * len(rows)), replace=False)] = True
    for row in np.flatnonzero(wrong):
        labels[row] = names[rng.choice(np.argsort(-cosines[number[row]])[:5])]
    return vectors, labels.tolist(), wrong


def vote(vectors: np.ndarray, labels: list[str]) -> np.ndarray:
    """The largest weight of another label among the 10 nearest items less that of the own."""
    number = np.unique(labels, return_inverse=True)[1]
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    near = np.argsort(-cosines, axis=1)[:, :10]
    weights = np.zeros((len(vectors), number.max() + 1))
    for place in near.T:
        rows = np.arange(len(vectors))
        weights[rows, number[place]] += np.clip(cosines[rows, place], 0, None) ** 4
    return margin(weights, number)


def regression(vectors: np.ndarray, labels: list[str]) -> np.ndarray:
    """As cleanlab ranks, by normalized margin of out-of-fold probabilities (Northcutt, Jiang and Chuang, 2021)."""
    number = np.unique(labels, return_inverse=True)[1]
    model = LogisticRegression(C=10, max_iter=200)
    return margin(cross_val_predict(model, vectors, number, cv=3, method="predict_proba"), number)


def margin(weights: np.ndarray, number: np.ndarray) -> np.ndarray:
    rows = np.arange(len(number))
    own = weights[rows, number].copy()
    weights = weights.copy()
    weights[rows, number] = -np.inf
    return weights.max(axis=1) - own


def rid_of_inf(score: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(score), score, -1e9)


def with_texts(name: str, data: Path) -> tuple[Texts, list[str]]:
    """The texts beside their vectors."""
    import csv

    if name == "CLINC150":
        document = json.loads((data / "clinc150" / "data_full.json").read_text("utf-8"))
        pairs = [pair for split in ("train", "val", "test") for pair in document[split]]
    else:
        pairs = []
        for split in ("train", "test"):
            with (data / "banking77" / f"{split}.csv").open(encoding="utf-8", newline="") as lines:
                pairs += [(row["text"], row["category"]) for row in csv.DictReader(lines)]
    return encoded(name, pairs), [text for text, _ in pairs]


def plain(text: str) -> str:
    return " ".join("".join(one for one in text.casefold() if one.isalnum() or one.isspace()).split())


def _slip(text: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(max(1, len(text) - 1)))
    return text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]


def _without_a_word(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    del words[int(rng.integers(len(words)))]
    return " ".join(words) or text


def rounded(values: list) -> float:
    return round(float(np.mean(values)), 3)


def mean(rows: list[list[float]]) -> list[float]:
    return np.round(np.nanmean(rows, axis=0), 3).tolist()


if __name__ == "__main__":
    raise SystemExit(main())
