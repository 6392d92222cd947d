"""What a store of 1,000,000 turns costs: the memory of the consumer that fills it, a batch on top, and forgetting a user.

    python benchmarks/growth.py [--turns 1000000] [--folder DIR] [--out benchmarks/results/growth.json]

Generated messages, read by a consumer in a process of its own. The store then gets what an analysis makes: a vector of 384
numbers a turn, an atlas with a topic a turn, coverage, gaps with examples, dead letters, an export. Needs about 6 GB of disk
in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa

# A script finds what lies beside it, and not the folder above.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ingest import BATCH, START, append, batches, make_turn
from monitor.records import Coordinates, DeadLetter
from monitor.store import Store
from monitor.store.atlases import ASSIGNMENTS, AtlasRow, TopicRow
from monitor.store.backup import back_up, restore
from monitor.store.deletion import Deletion
from monitor.store.exports import ExportRow, Exports
from monitor.store.local import LocalDatabase
from monitor.store.remains import Remains
from monitor.store.reports import TURN_COVERAGE, CoverageRow, GapRow

SAMPLE = 50_000
LATER = datetime(2030, 1, 1)
TOPICS = 200
#: DuckDB keeps what was read last, up to this: what grows beyond it would be ours.
MEMORY = "128MB"


# --- the consumer, in its own process


def consume(path: Path, count: int) -> list[tuple[int, float]]:
    """Fill the store from a stream; messages read and megabytes in memory, every so often."""
    from consumers.source import Memory, Message
    from consumers.stream import Stream
    from monitor.clock import utc_now
    from monitor.settings import Settings

    class Generated(Memory):
        """Messages that are made when they are polled, so that what grows is not this."""

        def poll(self, seconds: float, most: int) -> Sequence[Message]:
            at = self._next.get(0, -1)
            at = self._begin(0) if at < 0 else at
            if self.paused:
                time.sleep(min(seconds, 0.01))
                return []
            self._next[0] = min(at + most, count)
            return [Message(0, number, START, message(number)) for number in range(at, self._next[0])]

        def ends(self) -> dict[int, int]:
            return {0: count}

    samples: list[tuple[int, float]] = []

    def stored(done: Any) -> None:
        if stream.counts.records // SAMPLE > len(samples):
            samples.append((stream.counts.records, resident()))

    stop = threading.Event()
    with Store.open(str(path), threads=2, memory_limit=MEMORY) as store:
        opener: Callable[..., Any] = partial(Generated, {0: ()})
        stream = Stream(store, Settings(), opener, clock=utc_now, stop=stop, on_stored=stored, until_end=True)
        stream.run()
        assert store.turns.count() == count, f"{store.turns.count()} of {count} turns are stored"
    return samples


def message(number: int) -> bytes:
    turn = make_turn(number)
    names = (
        "turn_id",
        "conversation_id",
        "turn_index",
        "created_at",
        "user_text",
        "assistant_text",
        "model",
        "user_id",
    )
    return orjson.dumps({name: getattr(turn, name) for name in (*names, "latency_ms", "environment", "metadata")})


def resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


# --- what an analysis adds


def analyse(store: Store, turns: int, part: int = 20_000) -> None:
    rng = np.random.default_rng(20260302)
    keys = np.empty(turns, np.uint64)
    for first in range(0, turns, part):
        mine = [make_turn(number).key for number in range(first, min(first + part, turns))]
        keys[first : first + len(mine)] = mine
        vectors = rng.standard_normal((len(mine), 384), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        hashes = [text_hash(key) for key in mine]
        store.vectors.append("mini", "text", hashes, vectors)
        store.vectors.note_texts("text", mine, hashes)
    names = [f"t{number}" for number in range(TOPICS)]
    topic = pa.array([names[number % TOPICS] for number in range(turns)], pa.string())
    none = pa.nulls(turns, pa.string())
    columns = [pa.array(keys), pa.array([text_hash(key) for key in keys.tolist()], pa.binary()), topic, topic, topic]
    columns += [none, pa.array(np.zeros(turns, bool)), none, pa.nulls(turns, pa.float32())]
    store.atlases.write(
        AtlasRow("a1", START, START, LATER, "mini", "text", "leiden", "{}", turns, turns, "f"),
        [topic_row(name, keys[at :: turns // 10][:5]) for at, name in enumerate(names)],
        [],
        pa.table(columns, schema=ASSIGNMENTS),
    )
    share = pa.array(rng.random(turns, np.float32))
    coverage = pa.table([pa.array(keys), share, share, none], schema=TURN_COVERAGE)
    report = CoverageRow("r1", "a1", START, ("shop",), 200, 0.8, 0.7, 0.9, "fair", "{}")
    store.reports.write_coverage(report, [], coverage)
    store.reports.write_gaps("r1", [gap(number, keys[number::1000][:10]) for number in range(50)])
    store.dead_letters.append([letter(number) for number in range(20_000)])
    store.exports.record(
        ExportRow("x1", START, "/elsewhere/g.jsonl", "openai-chat", "{}", tuple(keys[:2_000].tolist()))
    )


def text_hash(key: int) -> bytes:
    return int(key).to_bytes(8, "little") * 2


def topic_row(name: str, keys: np.ndarray[Any, Any]) -> TopicRow:
    words = ("parcel", "tracking", "delivered")
    return TopicRow(name, 2, None, ", ".join(words), words, 5_000, 1_000, 900, 0.005, tuple(keys.tolist()), START)


def gap(rank: int, keys: np.ndarray[Any, Any]) -> GapRow:
    numbers = (0.005, 0.3, 0.1, 0.7, 0.2, 0.4, 0.6, 0.1)
    examples = tuple(keys.tolist())
    return GapRow(
        f"g{rank}", rank, f"t{rank}", "parcel, tracking", 5_000, 1_000, *numbers, False, START, 1.0, 0.0, examples, ()
    )


def letter(number: int) -> DeadLetter:
    """A message that could not be read: its latency is a word."""
    payload = message(number).replace(b'"latency_ms":', b'"latency_ms":"fast","was":')
    return DeadLetter(Coordinates("kafka:turns", "0", number), "latency_ms: expected a number", payload, START)


# --- measured


@dataclass(slots=True)
class Waits:
    """The longest that a reader and a writer beside had to wait, in seconds."""

    read: float = 0.0
    write: float = 0.0


@contextmanager
def beside(store: Store) -> Iterator[Waits]:
    """Others who use the store meanwhile: one counts, one writes a row."""
    stop, waits = threading.Event(), Waits()

    def repeat(name: str, action: Callable[[], object]) -> None:
        while not stop.wait(0.05):
            began = time.perf_counter()
            action()
            setattr(waits, name, max(getattr(waits, name), time.perf_counter() - began))

    moved = iter(range(1_000_000_000))
    threads = [
        threading.Thread(target=repeat, args=("read", store.turns.count)),
        threading.Thread(
            target=repeat,
            args=("write", lambda: store.offsets.advance("beside", "0", expected=(at := next(moved)), to=at + 1)),
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        yield waits
    finally:
        stop.set()
        for thread in threads:
            thread.join()


#: The steps of a deletion.
STEPS = (
    (Deletion, "_turns", "find"),
    (Deletion, "_delete_rows", "rows_and_vectors"),
    (Remains, "forget_keys", "lists"),
    (Remains, "forget_words", "labels"),
    (Exports, "forget", "exports"),
    (Deletion, "_delete_dead_letters", "dead_letters"),
    (LocalDatabase, "erase", "rewrite"),
)


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds spent in each step."""
    spent = dict.fromkeys((name for _, _, name in STEPS), 0.0)

    def around(action: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return action(*given, **named)
            finally:
                spent[name] += time.perf_counter() - began

        return run

    before = [(kind, method, getattr(kind, method)) for kind, method, _ in STEPS]
    for kind, method, name in STEPS:
        setattr(kind, method, around(getattr(kind, method), name))
    try:
        yield spent
    finally:
        for kind, method, action in before:
            setattr(kind, method, action)


def forget(store: Store, user: str) -> dict[str, object]:
    """Seconds of each step, and what others waited for."""
    with beside(store) as waits, timed() as spent:
        began = time.perf_counter()
        done = store.deletion.forget(user=user, at=LATER)
        total = time.perf_counter() - began
    assert done.turns and done.vectors and done.exports
    return {
        "turns": done.turns,
        "dead_letters": done.dead_letters,
        "steps": {name: round(seconds, 2) for name, seconds in spent.items()},
        "rows_seconds": round(total - spent["rewrite"], 2),
        "rewrite_seconds": round(spent["rewrite"], 1),
        "longest_wait_of_a_reader_seconds": round(waits.read, 2),
        "longest_wait_of_a_writer_seconds": round(waits.write, 1),
    }


def measure(folder: Path, turns: int, rounds: int = 20) -> dict[str, object]:
    path = folder / "full.duckdb"
    command = [sys.executable, __file__, "--consume", str(path), "--turns", str(turns)]
    began = time.perf_counter()
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    consumed = time.perf_counter() - began
    samples: list[tuple[int, float]] = json.loads(ran.stdout.splitlines()[-1])
    empty, full = [], []
    with Store.open(str(path), memory_limit="2GB") as store:
        analyse(store, turns)
        store.checkpoint()
        os.sync()  # or the disk is busy with what the analysis wrote
        # In turn: what else runs on the machine disturbs both.
        for number, batch in enumerate(batches(turns, rounds * BATCH, BATCH)):
            with Store.open(str(folder / f"empty-{number}.duckdb")) as other:
                append(other, [make_turn(-1)], "warm")
                empty.append(append(other, batch, "measured"))
            full.append(append(store, batch, "measured"))
        began = time.perf_counter()
        made = back_up(store, folder / "backups", at=LATER)
        backed_up = time.perf_counter() - began
        size = store.size()
        forgotten = forget(store, "user-17")
        began = time.perf_counter()
        store.deletion.forget(turn="turn-18", at=LATER, erase=False)
        one_turn = time.perf_counter() - began
    began = time.perf_counter()
    restored = restore(made.path, str(path), replace=True)
    again = time.perf_counter() - began
    half = samples[len(samples) // 2 :]
    slope = (
        np.polyfit([count for count, _ in half], [size for _, size in half], 1)[0] if len(half) > 1 else float("nan")
    )
    return {
        "turns": turns,
        "batch": BATCH,
        "empty_ms": round(statistics.median(empty), 1),
        "full_ms": round(statistics.median(full), 1),
        "full_ms_most": round(max(full), 1),
        "ratio": round(statistics.median(full) / statistics.median(empty), 2),
        "consumer": {
            "messages_per_second": round(turns / consumed),
            "memory_limit_of_the_store": MEMORY,
            "resident_mb": [[count, round(megabytes)] for count, megabytes in samples],
            "slope_mb_per_100000": round(float(slope) * 100_000, 2),
        },
        "store_mb": round(size / 1e6),
        "forget_user": forgotten,
        "forget_turn_of_a_stream_seconds": round(one_turn, 2),
        "backup_seconds": round(backed_up, 1),
        "restore": {"seconds": round(again, 1), "forgotten": restored.forgotten},
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "duckdb": duckdb.__version__,
            "load": round(os.getloadavg()[1], 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the stores go meanwhile; a temporary folder without it")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "growth.json")
    parser.add_argument("--consume", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.consume:
        print(json.dumps(consume(given.consume, given.turns)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        result = measure(Path(folder), given.turns)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
