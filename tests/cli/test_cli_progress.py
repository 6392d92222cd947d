"""Progress bars."""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
from pathlib import Path

import pytest
from cli_support import Offmap
from cli_terminal import on_a_terminal
from rich.console import Console

from monitor.cli import progress
from monitor.cli.progress import LineProgress, RichProgress, progress_to
from monitor.progress import Silent


def drawn(*, after: float, total: int | None, unit: str = "texts") -> str:
    screen = io.StringIO()
    bars = RichProgress(Console(file=screen, force_terminal=True, width=100), after=after)
    with bars.task("encode", total, unit) as advance:
        for _ in range(5):
            time.sleep(0.03)
            advance.advance(1_000)
    return screen.getvalue()


def test_a_long_task_shows_amount_rate_and_time_left() -> None:
    shown = drawn(after=0.01, total=5_000)
    assert "encode" in shown and "5,000 of 5,000 texts" in shown and "texts/s" in shown and "0:00:00" in shown


def test_a_short_task_shows_nothing() -> None:
    assert drawn(after=60, total=5_000) == ""


def test_an_unknown_total_is_no_error() -> None:
    assert "texts/s" in drawn(after=0.01, total=None)


def test_bytes_are_read_by_people() -> None:
    assert "5.0 kB of 5.0 kB" in drawn(after=0.01, total=5_000, unit="bytes")


def test_a_failing_task_gives_the_screen_back() -> None:
    screen = io.StringIO()
    bars = RichProgress(Console(file=screen, force_terminal=True), after=0)
    with pytest.raises(ValueError, match="broken"), bars.task("encode", 2, "texts") as advance:
        advance.advance(1)
        raise ValueError("broken")
    assert screen.getvalue().rstrip().endswith("\x1b[2K")  # the bar's line is erased
    assert "\x1b[?25h" in screen.getvalue()  # and the cursor is there again


def test_no_terminal_no_bar_and_nothing_beside_json() -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        assert isinstance(progress_to(), LineProgress)
        assert isinstance(progress_to(quiet=True), Silent)


def test_a_line_now_and_then_and_none_of_a_short_task() -> None:
    lines: list[str] = []
    with LineProgress(lines.append, every=3600).task("short", 2, "texts") as advance:
        advance.advance(2)
    assert lines == []
    with LineProgress(lines.append, every=0).task("in\x1b[31mgest", 3_000_000, "bytes") as advance:
        advance.advance(1_000_000, "70 records")
        advance.advance(500_000)
    rate = r"[\d.]+ [kMG]B/s"
    assert re.fullmatch(rf"ingest: 1\.0 MB of 3\.0 MB, {rate}, \d+s left, 70 records", lines[0])
    assert re.fullmatch(rf"ingest: 1\.5 MB of 3\.0 MB, {rate}, \d+s left, 70 records", lines[1])


def test_the_time_left_is_what_is_left_at_the_present_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    meter = progress._Meter("encode", 7_300, "texts")
    assert meter.time_left == ""
    now = 110.0
    meter.advance(100, "", None)
    assert (meter.rate, meter.time_left) == ("10 texts/s", "12m 0s left")
    now = 140.0  # half a minute later it has stopped
    assert meter.time_left == ""
    meter.advance(7_200, "", None)
    assert meter.time_left == ""  # and now it is done
    unknown = progress._Meter("consume", None, "records")
    unknown.advance(5, "", None)
    assert unknown.time_left == ""


def test_a_total_that_grows() -> None:
    lines: list[str] = []
    with LineProgress(lines.append, every=0).task("consume", None, "records") as advance:
        advance.advance(10, "990 behind", left=990)
        advance.advance(990, "5,000 behind", left=5_000)
    assert [line.split(", ")[0] for line in lines] == [
        "consume: 10 of 1,000 records",
        "consume: 1,000 of 6,000 records",
    ]
    assert all(re.search(r"records/s, (\d+s left, )?[\d,]+ behind$", line) for line in lines)


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_RECENT", 0.2)
    monkeypatch.setattr(progress, "_MARK", 0.0)
    meter = progress._Meter("consume", None, "records")
    meter.advance(1_000_000, "", None)
    end = time.monotonic() + 10
    while meter.rate != "0 records/s":  # a stream that pauses
        assert time.monotonic() < end
        time.sleep(0.02)
    assert meter.amount == "1,000,000 records"


def write_records(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"turn_id": "t{n}", "user_text": "where is parcel {n}"}}\n' for n in range(count)))
    return path


def test_ingest_tells_lines_to_a_file_and_nothing_beside_json(
    tmp_path: Path, offmap: Offmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    log = write_records(tmp_path / "log.jsonl", 90)
    ran = offmap.done("ingest", log, OFFMAP_INGEST_BATCH_ROWS="40")
    assert len(ran.err.splitlines()) == 3
    assert re.fullmatch(r"ingest log\.jsonl: .* of .*/s, 90 records, [\d,]+ records/s", ran.err.splitlines()[-1])
    ran = offmap.done("ingest", write_records(tmp_path / "more.jsonl", 91), "--json", OFFMAP_INGEST_BATCH_ROWS="40")
    assert ran.err == "" and ran.json["turns"] == 91


@pytest.mark.slow
def test_ingest_draws_a_bar_on_a_terminal(tmp_path: Path) -> None:
    log = write_records(tmp_path / "log.jsonl", 6_000)
    environment = {**os.environ, "OFFMAP_STORE": str(tmp_path / "s.duckdb"), "OFFMAP_INGEST_BATCH_ROWS": "50"}
    for options, drawn in (((), True), (("--json",), False)):
        environment["OFFMAP_STORE"] = str(tmp_path / f"{drawn}.duckdb")
        screen = on_a_terminal(["ingest", str(log), *options], environment, tmp_path)
        assert ("ingest log.jsonl" in screen) is drawn
        assert bool(re.search(r"kB of .* kB .*/s .*[\d,]+ records, [\d,]+ records/s", screen)) is drawn
