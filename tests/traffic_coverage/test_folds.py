"""Which eval items are left out together."""

import numpy as np
import pytest

from monitor.coverage.folds import alone, item_groups, none_left_out, stratum_of, with_their_kind


def rng():
    return np.random.default_rng(0)


def test_duplicates_in_the_eval_set_share_a_group():
    vectors = np.array([[1.0, 0, 0], [0.999, 0.01, 0], [0, 1, 0]], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = item_groups(vectors)
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize("size", [2, 3, 5, 10, 30])
def test_each_fold_leaves_out_as_much_of_every_stratum(size):
    strata = np.repeat(np.arange(20), size)
    parts = alone(strata, np.arange(len(strata)), rng())
    folds = parts.held.shape[1]
    assert folds == min(size, 10)
    out = ~parts.items
    assert out.any(axis=1).all()  # every item is left out, once
    assert (out.argmax(axis=1) == parts.judged).all() and (out.sum(axis=1) == 1).all()
    per_stratum = np.array([out[strata == one].sum(axis=0) for one in range(20)])
    assert per_stratum.max() - per_stratum.min() <= 1


def test_the_only_item_of_its_kind_is_never_left_out_alone():
    strata = np.array([0, 0, 0, 1, 2, 2])
    parts = alone(strata, np.arange(6), rng())
    assert parts.judged[3] == -1 and parts.items[3].all()
    assert (np.delete(parts.judged, 3) >= 0).all()


def test_items_that_say_the_same_are_left_out_together():
    strata = np.array([0, 0, 0, 1, 1, 1])
    groups = np.array([0, 0, 1, 2, 3, 0])  # the last one says what the first two do, under another label
    parts = alone(strata, groups, rng())
    assert len(np.unique(parts.judged[[0, 1, 5]])) == 1
    assert parts.judged[2] != parts.judged[0]


def test_a_kind_is_left_out_with_a_part_of_the_others():
    kinds = np.repeat(np.arange(15), 4)
    parts = alone(kinds, np.arange(60), rng())
    out = with_their_kind(kinds, parts, rng())
    assert out.held.shape[1] == 10
    for column in range(10):
        mine = out.judged == column
        assert not out.items[mine, column].any()  # the whole kind
        others = ~mine
        assert (out.items[others, column] == parts.items[others, column % parts.held.shape[1]]).all()


def test_strata_are_the_first_kinds_in_which_items_are_not_alone():
    each, pairs, groups = np.arange(6), np.array([0, 0, 1, 1, 2, 2]), np.arange(6)
    assert stratum_of([each, pairs], groups).tolist() == pairs.tolist()
    assert stratum_of([each], groups).tolist() == [0] * 6
    # Two items that say the same are one: a kind of theirs alone tells nothing.
    assert stratum_of([pairs], pairs).tolist() == [0] * 6


def test_nothing_is_left_out_of_the_whole():
    whole = none_left_out(4)
    assert whole.items.shape == (4, 1) and whole.items.all() and (whole.judged == -1).all()
