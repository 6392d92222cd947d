"""What is gained by reading a long text in windows, against cutting it at the model's 256 tokens.

    OFFMAP_DATA=../shared/data python benchmarks/long_texts.py        writes benchmarks/results/long_texts.json

Two tasks on real texts, with the default encoder, over the ways to weigh windows:
- halves: a text of 512 tokens or more is cut in two in its middle; how often is one half's nearest other half its own?
  Prompts of Arena-Hard and whole conversations of hh-rlhf.
- clusters: the 500 prompts of Arena-Hard have names of 250 clusters, two prompts each. Of the prompts of more than 256
  tokens, how often is the nearest other prompt of the same cluster, and the mean reciprocal rank of that prompt?
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from monitor.encoding.encoder import unit_rows  # noqa: E402
from monitor.encoding.onnx import MAX_TOKENS, OnnxEncoder, packaged_tokenizer  # noqa: E402
from monitor.encoding.recipe import USER_TEXT  # noqa: E402
from monitor.encoding.windows import spans  # noqa: E402

RESULT = REPOSITORY / "benchmarks" / "results" / "long_texts.json"
CONVERSATIONS = 60

#: Weights of the windows of a text, in their order.
WAYS: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "cut at 256 tokens": lambda count: np.eye(1, count)[0],
    "mean of windows": np.ones,
    "harmonic, the first weighs most": lambda count: 1 / np.arange(1, count + 1),
    "the first weighs double": lambda count: np.r_[2.0, np.ones(count - 1)],
}


def main() -> int:
    folder = Path(os.environ.get("OFFMAP_DATA") or REPOSITORY.parent / "shared" / "data")
    try:
        prompts, clusters = arena_hard(folder)
        conversations = hh_rlhf(folder)
    except FileNotFoundError as error:
        print(f"{error.filename} is absent: set OFFMAP_DATA to the folder of the benchmark data", file=sys.stderr)
        return 1
    reader = Windows()
    started = time.process_time()
    report = {
        "encoder": OnnxEncoder.name,
        "halves": {
            "arena-hard": halves(reader, prompts),
            "hh-rlhf": halves(reader, conversations, CONVERSATIONS),
        },
        "clusters": within_clusters(reader, prompts, clusters),
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    print(f"written to {RESULT.relative_to(REPOSITORY)} after {time.process_time() - started:.0f} s of CPU")
    return 0


class Windows:
    """Vectors of the windows of texts: of a first window as the cut had it, and of the windows that offmap makes."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        self._encoder = OnnxEncoder.packaged()
        self._tokenizer = Tokenizer.from_file(str(packaged_tokenizer()))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def offsets(self, text: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return found

    def vectors(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """For each way, one unit row a text. Windows are cut at token offsets, so their text has the same tokens."""
        parts: list[str] = []
        owned: list[list[int]] = []
        for text in texts:
            offsets = self.offsets(text)
            first = text[: offsets[: MAX_TOKENS - 2][-1][1]]
            windows = [offsets[part] for part in spans(len(offsets), MAX_TOKENS - 2)]
            pieces = [first, *(text[window[0][0] : window[-1][1]] for window in windows)]
            owned.append(list(range(len(parts), len(parts) + len(pieces))))
            parts += pieces
        encoded = self._encoder.encode(parts)
        found = {}
        for way, weigh in WAYS.items():
            rows = []
            for first_row, *window_rows in owned:
                chosen = [first_row] if way.startswith("cut") else window_rows
                rows.append(weigh(len(chosen)) @ encoded[chosen])
            found[way] = unit_rows(np.array(rows, dtype=np.float32))
        return found


def halves(reader: Windows, texts: Sequence[str], most: int | None = None) -> dict[str, Any]:
    pairs: list[tuple[str, str]] = []
    for text in texts:
        offsets = reader.offsets(text)
        if len(offsets) >= 2 * MAX_TOKENS:
            middle = offsets[len(offsets) // 2][0]
            pairs.append((text[:middle].strip(), text[middle:].strip()))
    pairs = pairs[:most]
    firsts, seconds = (reader.vectors(side) for side in zip(*pairs, strict=True))
    found: dict[str, Any] = {"texts": len(pairs)}
    for way in WAYS:
        cosine = firsts[way] @ seconds[way].T
        own = np.arange(len(pairs))
        hits = np.r_[cosine.argmax(axis=1) == own, cosine.argmax(axis=0) == own]
        found[way] = round(float(hits.mean()), 4)
    return found


def within_clusters(reader: Windows, prompts: Sequence[str], clusters: Sequence[str]) -> dict[str, Any]:
    names = np.array(clusters)
    long = np.array([len(reader.offsets(text)) > MAX_TOKENS - 2 for text in prompts])
    has_mate = np.array([np.count_nonzero(names == name) > 1 for name in names])
    asked = np.flatnonzero(long & has_mate)
    found: dict[str, Any] = {"prompts": len(prompts), "asked": len(asked)}
    for way, vectors in reader.vectors(prompts).items():
        cosine = vectors @ vectors.T
        np.fill_diagonal(cosine, -2)
        order = np.argsort(-cosine[asked], axis=1)
        same = names[order] == names[asked][:, None]
        same[:, -1] = False  # the prompt itself
        ranks = same.argmax(axis=1) + 1
        found[way] = {"nearest": round(float((ranks == 1).mean()), 4), "mrr": round(float((1 / ranks).mean()), 4)}
    return found


def arena_hard(folder: Path) -> tuple[list[str], list[str]]:
    lines = (folder / "evalsets" / "arena-hard-v0.1.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [USER_TEXT.prepare(row["turns"][0]["content"]) for row in rows], [row["cluster"] for row in rows]


def hh_rlhf(folder: Path) -> list[str]:
    with gzip.open(folder / "hh-rlhf" / "harmless-base-test.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = {USER_TEXT.prepare(json.loads(line)["chosen"]) for line in file}
    return sorted(texts)


if __name__ == "__main__":
    sys.exit(main())
