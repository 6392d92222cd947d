"""Texts that are variants of one another."""

import numpy as np

from monitor.atlas.neighbours import build_graph, nearest
from monitor.coverage.variants import variants

DIMENSIONS = 32


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def led(texts, items, weights=None, k=10):
    weights = np.ones(len(items)) if weights is None else weights
    return variants(build_graph(texts, k=k), *nearest(items, texts, k=k), weights)


def test_texts_as_near_to_one_another_as_items_are_have_hardly_any_variants():
    rng = np.random.default_rng(0)
    everything = unit(rng.normal(size=(10, DIMENSIONS)).repeat(70, axis=0) + 0.8 * rng.normal(size=(700, DIMENSIONS)))
    order = rng.permutation(700)
    texts, items = everything[order[:600]], everything[order[600:]]
    assert (led(texts, items) == np.arange(600)).mean() > 0.8  # the means of a hundred items differ by chance


def test_spellings_are_led_by_one_of_them():
    rng = np.random.default_rng(1)
    said = rng.normal(size=(60, DIMENSIONS)).repeat(6, axis=0)
    texts = unit(said + 0.15 * rng.normal(size=said.shape))
    items = unit(rng.normal(size=(40, DIMENSIONS)))
    leader = led(texts, items)
    meant = np.arange(60).repeat(6)
    assert (meant[leader] == meant).mean() > 0.95
    assert len(np.unique(leader)) < 90
    assert (leader[leader] == leader).all()


def test_what_an_item_stands_for_counts():
    rng = np.random.default_rng(2)
    said = rng.normal(size=(60, DIMENSIONS)).repeat(6, axis=0)
    texts = unit(said + 0.15 * rng.normal(size=said.shape))
    # Half of the items were copied from the traffic: by themselves they are as near to texts as texts are.
    items = np.concatenate([unit(rng.normal(size=(30, DIMENSIONS))), texts[:180:6] + 0.0])
    copied = np.arange(60) >= 30
    assert (led(texts, items, copied.astype(float)) == np.arange(360)).all()
    assert len(np.unique(led(texts, items, (~copied).astype(float)))) < 90


def test_without_neighbours_items_or_weights_each_text_leads_itself():
    texts = unit(np.random.default_rng(3).normal(size=(5, DIMENSIONS)))
    assert led(texts[:1], texts, k=3).tolist() == [0]
    assert led(texts, texts, np.zeros(5), k=3).tolist() == [0, 1, 2, 3, 4]
