"""Topics of CLINC150 by offmap and by BERTopic's default, vectors given: quality and seconds, cold process and warm.

    python benchmarks/topics.py            # writes benchmarks/results/topics.json

Cold is a fresh process with its imports and numba's compilation; warm is the second fit in one process. The two run in
turn, and the ratios are of medians. BERTopic is what its default does to vectors: UMAP to 5 dimensions and HDBSCAN.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "topics.json"

#: Timed in a process of its own: loads vectors, fits, fits again, prints seconds and saves the fine communities.
OFFMAP = """
import json, sys, time
started = time.perf_counter()
import numpy as np
from monitor.atlas.communities import leiden_communities
from monitor.atlas.neighbours import build_graph
vectors = np.load(sys.argv[1])
def fit():
    return leiden_communities(build_graph(vectors, k=15), resolutions=(1.0, 3.0, 8.0), seed=1)
found = fit()
cold = time.perf_counter() - started
warm = []
for _ in range(3):
    started = time.perf_counter(); fit(); warm.append(time.perf_counter() - started)
np.save(sys.argv[2], np.stack(found.levels()))
print(json.dumps({"cold": cold, "warm": warm}))
"""

BERTOPIC = """
import json, sys, time
started = time.perf_counter()
import numpy as np
from bertopic import BERTopic
vectors = np.load(sys.argv[1])
texts = json.load(open(sys.argv[3]))
def fit(seed):
    from umap import UMAP
    reducer = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine")
    model = BERTopic(umap_model=reducer)
    reduced = model._reduce_dimensionality(vectors)
    import pandas as pd
    documents = pd.DataFrame({"Document": texts, "ID": range(len(texts)), "Topic": None})
    return model._cluster_embeddings(reduced, documents)[0]["Topic"].to_numpy()
found = fit(1)
cold = time.perf_counter() - started
warm = []
for _ in range(2):
    started = time.perf_counter(); fit(1); warm.append(time.perf_counter() - started)
np.save(sys.argv[2], found[None])
print(json.dumps({"cold": cold, "warm": warm}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="cold processes of each")
    arguments = parser.parse_args()
    path = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data")) / "clinc150" / "data_full.json"
    if not path.is_file():
        print(
            f"CLINC150 is not at {path}: set OFFMAP_DATA to the folder that holds clinc150/data_full.json",
            file=sys.stderr,
        )
        return 1
    texts, labels = read_clinc(path)
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npy"
        np.save(vectors, encode(texts))
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        ours, theirs = [], []
        for _ in range(arguments.runs):
            ours.append(timed(OFFMAP, vectors, Path(folder) / "ours.npy"))
            theirs.append(timed(BERTOPIC, vectors, Path(folder) / "theirs.npy"))
        found = np.load(Path(folder) / "ours.npy")
        peer = np.load(Path(folder) / "theirs.npy")[0]
    result = {
        "data": "CLINC150, in scope, all splits",
        "texts": len(texts),
        "intents": len(set(labels)),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared",
        "runs": arguments.runs,
        "offmap": {**seconds(ours), "levels": [quality(labels, level) for level in found]},
        "bertopic_default": {**seconds(theirs), **quality(labels, peer)},
    }
    result["ratio_cold"] = round(result["bertopic_default"]["cold_seconds"] / result["offmap"]["cold_seconds"], 1)
    result["ratio_warm"] = round(result["bertopic_default"]["warm_seconds"] / result["offmap"]["warm_seconds"], 1)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def read_clinc(path: Path) -> tuple[list[str], list[str]]:
    document = json.loads(path.read_text("utf-8"))
    pairs = [pair for split in ("train", "val", "test") for pair in document[split]]
    return [text for text, _ in pairs], [label for _, label in pairs]


def encode(texts: list[str]) -> np.ndarray:
    from monitor.encoding.encoder import make_encoder
    from monitor.settings import EncoderSettings

    return make_encoder(EncoderSettings()).encode(texts)


def timed(code: str, vectors: Path, out: Path) -> dict:
    command = [sys.executable, "-W", "ignore", "-c", code, str(vectors), str(out), str(vectors.parent / "texts.json")]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"a benchmark process failed:\n{done.stderr}")
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "process": time.perf_counter() - started}


def seconds(runs: list[dict]) -> dict:
    return {
        "cold_seconds": round(statistics.median(run["cold"] for run in runs), 2),
        "warm_seconds": round(statistics.median(second for run in runs for second in run["warm"]), 2),
    }


def quality(labels: list[str], found: np.ndarray) -> dict:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return {
        "clusters": len(set(found.tolist()) - {-1}),
        "nmi": round(float(normalized_mutual_info_score(labels, found)), 3),
        "ari": round(float(adjusted_rand_score(labels, found)), 3),
        "unassigned": round(float((found < 0).mean()), 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
