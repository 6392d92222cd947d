"""Labels of topics: from the label alone, is the right topic the nearest?

    python benchmarks/labels.py            # writes benchmarks/results/labels.json and the table of docs/labels.md

A label is encoded as if somebody had typed it; it is right when the mean vector of its own topic's texts is nearer than
every other topic's. CLINC150 (which the method was tuned on) and BANKING77 (which it was not), each by its true intents and by
offmap's fine topics. Side by side over the same topics and the same encoder: class-based TF-IDF alone, which was the label
before, KeyBERTInspired of BERTopic (if it is installed) joined as its three best words, and offmap's.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "labels.json"
PAGE = ROOT / "docs" / "labels.md"
DATA = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
SHOWN = 20


def main() -> int:
    if not (DATA / "clinc150" / "data_full.json").is_file() or not (DATA / "banking77" / "test.csv").is_file():
        print(f"clinc150/data_full.json or banking77/test.csv is not under {DATA}: set OFFMAP_DATA", file=sys.stderr)
        return 1
    # Beside this script lies coverage.py, which numba, that BERTopic imports, would take for the package of that name.
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ROOT / "benchmarks"]
    encode = encoder()
    table, shown = [], []
    for name, (texts, intents) in {"CLINC150": clinc(), "BANKING77": banking()}.items():
        vectors = encode(texts)
        names, true = np.unique(intents, return_inverse=True)
        fine = fine_topics(vectors)
        for what, topics in (("true intents", true), ("fine topics", fine)):
            found = labels_of(texts, vectors, topics, encode)
            for method, (labels, seconds) in found.items():
                table.append(
                    {
                        "topics": f"{name}, {what}",
                        "number": int(topics.max()) + 1,
                        "labels": method,
                        "found": share_found(encode(labels), vectors, topics),
                        "seconds": round(seconds, 2),
                    }
                )
                print(table[-1], flush=True)
            if what == "fine topics":
                shown.append((name, beside_truth(found["offmap"][0], fine, names, true)))
    result = {
        "data": "CLINC150, in scope, and BANKING77, all splits",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared",
        "found": "share of topics whose label, encoded, is nearest to their own centre",
        "seconds": "CPU time, encoding of terms included",
        "table": table,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    write_page(shown)
    return 0


def share_found(labels: np.ndarray, vectors: np.ndarray, topics: np.ndarray) -> float:
    centres = np.stack([vectors[topics == topic].mean(axis=0) for topic in range(len(labels))])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return round(float(((labels @ centres.T).argmax(axis=1) == np.arange(len(labels))).mean()), 3)


# --- methods


def labels_of(texts: list[str], vectors: np.ndarray, topics: np.ndarray, encode: Callable) -> dict:
    """Labels by each method, with their CPU seconds."""
    from monitor.atlas.labels import label_topics, presentable
    from monitor.atlas.representation import Meaning

    clean = presentable(texts)
    meaning = Meaning(vectors, np.ones(len(texts)), encode)
    found = {
        "class-based TF-IDF (before)": timed(lambda: [one.text for one in label_topics(clean, topics)]),
        "offmap": timed(lambda: [one.text for one in label_topics(clean, topics, meaning=meaning)]),
    }
    try:
        import bertopic  # noqa: F401
    except ImportError:
        print("bertopic is not installed: its labels are left out", file=sys.stderr)
        return found
    found["KeyBERTInspired of BERTopic"] = timed(lambda: keybert(texts, vectors, topics, encode))
    return found


def timed(make: Callable[[], list[str]]) -> tuple[list[str], float]:
    started = time.process_time()
    return make(), time.process_time() - started


def keybert(texts: list[str], vectors: np.ndarray, topics: np.ndarray, encode: Callable) -> list[str]:
    """BERTopic's own way for topics that are given, with its defaults but for pairs of words and English stop words.

    Its 0.17.4 takes the vectors of the representative texts from the wrong rows of those of all texts. Without the latter it
    encodes the representative texts themselves, which is what it means to do. Measured as it is, it finds less than half.
    """
    from bertopic import BERTopic
    from bertopic.backend import BaseEmbedder
    from bertopic.cluster import BaseCluster
    from bertopic.dimensionality import BaseDimensionalityReduction
    from bertopic.representation import KeyBERTInspired
    from sklearn.feature_extraction.text import CountVectorizer

    class Given(BaseEmbedder):
        def embed(self, documents: list[str], verbose: bool = False) -> np.ndarray:
            return encode([str(one) for one in documents])

    class Repaired(KeyBERTInspired):
        def extract_topics(self, *given: object, embeddings: object = None, **named: object) -> dict:
            return super().extract_topics(*given[:4], **named)

    model = BERTopic(
        embedding_model=Given(),
        umap_model=BaseDimensionalityReduction(),
        hdbscan_model=BaseCluster(),
        vectorizer_model=CountVectorizer(stop_words="english", ngram_range=(1, 2)),
        representation_model=Repaired(random_state=1),
    )
    model.fit(texts, vectors, y=topics)
    # BERTopic numbers the topics anew, the largest first.
    of_number = {mine: topics[place] for place, mine in enumerate(model.topics_)}
    words = {of_number[mine]: [word for word, _ in model.get_topic(mine)[:3]] for mine in set(model.topics_)}
    return [", ".join(words[topic]) for topic in range(int(topics.max()) + 1)]


def fine_topics(vectors: np.ndarray) -> np.ndarray:
    from monitor.atlas.communities import leiden_communities
    from monitor.atlas.neighbours import build_graph
    from monitor.settings import AtlasSettings

    settings = AtlasSettings()
    resolutions = (settings.resolution_broad, settings.resolution_middle, settings.resolution_fine)
    graph = build_graph(vectors, k=settings.neighbours)
    return leiden_communities(graph, resolutions=resolutions, seed=settings.seed).fine


# --- the page


def beside_truth(labels: list[str], fine: np.ndarray, names: np.ndarray, true: np.ndarray) -> list[tuple]:
    """Evenly spaced topics of those that have 30 texts, by size: the true intent that most texts have, and how many."""
    sizes = np.bincount(fine)
    order = [topic for topic in np.argsort(-sizes, kind="stable") if sizes[topic] >= 30]
    rows = []
    for topic in [order[place] for place in np.linspace(0, len(order) - 1, SHOWN).round().astype(int)]:
        counts = np.bincount(true[fine == topic], minlength=len(names))
        best = int(counts.argmax())
        rows.append((labels[topic], str(names[best]).replace("_", " "), counts[best] / sizes[topic], int(sizes[topic])))
    return rows


def write_page(shown: list[tuple[str, list[tuple]]]) -> None:
    """Between the marks of docs/labels.md."""
    lines = []
    for name, rows in shown:
        lines += [
            f"### {name}",
            "",
            "| label | the intent that most of its texts have | of them | texts |",
            "|---|---|---|---|",
        ]
        lines += [f"| {label} | {intent} | {share:.0%} | {size:,} |" for label, intent, share, size in rows]
        lines.append("")
    before, _, rest = PAGE.read_text("utf-8").partition("<!-- table -->\n")
    after = rest.partition("<!-- /table -->")[2]
    PAGE.write_text(before + "<!-- table -->\n\n" + "\n".join(lines) + "\n<!-- /table -->" + after, "utf-8")


# --- data


def encoder() -> Callable[[list[str]], np.ndarray]:
    from monitor.encoding.encoder import make_encoder
    from monitor.settings import EncoderSettings

    return make_encoder(EncoderSettings()).encode


def clinc() -> tuple[list[str], list[str]]:
    document = json.loads((DATA / "clinc150" / "data_full.json").read_text("utf-8"))
    pairs = [pair for split in ("train", "val", "test") for pair in document[split]]
    return [text for text, _ in pairs], [label for _, label in pairs]


def banking() -> tuple[list[str], list[str]]:
    rows = []
    for name in ("train", "test"):
        with (DATA / "banking77" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows += [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return [text for text, _ in rows], [label for _, label in rows]


if __name__ == "__main__":
    raise SystemExit(main())
