"""`offmap drift`."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cli_support import Offmap

from monitor.cli.context import utc_now
from monitor.cli.drift import _print
from monitor.drift.comparison import compare_windows
from monitor.drift.family import ALWAYS
from monitor.drift.look import Look
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.store import Store

#: Evidently's own imports warn.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NOON = datetime(2026, 3, 1, 12)
WINDOWS = ("--current", "2026-03-22/2026-03-29", "--reference", "2026-03-02/2026-03-22")


def test_it_gives_a_verdict_the_topics_and_the_tests(built: Offmap) -> None:
    found = built.done("drift", *WINDOWS, "--json").json
    assert found["alarm"] is False and found["verdict"]
    assert found["reference"] == {"start": "2026-03-02T00:00:00Z", "end": "2026-03-22T00:00:00Z"}
    assert [one["name"] for one in found["tests"]] == list(ALWAYS)
    assert all(0 < one["p_value"] <= 1 for one in found["tests"])
    shown = built.done("drift", *WINDOWS).out
    assert shown.startswith(found["verdict"][:20]) and "distribution: p " in shown
    assert {mix["attribute"] for mix in found["mixes"]} <= {"tenant", "language", "model", "prompt_version"}
    assert ("of the mix" in shown) is bool(found["mixes"])
    assert built.done("drift", *WINDOWS, "--json").json == found


def test_the_words_that_carry_a_change_are_told_with_what_all_others_carry(capsys: pytest.CaptureFixture[str]) -> None:
    terms = [
        {"term": f"{word}\x1b[31m", "before": 0.01, "after": 0.05, "contribution": part}
        for word, part in (("refund", 0.4), ("parcel", 0.25), ("late", 0.1))
    ]
    body = {"tests": [], "topics": [], "terms": terms}
    row = DriftRow("d", "a", NOON, "window", NOON, NOON, NOON, NOON, "It changed.", True, 0.01, 0.1, body)
    _print(row, 2)
    refund, parcel = "refund 1.0% to 5.0% (part 40%)", "parcel 1.0% to 5.0% (part 25%)"
    words = f"words, by turns that say them: {refund}, {parcel}; all other words (part 35%)"
    assert capsys.readouterr().out == f"It changed.\n{words}\n"
    _print(replace(row, body={"tests": [], "topics": []}), 2)
    assert "words" not in capsys.readouterr().out


def test_a_window_is_checked(built: Offmap) -> None:
    assert built("drift", "--current", "yesterday").err.startswith("Error: --current yesterday: ")
    assert built("drift", "--reference", "2026-03-09/2026-03-02").err.startswith("Error: --reference ")
    both = built("drift", "--against", "shop", "--reference", "2026-03-02/2026-03-09")
    assert both.code == 2 and "one of --reference, --pinned and --against" in both.err
    unknown = built("drift", "--against", "shpo")
    assert unknown.code == 2 and "shpo" in unknown.err
    nothing = built("drift", "--pinned")
    assert nothing.code == 2 and "set drift.pinned to START/END" in nothing.err
    other = built("drift", "--also", "t-test")
    assert other.code == 2 and "choose from energy, classifier, evidently" in other.err


def test_tests_on_request(built: Offmap) -> None:
    found = built.done("drift", *WINDOWS, "--also", "energy", "--also", "evidently", "--json").json
    energy, evidently = found["tests"][-2:]
    assert (energy["name"], energy["weight"]) == ("energy", 0)
    assert evidently["p_value"] is None and -0.55 < evidently["effect"] < 0.45
    assert "evidently: effect" in built.done("drift", *WINDOWS, "--also", "evidently").out


@pytest.mark.slow
def test_a_window_without_turns_says_so(built: Offmap) -> None:
    empty = built.done("drift", "--current", "2020-01-01/2020-02-01", "--json").json
    assert empty["alarm"] is False and empty["p_value"] is None
    ran = built("drift", "--current", "2020-01-01/2020-02-01", "--descriptors")
    assert ran.code == 1 and "holds no turns" in ran.err


@pytest.mark.slow
def test_descriptors_and_their_report_stay_on_the_machine(
    analysed: Offmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        reached.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    report = tmp_path / "deep" / "drift.html"
    found = analysed.done("drift", *WINDOWS, "--html", str(report), "--json").json
    described = {one["name"]: one for one in found["descriptors"]}
    assert {"message length", "reply length", "refusals"} <= set(described)
    assert all(name.startswith("language ") for name in set(described) - {"message length", "reply length", "refusals"})
    assert described["message length"]["unit"] == "characters"
    assert 20 < described["message length"]["before"] < 60
    html = report.read_text()
    assert "message length" in html and "refusals" in html and list(report.parent.iterdir()) == [report]
    # Texts enter as lengths: no word of a message is in the report.
    assert not re.search(r"handlebar|spokes|ann@example", html)
    assert reached == [] and os.environ["DO_NOT_TRACK"]


@pytest.mark.parametrize("which", ["--pinned", "--against=pinned"])
def test_descriptors_are_those_of_the_pinned_window(built: Offmap, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    """The page asks in the second way."""
    described: list[Window] = []

    def remember(store: Store, settings: Settings, current: Window, reference: Window) -> list[Any]:
        described.append(reference)
        return []

    monkeypatch.setattr("monitor.drift.descriptors.describe_windows", remember)
    pinned = "2026-03-02/2026-03-09"
    found = built.done("drift", which, "--descriptors", "--json", OFFMAP_DRIFT_PINNED=pinned).json
    assert described == [Window.parse(pinned)]
    assert found["reference"]["start"] == "2026-03-02T00:00:00Z"


def test_a_comparison_of_turns_that_are_forgotten_meanwhile_is_not_kept(
    analysed: Offmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may quote them in a label."""

    def forgotten(store: Store, settings: Settings, look: Look, **windows: Any) -> DriftRow:
        found = compare_windows(store, settings, look, **windows)
        (turn,) = store.turns.fetch(look.keys[:1].tolist())
        store.deletion.forget(turn=turn.turn_id, tenant=turn.tenant, at=utc_now())
        return found

    with Store.open(str(analysed.store)) as store:
        before = store.drift.read()
    monkeypatch.setattr("monitor.drift.comparison.compare_windows", forgotten)
    ran = analysed("drift", *WINDOWS)
    assert ran.code == 1 and "run `offmap drift` again" in ran.err
    monkeypatch.undo()
    with Store.open(str(analysed.store)) as store:
        assert store.drift.read() == before
    analysed.done("drift", *WINDOWS)
