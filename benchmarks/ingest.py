"""What a batch of 500 turns costs on an empty store and on one of 1,000,000 turns.

    python benchmarks/ingest.py [--rows 1000000] [--batches 20] [--out benchmarks/results/ingest.json]

Generated turns, one DuckDB file, every batch one transaction with its offset, as the ingest loop writes it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from monitor.records import Turn
from monitor.store import Store

BATCH = 500
START = datetime(2026, 1, 1)
WORDS = ("where", "is", "my", "parcel", "and", "why", "does", "tracking", "say", "delivered", "but", "nothing", "here")


def make_turn(number: int) -> Turn:
    """A turn as a product logs it, with a text of 12 to 28 words."""
    words = [WORDS[(number * 7 + place * 3) % len(WORDS)] for place in range(12 + number % 17)]
    return Turn(
        turn_id=f"turn-{number}",
        conversation_id=f"conversation-{number // 3}",
        turn_index=number % 3,
        created_at=START + timedelta(seconds=number),
        user_text=f"{' '.join(words)} {number}",
        assistant_text=f"It is on its way, and order {number} arrives tomorrow.",
        model="small-1",
        prompt_version="v3",
        latency_ms=800 + number % 400,
        user_id=f"user-{number % 5000}",
        environment="production",
        metadata={"page": number % 30},
    )


def batches(start: int, rows: int, size: int) -> Iterator[list[Turn]]:
    for first in range(start, start + rows, size):
        yield [make_turn(number) for number in range(first, min(first + size, start + rows))]


def append(store: Store, turns: list[Turn], source: str) -> float:
    """Milliseconds of one transaction."""
    began = time.perf_counter()
    with store.transaction():
        store.turns.append(turns)
        offset = store.offsets.next(source, "0")
        store.offsets.advance(source, "0", expected=offset, to=offset + len(turns))
    return (time.perf_counter() - began) * 1000


def measure(folder: Path, rows: int, count: int) -> dict[str, object]:
    empty: list[float] = []
    for number in range(count):
        with Store.open(str(folder / f"empty-{number}.duckdb")) as store:
            append(store, [make_turn(-1)], "warm")  # a first statement plans and opens; a store of one turn is empty
            empty.append(append(store, next(batches(number * BATCH, BATCH, BATCH)), "measured"))
    with Store.open(str(folder / "full.duckdb")) as store:
        began = time.perf_counter()
        spent = sum(append(store, turns, "fill") for turns in batches(0, rows, 20_000))
        filled = time.perf_counter() - began
        full = [append(store, turns, "measured") for turns in batches(rows, count * BATCH, BATCH)]
        repeated = [append(store, turns, "repeated") for turns in batches(rows // 2, count * BATCH, BATCH)]
        began = time.perf_counter()
        store.deletion.forget(user="user-17", at=datetime(2030, 1, 1))
        forget = time.perf_counter() - began
        stored = store.turns.count()
    return {
        "rows": rows,
        "batch": BATCH,
        "batches": count,
        "empty_ms": round(statistics.median(empty), 2),
        "full_ms": round(statistics.median(full), 2),
        "ratio": round(statistics.median(full) / statistics.median(empty), 2),
        "repeated_ms": round(statistics.median(repeated), 2),
        "rows_per_second": round(rows / (spent / 1000)),
        "fill_seconds": round(filled, 1),
        "forget_user_seconds": round(forget, 1),
        "rows_after": stored,
        "bytes_per_row": round((folder / "full.duckdb").stat().st_size / stored),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "duckdb": duckdb.__version__},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ingest.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), given.rows, given.batches)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
