"""Which eval items are left out together."""

import numpy as np
import pytest

from monitor.coverage.folds import alone, item_groups, lots, none_left_out, stratum_of, with_their_kind


def drawn(items):
    return np.random.default_rng(0).random(items)


def of_kinds(kinds):
    return lots(map(str, kinds))


def test_duplicates_in_the_eval_set_share_a_group():
    vectors = np.array([[1.0, 0, 0], [0.999, 0.01, 0], [0, 1, 0]], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = item_groups(vectors)
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize("size", [2, 3, 5, 10, 30])
def test_each_fold_leaves_out_as_much_of_every_stratum(size):
    strata = np.repeat(np.arange(20), size)
    parts = alone(strata, np.arange(len(strata)), drawn(len(strata)))
    folds = parts.held.shape[1]
    assert folds == min(size, 10)
    out = ~parts.items
    assert out.any(axis=1).all()  # every item is left out, once
    assert (out.argmax(axis=1) == parts.judged).all() and (out.sum(axis=1) == 1).all()
    per_stratum = np.array([out[strata == one].sum(axis=0) for one in range(20)])
    assert per_stratum.max() - per_stratum.min() <= 1


def test_the_only_item_of_its_kind_is_never_left_out_alone():
    strata = np.array([0, 0, 0, 1, 2, 2])
    parts = alone(strata, np.arange(6), drawn(6))
    assert parts.judged[3] == -1 and parts.items[3].all()
    assert (np.delete(parts.judged, 3) >= 0).all()


def test_items_that_say_the_same_are_left_out_together():
    strata = np.array([0, 0, 0, 1, 1, 1])
    groups = np.array([0, 0, 1, 2, 3, 0])  # the last one says what the first two do, under another label
    parts = alone(strata, groups, drawn(6))
    assert len(np.unique(parts.judged[[0, 1, 5]])) == 1
    assert parts.judged[2] != parts.judged[0]


def test_a_kind_is_left_out_with_a_part_of_the_others():
    kinds = np.repeat(np.arange(15), 4)
    parts = alone(kinds, np.arange(60), drawn(60))
    out = with_their_kind(kinds, of_kinds(kinds), parts)
    assert out.held.shape[1] >= 7
    for column in range(out.held.shape[1]):
        mine = out.judged == column
        assert not out.items[mine, column].any()  # the whole kind
        assert any((out.items[~mine, column] == part[~mine]).all() for part in parts.items.T)


def test_an_item_more_leaves_those_of_other_kinds_in_their_folds():
    kinds = np.repeat(np.arange(30), 4)
    names = lots(f"item {row}" for row in range(121))
    before, more = alone(kinds, np.arange(120), names[:120]), np.append(kinds, 7)
    after = alone(more, np.arange(121), names)
    changed = np.flatnonzero(before.judged != after.judged[:120])
    assert set(kinds[changed]) <= {7}
    kept = with_their_kind(kinds, of_kinds(kinds), before).judged
    assert (kept == with_their_kind(more, of_kinds(more), after).judged[:120]).all()


def test_a_kind_more_moves_few_other_kinds_to_another_fold():
    moved = 0
    for new in range(30, 60):
        kinds = np.repeat(np.arange(30), 4)
        before = with_their_kind(kinds, of_kinds(kinds), alone(kinds, np.arange(120), drawn(120)))
        more = np.append(kinds, new)
        after = with_their_kind(more, of_kinds(more), alone(more, np.arange(121), drawn(121)))
        moved += len(np.unique(kinds[before.judged != after.judged[:120]]))
    assert moved <= 30 * 3  # one in ten; dealing by rank moves half


def test_no_fold_leaves_out_much_more_than_its_part_of_the_kinds():
    kinds = np.repeat(np.arange(150), 3)
    out = with_their_kind(kinds, of_kinds(kinds), alone(kinds, np.arange(450), drawn(450)))
    assert np.bincount(out.judged).max() <= 3 * 19 and out.held.shape[1] == 10


def test_three_kinds_are_left_out_one_by_one():
    kinds = np.repeat(np.arange(3), 4)
    out = with_their_kind(kinds, of_kinds(kinds), alone(kinds, np.arange(12), drawn(12)))
    assert out.held.shape[1] == 3 and len(np.unique(out.judged[[0, 4, 8]])) == 3


def test_lots_are_the_same_wherever_a_name_is_met():
    found = lots(["refund", "rechnung äöü", "\ud800", "refund"])
    assert found[0] == found[3] and len(set(found)) == 3
    many = lots(f"name {row}" for row in range(2000))
    assert ((many >= 0) & (many < 1)).all() and many.mean() == pytest.approx(0.5, abs=0.03)


def test_strata_are_the_first_kinds_in_which_items_are_not_alone():
    each, pairs, groups = np.arange(6), np.array([0, 0, 1, 1, 2, 2]), np.arange(6)
    assert stratum_of([each, pairs], groups) == 1
    assert stratum_of([each], groups) is None
    # Two items that say the same are one: a kind of theirs alone tells nothing.
    assert stratum_of([pairs], pairs) is None


def test_nothing_is_left_out_of_the_whole():
    whole = none_left_out(4)
    assert whole.items.shape == (4, 1) and whole.items.all() and (whole.judged == -1).all()
