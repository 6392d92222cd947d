"""Static vectors (`encoder.kind = "model2vec"`) against the default encoder: texts a second, and what they are worth.

    OFFMAP_DATA=../shared/data python benchmarks/static_vectors.py      writes benchmarks/results/static_vectors.json

No weights come with offmap, and this machine may have no network, so the model is distilled here from the default encoder
as model2vec does: a vector for each of the tokenizer's tokens, principal components (256), and weights of Zipf's law
(SIF, 1e-4); nothing in it was tuned. Published models such as potion-base-8M are trained further and should do better.

- Speed: the same texts through both in turn, one process, by CPU time of all threads and by wall time; medians.
- Worth: topics of CLINC150 and BANKING77 (in scope, all splits) by `leiden_communities` on both encoders' vectors: NMI and
  ARI of each level; and how often a text's nearest other text has its intent.
- model2vec's own `StaticModel`, where it can be imported: its time on the same texts, and the largest difference of any number.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.topics import quality, read_clinc  # noqa: E402
from monitor.atlas.communities import leiden_communities  # noqa: E402
from monitor.atlas.neighbours import build_graph  # noqa: E402
from monitor.encoding.encoder import make_encoder, unit_rows  # noqa: E402
from monitor.encoding.onnx import packaged_tokenizer  # noqa: E402
from monitor.encoding.static import StaticEncoder  # noqa: E402
from monitor.settings import EncoderSettings  # noqa: E402
from tests.encoding.static_model import write_model  # noqa: E402

RESULT = REPOSITORY / "benchmarks" / "results" / "static_vectors.json"
DIMENSION, SIF = 256, 1e-4
SPEED_TEXTS, ROUNDS = 2_000, 5
LEVELS = ("broad", "middle", "fine")

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def main() -> int:
    folder = Path(os.environ.get("OFFMAP_DATA") or REPOSITORY.parent / "shared" / "data")
    try:
        clinc = read_clinc(folder / "clinc150" / "data_full.json")
        banking = read_banking(folder / "banking77")
    except FileNotFoundError as error:
        print(f"{error.filename} is absent: set OFFMAP_DATA to the folder of the benchmark data", file=sys.stderr)
        return 1
    default = make_encoder(EncoderSettings())
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        model = distilled(Path(place) / "minilm-static", default.encode)
        distilling = time.perf_counter() - started
        static = StaticEncoder(str(model))
        speed, peer = {}, None
        for name, (texts, _) in {"clinc150": clinc, "banking77": banking}.items():
            speed[name] = speeds(sample(texts), static.encode, default.encode)
        peer = against_model2vec(model, sample(clinc[0]), static)
        worth = {}
        for name, (texts, labels) in {"clinc150": clinc, "banking77": banking}.items():
            worth[name] = {
                "static": topics(static.encode(texts), labels),
                "default": topics(default.encode(texts), labels),
            }
    report = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared",
        "model": f"distilled here from {default.name}: {DIMENSION} numbers, SIF {SIF:g}, {distilling:.0f} s",
        "default": default.name,
        "speed": speed,
        "model2vec": peer,
        "worth": worth,
    }
    report["table"] = table(report)
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0


def table(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The README's rows."""
    return [
        {
            "data": name,
            "times as fast, by CPU": speed["ratio_cpu"],
            "NMI of fine topics": report["worth"][name]["static"]["fine"]["nmi"],
            "default": report["worth"][name]["default"]["fine"]["nmi"],
            "nearest text has the intent": report["worth"][name]["static"]["nearest_has_the_intent"],
            "with default": report["worth"][name]["default"]["nearest_has_the_intent"],
        }
        for name, speed in report["speed"].items()
    ]


def read_banking(folder: Path) -> tuple[list[str], list[str]]:
    rows: list[dict[str, str]] = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["category"] for row in rows]


def sample(texts: Sequence[str]) -> list[str]:
    distinct = sorted(set(texts))
    return [distinct[row] for row in np.random.default_rng(7).permutation(len(distinct))[:SPEED_TEXTS]]


def distilled(folder: Path, encode: Encode) -> Path:
    """A folder with a static model: each token's own vector, its principal components, weighted by how rare it should be."""
    content = packaged_tokenizer().read_bytes()
    vocabulary: dict[str, int] = json.loads(content)["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    vectors = encode([token.removeprefix("##") for token in tokens])
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    components = centred @ directions[:, ::-1][:, :DIMENSION]
    ranks = 1 / np.arange(2, len(tokens) + 2)  # the vocabulary stands in the order of frequency
    table = components * (SIF / (SIF + ranks / ranks.sum()))[:, None]
    return write_model(folder, content, table.astype(np.float32))


def speeds(texts: Sequence[str], ours: Encode, other: Encode) -> dict[str, Any]:
    encoders = {"static": ours, "default": other}
    cpu: dict[str, list[float]] = {name: [] for name in encoders}
    wall: dict[str, list[float]] = {name: [] for name in encoders}
    for encode in encoders.values():
        encode(texts[:64])
    for turn in range(ROUNDS):
        for name in sorted(encoders, reverse=bool(turn % 2)):
            before = time.perf_counter(), time.process_time()
            encoders[name](texts)
            wall[name].append(time.perf_counter() - before[0])
            cpu[name].append(time.process_time() - before[1])
    middle = {name: (statistics.median(cpu[name]), statistics.median(wall[name])) for name in encoders}
    return {
        "texts": len(texts),
        "static_texts_per_s": round(len(texts) / middle["static"][1]),
        "default_texts_per_s": round(len(texts) / middle["default"][1]),
        "ratio_cpu": round(middle["default"][0] / middle["static"][0], 1),
        "ratio_wall": round(middle["default"][1] / middle["static"][1], 1),
    }


def against_model2vec(folder: Path, texts: Sequence[str], ours: StaticEncoder) -> dict[str, Any] | None:
    try:
        from importlib.metadata import version

        from model2vec import StaticModel
    except ImportError:
        print("model2vec is not installed: it is not compared with", file=sys.stderr)
        return None
    peer = StaticModel.from_pretrained(folder)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(ROUNDS):
        for name, encode in (("ours", ours.encode), ("theirs", peer.encode)):
            before = time.process_time()
            encode(list(texts))
            times[name].append(time.process_time() - before)
    difference = np.abs(ours.encode(texts) - unit_rows(peer.encode(list(texts)).astype(np.float32))).max()
    return {
        "version": version("model2vec"),
        "largest_difference": float(difference),
        "ratio_cpu": round(statistics.median(times["theirs"]) / statistics.median(times["ours"]), 2),
    }


def topics(vectors: NDArray[np.float32], labels: Sequence[str]) -> dict[str, Any]:
    graph = build_graph(vectors, k=15)
    levels = leiden_communities(graph, resolutions=(1.0, 3.0, 8.0), seed=1).levels()
    names = np.array(labels)
    return {
        **{level: quality(list(labels), found) for level, found in zip(LEVELS, levels, strict=True)},
        "nearest_has_the_intent": round(float((names[nearest(vectors)] == names).mean()), 3),
    }


def nearest(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 1_000):
        likeness = vectors[start : start + 1_000] @ vectors.T
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = -2
        found[start : start + 1_000] = likeness.argmax(axis=1)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
