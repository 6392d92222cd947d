"""What a change of the encoder does to the topics: how many ids are carried over, and how many turns keep their topic.

    python benchmarks/encoder_switch.py      writes benchmarks/results/encoder_switch.json

The sample traffic (`sample_data.generate`) is analysed with one encoder and then with another, in one
store, by `monitor.pipeline.analyse`, as a user would. Static vectors are distilled as `benchmarks/static_vectors.py` does. The
yardstick is what a refit does anyway: the same encoder with another seed.

A topic is carried over when its id is in the atlas after too. A turn keeps its topic when it has the same id before and
after, of the turns that have one in both.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
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
            "static to the default": (static, default),
            "the default to static": (default, static),
        }
        base = folder / "base.duckdb"
        with Store.open(str(base)) as store:
            ingest_file(store, folder / "data" / "turns.jsonl.gz")
            turns = store.turns.count()
            corpus = read_corpus(store, USER_TEXT, window=None, environments=Settings().analysis.environments)
            # Encoded once for all changes.
            encode_missing(store, make_encoder(default), USER_TEXT, dict(zip(corpus.hashes, corpus.texts, strict=True)))
        # Every change begins with a store without an atlas.
        table = [{"change": name, **change(base, *pair)} for name, pair in changes.items()]
    report = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, shared", "turns": turns, "table": table}
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0


def change(base: Path, before: EncoderSettings, after: EncoderSettings) -> dict[str, Any]:
    settings = replace(Settings(), encoder=before), replace(Settings(), encoder=after)
    if before == after:
        settings = settings[0], settings[1].with_value("atlas.seed", 2, source="benchmark")
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copy2(base, Path(place) / "s.duckdb")
        with Store.open(str(copy)) as store:
            runs = [analyse(store, make_encoder(one.encoder), one, clock=lambda: NOW).run for one in settings]
            atlases = [store.atlases.assignments(run.atlas_id).to_pylist() for run in runs]
    found: dict[str, Any] = {}
    for level in LEVELS:
        old, new = ({row["turn_key"]: row[level] for row in atlas if row[level]} for atlas in atlases)
        both = old.keys() & new.keys()
        topics = set(old.values())
        found[f"{level}_topics"] = len(topics)
        found[f"{level}_ids_kept"] = round(len(topics & set(new.values())) / len(topics), 3)
        found[f"{level}_turns_kept"] = round(sum(old[key] == new[key] for key in both) / len(both), 3)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
