"""The health of an eval set whose faults are planted."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.coverage.demand import demand_by_kind, measure_demand
from monitor.coverage.doubts import doubtfulness, find_doubts
from monitor.coverage.examination import diversity
from monitor.coverage.health import Balance, Conflict, Demand, Doubt, Health, KindDemand, unbalanced
from monitor.coverage.health_words import (
    about_balance,
    about_demand,
    about_labels,
    about_repeats,
    about_subset,
    health_verdict,
)
from monitor.coverage.items import ComparedItems, askers_of, distinct_items
from monitor.coverage.repeats import find_conflicts, find_leaders, near_pairs
from monitor.coverage.subset import nearness, smallest_subset
from monitor.encoding.recipe import EVAL_PROMPT
from monitor.records import EvalItem, EvalSet
from tests.store.conftest import NOON

NOTHING = Health(0, 0, 0, 0, (), (), (), (), (), (), (), 0.0)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def blobs(sizes: dict[str, int], *, spread: float = 0.35, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Labels and vectors of so many items around a centre each."""
    rng = np.random.default_rng(seed)
    labels = [name for name, size in sizes.items() for _ in range(size)]
    # The centre of a name is the same in every draw.
    centres = {name: np.random.default_rng(list(name.encode())).normal(size=24) for name in sizes}
    return labels, unit(np.stack([centres[name] for name in labels]) + spread * rng.normal(size=(len(labels), 24)))


def at_angles(*degrees: float) -> np.ndarray:
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def names(count: int) -> list[str]:
    return [f"e{number:05}" for number in range(count)]


def test_pairs_in_blocks_are_all_pairs() -> None:
    _, vectors = blobs({"a": 400, "b": 400, "c": 400})
    cosines = vectors @ vectors.T
    found = {
        (one, other) for first, second, _ in near_pairs(vectors, 0.9) for one, other in zip(first, second, strict=True)
    }
    assert found == set(zip(*np.nonzero(np.triu(cosines >= 0.9, 1)), strict=True)) and len(found) > 1_000


def test_conflicts_are_near_items_with_other_labels() -> None:
    askers = [[("a", "x")], [("b", "y")], [("c", "x")], [("d", None)], [("e", "x"), ("f", "z")]]
    found = find_conflicts(askers, at_angles(0, 10, 11, 12, 120))
    assert [(one.first, one.second, one.labels) for one in found] == [
        ("e", "f", ("x", "z")),  # the same text
        ("b", "c", ("y", "x")),
        ("a", "b", ("x", "y")),
    ]
    assert found[0].cosine == 1.0 and found[2].cosine == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert find_conflicts([[("a", None)], [("b", None)]], at_angles(0, 1)) == ()


def test_a_swapped_label_is_doubted_and_the_likely_one_named() -> None:
    labels, vectors = blobs({"a": 8, "b": 8, "c": 8})
    assert find_doubts(names(24), labels, vectors) == ()
    labels[3] = "c"
    (found,) = find_doubts(names(24), labels, vectors)
    assert (found.item, found.label, found.likely) == ("e00003", "c", "a") and found.nearer > 0.25


def test_doubt_needs_labels_with_some_items_each() -> None:
    labels, vectors = blobs({"a": 8, "b": 3})
    labels[0] = "b"
    assert len(find_doubts(names(11), labels, vectors)) == 1
    assert find_doubts(names(9), labels[:9], vectors[:9]) == ()  # b has two items
    assert find_doubts(names(11), [None] * 11, vectors) == ()
    assert find_doubts([], [], vectors[:0]) == ()
    nearer, likely = doubtfulness(["a", None, "a"], vectors[:3])
    assert np.isneginf(nearer).all() and likely == ["", "", ""]


def test_doubtfulness_is_that_of_means_without_the_item() -> None:
    labels, vectors = blobs({"a": 4, "b": 5})
    nearer, _ = doubtfulness(labels, vectors)
    own, other = vectors[1:4].sum(axis=0), vectors[4:].sum(axis=0)
    expected = vectors[0] @ other / np.linalg.norm(other) - vectors[0] @ own / np.linalg.norm(own)
    assert nearer[0] == pytest.approx(expected, abs=1e-6)


def test_what_nobody_asks_for_comes_first() -> None:
    labels, vectors = blobs({"a": 5, "b": 5, "stale": 5, "c": 5}, seed=1)
    _, traffic = blobs({"a": 200, "b": 20, "c": 60}, seed=2)
    demand = measure_demand(names(20), labels, vectors, traffic)
    assert {one.label for one in demand[:5]} == {"stale"}
    kinds = demand_by_kind(demand)
    assert kinds[0].label == "stale" and kinds[0].items == kinds[0].unasked == 5
    assert sum(one.unasked for one in kinds[1:]) <= 3
    alone = measure_demand(names(20), [None] * 20, vectors, traffic)
    assert sum(labels[int(one.item[1:])] == "stale" for one in alone[:5]) >= 4 and demand_by_kind(alone) == ()


def test_demand_of_an_item_with_several_messages_is_that_of_the_one_asked_most() -> None:
    traffic = at_angles(0, 1)
    found = measure_demand(["a", "a", "b"], ["x", "x", "x"], at_angles(0, 90, 45), traffic)
    assert [one.item for one in found] == ["b", "a"] and found[1].turn == pytest.approx(1)
    assert measure_demand(["a"], [None], at_angles(0), traffic) == ()
    assert measure_demand(["a", "b"], [None, None], at_angles(0, 1), traffic[:0]) == ()


def test_the_smallest_subset_has_one_of_each_and_the_most_asked_first() -> None:
    _, items = blobs({"a": 6, "b": 6, "c": 6}, spread=0.02, seed=1)
    _, turns = blobs({"c": 300, "a": 100, "b": 20}, spread=0.02, seed=2)
    chosen = smallest_subset(turns, items)
    assert [row // 6 for row in chosen] == [2, 0, 1]
    assert nearness(turns, items[chosen]) >= 0.99 * nearness(turns, items)


@given(seed=st.integers(0, 30))
def test_lazy_is_greedy(seed: int) -> None:
    """The same items, in the same order, as asking what each would add every time."""
    rng = np.random.default_rng(seed)
    turns, items = unit(rng.normal(size=(30, 5))), unit(rng.normal(size=(9, 5)))
    cosines, reached, chosen = np.maximum(items @ turns.T, 0), np.zeros(30, np.float32), []
    whole = cosines.max(axis=0).sum(dtype=np.float64)
    while reached.sum(dtype=np.float64) < 0.99 * whole:
        gains = np.maximum(cosines - reached, 0).sum(axis=1, dtype=np.float64)
        chosen.append(int(gains.argmax()))
        reached = np.maximum(reached, cosines[chosen[-1]])
    assert smallest_subset(turns, items) == chosen


def test_a_subset_of_nothing() -> None:
    none, some = np.empty((0, 2), np.float32), at_angles(0, 90)
    assert smallest_subset(none, some) == smallest_subset(some, none) == []
    assert nearness(none, some) == nearness(some, none) == 0.0
    assert smallest_subset(some, -some[:1] - some[1:]) == []  # nothing is near at all
    assert smallest_subset(some, some, most=1) == [0]


def test_diversity_counts_what_differs() -> None:
    assert diversity(np.eye(7, dtype=np.float32)) == pytest.approx(7)
    assert diversity(np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)) == pytest.approx(3)
    assert diversity(at_angles(30)) == pytest.approx(1) and diversity(np.empty((0, 4), np.float32)) == 0


def test_balance_lists_what_is_three_times_off_and_not_the_tiny() -> None:
    rows = [
        Balance("right", 0.3, 30, 0.3),
        Balance("few", 0.2, 2, 0.02),
        Balance("none", 0.05, 0, 0.0),
        Balance("many", 0.01, 40, 0.4),
        Balance("tiny", 0.0005, 0, 0.0),
    ]
    assert [one.topic for one in unbalanced(rows)] == ["many", "few", "none"]


def test_items_of_all_sets_are_held_against_each_other() -> None:
    def item(id_: str, prompt: str, label: str | None = None) -> EvalItem:
        return EvalItem(item_id=id_, prompt=prompt, label=label)

    sets = [
        EvalSet("one", "1", NOON, (item("a", "Where is it?", "parcel"), item("b", " Where  is it?", "refund"))),
        EvalSet("two", "1", NOON, (item("c", "Pay me back"),)),
    ]
    items = distinct_items(sets, EVAL_PROMPT)
    askers = askers_of(sets, EVAL_PROMPT, items.texts)
    assert list(zip(items.texts, askers, strict=True)) == [
        ("Pay me back", [("c", None)]),
        ("Where is it?", [("a", "parcel"), ("b", "refund")]),
    ]


def full() -> Health:
    return Health(
        items=20,
        texts=18,
        labels=3,
        left_out=2,
        repeats=(("a", "b", "c"),),
        conflicts=(Conflict("a", "d", ("x", "y"), 0.93),),
        doubts=(Doubt("e", "x", "y", 0.4),),
        least_asked=(Demand("f", "z", 0.3, 0.8),),
        least_asked_kinds=(KindDemand("z", 4, -0.1, 3),),
        needed=("a", "f", "g"),
        balance=(Balance("t1", 0.4, 0, 0.0), Balance("t2", 0.01, 9, 0.5)),
        diversity=9.6,
        unasked=3,
    )


def test_a_document_is_read_as_it_was() -> None:
    assert Health.read(json.loads(json.dumps(full().document()))) == full()
    assert Health.read(json.loads(json.dumps(NOTHING.document()))) == NOTHING
    old = full().document()
    del old["unasked"]  # of what was examined before it was counted
    assert Health.read(old).unasked is None


def test_words() -> None:
    assert health_verdict(full()) == (
        "20 items, which ask 18 different things, are as varied as 10 that have nothing in common. 2 more are left out, in "
        "languages that the encoder does not know. Worth a look: 1 contradiction, 1 label to check, 2 repeated items."
    )
    assert about_repeats(full()).startswith("2 items in 1 group say what another says")
    assert about_labels(full()).startswith("1 pair of items asks the same under two labels. 1 item is nearer")
    assert about_demand(full()) == (
        "Least asked for: z (4 items; no turn is as near to 3 of them as they are to one another)."
    )
    assert about_subset(full()).startswith("3 of 20 items (15%)") and full().spare == 17
    assert about_balance(full()) == (
        "1 topic with a third or less of the items that their traffic asks for, and 1 topic with three times as many or more; "
        "1 has none at all."
    )


def test_words_of_nothing() -> None:
    assert health_verdict(NOTHING) == "No item of the eval set is in a language that the encoder knows."
    said = [one(NOTHING) for one in (about_repeats, about_labels, about_demand, about_subset, about_balance)]
    assert all(one.endswith(".") for one in said)


@pytest.mark.slow
def test_ten_thousand_items_in_bounded_memory() -> None:
    import resource

    labels, vectors = blobs({f"k{number}": 100 for number in range(100)}, spread=0.3)
    _, traffic = blobs({f"k{number}": 60 for number in range(90)}, spread=0.3, seed=3)
    ids = names(len(labels))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    askers = [[one] for one in zip(ids, labels, strict=True)]
    assert len(np.unique(find_leaders(ComparedItems(ids, ids, labels, range(len(ids))), vectors))) < 10_000
    assert find_conflicts(askers, vectors) == ()
    assert find_doubts(ids, labels, vectors) == ()
    kinds = demand_by_kind(measure_demand(ids, labels, vectors, traffic))
    assert {one.label for one in kinds[:10]} == {f"k{number}" for number in range(90, 100)}
    assert len(smallest_subset(traffic, vectors)) < 10_000
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    ) / 1024 < 600  # all cosines at once would be 400 MB
