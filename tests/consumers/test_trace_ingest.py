"""Traces in a real store: one turn a trace, in whatever order and how often its parts come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, clock, fixture_lines, write_lines

from consumers.ingest import ingest_file
from monitor.store import Store


def stored(store: Store) -> dict[str, str | None]:
    table = store.turns.read(columns=["turn_id", "assistant_text"])
    return dict(zip(table.column("turn_id").to_pylist(), table.column("assistant_text").to_pylist(), strict=True))


@pytest.mark.parametrize(("name", "turns", "events"), [("langfuse", 5, 5), ("langsmith", 4, 2)])
def test_traces_are_found_and_stored_once(tmp_path: Path, name: str, turns: int, events: int) -> None:
    backwards = write_lines(tmp_path / "backwards.jsonl", list(reversed(fixture_lines(f"{name}.jsonl"))))
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        first = ingest_file(store, FIXTURES / f"{name}.jsonl", clock=clock)
        assert (first.format, first.counts.turns, first.counts.events, first.counts.dead_letters) == (
            name,
            turns,
            events,
            0,
        )
        before = stored(store)
        again = ingest_file(store, backwards, clock=clock)
        assert (again.counts.turns, again.counts.filled, again.counts.conflicts, again.counts.events) == (0, 0, 0, 0)
        assert (stored(store), len(before)) == (before, turns)


def test_langfuse_batches_that_split_a_trace_make_one_turn(tmp_path: Path) -> None:
    (whole,) = [orjson.loads(line) for line in fixture_lines("langfuse.jsonl") if b'"sdk_name"' in line]
    parts: list[Any] = [{"batch": [item]} for item in whole["batch"]]
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        for order in (parts, parts[::-1]):
            ingest_file(store, write_lines(tmp_path / f"{len(order)}-{order is parts}.jsonl", order), clock=clock)
        assert set(stored(store)) == {"tr-4", "tr-5"}


def test_langsmith_batches_that_split_a_trace_make_one_turn(tmp_path: Path) -> None:
    (whole,) = [orjson.loads(line) for line in fixture_lines("langsmith.jsonl") if b'"patch"' in line]
    parts: list[Any] = [{part: [run]} for part in ("post", "patch") for run in whole[part]]
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        result = ingest_file(store, write_lines(tmp_path / "parts.jsonl", parts), clock=clock)
        assert set(stored(store)) == {whole["post"][0]["id"]}
        assert (result.counts.dead_letters, result.counts.events) == (0, 3)
