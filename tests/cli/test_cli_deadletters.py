"""`offmap deadletters list`."""

from __future__ import annotations

from pathlib import Path

from cli_support import Offmap


def test_each_bad_record_is_listed_with_its_reason(offmap: Offmap, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"user_text": "good"}\n{"user_text": "cut off\n{"user_text": "slow", "latency_ms": "fast"}\n')
    offmap.done("ingest", log)
    found = offmap.done("deadletters", "list", "--json").json
    assert found["total"] == 2
    letters = {one["record"]: one for one in found["dead_letters"]}
    assert set(letters) == {2, 3}
    assert "JSON" in letters[2]["reason"] and "latency_ms" in letters[3]["reason"]
    assert {"source", "format", "record", "reason", "bytes", "received_at"} == set(letters[2])

    shown = offmap.done("deadletters", "list").out
    assert "2 records could not be read" in shown and "latency_ms" in shown
    assert "cut off" not in shown
    assert "the latest 1 are shown" in offmap.done("deadletters", "list", "--limit", "1").out


def test_none_is_said(offmap: Offmap) -> None:
    offmap.done("init")
    assert "no dead letters" in offmap.done("deadletters", "list").out
    assert offmap.done("deadletters", "list", "--json").json == {"total": 0, "dead_letters": []}
