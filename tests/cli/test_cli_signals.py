"""`offmap signals`."""

from __future__ import annotations

from cli_support import Offmap


def test_a_line_of_json_a_signal(built: Offmap) -> None:
    lines = built.done("signals", "--json").lines
    challenges = [line for line in lines if line["signal"] == "challenge"]
    # Every tenth conversation: the reply to its first turn is challenged by its second.
    assert [line["turn_id"] for line in challenges] == [f"c{number}-0" for number in range(0, 240, 10)]
    for line in lines:
        assert set(line) == {"turn_id", "signal", "span", "detail", "tenant"}
    assert all(line["span"][0] < line["span"][1] for line in challenges)
    assert len(built.done("signals", "--json", "--limit", "3").lines) == 3


def test_the_table_counts(built: Offmap) -> None:
    out = built.done("signals").out
    assert "challenge" in out and "24" in out and "5%" in out
