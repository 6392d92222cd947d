"""Directions learnt from the labels of eval items, and what they are used for: the order of the turns alone."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from monitor.coverage.adapter import contrast, learn_directions
from monitor.coverage.estimate import Traffic, estimate_coverage
from monitor.coverage.novelty import EvalVectors, measure_novelty

SUBJECTS, ITEMS, TURNS, WIDTH = 30, 4, 40, 48


class Wordings:
    """Subjects differ in twelve directions of 48, wordings in all of them, and six subjects have no item."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.centres = np.concatenate([rng.normal(size=(SUBJECTS, 12)), np.zeros((SUBJECTS, WIDTH - 12))], axis=1)
        self.subject, self.item_subject = (
            np.repeat(np.arange(SUBJECTS), TURNS),
            np.repeat(np.arange(6, SUBJECTS), ITEMS),
        )
        self.texts, self.items = self.said(self.subject, rng), self.said(self.item_subject, rng)
        self.labels = [f"subject {one}" for one in self.item_subject.tolist()]
        self.missed = self.subject < 6

    def said(self, subject, rng):
        return _unit(
            self.centres[subject] + rng.normal(size=(len(subject), WIDTH)) * np.r_[np.full(12, 0.4), np.full(36, 0.9)]
        )

    def novelty(self, labels):
        items = EvalVectors(self.items, labels, [f"item {number}" for number in range(len(self.items))])
        return measure_novelty(self.texts, items, topics=[self.subject], k=10)


@pytest.fixture(scope="module")
def wordings():
    return Wordings()


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    items, directions = rng.normal(size=(11, 6)), rng.normal(size=(6, 4))
    items[3] = 0  # has no cosine
    kinds = np.array([0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 0])  # 3 is alone
    _, gradient = contrast(items, kinds, directions)
    for place in np.ndindex(directions.shape):
        step = np.zeros_like(directions)
        step[place] = 1e-5
        rise = contrast(items, kinds, directions + step)[0] - contrast(items, kinds, directions - step)[0]
        assert gradient[place] == pytest.approx(rise / 2e-5, abs=1e-6)


def test_the_loss_is_the_mean_of_the_log_softmax_of_the_others_of_a_kind():
    rng = np.random.default_rng(1)
    items, kinds = rng.normal(size=(7, 5)), np.array([0, 0, 0, 1, 1, 2, 3])
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    expected = []
    for one in np.flatnonzero(np.bincount(kinds)[kinds] > 1):
        others = np.delete(np.arange(7), one)
        logits = unit[others] @ unit[one] / 0.1
        log_softmax = logits - np.log(np.exp(logits).sum())
        expected.append(-log_softmax[kinds[others] == kinds[one]].mean())
    assert contrast(items, kinds, np.eye(5))[0] == pytest.approx(np.mean(expected))


def test_where_no_kind_has_two_items_there_is_nothing_to_learn():
    loss, gradient = contrast(np.eye(4), np.arange(4), np.eye(4))
    assert loss == 0 and not gradient.any()


def test_what_subjects_differ_in_grows_longer_and_wordings_shorter(wordings):
    learnt = learn_directions(wordings.texts, wordings.items, wordings.labels)
    lengths = np.linalg.norm(learnt.axes, axis=1)  # all 1 where it begins
    assert lengths[:12].mean() > 1.1 > 0.97 > lengths[12:].mean()


def test_turns_that_are_missed_stand_out_more_in_the_order_than_by_novelty(wordings):
    novelty = wordings.novelty(wordings.labels)
    assert roc_auc_score(wordings.missed, novelty.order) > roc_auc_score(wordings.missed, novelty.texts) + 0.01


def test_labels_move_the_order_and_no_figure_of_the_traffic(wordings):
    novelty = wordings.novelty(wordings.labels)
    number = np.arange(len(wordings.texts))

    def coverage(of):
        traffic = Traffic(number, wordings.subject[None], number)
        return estimate_coverage(of, traffic, topics=SUBJECTS, interval=0.9, replicates=30, seed=0)

    ordered, plain = coverage(novelty), coverage(replace(novelty, order=None))
    assert ordered.traffic == plain.traffic and ordered.separation == plain.separation
    assert ordered.covered.mean() == pytest.approx(ordered.traffic.value, abs=0.005)
    assert plain.covered.mean() == pytest.approx(plain.traffic.value, abs=0.005)
    assert not np.array_equal(np.argsort(ordered.covered), np.argsort(plain.covered))
    assert roc_auc_score(wordings.missed, -ordered.covered) > roc_auc_score(wordings.missed, -plain.covered)


def test_without_labels_there_is_no_order(wordings):
    novelty = wordings.novelty([None] * len(wordings.labels))
    assert novelty.order is None and novelty.item_presence is None


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([None] * 40, id="none"),
        pytest.param(["one"] * 40, id="one label"),
        pytest.param([f"label {number}" for number in range(40)], id="each its own"),
        pytest.param([f"label {number % 7}" for number in range(40)], id="seven labels"),
    ],
)
def test_of_too_few_labels_nothing_is_learnt(wordings, labels):
    assert learn_directions(wordings.texts, wordings.items[:40], labels) is None


def test_nothing_is_learnt_of_a_single_text(wordings):
    assert learn_directions(wordings.texts[:1], wordings.items, wordings.labels) is None


def test_items_that_are_nothing_or_contradict_one_another_are_borne(wordings):
    items = np.concatenate([wordings.items, wordings.items[:10], np.zeros((2, WIDTH), np.float32)])
    labels = [*wordings.labels, *reversed(wordings.labels[-10:]), "subject 7", "nothing"]
    learnt = learn_directions(wordings.texts, items, labels)
    assert np.isfinite(learnt.axes).all()
    assert np.isfinite(learnt.project(np.concatenate([items, np.zeros((1, WIDTH), np.float32)]))).all()


def test_texts_that_are_all_alike_are_borne(wordings):
    same = np.repeat(wordings.texts[:1], 20, axis=0)
    learnt = learn_directions(same, wordings.items, wordings.labels)
    assert np.isfinite(learnt.project(wordings.items)).all()


def test_items_without_a_label_take_no_part(wordings):
    learnt = learn_directions(wordings.texts, wordings.items, wordings.labels)
    more = learn_directions(
        wordings.texts, np.concatenate([wordings.texts[:5], wordings.items]), [None] * 5 + wordings.labels
    )
    np.testing.assert_array_equal(learnt.axes, more.axes)


def test_of_many_items_each_step_sees_some_and_the_same_twice(wordings):
    rng = np.random.default_rng(2)
    subject = np.repeat(np.arange(6, SUBJECTS), 70)
    items, labels = wordings.said(subject, rng), [str(one) for one in subject.tolist()]
    assert len(items) > 1_500
    once, again = (learn_directions(wordings.texts, items, labels) for _ in range(2))
    np.testing.assert_array_equal(once.axes, again.axes)
    _, codes = np.unique(subject, return_inverse=True)

    def loss(directions):
        return contrast(directions.project(items).astype(np.float64), codes, np.eye(directions.axes.shape[1]))[0]

    assert loss(once) < loss(replace(once, axes=np.eye(WIDTH))) - 0.1
