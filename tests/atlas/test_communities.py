"""Nested communities on blobs with a known answer."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from monitor.atlas.communities import hdbscan_communities, leiden_communities
from monitor.atlas.leiden import numbered_by_first
from monitor.atlas.neighbours import build_graph
from monitor.settings import AtlasSettings


def blobs(sizes, *, d=24, spread=0.25, seed=3):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), d))
    vectors = np.concatenate(
        [centre + spread * rng.normal(size=(size, d)) for centre, size in zip(centres, sizes, strict=True)]
    )
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return vectors, np.repeat(np.arange(len(sizes)), sizes)


def test_finds_the_blobs():
    vectors, truth = blobs([60] * 8)
    found = leiden_communities(build_graph(vectors, k=10), resolutions=(0.5, 1.0, 1.0), seed=1)
    assert adjusted_rand_score(truth, found.fine) > 0.95


@pytest.mark.parametrize("resolutions", [(1.0, 3.0, 8.0), (0.3, 1.0, 4.0)])
def test_levels_nest(resolutions):
    vectors, _ = blobs([30, 50, 70, 90], spread=0.6)
    found = leiden_communities(build_graph(vectors, k=8), resolutions=resolutions, seed=1)
    for finer, coarser in ((found.fine, found.middle), (found.middle, found.broad)):
        for community in np.unique(finer):
            assert len(np.unique(coarser[finer == community])) == 1
    assert found.broad.max() <= found.middle.max() <= found.fine.max()


def test_merging_at_the_fine_resolution_moves_nothing_or_little():
    """The twins carry the inner weight: without them every community would be merged into one."""
    vectors, truth = blobs([60] * 8)
    found = leiden_communities(build_graph(vectors, k=10), resolutions=(1.0, 1.0, 1.0), seed=1)
    assert adjusted_rand_score(truth, found.broad) > 0.95


def test_the_same_input_gives_the_same_communities():
    vectors, _ = blobs([40] * 5, spread=0.7)
    graph = build_graph(vectors, k=8)
    first, second = (leiden_communities(graph, resolutions=(1, 3, 8), seed=4) for _ in range(2))
    for one, other in zip(first.levels(), second.levels(), strict=True):
        assert (one == other).all()


def test_nothing_and_one_text():
    for n in (0, 1):
        found = leiden_communities(build_graph(np.ones((n, 4), np.float32), k=3), resolutions=(1, 3, 8), seed=1)
        assert [len(level) for level in found.levels()] == [n, n, n]


def test_numbers_follow_first_appearance():
    assert numbered_by_first(np.array([5, 2, 5, 9])).tolist() == [0, 1, 0, 2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hdbscan_finds_the_blobs_and_leaves_outliers_out():
    vectors, truth = blobs([80] * 6)
    settings = AtlasSettings(clusterer="hdbscan")
    found = hdbscan_communities(vectors, build_graph(vectors, k=15), settings)
    inside = found.fine >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], found.fine[inside]) > 0.9
    assert ((found.fine < 0) == (found.broad < 0)).all()
