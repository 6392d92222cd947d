"""What a change of the encoder does to the topics: how many ids are carried over, and how many turns keep their topic.

    python benchmarks/encoder_switch.py      writes benchmarks/results/encoder_switch.json

A third of the sample traffic's conversations (`sample_data.generate`) is analysed with one encoder and then with another, in
one store, by `monitor.pipeline.analyse`, as a user would. Static vectors are distilled as `benchmarks/static_vectors.py` does.
The yardstick is what a refit does anyway: the same encoder with another seed.

A topic is carried over when its id is in the atlas after too; where one of the atlases has more topics, no more than those of
the other can be. A turn is in the same topic when it has the same id before and after, of the turns that have one in both.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.static_vectors import distilled  # noqa: E402
from consumers.ingest import ingest_file  # noqa: E402
from monitor.atlas.corpus import read_corpus  # noqa: E402
from monitor.encoding.cache import encode_missing  # noqa: E402
from monitor.encoding.encoder import make_encoder  # noqa: E402
from monitor.encoding.recipe import USER_TEXT  # noqa: E402
from monitor.pipeline import analyse  # noqa: E402
from monitor.settings import EncoderSettings, Settings  # noqa: E402
from monitor.store import Store  # noqa: E402
from sample_data.generate import main as generate  # noqa: E402

RESULT = REPOSITORY / "benchmarks" / "results" / "encoder_switch.json"
SEED = "20260302"
LEVELS = ("broad", "middle", "fine")
NOW = datetime(2026, 6, 1)


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        assert generate(["--out", str(folder / "data"), "--seed", SEED]) == 0
        default = EncoderSettings()
        model = distilled(folder / "minilm-static", make_encoder(default).encode)
        static = EncoderSettings(kind="model2vec", model=str(model))
        hashing = EncoderSettings(kind="hashing")
        changes = {
            "the same encoder, another seed": (default, default),
            "hashing to the default": (hashing, default),
            "the default to static": (default, static),
        }
        base = folder / "base.duckdb"
        with Store.open(str(base)) as store:
            ingest_file(store, a_third(folder / "data" / "turns.jsonl.gz"))
            turns = store.turns.count()
            corpus = read_corpus(store, USER_TEXT, window=None, environments=Settings().analysis.environments)
            # Encoded once for all changes.
            encode_missing(store, make_encoder(default), USER_TEXT, dict(zip(corpus.hashes, corpus.texts, strict=True)))
        # Every change begins with a store without an atlas.
        table = [row for name, pair in changes.items() for row in change(name, base, *pair)]
    report = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, shared", "turns": turns, "table": table}
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0


def a_third(log: Path) -> Path:
    """The conversations whose id has a hash that three divides."""
    kept = []
    with gzip.open(log, "rt", encoding="utf-8") as lines:
        for line in lines:
            conversation = str(json.loads(line).get("conversation_id"))
            if int(blake2b(conversation.encode(), digest_size=4).hexdigest(), 16) % 3 == 0:
                kept.append(line)
    smaller = log.with_name("third.jsonl")
    smaller.write_text("".join(kept), encoding="utf-8")
    return smaller


def change(name: str, base: Path, before: EncoderSettings, after: EncoderSettings) -> list[dict[str, Any]]:
    settings = replace(Settings(), encoder=before), replace(Settings(), encoder=after)
    if before == after:
        settings = settings[0], settings[1].with_value("atlas.seed", 2, source="benchmark")
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copy2(base, Path(place) / "s.duckdb")
        with Store.open(str(copy)) as store:
            runs = [analyse(store, make_encoder(one.encoder), one, clock=lambda: NOW).run for one in settings]
            atlases = [store.atlases.assignments(run.atlas_id).to_pylist() for run in runs]
    return [{"change": name, "level": level, **kept(*atlases, level)} for level in LEVELS]


def kept(before: list[dict[str, Any]], after: list[dict[str, Any]], level: str) -> dict[str, Any]:
    old, new = ({row["turn_key"]: row[level] for row in atlas if row[level]} for atlas in (before, after))
    both = old.keys() & new.keys()
    topics, later = set(old.values()), set(new.values())
    carried = len(topics & later)
    return {
        "topics before": len(topics),
        "after": len(later),
        "old ids kept": round(carried / len(topics), 3),
        "new topics with an old id": round(carried / len(later), 3),
        "turns in the same topic": round(sum(old[key] == new[key] for key in both) / len(both), 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
