"""`offmap drift` on a whole store: from the command to its verdict, with topics, attributes, words and attribution.

    python benchmarks/drift_store.py           # writes benchmarks/results/drift_store.json

Stores of 110,000 and of 1,100,000 turns: ten elevenths in the four weeks before, the rest in the last week. Three turns make a
conversation; turns have a tenant, a model, a prompt version and a language, an intent of CLINC150 as their topic, two topics on
the level below, and vectors of CLINC150's texts, moved a little; a fifth as many texts as turns. In the last week three intents
get 5 % of the turns on top. `benchmarks/drift.py` times the tests alone. Wall and processor seconds and peak memory are those
of the process of the command, started on a store that nobody else has open.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from coverage import Texts, data_folder, load_clinc

from monitor.encoding.encoder import make_encoder
from monitor.encoding.recipe import USER_TEXT
from monitor.records import Turn
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.atlases import AtlasRow, TopicRow
from monitor.store.reports import CoverageRow
from monitor.store.runs import PublishedRun

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "drift_store.json"
END = datetime(2026, 6, 1)
BATCH = 50_000
COMMAND = "import sys; from monitor.cli import main; sys.exit(main())"


def build(path: Path, texts: Texts, turns: int) -> None:
    """A store as an analysis leaves it."""
    rng = np.random.default_rng(1)
    encoder = make_encoder(Settings().encoder).name
    names, label = np.unique(texts.labels.astype(str), return_inverse=True)
    now = turns // 11
    moments = np.concatenate([rng.uniform(7, 35, turns - now), rng.uniform(0, 7, now)])
    popularity = rng.lognormal(0, 1, len(names))
    intent = rng.choice(len(names), turns, p=popularity / popularity.sum())
    last = np.arange(turns) >= turns - now
    more = last & (rng.random(turns) < 0.05)
    intent[more] = rng.integers(3, size=int(more.sum()))
    of_intent = [np.flatnonzero(label == one) for one in range(len(names))]
    distinct = max(turns // 5, len(names) * 10)
    copies = max(1, distinct // len(label))
    row = np.array(
        [
            of_intent[one][pick % len(of_intent[one])]
            for one, pick in zip(intent, rng.integers(1 << 30, size=turns), strict=True)
        ]
    )
    text = row * copies + rng.integers(copies, size=turns)
    hashes = [f"{one:016d}".encode() for one in range(len(label) * copies)]
    with Store.open(str(path)) as store:
        for start in range(0, len(hashes), BATCH):
            rows = np.arange(start, min(start + BATCH, len(hashes)))
            vectors = texts.vectors[rows // copies] + 0.02 * rng.standard_normal(
                (len(rows), texts.vectors.shape[1]), np.float32
            )
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            store.vectors.append(encoder, USER_TEXT.name, hashes[start : start + BATCH], vectors)
        for start in range(0, turns, BATCH):
            store.turns.append(
                [
                    Turn(
                        turn_id=f"t{at}",
                        conversation_id=f"c{at // 3}",
                        user_id=f"u{at // 3 % 20_000}",
                        user_text=str(texts.said[row[at]]),
                        created_at=END - timedelta(days=float(moments[at - at % 3])),
                        tenant=("eu", "uk", "us")[at // 3 % 3],
                        model=("small", "large")[at // 3 % 7 == 0],
                        prompt_version=("v3", "v4")[at // 3 % 2],
                        language="en",
                    )
                    for at in range(start, min(start + BATCH, turns))
                ]
            )
        publish(store, encoder, names.tolist(), {f"t{at}": at for at in range(turns)}, intent, text, hashes, rng)


def publish(
    store: Store,
    encoder: str,
    names: list[str],
    place: dict[str, int],
    intent: np.ndarray,
    text: np.ndarray,
    hashes: list[bytes],
    rng: np.random.Generator,
) -> None:
    start = END - timedelta(days=36)
    known = store.turns.read(columns=["turn_key", "turn_id"])
    at = np.array([place[one] for one in known.column("turn_id").to_pylist()])
    topics = [
        TopicRow(f"m{one}", 1, None, name.replace("_", " "), (name,), 9, 9, 900, 0.1, (), start)
        for one, name in enumerate(names)
    ]
    topics += [
        TopicRow(f"f{one}", 2, f"m{one // 2}", f"{names[one // 2]} {one % 2}", ("a",), 9, 9, 900, 0.1, (), start)
        for one in range(2 * len(names))
    ]
    nothing = pa.nulls(len(at), pa.string())
    assignments = pa.table(
        {
            "turn_key": known.column("turn_key"),
            "text_hash": pa.array([hashes[one] for one in text[at].tolist()], pa.binary()),
            "broad": nothing,
            "middle": pa.array([f"m{one}" for one in intent[at].tolist()]),
            "fine": pa.array([f"f{one}" for one in (2 * intent[at] + text[at] % 2).tolist()]),
            "act": nothing,
            "flood": pa.array(np.zeros(len(at), bool)),
            "intent": nothing,
            "intent_similarity": pa.nulls(len(at), pa.float32()),
            "foreign_language": nothing,
        }
    )
    atlas = AtlasRow("a1", END, start, END, encoder, USER_TEXT.name, "leiden", "{}", len(at), len(hashes), "f")
    store.atlases.write(atlas, topics, [], assignments)
    covered = pa.table(
        {
            "turn_key": known.column("turn_key"),
            "novelty": pa.array(rng.random(len(at)), pa.float32()),
            "covered": pa.array(rng.random(len(at)), pa.float32()),
            "nearest_item": pa.array(["e1"] * len(at)),
        }
    )
    store.reports.write_coverage(CoverageRow("p1", "a1", END, (), 300, 0.5, 0.4, 0.6, "v", "{}"), [], covered)
    store.runs.publish(PublishedRun("r1", "a1", "p1", END, start, END, (), "{}"))


def given(path: Path) -> Texts:
    found = np.load(path)
    return Texts("CLINC150", found["vectors"].astype(np.float32), found["labels"], tuple(found["texts"].astype(str)))


def timed(path: Path) -> dict:
    environment = os.environ | {"OFFMAP_STORE": str(path), "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "drift", "--json"], capture_output=True, text=True, env=environment, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = json.loads(done.stdout)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        # Of children so far the largest: stores are timed from the smallest on.
        "peak_gib": round(after.ru_maxrss / 2**20, 2),
        "store_mib": round(path.stat().st_size / 2**20),
        "verdict": row["verdict"].split(":")[0],
        "alarm": row["alarm"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[110_000, 1_100_000])
    parser.add_argument(
        "--vectors", type=Path, help="clinc.npz with vectors, labels and texts, rather than encoding here"
    )
    parser.add_argument("--folder", type=Path, help="where the stores are made, and stay")
    arguments = parser.parse_args()
    texts = load_clinc(data_folder()) if arguments.vectors is None else given(arguments.vectors)
    result: dict = {"rows": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for turns in sorted(arguments.turns):
            path = folder / f"{turns}.duckdb"
            if not path.exists():
                build(path, texts, turns)
            result["rows"].append({"turns": turns} | timed(path))
            print(result["rows"][-1], flush=True)
    first, last = result["rows"][0], result["rows"][-1]
    if last["turns"] > first["turns"]:
        grown = math.log(last["cpu_seconds"] / first["cpu_seconds"]) / math.log(last["turns"] / first["turns"])
        result["cpu_exponent"] = round(grown, 2)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
