"""Time and memory of a fit from 10,000 to 1,000,000 vectors, and of the assignment of one turn: curve, exponent, recall.

    python benchmarks/scale.py                                     # 10,000 and 100,000 vectors; writes results/scale.json
    python benchmarks/scale.py --sizes 10000 100000 1000000        # needs 8 GB of disk, and minutes
    python benchmarks/scale.py --vectors real.npy                  # unit vectors of real texts [n, d], float32 or float16
    python benchmarks/scale.py --peer 10000                        # beside BERTopic's default, where it is installed

A fit is what a refit does from vectors: neighbour graph, near duplicates, topic graph, Leiden on three levels. Vectors are
copies of real ones (of CLINC150 unless given), each moved by the difference of two other real texts that are neighbours, so
that the copies spread in the directions in which texts differ; 15 % are moved little, and are near duplicates. They lie in a
file as float16, and each fit is a process of its own that maps it: peak memory is that process's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "scale.json"

#: How far copies are moved, in lengths of the difference of two neighbours; the share of near duplicates, and how far they are.
MOVED, DUPLICATES, DUPLICATE_MOVED = 0.7, 0.15, 0.15

#: Neighbours of each text, and rows on which recall against brute force is measured.
NEIGHBOURS, CHECKED = 15, 500

FIT = """
import json, resource, sys, time
started = time.perf_counter()
import numpy as np
from monitor.atlas.affinity import topic_graph
from monitor.atlas.communities import leiden_communities
from monitor.atlas.duplicates import collapse
from monitor.atlas.neighbours import GrowingGraph
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
vectors = np.load(sys.argv[1], mmap_mode="r")
spent, memory = {}, {}
def step(name, work):
    begun = time.perf_counter(); found = work(); spent[name] = time.perf_counter() - begun; memory[name] = peak()
    print(f"  {name} {spent[name]:.1f} s, peak {peak():.2f} GiB", file=sys.stderr, flush=True)
    return found
k = int(sys.argv[3])
spent["imports"] = time.perf_counter() - started
whole = step("neighbours", lambda: GrowingGraph.of(vectors, k=k + 5))
leader = step("duplicates", lambda: collapse(whole.graph.first(k), np.ones(len(vectors))))
keep = leader == np.arange(len(leader))
own = step("among_leaders", lambda: whole.among(keep, k=k))
np.savez(sys.argv[2], indices=whole.graph.indices[:, :k])
del whole
rows = np.flatnonzero(keep)
kept = vectors[rows]  # float16 in memory: a store hands out rows, not a file
texts = len(kept)
talk = own.graph.talk
del own
subjects = step("topic_graph", lambda: topic_graph(kept, k=k, talk=talk))
del kept
found = step("leiden", lambda: leiden_communities(subjects, resolutions=(0.0, 0.0, 0.0), seed=1))
print(json.dumps({
    "seconds": round(sum(spent.values()), 2), "peak_gib": round(peak(), 2), "distinct_texts": texts,
    "topics": [int(level.max()) + 1 for level in found.levels()],
    "steps": {name: round(one, 2) for name, one in spent.items()},
    "peak_gib_after": {name: round(one, 2) for name, one in memory.items()},
}))
"""

ASSIGN = """
import json, resource, sys, time
import numpy as np
from monitor.atlas.assignment import Anchors, assign_texts, nearest_anchors
vectors = np.load(sys.argv[1]).astype(np.float32)
asked = np.load(sys.argv[2]).astype(np.float32)
asked /= np.linalg.norm(asked, axis=1, keepdims=True)
k = int(sys.argv[3])
classes = np.random.default_rng(1).integers(0, 100, (4, len(vectors)))
anchors = Anchors(vectors, classes)
begun = time.perf_counter(); assign_texts(asked[:1], anchors, k=k); first = time.perf_counter() - begun
took, hits = [], []
for row in range(len(asked)):
    begun = time.perf_counter(); assign_texts(asked[row : row + 1], anchors, k=k); took.append(time.perf_counter() - begun)
for row in range(0, 200):
    exact = np.argpartition(-(vectors @ asked[row]), k)[:k]
    found = nearest_anchors(asked[row : row + 1], anchors, k=k).indices[0]
    hits.append(len(set(found.tolist()) & set(exact.tolist())) / k)
p50, p99 = np.quantile(took, [0.5, 0.99]) * 1e3
print(json.dumps({
    "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "first_seconds": round(first, 2),
    "recall": round(float(np.mean(hits)), 4), "turns": len(took),
    "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
}))
"""

#: What BERTopic's default does to vectors: UMAP to 5 dimensions, then HDBSCAN.
PEER = """
import json, resource, sys, time
started = time.perf_counter()
import numpy as np
from hdbscan import HDBSCAN
from umap import UMAP
vectors = np.load(sys.argv[1]).astype(np.float32)
reduced = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine").fit_transform(vectors)
found = HDBSCAN(min_cluster_size=10, metric="euclidean", cluster_selection_method="eom").fit_predict(reduced)
print(json.dumps({
    "seconds": round(time.perf_counter() - started, 2),
    "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2), "topics": int(found.max()) + 1,
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--vectors", type=Path, help="real vectors to copy, rather than encoding CLINC150 here")
    parser.add_argument(
        "--peer", type=int, nargs="*", default=[], help="sizes at which BERTopic's default runs as well"
    )
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    real = real_vectors(arguments.vectors)
    if real is None:
        return 1
    result: dict = {
        "machine": f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, {processor()}",
        "copies_of": len(real),
        "dimensions": real.shape[1],
        "fit": {},
        "assignment": {},
        "bertopic_default": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for n in arguments.sizes:
            print(f"{n:,} vectors", file=sys.stderr, flush=True)
            file, asked, graph = (Path(folder) / name for name in ("vectors.npy", "asked.npy", "graph.npz"))
            write_copies(real, file, n=n, seed=1)
            write_copies(real, asked, n=1_000, seed=2)
            fit = measured(FIT, str(file), str(graph), str(NEIGHBOURS))
            fit["recall"] = recall(np.load(file, mmap_mode="r"), np.load(graph)["indices"])
            fit["microseconds_a_vector"] = round(fit["seconds"] / n * 1e6)
            result["fit"][str(n)] = fit
            result["assignment"][str(n)] = measured(ASSIGN, str(file), str(asked), str(NEIGHBOURS))
            if n in arguments.peer:
                peer = measured(PEER, str(file))
                peer["seconds_times_offmap"] = round(peer["seconds"] / fit["seconds"], 1)
                peer["memory_times_offmap"] = round(peer["peak_gib"] / fit["peak_gib"], 1)
                result["bertopic_default"][str(n)] = peer
            print(json.dumps(result["fit"][str(n)]), json.dumps(result["assignment"][str(n)]), flush=True)
    result["exponent"] = exponent({int(n): one["seconds"] for n, one in result["fit"].items()})
    result["exponent_of_steps"] = {
        step: exponent({int(n): one["steps"][step] for n, one in result["fit"].items()})
        for step in ("neighbours", "duplicates", "among_leaders", "topic_graph", "leiden")
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def real_vectors(given: Path | None) -> np.ndarray | None:
    """Unit vectors [n, d] of real texts, float32."""
    if given is not None:
        return unit(np.load(given).astype(np.float32))
    data = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data")) / "clinc150" / "data_full.json"
    if not data.is_file():
        print(
            f"set OFFMAP_DATA to the folder that holds clinc150, or give --vectors: {data} is not there",
            file=sys.stderr,
        )
        return None
    sys.path.insert(0, str(ROOT))
    from benchmarks.topics import encode, read_clinc

    return unit(np.asarray(encode(read_clinc(data)[0]), np.float32))


def write_copies(real: np.ndarray, file: Path, *, n: int, seed: int) -> None:
    """n copies, in blocks, as float16; the same for the same seed, of which the first rows are those of a smaller n."""
    near = neighbours_of(real)
    out = np.lib.format.open_memmap(file, "w+", np.float16, (n, real.shape[1]))
    for number, start in enumerate(range(0, n, 10_000)):
        rng = np.random.default_rng([seed, number])
        base, one = rng.integers(0, len(real), (2, 10_000))
        other = near[one, rng.integers(4, near.shape[1], 10_000)]
        moved = np.where(rng.random(10_000) < DUPLICATES, DUPLICATE_MOVED, MOVED).astype(np.float32)
        copies = unit(real[base] + moved[:, None] * (real[one] - real[other]))
        out[start : start + 10_000] = copies[: n - start]
    out.flush()


def neighbours_of(real: np.ndarray) -> np.ndarray:
    """The 15 nearest of each, exactly."""
    import faiss

    if not hasattr(neighbours_of, "known"):
        neighbours_of.known = faiss.knn(real, real, 16, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 1:]  # type: ignore[attr-defined]
    return neighbours_of.known  # type: ignore[attr-defined]


def recall(vectors: np.ndarray, found: np.ndarray) -> float:
    """Share of the exact neighbours that the graph has, over rows evenly spread; brute force in blocks."""
    rows = np.linspace(0, len(vectors) - 1, CHECKED).astype(np.int64)
    asked, k = unit(vectors[rows].astype(np.float32)), found.shape[1]
    best = np.full((len(rows), k), -2.0, np.float32)
    which = np.full((len(rows), k), -1, np.int64)
    for start in range(0, len(vectors), 50_000):
        cosines = asked @ unit(vectors[start : start + 50_000].astype(np.float32)).T
        inside = (rows >= start) & (rows < start + 50_000)
        cosines[inside, rows[inside] - start] = -2.0
        nearest = np.argpartition(-cosines, k, axis=1)[:, :k]
        both = np.concatenate([best, np.take_along_axis(cosines, nearest, 1)], axis=1)
        names = np.concatenate([which, nearest + start], axis=1)
        order = np.argsort(-both, axis=1)[:, :k]
        best, which = np.take_along_axis(both, order, 1), np.take_along_axis(names, order, 1)
    shared = [len(set(a) & set(b)) / k for a, b in zip(which.tolist(), found[rows].tolist(), strict=True)]
    return round(float(np.mean(shared)), 4)


def measured(code: str, *arguments: str) -> dict:
    """What a process of its own prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def exponent(seconds: dict[int, float]) -> float | None:
    """The slope of the logarithm of the seconds in that of n, by least squares; None for fewer than two sizes."""
    if len(seconds) < 2:
        return None
    sizes, took = zip(*seconds.items(), strict=True)
    return round(float(np.polyfit(np.log(sizes), np.log(np.maximum(took, 1e-3)), 1)[0]), 3)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), math.ulp(1.0))


if __name__ == "__main__":
    raise SystemExit(main())
