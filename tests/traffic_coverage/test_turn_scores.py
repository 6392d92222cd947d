"""What the turns' probabilities rise with, and what presence says of eval items that are left out."""

import numpy as np
import pytest

from monitor.coverage.novelty import Novelty
from monitor.coverage.presence import presence, presence_without
from monitor.coverage.score import turn_scores


def measured(order=None, item_presence=None) -> Novelty:
    rng = np.random.default_rng(0)
    covered, missed = rng.normal(0.3, 0.1, 200), rng.normal(0.5, 0.1, 200)
    texts = np.linspace(0, 1, 11)
    return Novelty(
        texts=texts,
        as_covered=texts[:, None].astype(np.float32),
        covered=covered,
        missed=missed[None],
        strata=np.zeros(200, np.int64),
        lots=np.zeros((2, 200)),
        nearest_items=np.zeros(11, np.int64),
        nearest_cosines=texts.astype(np.float32),
        item_topics=np.zeros((1, 200), np.int64),
        presence=np.linspace(-1, 1, 11) ** 2,
        order=order,
        item_presence=item_presence,
    )


def test_a_text_that_is_more_novel_is_less_likely_covered():
    novelty = measured()
    falls = turn_scores(novelty) - novelty.presence
    assert (np.diff(falls) < 0).all()


def test_an_order_is_spread_as_novelty_is():
    plain, ordered = measured(), measured(order=10 * np.linspace(0, 1, 11)[::-1])
    fall, rise = (turn_scores(one) - one.presence for one in (plain, ordered))
    np.testing.assert_allclose(rise, fall[::-1], atol=1e-9)


def test_an_order_that_tells_nothing_leaves_presence():
    novelty = measured(order=np.full(11, 0.4))
    assert np.ptp(turn_scores(novelty) - novelty.presence) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("says", "weight"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 1 / 3)])
def test_presence_counts_as_items_that_are_left_out_say(says, weight):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 200))
    novelty = measured(order=np.full(11, 0.4), item_presence=noise + says * np.array([[1.0], [-1.0]]))
    score = turn_scores(novelty)
    assert np.ptp(score) == pytest.approx(weight, abs=1e-9 if says else 0.15)


def test_presence_without_a_label_is_that_of_the_other_items():
    rng = np.random.default_rng(3)
    topics = [rng.integers(-1, 6, 300), 6 + rng.integers(-7, 9, 300).clip(-7)]
    topics[1] = np.where(topics[1] < 6, -1, topics[1])
    items = [rng.integers(-1, 6, 60), rng.integers(6, 15, 60)]
    labels = [None if number % 20 == 0 else f"label {number % 7}" for number in range(60)]
    without = presence_without(topics, items, labels)
    for label in {label for label in labels if label}:
        keep = np.array([one != label for one in labels])
        found = presence(topics, [level[keep] for level in items], [one for one in labels if one != label])
        for item in np.flatnonzero(~keep):
            # A text that is in the item's topics on both levels says what the item hears.
            there = np.flatnonzero((topics[0] == items[0][item]) & (topics[1] == items[1][item]))
            if len(there):
                assert without[1, item] == pytest.approx(found[there[0]])


def test_presence_without_one_item_is_less_than_with_it_and_more_than_without_its_label():
    topics = [np.repeat(np.arange(5), 30)]
    items, labels = [np.repeat(np.arange(4), 5)], [f"label {number // 5}" for number in range(20)]
    alone, kind = presence_without(topics, items, labels)
    whole = presence(topics, items, labels)[topics[0].searchsorted(items[0])]
    assert (whole > alone).all() and (alone > kind).all()


def test_the_only_item_of_a_label_leaves_what_its_label_leaves():
    topics, items = [np.repeat(np.arange(3), 20)], [np.array([0, 0, 1, -1])]
    alone, kind = presence_without(topics, items, ["a", "a", "b", None])
    assert alone[2] == pytest.approx(kind[2]) and alone[3] == kind[3] == 0
