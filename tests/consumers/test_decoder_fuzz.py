"""Mutated records and random bytes over all decoders: a turn, an event or a reason, never a crash, and no lost neighbour.

`OFFMAP_FUZZ` is how many of each; 100,000 is the size of a night.
"""

from __future__ import annotations

import gzip
import os
import random
import resource
import string
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from test_format_detection import OF_FORMAT, records

from consumers.batches import BUG, Batch
from consumers.decoders import DECODERS, Defaults
from consumers.raw import parse_record
from monitor.records import Coordinates
from monitor.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

COUNT = int(os.environ.get("OFFMAP_FUZZ", "6000"))
NOW = datetime(2026, 11, 24)
_GOOD = b'{"turn_id": "good-%d", "user_text": "is it still there?", "created_at": "2026-03-01T09:00:00Z"}'
_ODD: Sequence[Any] = (
    *(None, True, 0, -1, 2**31, 2**63, 2**64 - 1, 1e308, -0.0, "", " ", "\x00", "\u202e", "\ufeff", "a" * 5_000),
    *([], {}, [[]], [None], {"": ""}, {"content": {"content": []}}, "2026-13-45", "{}", "[[", '{"a": "\\u0000"}'),
)
_BYTES: Sequence[bytes] = (
    *(
        b"\x00",
        b"\xff",
        b"\\ud800",
        b"NaN",
        b"Infinity",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"\n",
        b"1e999",
    ),
    *(
        b"9223372036854775808",
        b'{"a":' * 600,
        b"[" * 2_000,
        b'"role":"user",' * 2,
        b"\xed\xa0\x80",
        b"\xf0\x9f\xa7\xa8" * 300,
    ),
)


def seeds() -> list[bytes]:
    return [orjson.dumps(record) for name in OF_FORMAT for record in records(name)]


def changed_value(value: Any, rng: random.Random) -> Any:
    """The record with one place in it replaced, moved or left out."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.15:
            return {other: item for other, item in value.items() if other != name}
        if kind < 0.25:
            return {**value, name: value[rng.choice(list(value))]}
        if kind < 0.45:
            return {**value, name: rng.choice(_ODD)}
        return {**value, name: changed_value(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        kind = rng.random()
        if kind < 0.15:
            return value[:place] + value[place + 1 :]
        if kind < 0.25:
            return [*value, *value[:3]]
        return [*value[:place], changed_value(value[place], rng), *value[place + 1 :]]
    return rng.choice(_ODD)


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes with a piece replaced, cut, put in or doubled."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((0, 1, 1, 8, 200)))
        piece = rng.choice((rng.choice(_BYTES), rng.randbytes(rng.randrange(6)), data[end : end + 40]))
        data = data[:start] + piece + data[end:]
    return data


def mutated(rng: random.Random) -> Iterator[bytes]:
    whole = seeds()
    while True:
        data = rng.choice(whole)
        if rng.random() < 0.6:
            value = orjson.loads(data)
            for _ in range(rng.choice((1, 1, 2, 4))):
                value = changed_value(value, rng)
            try:
                yield orjson.dumps(value)
            except TypeError:  # an integer that JSON holds and orjson does not write
                yield str(value).replace("'", '"').encode()
        else:
            yield changed_bytes(data, rng)


def random_bytes(rng: random.Random) -> Iterator[bytes]:
    printable = string.printable.encode()
    while True:
        length = rng.choice((0, 1, 7, 40, 300))
        yield rng.randbytes(length) if rng.random() < 0.5 else bytes(rng.choices(printable, k=length))


def decoded(batch: Batch, position: int, payload: bytes) -> None:
    record = parse_record(position, payload)
    decoder = next((one for one in DECODERS if record.reason is None and one.matches(record.value)), None)
    batch.take(record, decoder, Coordinates("kafka:fuzz", "0", position), Defaults(NOW), redact=False)


@pytest.mark.parametrize("source", [mutated, random_bytes])
def test_nothing_breaks_a_decoder_or_its_neighbours(
    source: Callable[[random.Random], Iterator[bytes]], tmp_path: Path
) -> None:
    seed = int(os.environ.get("OFFMAP_FUZZ_SEED", "20261124"))
    payloads = source(random.Random(seed))
    memory = 0
    slowest, culprit = 0.0, b""
    with Store.open(str(tmp_path / "fuzz.duckdb"), threads=1) as store:
        for first in range(0, COUNT, 500):
            batch = Batch(2 * first)
            for position in range(2 * first, 2 * first + 1_000, 2):
                payload = next(payloads)
                started = time.process_time()
                decoded(batch, position, payload)
                if batch.letters and batch.letters[-1].reason.startswith(BUG):
                    kept = tmp_path / "culprit.json.gz"
                    kept.write_bytes(gzip.compress(payload))
                    pytest.fail(f"{batch.letters[-1].reason}; seed {seed}, record {position // 2}, kept as {kept}")
                if (spent := time.process_time() - started) > slowest:
                    slowest, culprit = spent, payload
                decoded(batch, position + 1, _GOOD % position)
            with store.transaction():
                batch.store(store)
            if not memory and first >= min(2_000, COUNT // 2):
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        good = store.turns.read(columns=["turn_id"]).column(0).to_pylist()
        assert sum(name.startswith("good-") for name in good) == -(-COUNT // 500) * 500
        letters = store.dead_letters.count()
    assert slowest < 1.0, (slowest, len(culprit), culprit[:200])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    assert grown < 200, f"{grown:.0f} MB more than after the first 2,500"
    # Most of what is mutated is still something; most of what is random is nothing.
    assert letters > 0.2 * COUNT
