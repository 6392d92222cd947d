"""Coverage on a world whose truth is known: blobs of texts, of which the eval items know some."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.atlas.communities import leiden_communities
from monitor.atlas.neighbours import build_graph
from monitor.coverage.estimate import Traffic, estimate_coverage
from monitor.coverage.folds import LeftOut, lots
from monitor.coverage.novelty import EvalVectors, Novelty, measure_novelty
from monitor.coverage.presence import presence
from monitor.coverage.start import measure_starts

BLOBS, TURNS, ITEMS = 40, 40, 5


class World:
    """`missing` of the blobs have no eval item."""

    def __init__(self, missing: int, *, seed: int = 0, labelled: bool = False) -> None:
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(BLOBS, 24))
        self.blob = np.repeat(np.arange(BLOBS), TURNS)
        self.texts = _unit(centres[self.blob] + 0.45 * rng.normal(size=(len(self.blob), 24)))
        item_blob = np.repeat(np.arange(missing, BLOBS), ITEMS)
        vectors = _unit(centres[item_blob] + 0.45 * rng.normal(size=(len(item_blob), 24)))
        self.items = evals(vectors, [str(blob) if labelled else None for blob in item_blob])
        self.missed = self.blob < missing
        self.graph = build_graph(self.texts, k=10)
        found = leiden_communities(self.graph, resolutions=(0.5, 1.0, 2.0), seed=1)
        self.topics = [found.middle, found.fine]
        self.novelty = measure_novelty(self.texts, self.items, topics=self.topics, k=10)

    def coverage(self, marked=None, **kwargs):
        number = np.arange(len(self.texts))
        traffic = Traffic(number, self.blob[None], number // 2, marked)
        settings = {"topics": BLOBS, "interval": 0.9, "replicates": 50, "seed": 1}
        return estimate_coverage(self.novelty, traffic, **{**settings, **kwargs})


def evals(vectors, labels) -> EvalVectors:
    return EvalVectors(vectors, labels, [f"item {row}" for row in range(len(vectors))])


def left_out(texts: np.ndarray, covered: np.ndarray, missed: np.ndarray) -> Novelty:
    """Items of one topic, each of its own stratum, to which the other items make no difference."""
    return Novelty(
        texts=texts,
        as_covered=texts[:, None].astype(np.float32),
        covered=covered,
        missed=missed[None],
        strata=np.arange(len(covered)),
        lots=np.stack([lots(str(row) for row in range(len(covered)))] * 2),
        nearest_items=np.arange(len(texts)) % len(covered),
        nearest_cosines=texts.astype(np.float32),
        item_topics=np.zeros((1, len(covered)), np.int64),
        presence=texts * 0,
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("labelled", [False, True])
def test_missed_texts_are_the_novel_ones(labelled):
    world = World(8, labelled=labelled)
    assert world.novelty.texts[world.missed].mean() > 1.3 * world.novelty.texts[~world.missed].mean()


@pytest.mark.parametrize("missing", [0, 8, 16, 24])
def test_coverage_falls_with_what_is_missing(missing):
    found = World(missing).coverage()
    assert found.traffic.value == pytest.approx(1 - missing / BLOBS, abs=0.1)
    assert found.traffic.low <= found.traffic.value <= found.traffic.high


def test_coverage_is_the_mean_of_what_turns_and_topics_have():
    world = World(10)
    found = world.coverage()
    assert found.covered.mean() == pytest.approx(found.traffic.value, abs=1e-4)
    for blob in (0, 20):
        assert found.covered[world.blob == blob].mean() == pytest.approx(found.topics[blob].value, abs=1e-4)


def test_marked_turns_are_covered_and_tell_nothing_of_the_others():
    world = World(10)
    nobody, plain = world.coverage(np.zeros(len(world.texts), bool)), world.coverage()
    assert nobody.traffic == plain.traffic
    assert [one.value for one in nobody.topics] == pytest.approx([one.value for one in plain.topics])
    # Half of what is missed is known to be covered all the same: the truth is one less what is left.
    marked = world.blob < 5
    found = world.coverage(marked)
    assert found.traffic.value == pytest.approx(1 - 5 / BLOBS, abs=0.1)
    assert found.traffic.low <= found.traffic.value <= found.traffic.high
    assert (found.covered[marked] == 1).all() and found.covered.mean() == pytest.approx(found.traffic.value, abs=0.01)
    assert all((one.low, one.value, one.high) == (1, 1, 1) for one in found.topics[:5])
    assert np.mean([one.value for one in found.topics[5:10]]) < 0.3
    everyone = world.coverage(np.ones(len(world.texts), bool))
    assert (everyone.traffic.low, everyone.traffic.value, everyone.traffic.high) == (1, 1, 1)


def test_topics_without_items_are_told_from_the_others():
    found = World(10).coverage()
    values = np.array([topic.value for topic in found.topics])
    assert values[:10].max() < values[10:].min()


def test_a_topic_without_turns_is_nan():
    assert np.isnan(World(4).coverage(topics=BLOBS + 1).topics[-1].value)


def test_it_says_nothing_where_covered_and_missed_look_alike():
    rng = np.random.default_rng(0)
    noise = rng.normal(0.5, 0.1, 60)
    nothing = np.zeros(60, np.int64)
    novelty = left_out(noise, noise, rng.permuted(noise))
    found = estimate_coverage(
        novelty, Traffic(np.arange(60), nothing[None], np.arange(60)), topics=1, interval=0.9, replicates=20, seed=0
    )
    assert not found.says
    assert np.isnan(found.covered).all()


def test_traffic_beyond_what_was_left_out_is_bounded_and_not_called_certain():
    rng = np.random.default_rng(0)
    covered, missed = rng.normal(0.4, 0.05, 80), rng.normal(0.5, 0.05, 80)
    texts = np.concatenate([rng.normal(0.6, 0.05, 900), rng.normal(0.4, 0.05, 100)])
    novelty = left_out(texts, covered, missed)
    number = np.arange(1000)
    found = estimate_coverage(
        novelty, Traffic(number, number[None] * 0, number), topics=1, interval=0.9, replicates=100, seed=0
    ).traffic
    assert found.low < 0.02 < found.value < 0.07 < found.high < 0.25  # 10 % of the texts are covered


def test_few_labels_of_many_items_are_as_sure_as_the_items():
    """Covered turns are of the labels that the items have, so which there are is no luck of the draw; of topics it is."""
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(8), 50)
    centre = rng.normal(0.3, 0.1, 8)[kind]
    covered, missed = centre + rng.normal(0, 0.03, 400), rng.normal(0.9, 0.03, 400)
    turns = np.concatenate([np.repeat(centre, 5) + rng.normal(0, 0.03, 2000), rng.normal(0.9, 0.03, 400)])
    number = np.arange(len(turns))

    def interval(novelty):
        traffic = Traffic(number, number[None] * 0, number)
        return estimate_coverage(novelty, traffic, topics=1, interval=0.9, replicates=200, seed=1).traffic

    each_its_own = left_out(turns, covered, missed)
    drawn = np.stack([each_its_own.lots[0], lots(f"kind {one}" for one in kind)])
    alone = interval(each_its_own)
    of_labels, of_topics = (
        interval(replace(each_its_own, strata=kind, lots=drawn, labelled=labelled)) for labelled in (True, False)
    )
    assert of_labels.low < 2000 / 2400 < of_labels.high
    assert of_labels.high - of_labels.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert of_topics.high - of_topics.low > 2 * (alone.high - alone.low)


def test_the_kinds_are_labels_where_items_share_them():
    assert World(8, labelled=True).novelty.labelled
    assert not World(8).novelty.labelled
    rng = np.random.default_rng(0)
    alone = evals(_unit(rng.normal(size=(20, 6))), ["a", "a", "b", "b", *[str(row) for row in range(16)]])
    topics = [np.zeros(60, np.int64)]
    assert not measure_novelty(_unit(rng.normal(size=(60, 6))), alone, topics=topics, k=5).labelled


def test_the_same_seed_gives_the_same_result():
    first, second = World(5).coverage(), World(5).coverage()
    assert first.traffic == second.traffic
    assert (first.covered == second.covered).all()


def test_presence_needs_items_and_leaves_strays_out():
    topics = np.repeat([0, 1, 2], 30)
    items = np.array([1, 1, 1, 1, 1, 0, 2, 2, 2, 2])
    labels = ["roof"] * 6 + ["card"] * 4
    odds = presence([topics], [items], labels)
    unlabelled = presence([topics], [items], [None] * 10)
    assert odds[0] < 0 < odds[30]
    assert odds[0] < unlabelled[0]


@given(arrays(np.int64, 20, elements=st.integers(-1, 3)), arrays(np.int64, 5, elements=st.integers(-1, 3)))
def test_presence_is_finite_and_zero_without_a_topic(topics, items):
    topics[0] = 3
    odds = presence([topics], [items], [None] * 5)
    assert np.isfinite(odds).all()
    assert (odds[topics < 0] == 0).all()


def test_an_item_left_out_with_its_kind_is_more_novel_than_alone():
    novelty = World(8, labelled=True).novelty
    assert len(novelty.missed) == 2  # topics and labels
    assert novelty.missed.mean(axis=1).min() > 1.3 * novelty.covered.mean()


def test_labels_that_few_items_have_name_no_kinds():
    vectors = _unit(np.random.default_rng(0).normal(size=(10, 8)))
    assert evals(vectors, ["a", "a", *["b"] * 7, None]).kinds().tolist() == [1, 1, *[2] * 7, 0]
    assert evals(vectors, ["a", "a", "b", "b", *[None] * 6]).kinds() is None
    assert evals(vectors, ["a"] * 10).kinds() is None


def test_starts_are_distances_to_the_nearest_item_that_is_held():
    rng = np.random.default_rng(1)
    texts, items = _unit(rng.normal(size=(5000, 6))), _unit(rng.normal(size=(12, 6)))
    cells = np.array([0, 1, 3] * 4)
    held = np.array([[True, False], [False, False], [True, True], [True, False]])
    left_out = LeftOut(cells, held, np.full(12, -1))
    ((starts,), near) = measure_starts(texts, items, [left_out], nearer_than=np.full(len(texts), 0.8, np.float32))
    cosines, among = texts @ items.T, items @ items.T
    np.fill_diagonal(among, -1)
    assert starts.of_texts[:, 0] == pytest.approx(1 - cosines[:, cells != 1].max(axis=1), abs=1e-6)
    assert starts.of_items[:, 0] == pytest.approx(1 - among[:, cells != 1].max(axis=1), abs=1e-6)
    assert (starts.of_texts[:, 1] == 2).all()  # the cell that is held has no item
    assert (near.toarray() > 0).sum() == (cosines >= 0.8).sum() > 100


def test_an_item_that_is_left_out_is_as_novel_as_a_turn_that_is_covered():
    """With three items a kind the item has two of them left; so has the turn, where it is looked at as the item is."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(BLOBS, 24))

    def said(times):
        blob = np.repeat(np.arange(BLOBS), times)
        return blob, _unit(centres[blob] + 0.45 * rng.normal(size=(len(blob), 24)))

    (blob, texts), (label, vectors) = said(60), said(3)
    novelty = measure_novelty(texts, evals(vectors, [str(one) for one in label]), topics=[blob], k=10)
    half, most = np.nanquantile(novelty.covered, [0.5, 0.9])
    assert novelty.as_covered.shape == (len(texts), 3)
    assert (novelty.as_covered > half).mean() == pytest.approx(0.5, abs=0.07)
    assert (novelty.as_covered > most).mean() == pytest.approx(0.1, abs=0.05)
    assert (novelty.texts > half).mean() < 0.3  # with all three items a turn is nearer than any item that is left out


def test_texts_in_many_spellings_do_not_make_covered_traffic_look_missed():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(BLOBS, 24))
    blob = np.repeat(np.arange(BLOBS), 12)
    said = centres[blob] + 0.45 * rng.normal(size=(len(blob), 24))
    spelt = np.repeat(said, 8, axis=0) + 0.1 * rng.normal(size=(8 * len(said), 24))
    label = np.repeat(np.arange(BLOBS), 5)
    vectors = _unit(centres[label] + 0.45 * rng.normal(size=(len(label), 24)))
    items = evals(vectors, [str(one) for one in label])
    novelty = measure_novelty(_unit(spelt), items, topics=[np.repeat(blob, 8)], k=10)
    # Spellings of a text are one text, and have one novelty.
    assert len(np.unique(novelty.texts)) < 2 * len(said)
    assert (novelty.as_covered > np.nanquantile(novelty.covered, 0.9)).mean() < 0.2


@pytest.mark.parametrize(("texts", "items"), [(1, 1), (2, 1), (3, 5), (20, 2)])
def test_a_handful_of_texts_and_items_is_measured_and_says_nothing(texts, items):
    rng = np.random.default_rng(0)
    few = evals(_unit(rng.normal(size=(items, 200))), [None] * items)
    topics = [np.zeros(texts, np.int64)]
    novelty = measure_novelty(_unit(rng.normal(size=(texts, 200))), few, topics=topics, k=15)
    assert np.isfinite(novelty.texts).all()
    number = np.arange(texts)
    traffic = Traffic(number, number[None] * 0, number)
    assert not estimate_coverage(novelty, traffic, topics=1, interval=0.9, replicates=5, seed=0).says
