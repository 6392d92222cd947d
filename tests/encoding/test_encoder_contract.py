"""What every encoder promises."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.encoding.encoder import Encoder
from tests.encoding.listener import Listener
from tests.encoding.texts import MEANING, NEAR, ODD, utterances


@pytest.mark.slow
def test_rows_are_unit_vectors_of_the_stated_dimension(encoder: Encoder) -> None:
    vectors = encoder.encode(utterances(40))
    assert vectors.dtype == np.float32
    assert vectors.shape == (40, encoder.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(40), abs=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    vectors = encoder.encode([])
    assert vectors.shape == (0, encoder.dimension)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("what", ODD)
def test_odd_texts_have_a_defined_unit_vector(encoder: Encoder, what: str) -> None:
    (vector,) = encoder.encode([ODD[what]])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_odd_texts_do_not_disturb_their_neighbours(encoder: Encoder) -> None:
    plain = ["where is my parcel", "how do I reset my password"]
    mixed = encoder.encode([plain[0], *ODD.values(), plain[1]])
    np.testing.assert_allclose(mixed[[0, -1]], encoder.encode(plain), atol=1e-5)


@pytest.mark.slow
def test_rows_keep_the_order_of_the_texts(encoder: Encoder) -> None:
    texts = utterances(60)
    order = np.random.default_rng(1).permutation(len(texts))
    shuffled = encoder.encode([texts[row] for row in order])
    # Exactly: batches are made from the set of texts, whatever their order.
    np.testing.assert_array_equal(shuffled, encoder.encode(texts)[order])


def test_a_text_has_the_same_vector_alone_and_in_company(encoder: Encoder) -> None:
    texts = utterances(60)
    together = encoder.encode(texts)
    alone = np.vstack([encoder.encode([text]) for text in texts[:8]])
    np.testing.assert_allclose(together[:8], alone, atol=1e-5)


def test_equal_texts_have_equal_rows(encoder: Encoder) -> None:
    vectors = encoder.encode(["where is my parcel", "hello", "where is my parcel", "hello", "hello"])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[[1, 1]], vectors[[3, 4]])


@pytest.mark.slow
def test_encoding_again_gives_the_same_bits(encoder: Encoder) -> None:
    texts = utterances(40)
    np.testing.assert_array_equal(encoder.encode(texts), encoder.encode(texts))


def test_similar_texts_are_closer_than_unrelated_ones(encoder: Encoder) -> None:
    first = encoder.encode([left for left, _ in NEAR])
    second = encoder.encode([right for _, right in NEAR])
    cosine = first @ second.T
    # Each text's own partner is the nearest of all partners.
    assert cosine.argmax(axis=1).tolist() == list(range(len(NEAR)))


@pytest.mark.parametrize("encoder", ["onnx", "float32"], indirect=True)
def test_a_language_model_sees_meaning_without_shared_words(encoder: Encoder) -> None:
    cosine = encoder.encode([left for left, _ in MEANING]) @ encoder.encode([right for _, right in MEANING]).T
    assert cosine.argmax(axis=1).tolist() == list(range(len(MEANING)))


def test_progress_counts_each_distinct_text_once(encoder: Encoder) -> None:
    listener = Listener()
    encoder.encode([*utterances(30), *utterances(30)], progress=listener)
    assert listener.totals == [30]
    assert listener.done == 30


def test_the_name_is_versioned(encoder: Encoder) -> None:
    name, separator, version = encoder.name.partition("@")
    assert name
    assert separator
    assert version


@pytest.mark.slow
def test_every_encoder_has_a_name_of_its_own(request: pytest.FixtureRequest) -> None:
    from monitor.encoding.hashing import HashingEncoder

    named = [request.getfixturevalue(name) for name in ("onnx", "static", "endpoint", "tiny", "float32")]
    assert len({HashingEncoder().name, *(encoder.name for encoder in named)}) == 6


def test_the_name_stays(encoder: Encoder) -> None:
    before = encoder.name
    encoder.encode(utterances(3))
    assert encoder.name == before


def test_a_failing_listener_stops_the_work(encoder: Encoder) -> None:
    """Ctrl-C arrives as an exception wherever the work is; nothing may be left running or swallow it."""

    class Interrupted(Listener):
        def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode(utterances(40), progress=Interrupted())
    assert encoder.encode(utterances(3)).shape == (3, encoder.dimension)
