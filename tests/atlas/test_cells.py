"""Search by cells against brute force; the same whatever the threads; adding and taking away without searching anew."""

import tracemalloc
from pathlib import Path

import faiss
import numpy as np
import pytest

from monitor.atlas import cells as cells_module
from monitor.atlas.cells import CellIndex, learn_cells


def texts(n: int, d: int = 96, *, subjects: int = 60, seed: int = 0) -> np.ndarray:
    """Unit vectors in clusters; every seventh is nearly the one before it."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(subjects, d))
    vectors = centres[rng.integers(0, subjects, n)] + 0.9 * rng.normal(size=(n, d))
    vectors[7::7] = vectors[6:-1:7] + 0.05 * rng.normal(size=(len(vectors[7::7]), d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def exact(vectors: np.ndarray, k: int) -> np.ndarray:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1)[:, :k]


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells so small that 3,000 texts fill many more than are searched."""
    for name, value in {"_CELL": 20, "_TOGETHER": 4, "_ALONE": 24, "_CHOICE": 60}.items():
        monkeypatch.setattr(cells_module, name, value)


@pytest.mark.usefixtures("narrow")
def test_finds_nearly_all_neighbours_and_never_the_text_itself() -> None:
    vectors = texts(3_000)
    index = CellIndex.of(vectors)
    assert len(index.cells) == 150
    found, cosines = index.neighbours(k=10)
    assert recall(found, exact(vectors, 10)) > 0.97
    assert not (found == np.arange(3_000)[:, None]).any()
    assert (np.diff(cosines, axis=1) <= 0).all()
    assert all(len(set(row)) == 10 for row in found.tolist())
    assert np.allclose(cosines, (vectors[:, None, :] * vectors[found]).sum(axis=2), atol=1e-3)


@pytest.mark.usefixtures("narrow")
def test_threads_and_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = texts(2_000)
    threads = faiss.omp_get_max_threads()
    results = []
    try:
        for number, block in ((1, 16_384), (2, 16_384), (3, 701)):
            faiss.omp_set_num_threads(number)
            monkeypatch.setattr(cells_module, "_BLOCK", block)
            index = CellIndex.of(vectors)
            results.append((index.filed.tobytes(), *(part.tobytes() for part in index.neighbours(k=10))))
    finally:
        faiss.omp_set_num_threads(threads)
    assert results[0] == results[1] == results[2]


@pytest.mark.usefixtures("narrow")
def test_added_texts_have_neighbours_as_if_they_had_been_there() -> None:
    vectors = texts(3_000)
    index = CellIndex.of(vectors[:2_400])
    known = index.neighbours(k=10)
    larger = index.added(vectors[2_400:])
    assert np.allclose(larger.vectors(), vectors, atol=2e-4)
    padded = tuple(
        np.concatenate([part, np.full((600, 10), nothing, part.dtype)])
        for part, nothing in zip(known, (-1, 0), strict=True)
    )
    found, _ = larger.neighbours(k=10, known=padded, asking=np.arange(3_000) >= 2_400)
    assert recall(found, exact(vectors, 10)) > 0.97
    assert recall(found, CellIndex.of(vectors).neighbours(k=10)[0]) > 0.97
    assert (found[:2_400] >= 2_400).mean() == pytest.approx(0.2, abs=0.03)  # old texts took them as neighbours


@pytest.mark.usefixtures("narrow")
def test_an_index_of_some_rows_finds_what_their_own_index_finds() -> None:
    vectors = texts(2_000)
    keep = np.arange(2_000) % 3 > 0
    part = CellIndex.of(vectors).among(keep)
    assert np.allclose(part.vectors(), vectors[keep], atol=2e-4)
    assert recall(part.neighbours(k=10)[0], exact(vectors[keep], 10)) > 0.97


@pytest.mark.usefixtures("narrow")
def test_a_text_alone_is_searched_in_the_cells_around_it() -> None:
    vectors, asked = texts(3_000), texts(200, seed=5)
    index = CellIndex.of(vectors)
    found, cosines = index.search(asked, k=10)
    truth = np.argsort(-(asked @ vectors.T), axis=1)[:, :10]
    assert recall(found, truth) > 0.95
    alone = [index.search(asked[row : row + 1], k=10) for row in range(200)]
    assert (np.concatenate([one for one, _ in alone]) == found).all()
    assert (np.concatenate([one for _, one in alone]) == cosines).all()


@pytest.mark.parametrize("n", [1, 3])
def test_fewer_rows_than_neighbours_leave_the_rest_empty(n: int) -> None:
    index = CellIndex.of(texts(n))
    found, cosines = index.neighbours(k=5)
    assert ((found >= 0).sum(axis=1) == n - 1).all()
    assert (cosines[found < 0] == 0).all()
    assert (np.sort(index.search(texts(2), k=5)[0], axis=1)[:, -n:] == np.arange(n)).all()


def test_equal_vectors_are_ordered_by_row() -> None:
    found, cosines = CellIndex.of(np.tile(texts(1), (9, 1))).neighbours(k=3)
    assert found[0].tolist() == [1, 2, 3]
    assert found[8].tolist() == [0, 1, 2]
    assert np.allclose(cosines, 1, atol=1e-3)


def test_vectors_of_a_file_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_module, "_BLOCK", 1_000)
    monkeypatch.setattr(cells_module, "_LEARNT_FROM", 1_000)
    n, d = 20_000, 96
    np.save(tmp_path / "vectors.npy", texts(n, d).astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        index = CellIndex.of(mapped)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert index.filed.nbytes == n * d * 2
    assert (
        peak < n * d * 4 + 2_000_000
    )  # what is filed, its rows and a few blocks; not the vectors as float32 beside it
    assert (CellIndex.of(np.asarray(mapped).astype(np.float32)).filed == index.filed).all()


def test_cells_are_learnt_alike_from_float16() -> None:
    vectors = texts(2_000).astype(np.float16)
    one, other = (learn_cells(part, number=20) for part in (vectors, vectors.astype(np.float32)))
    assert (one.centroids == other.centroids).all()


def test_cells_all_alike_are_no_error() -> None:
    """More vectors that are the same than fill the cells that are compared together: their centroids are the same as well."""
    vectors = np.concatenate([np.tile(texts(1), (4_000, 1)), texts(1_000)])
    found, cosines = CellIndex.of(vectors).neighbours(k=5)
    assert not (found == np.arange(5_000)[:, None]).any()
    assert np.allclose(cosines[:4_000], 1.0, atol=1e-3)
