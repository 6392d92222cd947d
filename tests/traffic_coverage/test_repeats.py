"""Eval items that repeat one another, and the one of them that is compared with the traffic."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.coverage.items import ComparedItems
from monitor.coverage.repeats import find_leaders, find_repeats, without_repeats

#: Words without a letter in common, so that no two texts are a slip apart.
WORDS = [f"{first}{second}" * 5 for first in "abcdefghijklm" for second in "nopqrstuvwxyz"]


def asked(*labels: str | None, places: list[int] | None = None) -> ComparedItems:
    texts = [f"{WORDS[row % len(WORDS)]} {WORDS[row * 7 % 97]}{row}" for row in range(len(labels))]
    return ComparedItems(texts, [f"i{row}" for row in range(len(labels))], labels, places or list(range(len(labels))))


def at_angles(*degrees: float) -> np.ndarray:
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def leaders(
    *degrees: float, labels: tuple[str | None, ...] | None = None, places: list[int] | None = None
) -> list[int]:
    labels = labels or (None,) * len(degrees)
    return find_leaders(asked(*labels, places=places), at_angles(*degrees)).tolist()


def test_the_first_leads_what_is_near_and_no_chain_joins_what_differs() -> None:
    # cos 20 = 0.94, cos 40 = 0.77
    assert leaders(0, 20, 40, 90, 91, 180) == [0, 0, 2, 3, 3, 5]
    assert leaders(0, 40, 21) == [0, 1, 1]  # the nearest of two that lead
    assert leaders(0, 20, 40, places=[1, 0, 2]) == [1, 1, 1]  # where it stands in the eval sets counts
    assert leaders() == [] and leaders(0) == [0]


def test_another_label_leads_itself_and_no_label_goes_with_any() -> None:
    assert leaders(0, 1, 2, labels=("a", "b", "a")) == [0, 1, 0]
    assert leaders(0, 10, labels=(None, "a")) == [1, 1]
    assert leaders(0, 2, 3, labels=("a", "b", None)) == [0, 1, 1]
    assert leaders(0, 1, labels=("", None)) == [0, 0]


def test_a_slip_goes_with_what_it_is_a_slip_of_however_far_its_vector() -> None:
    items = ComparedItems(
        ["block my crad", "block my card", "block my card now", "pay"], list("wxyz"), [None] * 4, range(4)
    )
    vectors = at_angles(90, 0, 180, 5)
    assert find_leaders(items, vectors).tolist() == [1, 1, 1, 1]
    kept, of_kept = without_repeats(items, vectors)
    assert (kept.texts, kept.ids, kept.places) == (["block my card"], ["x"], [1])
    assert of_kept.tolist() == vectors[1:2].tolist()


def naive(vectors: np.ndarray, labels: list[str | None], least: float = 0.92) -> list[int]:
    found: list[int] = []
    leader = {}
    for row in sorted(range(len(labels)), key=lambda row: (labels[row] is None, row)):
        near = [one for one in found if labels[row] in (None, labels[one]) and vectors[row] @ vectors[one] >= least]
        leader[row] = max(near, key=lambda one: vectors[row] @ vectors[one]) if near else row
        found += [row] * (not near)
    return [leader[row] for row in range(len(labels))]


def test_in_blocks_it_is_as_one_after_another() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1_300, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = [[None, "a", "b"][number] for number in rng.integers(0, 3, len(vectors))]
    found = find_leaders(asked(*labels), vectors)
    assert found.tolist() == naive(vectors, labels)
    leads = np.flatnonzero(found == np.arange(len(found)))
    assert 50 < len(leads) < 900
    assert (found[found] == found).all() and (np.einsum("md,md->m", vectors, vectors[found]) >= 0.92).all()


@given(st.integers(0, 2**32), st.integers(1, 40), st.data())
def test_repeats_that_are_added_change_nothing(seed: int, size: int, data: st.DataObject) -> None:
    """Those of leaders: of what one repeats, some are too far from it."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 360, size)
    labels = [[None, "a", "b"][number] for number in rng.integers(0, 3, size)]
    before = find_leaders(asked(*labels), at_angles(*angles))
    leads = np.unique(before)
    again = data.draw(st.lists(st.sampled_from(leads.tolist()), max_size=20))
    repeated = at_angles(*angles, *(angles[row] + rng.uniform(-20, 20) for row in again))
    after = find_leaders(asked(*labels, *(labels[row] for row in again)), repeated)
    assert np.unique(after).tolist() == leads.tolist() and after[:size].tolist() == before.tolist()


def test_repeats_are_groups_the_largest_first() -> None:
    askers = [["a"], ["b"], ["c"], ["d", "e"], ["f"]]
    assert find_repeats(askers, np.array([1, 1, 1, 3, 4])) == (("a", "b", "c"), ("d", "e"))
    assert find_repeats([], np.empty(0, np.int64)) == ()
    assert find_repeats([["a"], ["a"]], np.array([0, 0])) == ()  # messages of one item
