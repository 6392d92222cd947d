"""The same turns give the same atlas, byte for byte, in whatever order they came and on however many threads."""

import gzip
import random
from datetime import datetime
from pathlib import Path

import faiss
import pytest
from threadpoolctl import threadpool_limits

from consumers.ingest import ingest_file, utc_now
from monitor.encoding.hashing import HashingEncoder
from monitor.pipeline import analyse
from monitor.settings import Settings
from monitor.store.store import Store

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "small"


def atlas(path: Path, log: Path) -> tuple[list, list]:
    with Store.open(str(path)) as store:
        ingest_file(store, log, clock=lambda: datetime(2026, 5, 1))
        analyse(store, HashingEncoder(), Settings(), clock=utc_now)
        current = store.runs.current()
        assert current is not None
        assignments = store.atlases.assignments(current.atlas_id).to_pylist()
        return list(store.atlases.topics(current.atlas_id)), sorted(map(str, assignments))


@pytest.mark.slow
def test_order_of_rows_and_threads_change_nothing(tmp_path: Path) -> None:
    lines = gzip.decompress((SAMPLE / "turns.jsonl.gz").read_bytes()).splitlines(keepends=True)
    random.Random(3).shuffle(lines)
    shuffled = tmp_path / "turns.jsonl.gz"
    shuffled.write_bytes(gzip.compress(b"".join(lines)))
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(1)
        with threadpool_limits(1):
            first = atlas(tmp_path / "first.duckdb", SAMPLE / "turns.jsonl.gz")
        faiss.omp_set_num_threads(2)
        with threadpool_limits(2):
            second = atlas(tmp_path / "second.duckdb", shuffled)
    finally:
        faiss.omp_set_num_threads(before)
    assert len(first[0]) > 10
    assert first == second
