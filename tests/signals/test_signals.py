"""All signals together, and feedback."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from conversation import conversation
from hypothesis import given
from hypothesis import strategies as st

from monitor.signals import ALL, NEGATIVE, find_signals
from monitor.signals.feedback import find_feedback


@pytest.mark.parametrize(
    ("score", "kind"), [(-1.0, "negative_feedback"), (-0.2, "negative_feedback"), (1.0, "positive_feedback")]
)
def test_the_sign_of_a_score_is_its_kind(score: float, kind: str) -> None:
    turn = replace(conversation("hi")[0], feedback_score=score, feedback_comment="by Zacharias")
    (signal,) = find_feedback([[turn]])
    assert (signal.turn_key, signal.signal, signal.span) == (turn.key, kind, None)
    assert "Zacharias" not in signal.detail


@pytest.mark.parametrize("score", [None, 0.0, math.nan])
def test_no_score_no_signal(score: float | None) -> None:
    assert find_feedback([[replace(conversation("hi")[0], feedback_score=score)]]) == []


def test_signals_of_all_kinds_are_found_in_order() -> None:
    turns = conversation("where is my parcel", "that's wrong", "I meant the second parcel")
    turns[0] = replace(turns[0], feedback_score=-1.0)
    found = find_signals([turns])
    assert {signal.signal for signal in found} == NEGATIVE
    assert found == sorted(found, key=lambda signal: (signal.turn_key, signal.signal))
    assert find_signals([]) == find_signals([[]]) == []


texts = st.lists(
    st.text(max_size=80) | st.sampled_from(["no", "are you sure?", "that's wrong", "I meant this one"]), max_size=5
)


@pytest.mark.parametrize("name", ALL)
@given(texts=texts)
def test_every_signal_points_into_the_next_message_and_repeats(name: str, texts: list[str]) -> None:
    turns = conversation(*texts)
    after = {turn.key: following.user_text for turn, following in pairwise(turns)}
    found = ALL[name]([turns])
    assert found == ALL[name]([turns])
    for signal in found:
        if signal.span is not None:
            assert 0 <= signal.span[0] < signal.span[1] <= len(after[signal.turn_key])


def test_a_long_message_takes_no_time() -> None:
    # Runs of what patterns repeat over: a pattern that backtracks would not come back.
    for piece in ("no ", "no, ", "that is ", "the the ", "'", "a" * 50, "i already "):
        find_signals([conversation("where is my parcel", piece * 20_000, piece * 20_000)])
