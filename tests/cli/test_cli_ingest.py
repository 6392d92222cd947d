"""`offmap ingest`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli_support import Offmap
from cli_traffic import write_log

from consumers.decoders import DECODERS
from monitor.cli import ingest


def test_ingest_says_what_became_of_each_file(offmap: Offmap, tmp_path: Path) -> None:
    first, second = write_log(tmp_path / "a.jsonl", conversations=5), write_log(tmp_path / "b.jsonl", conversations=7)
    found = offmap.done("ingest", first, second, "--json").json
    assert found["turns"] == 14
    assert [(one["turns"], one["repeated"], one["format"], one["times"]) for one in found["files"]] == [
        (10, 0, "offmap", "now"),
        (4, 10, "offmap", "now"),
    ]


def test_the_same_file_twice_changes_nothing(offmap: Offmap, tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", conversations=5)
    offmap.done("ingest", log)
    again = offmap.done("ingest", log)
    assert "all 10 records were read before; nothing changed" in again.out
    assert "holds 10 turns" in again.out


def test_a_dry_run_shows_redacted_turns_and_stores_nothing(offmap: Offmap, jsonl: Callable[..., Path]) -> None:
    log = jsonl({"user_text": "mail me at ann@example.org", "extra": "\u001b[31m"}, {"user_text": "and me"})
    ran = offmap.done("ingest", log, "--dry-run")
    assert "is read as offmap" in ran.out and "mail me at [email]" in ran.out and "Nothing was stored" in ran.out
    assert "ann@" not in ran.out and "\x1b" not in ran.out
    shown = offmap.done("ingest", log, "--dry-run", "--json").json["files"][0]
    assert shown["format"] == "offmap"
    assert [turn["user_text"] for turn in shown["turns"]] == ["mail me at [email]", "and me"]
    assert not offmap.store.exists()


def test_the_rule_for_times_is_stated(offmap: Offmap, jsonl: Callable[..., Path]) -> None:
    log = jsonl({"user_text": "hello there"})
    ran = offmap.done("ingest", log, "--times", "at:2026-03-01")
    assert "--times at:2026-03-01" in ran.out


def test_a_log_can_be_redacted_before_it_is_stored(offmap: Offmap, jsonl: Callable[..., Path]) -> None:
    offmap.done("ingest", jsonl({"user_text": "mail ann@example.org"}), OFFMAP_INGEST_REDACT="true")
    assert b"ann@example" not in offmap.store.read_bytes()


def test_dead_letters_are_a_warning_on_stderr(offmap: Offmap, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"user_text": "good"}\n{"user_text": 7}\n')
    ran = offmap.done("ingest", log, "--json")
    assert ran.json["files"][0]["dead_letters"] == 1
    assert "level=warning" in ran.err and "offmap deadletters list" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_help_names_every_format() -> None:
    assert ingest.FORMATS.split(", ") == [decoder.name for decoder in DECODERS]
