"""Intents from examples: how often the right one is named, and how well texts that have none are told.

    python benchmarks/intents.py            # writes benchmarks/results/intents.json

CLINC150 with its own splits: 10 examples an intent (seeds that nothing was tuned on) and the whole training split.
Accuracy is over the 4,500 test texts that have an intent, AUROC tells them from the 1,000 out-of-scope ones. BANKING77,
on which nothing was tuned, has no such texts: there 15 intents drawn by the seed have no examples, and their texts are
to be told. Side by side on the same vectors: what offmap did before (mean cosine of the 3 nearest examples), scikit-learn's
logistic regression with its largest probability, and offmap without and with the test texts' neighbour graph.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "intents.json"
DATA = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
SEEDS = (10, 11, 12, 13, 14)
LEFT_OUT = 15

Split = tuple[np.ndarray, np.ndarray]  # vectors [n, d], intents [n], -1 for a text that has none


def main() -> int:
    if not (DATA / "clinc150" / "data_full.json").is_file() or not (DATA / "banking77" / "test.csv").is_file():
        print(f"clinc150/data_full.json or banking77/test.csv is not under {DATA}: set OFFMAP_DATA", file=sys.stderr)
        return 1
    train, test = clinc()
    table = [measure("CLINC150, 10 each", [(few(train, 10, seed), test) for seed in SEEDS])]
    table.append(measure("CLINC150, 2 each", [(few(train, 2, seed), test) for seed in SEEDS]))
    table.append(measure("CLINC150, all", [(train, test)]))
    train, test = banking()
    drawn = [without(train, test, seed) for seed in SEEDS]
    table.append(
        measure("BANKING77, 10 each", [(few(a, 10, seed), b) for (a, b), seed in zip(drawn, SEEDS, strict=True)])
    )
    table.append(measure("BANKING77, all", drawn))
    result = {
        "data": "CLINC150's splits; BANKING77's, 15 intents of 77 without examples",
        "seeds": list(SEEDS),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared",
        "seconds": "CPU time to fit, to set the threshold and to assign the test texts",
        "table": [row for rows in table for row in rows],
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def measure(name: str, draws: list[tuple[Split, Split]]) -> list[dict]:
    found = []
    for method, run in METHODS.items():
        figures = [figures_of(run, train, test) for train, test in draws]
        mean = {key: round(statistics.fmean(one[key] for one in figures), 3) for key in figures[0]}
        found.append({"examples": name, "method": method, **mean})
        print(found[-1], flush=True)
    return found


def figures_of(run: Callable, train: Split, test: Split) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    vectors, truth = test
    known = truth >= 0
    started = time.process_time()
    found, scores, rejected = run(*train, vectors)
    seconds = time.process_time() - started
    return {
        "accuracy": float((found[known] == truth[known]).mean()),
        "auroc": float(roc_auc_score(known, scores)),
        "known_rejected": float(rejected[known].mean()),
        "unknown_rejected": float(rejected[~known].mean()),
        "seconds": seconds,
    }


# --- methods: (examples, their intents, texts) -> intent, score, rejected; each [n]


def nearest_three(examples: np.ndarray, labels: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, ...]:
    def mean_of(cosines: np.ndarray) -> np.ndarray:
        k = min(3, cosines.shape[1])
        return -np.partition(-cosines, k - 1, axis=1)[:, :k].mean(axis=1)

    names = np.unique(labels)
    cosines = texts @ examples.T
    scores = np.stack([mean_of(cosines[:, labels == name]) for name in names], axis=1)
    own = []
    for name in names:
        among = examples[labels == name] @ examples[labels == name].T
        np.fill_diagonal(among, -np.inf)
        own.append(mean_of(np.sort(among, axis=1)[:, 1:]))
    best = scores.max(axis=1)
    return names[scores.argmax(axis=1)], best, best < np.quantile(np.concatenate(own), 0.1)


def logistic_regression(examples: np.ndarray, labels: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, ...]:
    """C = 10; its threshold is the 0.1 quantile of the probabilities of three folds that were left out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    model = LogisticRegression(C=10, max_iter=1_000)
    folds = min(3, int(np.unique(labels, return_counts=True)[1].min()))
    left_out = cross_val_predict(model, examples, labels, cv=folds, method="predict_proba").max(axis=1)
    found = model.fit(examples, labels).predict_proba(texts)
    best = found.max(axis=1)
    return model.classes_[found.argmax(axis=1)], best, best < np.quantile(left_out, 0.1)


def offmap(examples: np.ndarray, labels: np.ndarray, texts: np.ndarray, *, together: bool) -> tuple[np.ndarray, ...]:
    """The graph is built here; an analysis has it already."""
    from monitor.atlas.intents import Intents, likeliest_intents, threshold_of
    from monitor.atlas.neighbours import build_graph

    names = np.unique(labels)
    intents = Intents(tuple(map(str, names)), examples, np.searchsorted(names, labels))
    found, scores = likeliest_intents(texts, intents, build_graph(texts, k=15) if together else None)
    return names[found], scores, scores < threshold_of(intents)


METHODS: dict[str, Callable] = {
    "mean of the 3 nearest examples (before)": nearest_three,
    "logistic regression, its largest probability": logistic_regression,
    "offmap, each text alone": partial(offmap, together=False),
    "offmap, with the texts' neighbours": partial(offmap, together=True),
}


# --- data


def clinc() -> tuple[Split, Split]:
    document = json.loads((DATA / "clinc150" / "data_full.json").read_text("utf-8"))
    numbers = {name: number for number, name in enumerate(sorted({label for _, label in document["train"]}))}
    train, test = document["train"], document["test"] + document["oos_test"]
    return _split(train, numbers), _split(test, numbers)


def banking() -> tuple[Split, Split]:
    rows = {}
    for name in ("train", "test"):
        with (DATA / "banking77" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows[name] = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    numbers = {name: number for number, name in enumerate(sorted({label for _, label in rows["train"]}))}
    return _split(rows["train"], numbers), _split(rows["test"], numbers)


def _split(pairs: list, numbers: dict[str, int]) -> Split:
    from monitor.encoding.encoder import make_encoder
    from monitor.settings import EncoderSettings

    vectors = make_encoder(EncoderSettings()).encode([text for text, _ in pairs])
    return vectors, np.array([numbers.get(label, -1) for _, label in pairs])


def few(split: Split, number: int, seed: int) -> Split:
    """So many examples an intent."""
    rng = np.random.default_rng(seed)
    vectors, labels = split
    rows = [rng.choice(np.flatnonzero(labels == name), number, replace=False) for name in np.unique(labels)]
    return vectors[np.concatenate(rows)], labels[np.concatenate(rows)]


def without(train: Split, test: Split, seed: int) -> tuple[Split, Split]:
    """Intents that the seed draws have no examples, and their test texts no intent."""
    names = np.random.default_rng(seed).choice(np.unique(train[1]), LEFT_OUT, replace=False)
    kept = ~np.isin(train[1], names)
    return (train[0][kept], train[1][kept]), (test[0], np.where(np.isin(test[1], names), -1, test[1]))


if __name__ == "__main__":
    raise SystemExit(main())
