"""The map by offmap and by umap-learn, from the same vectors: seconds, trustworthiness, and what a refit moves.

    python benchmarks/layout.py            # writes benchmarks/results/layout.json

Cold is a fresh process with its imports and numba's compilation; warm is the next map in the same process. The two run in
turn, and the ratios are of medians, of wall time and of CPU time. UMAP gets what `umap.UMAP(metric="cosine")` does to vectors,
and once more with offmap's neighbour graph given. offmap's seconds leave out the graph, which the atlas has already; with it
they stand beside. Trustworthiness (scikit-learn's, k = 15) is on one sample of 5,000 texts, the same for all maps. A refit is
of the same texts with 5 % new ones, and of a window that moved on by 20 %; topics are matched as the atlas matches them.
CLINC150 was tuned on; BANKING77 was not.
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
RESULT = ROOT / "benchmarks" / "results" / "layout.json"

START = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
def took():
    global wall, cpu
    found = [time.perf_counter() - wall, time.process_time() - cpu]
    wall, cpu = time.perf_counter(), time.process_time()
    return found
import numpy as np
folder = sys.argv[1]
vectors = np.load(folder + "/vectors.npy")
"""

OFFMAP = (
    START
    + """
from monitor.atlas.layout import lay_out
from monitor.atlas.neighbours import NeighbourGraph, build_graph
from scipy.sparse import csr_matrix
saved, n = np.load(folder + "/graph.npz"), len(vectors)
graph = NeighbourGraph(saved["indices"], saved["cosines"], csr_matrix((n, n)))
def fit():
    return lay_out(graph, vectors, np.zeros(n, np.int64), seed=1)
places = fit(); cold = took()
warm = []
for _ in range(2):
    fit(); warm.append(took())
build_graph(vectors, k=15); search = took()
np.save(folder + "/offmap.npy", places)
print(json.dumps({"cold": cold, "warm": warm, "graph": search}))
"""
)

UMAP = (
    START
    + """
from umap import UMAP
def fit():
    return UMAP(metric="cosine").fit_transform(vectors)
places = fit(); cold = took()
fit(); warm = [took()]
saved = np.load(folder + "/graph.npz")
own = np.arange(len(vectors))[:, None]
near = np.concatenate([own, saved["indices"][:, :14]], axis=1)
away = np.concatenate([0 * own, 1 - saved["cosines"][:, :14]], axis=1).astype(np.float32)
UMAP(metric="cosine", precomputed_knn=(near, away)).fit_transform(vectors); given = took()
np.save(folder + "/umap.npy", places)
print(json.dumps({"cold": cold, "warm": warm, "graph given": given}))
"""
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=2, help="cold processes of umap-learn; of offmap there are twice as many"
    )
    arguments = parser.parse_args()
    data = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "clinc150" / "data_full.json").is_file():
        print(f"CLINC150 is not at {data}: set OFFMAP_DATA to the folder that holds it", file=sys.stderr)
        return 1
    result = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared",
        "runs": arguments.runs,
        "clinc150": measured(read_clinc(data / "clinc150" / "data_full.json"), arguments.runs),
        "banking77_held_out": measured(read_banking(data / "banking77"), arguments.runs),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def read_clinc(path: Path) -> list[str]:
    document = json.loads(path.read_text("utf-8"))
    return [text for split in ("train", "val", "test") for text, _ in document[split]]


def read_banking(folder: Path) -> list[str]:
    texts = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as lines:
            texts += [row["text"] for row in csv.DictReader(lines)]
    return texts


def measured(texts: list[str], runs: int) -> dict:
    from monitor.atlas.neighbours import build_graph

    vectors = encode(texts)
    graph = build_graph(vectors, k=15)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/vectors.npy", vectors)
        np.savez(f"{folder}/graph.npz", indices=graph.indices, cosines=graph.cosines)
        ours, theirs, bytes_ = [], [], set()
        for _ in range(runs):
            for threads in (1, 2):
                ours.append(timed(OFFMAP, folder, threads=threads))
                bytes_.add(np.load(f"{folder}/offmap.npy").tobytes())
                if threads == 1:
                    theirs.append(timed(UMAP, folder))
        maps = {name: np.load(f"{folder}/{name}.npy") for name in ("offmap", "umap")}
    rows = np.random.default_rng(0).choice(len(texts), min(5_000, len(texts)), replace=False)
    found = {
        "texts": len(texts),
        "offmap": {
            **summary(ours),
            "trustworthiness": trust(vectors, maps["offmap"], rows),
            "same_bytes_with_1_and_2_threads": len(bytes_) == 1,
        },
        "umap": {**summary(theirs), "trustworthiness": trust(vectors, maps["umap"], rows)},
    }
    mine, its = found["offmap"], found["umap"]
    for kind in ("wall", "cpu"):
        search = mine[f"graph_{kind}"]
        found[f"ratios_{kind}"] = {
            "cold": round(its[f"cold_{kind}"] / mine[f"cold_{kind}"], 1),
            "warm": round(its[f"warm_{kind}"] / mine[f"warm_{kind}"], 1),
            "cold_with_our_graph": round(its[f"cold_{kind}"] / (mine[f"cold_{kind}"] + search), 1),
            "warm_with_our_graph": round(its[f"warm_{kind}"] / (mine[f"warm_{kind}"] + search), 1),
            "with_the_graph_given_to_both_first_call": round(its[f"graph given_{kind}"] / mine[f"warm_{kind}"], 1),
        }
    found["trustworthiness_ratio"] = round(mine["trustworthiness"] / its["trustworthiness"], 4)
    n = len(texts)
    found["refit_5_percent_new"] = refit(vectors, (0, round(n / 1.05)), (0, n))
    found["refit_moved_by_20_percent"] = refit(vectors, (0, round(n / 1.2)), (n - round(n / 1.2), n))
    return found


def encode(texts: list[str]) -> np.ndarray:
    from monitor.encoding.encoder import make_encoder
    from monitor.settings import EncoderSettings

    return make_encoder(EncoderSettings()).encode(texts)


def timed(code: str, folder: str, threads: int | None = None) -> dict:
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, "-W", "ignore", "-c", code, folder]
    environment = {**os.environ, **limits}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"a benchmark process failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def summary(runs: list[dict]) -> dict:
    """Medians of seconds, by wall and by CPU."""
    found = {}
    for name in runs[0]:
        every = [pair for run in runs for pair in (run[name] if name == "warm" else [run[name]])]
        for place, kind in enumerate(("wall", "cpu")):
            found[f"{name}_{kind}"] = round(statistics.median(pair[place] for pair in every), 2)
    return found


def trust(vectors: np.ndarray, places: np.ndarray, rows: np.ndarray) -> float:
    from sklearn.manifold import trustworthiness

    return round(float(trustworthiness(vectors[rows], places[rows], n_neighbors=15)), 4)


def refit(vectors: np.ndarray, before: tuple[int, int], after: tuple[int, int]) -> dict:
    """What moves, in parts of the earlier map's width, when the texts `before` are laid out and then those `after`."""
    from monitor.atlas.communities import leiden_communities
    from monitor.atlas.layout import Earlier, lay_out
    from monitor.atlas.lineage import match_topics
    from monitor.atlas.neighbours import build_graph

    order = np.random.default_rng(1).permutation(len(vectors))
    old, new = np.sort(order[slice(*before)]), np.sort(order[slice(*after)])
    graphs = [build_graph(vectors[rows], k=15) for rows in (old, new)]
    topics = [leiden_communities(graph, resolutions=(1.0, 3.0, 8.0), seed=1).levels() for graph in graphs]
    first = lay_out(graphs[0], vectors[old], topics[0][2], seed=1)
    members = [
        {level: [rows[of == one] for one in range(of.max() + 1)] for level, of in enumerate(levels)}
        for rows, levels in zip((old, new), topics, strict=True)
    ]
    names = {level: {f"old {level} {n}": rows for n, rows in enumerate(m)} for level, m in members[0].items()}
    ids = match_topics(
        {level: {name: rows.astype(np.uint64) for name, rows in m.items()} for level, m in names.items()},
        {level: [rows.astype(np.uint64) for rows in m] for level, m in members[1].items()},
        minted=lambda level, number: f"new {level} {number}",
    ).ids
    centre = {name: first[np.searchsorted(old, rows)].mean(axis=0) for m in names.values() for name, rows in m.items()}
    places = np.full((len(new), 2), np.nan, np.float32)
    both = np.isin(new, old)
    places[both] = first[np.searchsorted(old, new[both])]
    near, groups = np.full_like(places, np.nan), np.full(len(new), -1)
    for level in (0, 1, 2):
        for number, name in enumerate(ids[level]):
            if name in centre:
                near[topics[1][level] == number] = centre[name]
                if level == 2:
                    groups[topics[1][2] == number] = int(name.split()[-1])
    middles = np.stack([centre[f"old 2 {n}"] for n in range(len(members[0][2]))]).astype(np.float32)
    started = time.process_time()
    second = lay_out(graphs[1], vectors[new], topics[1][2], Earlier(places, near, groups, middles), seed=1)
    seconds, width = time.process_time() - started, float(np.ptp(first, axis=0).max())
    found: dict = {"cpu_seconds": round(seconds, 2)}
    for level, word in enumerate(("broad", "middle", "fine")):
        stayed = [(number, name) for number, name in enumerate(ids[level]) if name in centre]
        moves = [
            np.linalg.norm(second[topics[1][level] == n].mean(axis=0) - centre[name]) / width for n, name in stayed
        ]
        found[word] = {
            "topics_that_stayed": len(moves),
            "median": round(float(np.median(moves)), 4),
            "worst": round(float(np.max(moves)), 4),
            "under_5_percent": round(float(np.mean(np.array(moves) < 0.05)), 4),
        }
    away = np.linalg.norm(second[both] - places[both], axis=1) / width
    found["texts_that_stayed"] = {
        "median": round(float(np.median(away)), 4),
        "p95": round(float(np.quantile(away, 0.95)), 4),
    }
    sample = np.random.default_rng(0).choice(len(new), min(5_000, len(new)), replace=False)
    found["trustworthiness"] = trust(vectors[new], second, sample)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
