"""Generate eight weeks of traffic of a fictional product's assistant, its eval set, and the truth about both.

    python -m sample_data.generate [--out DIR] [--seed N] [--control] [--small]

The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sample_data.arrivals import arrivals, demand
from sample_data.catalogue import Catalogue, load_catalogue
from sample_data.conversations import Users, customers, flood, staging
from sample_data.dialogue import Stage
from sample_data.evalset import EvalItem, build_evalset
from sample_data.phrasing import Phrasing
from sample_data.scenario import Scenario, stream
from sample_data.serving import LoggedTurn, log_turns
from sample_data.truth import build_truth

__all__ = ["SampleData", "generate", "main", "write"]

HERE = Path(__file__).parent
SMALL_SCALE = 0.04
SEED = 20260302


@dataclass(frozen=True, slots=True)
class SampleData:
    """Everything that one run makes."""

    turns: tuple[LoggedTurn, ...]
    evalset: tuple[EvalItem, ...]
    truth: Mapping[str, object]


def generate(scenario: Scenario, catalogue: Catalogue) -> SampleData:
    """Make the data in memory."""

    def rng(name: str) -> random.Random:
        return stream(scenario.seed, name)

    demanded = demand(tuple(catalogue.intents), scenario, rng("demand"))
    phrasing = Phrasing(catalogue.eval_texts, rng("phrasing"))
    others = rng("other intents")

    def draw_intent(moment: datetime) -> str:
        weights = [count * scenario.activity(name, moment) for name, count in demanded.items()]
        return others.choices(tuple(demanded), weights)[0]

    stage = Stage(catalogue, scenario, phrasing, draw_intent, rng("dialogue"))
    users = Users(max(12, round(2600 * scenario.scale)), rng("users"))
    drawn = arrivals(demanded, scenario, rng("arrivals"))
    conversations = [
        *customers(drawn, users, stage, rng("customers")),
        *flood(catalogue.acts, scenario, users, rng("flood")),
        *staging(catalogue.acts, scenario, Phrasing(catalogue.eval_texts, rng("staging phrasing")), rng("staging")),
    ]
    turns = log_turns(conversations, catalogue.acts, rng("serving"))
    items = build_evalset(catalogue, scenario, turns, rng("evalset"))
    return SampleData(tuple(turns), items, build_truth(turns, items, scenario, len(catalogue.utterances)))


def write(data: SampleData, out: Path) -> None:
    """Write the four files, creating the folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "turns.jsonl.gz").write_bytes(_gzipped(_lines(turn.row() for turn in data.turns)))
    (out / "turn_truth.jsonl.gz").write_bytes(_gzipped(_lines(turn.truth() for turn in data.turns)))
    (out / "evalset.jsonl").write_bytes(_lines(item.row() for item in data.evalset))
    text = json.dumps(data.truth, ensure_ascii=False, indent=2) + "\n"
    (out / "truth.json").write_bytes(text.encode("utf-8"))


def _lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")


def _gzipped(content: bytes) -> bytes:
    """Compressed without a time and a name, which would change the bytes from run to run."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sample_data.generate", description="Generate the sample traffic")
    parser.add_argument("--out", type=Path, help="folder to write (default: sample_data/out, or sample_data/small)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--control", action="store_true", help="the same product with nothing planted")
    parser.add_argument("--small", action="store_true", help=f"about 600 turns (scale {SMALL_SCALE}), as committed")
    chosen = parser.parse_args(arguments)
    make = Scenario.control if chosen.control else Scenario.planted
    data = generate(make(chosen.seed, SMALL_SCALE if chosen.small else 1.0), load_catalogue(seed=chosen.seed))
    out = chosen.out or HERE / ("small" if chosen.small else "out")
    write(data, out)
    print(f"{len(data.turns)} turns and {len(data.evalset)} eval items in {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
