"""The interval of a share, on simulated conversations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.atlas.shares import topic_shares


def conversations(rng: np.random.Generator, number: int, truth: float, alike: float, length: float):
    """Topics 0 and 1 of turns, and their conversation: `alike` is how much the turns of one go together, from 0 to 1."""
    sizes = 1 + rng.poisson(length - 1, number)
    each = rng.beta(truth * (1 - alike) / alike, (1 - truth) * (1 - alike) / alike, number) if alike else truth
    talking = rng.binomial(sizes, each)
    conversation = np.repeat(np.arange(number), sizes)
    place = np.arange(len(conversation)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return (place < talking[conversation]).astype(np.int64), conversation


@pytest.mark.parametrize(
    ("number", "truth", "alike", "length"),
    [(100, 0.2, 0.0, 1), (100, 0.2, 0.5, 4), (300, 0.05, 0.5, 4), (1_000, 0.02, 0.7, 5), (300, 0.6, 0.3, 3)],
)
def test_nine_of_ten_intervals_hold_the_truth(number: int, truth: float, alike: float, length: float) -> None:
    rng = np.random.default_rng(2026)
    held = 0
    for _ in range(500):
        shares = topic_shares(*conversations(rng, number, truth, alike, length), 2)
        held += bool(shares.low[1] <= truth <= shares.high[1])
    assert 0.86 <= held / 500 <= 0.95


def test_turns_of_one_conversation_are_not_independent() -> None:
    rng = np.random.default_rng(5)
    topics, conversation = conversations(rng, 200, 0.3, 0.9, 6)
    together = topic_shares(topics, conversation, 2)
    apart = topic_shares(topics, np.arange(len(topics)), 2)
    assert together.value[1] == apart.value[1] == topics.mean()
    assert together.high[1] - together.low[1] > 1.8 * (apart.high[1] - apart.low[1])


def test_intervals_hold_their_share_and_stay_within_0_and_1() -> None:
    for topics in ([0], [0, 0, 0], [0, 1, -1, -1], [1, 1, 1, 0]):
        conversation = np.arange(len(topics)) // 2
        shares = topic_shares(np.array(topics), conversation, 3)
        assert (shares.low >= 0).all()
        assert (shares.low <= shares.value).all()
        assert (shares.value <= shares.high).all()
        assert (shares.high <= 1).all()
        assert shares.high[2] > 0  # a topic that nobody was seen in may have a few


def test_without_turns_nothing_is_known() -> None:
    nothing = np.empty(0, np.int64)
    assert np.isnan(topic_shares(nothing, nothing, 2).value).all()
