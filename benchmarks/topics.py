"""Topics of CLINC150 and BANKING77 by offmap, by BERTopic's default and by EVoC, vectors given: quality and seconds.

    python benchmarks/topics.py                              # writes benchmarks/results/topics.json
    python benchmarks/topics.py --evoc-python PATH/python    # where EVoC is installed in an environment of its own

Cold is a fresh process with its imports and numba's compilation; warm is the second fit in one process, and later ones.
On CLINC150 all run in turn, and the ratios are of medians; on BANKING77, that nothing was chosen on, each runs once.
BERTopic is what its default does to vectors: UMAP to 5 dimensions and HDBSCAN. Of EVoC's layers the one that it calls its
clusters counts, and beside it the layer whose ARI is the greatest, which only somebody who knows the intents could choose.
"""

from __future__ import annotations

import argparse
import csv
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
from monitor.atlas.affinity import topic_graph
from monitor.atlas.communities import leiden_communities
vectors = np.load(sys.argv[1])
def fit():
    return leiden_communities(topic_graph(vectors, k=15), resolutions=(0.0, 0.0, 0.0), seed=1)
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

EVOC = """
import json, sys, time
started = time.perf_counter()
import numpy as np
from evoc import EVoC
vectors = np.load(sys.argv[1])
def fit():
    model = EVoC()
    return model.fit_predict(vectors), model.cluster_layers_
found, layers = fit()
cold = time.perf_counter() - started
warm = []
for _ in range(3):
    started = time.perf_counter(); fit(); warm.append(time.perf_counter() - started)
np.save(sys.argv[2], np.stack([found, *layers]))
print(json.dumps({"cold": cold, "warm": warm}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="cold processes of each")
    parser.add_argument(
        "--evoc-python", default=sys.executable, help="a Python that has evoc; left out where it has not"
    )
    parser.add_argument(
        "--vectors", type=Path, help="folder with clinc150.npy and banking77.npy, rather than encoding here"
    )
    arguments = parser.parse_args()
    data = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
    clinc, banking = data / "clinc150" / "data_full.json", data / "banking77"
    if not (clinc.is_file() and banking.is_dir()):
        print(f"set OFFMAP_DATA to the folder that holds clinc150 and banking77: {data} does not", file=sys.stderr)
        return 1
    methods = {"offmap": (OFFMAP, sys.executable), "bertopic_default": (BERTOPIC, sys.executable)}
    if subprocess.run([arguments.evoc_python, "-c", "import evoc"], capture_output=True, check=False).returncode == 0:
        methods["evoc"] = (EVOC, arguments.evoc_python)
    else:
        print(f"EVoC is left out: {arguments.evoc_python} cannot import evoc (see --evoc-python)", file=sys.stderr)
    sets = {"clinc150": (*read_clinc(clinc), arguments.runs), "banking77": (*read_banking(banking), 1)}
    result: dict = {
        "machine": f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, shared",
    }
    for name, (texts, labels, runs) in sets.items():
        vectors = encode(texts) if arguments.vectors is None else np.load(arguments.vectors / f"{name}.npy")
        result[name] = compare(methods, texts, labels, vectors.astype(np.float32), runs=runs)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def compare(
    methods: dict[str, tuple[str, str]], texts: list[str], labels: list[str], given: np.ndarray, *, runs: int
) -> dict:
    measured: dict[str, list[dict]] = {name: [] for name in methods}
    found: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npy"
        np.save(vectors, given)
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        for _ in range(runs):
            for name, (code, python) in methods.items():
                measured[name].append(timed(code, vectors, Path(folder) / f"{name}.npy", python=python))
                found[name].append(np.load(Path(folder) / f"{name}.npy"))
    result: dict = {"texts": len(texts), "intents": len(set(labels)), "runs": runs}
    for name in methods:
        result[name] = {**seconds(measured[name]), **described(name, labels, found[name])}
    for peer in methods.keys() - {"offmap"}:
        for kind in ("cold", "warm"):
            ratio = result[peer][f"{kind}_seconds"] / result["offmap"][f"{kind}_seconds"]
            result[peer][f"{kind}_times_offmap"] = round(ratio, 1)
    return result


def described(name: str, labels: list[str], runs: list[np.ndarray]) -> dict:
    """Quality of each process's first fit, which differs from run to run but for offmap: of the one with median ARI."""
    if name == "offmap":
        broad, middle, fine = (quality(labels, level) for level in runs[0])
        same = all((run == runs[0]).all() for run in runs)
        return {**fine, "middle": middle, "broad": broad, "same_in_every_process": same}
    chosen = sorted((quality(labels, run[0]) for run in runs), key=lambda one: one["ari"])[len(runs) // 2]
    if name != "evoc":
        return chosen
    layers = [quality(labels, layer) for run in runs for layer in run[1:]]
    return {**chosen, "best_layer_by_ari": max(layers, key=lambda one: one["ari"])}


def read_clinc(path: Path) -> tuple[list[str], list[str]]:
    document = json.loads(path.read_text("utf-8"))
    pairs = [pair for split in ("train", "val", "test") for pair in document[split]]
    return [text for text, _ in pairs], [label for _, label in pairs]


def read_banking(folder: Path) -> tuple[list[str], list[str]]:
    rows = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            rows += [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return [text for text, _ in rows], [label for _, label in rows]


def encode(texts: list[str]) -> np.ndarray:
    from monitor.encoding.encoder import make_encoder
    from monitor.settings import EncoderSettings

    return make_encoder(EncoderSettings()).encode(texts)


def timed(code: str, vectors: Path, out: Path, *, python: str) -> dict:
    command = [python, "-W", "ignore", "-c", code, str(vectors), str(out), str(vectors.parent / "texts.json")]
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
