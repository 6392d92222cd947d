"""Descriptors of two windows of a real store."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.drift import descriptors
from monitor.drift.descriptors import Descriptor, describe_windows, described
from monitor.errors import InputError
from monitor.records import Turn, Window
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
BORDER, END = START + timedelta(days=14), START + timedelta(days=21)
BEFORE, NOW = Window(START, BORDER), Window(BORDER, END)


def turns(window: Window, conversations: int, *, refuse: float, latency: float, spread: float = 0.0) -> list[Turn]:
    """Conversations of four turns; in each all turns have the conversation's own latency."""
    rng = np.random.default_rng(conversations + window.start.day)
    made = []
    for number in range(conversations):
        own = latency + spread * float(rng.normal())
        for turn in range(4):
            refused = rng.random() < refuse
            made.append(
                Turn(
                    turn_id=f"{window.start.day}-{number}-{turn}",
                    conversation_id=f"{window.start.day}-{number}",
                    created_at=window.start + timedelta(minutes=number, seconds=turn),
                    user_text="where is my parcel",
                    assistant_text="I'm sorry, but I can't help with that." if refused else "It comes tomorrow.",
                    latency_ms=max(own, 1.0),
                    language="de" if number % 4 == 0 else "en",
                )
            )
    return made


def found_in(store: Store) -> dict[str, Descriptor]:
    return {one.name: one for one in describe_windows(store, Settings(), NOW, BEFORE)}


def test_what_changed_for_sure_is_marked_and_what_did_not_is_not(store: Store) -> None:
    store.turns.append(turns(BEFORE, 120, refuse=0.05, latency=900, spread=50))
    store.turns.append(turns(NOW, 100, refuse=0.3, latency=905, spread=50))
    found = found_in(store)
    assert found["refusals"].sure and found["refusals"].unit == "share"
    assert found["refusals"].before < 0.1 and found["refusals"].after > 0.2
    assert not found["latency"].sure and found["latency"].low is not None
    assert found["language de"].before == 0.25 and found["language de"].after == 0.25
    assert not found["language de"].sure and "cost" not in found
    assert found == found_in(store)


def test_turns_of_a_conversation_are_not_independent(store: Store) -> None:
    """As wide as the spread of conversations makes it; of independent turns it were half as wide."""
    store.turns.append(turns(BEFORE, 200, refuse=0.1, latency=900, spread=100))
    store.turns.append(turns(NOW, 200, refuse=0.1, latency=900, spread=100))
    latency = found_in(store)["latency"]
    assert latency.low is not None and latency.high is not None
    width = latency.high - latency.low
    by_conversation = 2 * 100 * (2 / 200) ** 0.5
    assert 2.3 * by_conversation < width < 3.6 * by_conversation


def test_few_conversations_have_no_interval(store: Store) -> None:
    store.turns.append(turns(BEFORE, 120, refuse=0.0, latency=900))
    store.turns.append(turns(NOW, 10, refuse=1.0, latency=100))
    assert all(one.low is None and not one.sure for one in found_in(store).values())
    with pytest.raises(InputError, match="holds no turns"):
        describe_windows(store, Settings(), NOW, Window(END, END + timedelta(days=1)))


def test_what_never_happened_has_no_interval(store: Store) -> None:
    store.turns.append(turns(BEFORE, 50, refuse=0.0, latency=900, spread=50))
    store.turns.append(turns(NOW, 50, refuse=0.0, latency=900, spread=50))
    refusals = found_in(store)["refusals"]
    assert (refusals.before, refusals.after, refusals.low, refusals.sure) == (0.0, 0.0, None, False)


def test_whole_conversations_are_drawn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.turns.append(turns(BEFORE, 120, refuse=0.0, latency=900))
    monkeypatch.setattr(descriptors, "_MOST_TURNS", 40)
    drawn = descriptors.read_turns(store, Settings(), BEFORE, np.random.default_rng(0))
    _, sizes = np.unique(drawn.column("conversation_key").to_numpy(), return_counts=True)
    assert sizes.tolist() == [4] * 10


def test_against_an_eval_set_it_is_the_window_before_and_says_so(store: Store) -> None:
    store.turns.append(turns(BEFORE, 40, refuse=0.0, latency=900))
    store.turns.append(turns(NOW, 40, refuse=0.0, latency=900))
    row = DriftRow("d", "a", END, "mine", None, None, BORDER, END, "v", False, 0.5, 0.0, {"topics": []})
    found = described(store, Settings(), row)
    days = timedelta(days=Settings().drift.reference_days)
    assert found.body["described"] == {"start": (BORDER - days).isoformat(), "end": BORDER.isoformat()}
    assert found.body["descriptors"] and found.body["topics"] == []


def test_evidently_is_not_imported() -> None:
    code = "import sys, monitor.watch, monitor.drift.descriptors; assert not {'evidently', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
