"""Intents: the nearest labelled examples, the threshold that comes from them, and the file that names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.atlas.intents import FALLBACK, Intents, assign_intents, load_intents, threshold_of
from monitor.encoding.hashing import HashingEncoder
from monitor.errors import InputError

EXAMPLES = {
    "cancel_contract": [
        "how do I cancel my contract",
        "cancel my contract please",
        "I want to cancel the contract now",
    ],
    "track_parcel": ["where is my parcel", "track my parcel", "my parcel has not arrived, where is it"],
}


def _encode(texts: list[str]) -> NDArray[np.float32]:
    return HashingEncoder().encode(texts)


def _intents() -> Intents:
    texts = [text for examples in EXAMPLES.values() for text in examples]
    return Intents(tuple(EXAMPLES), _encode(texts), np.repeat(np.arange(2), 3))


def _random(rng: np.random.Generator, n: int, d: int = 8) -> NDArray[np.float32]:
    vectors = rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_texts_have_the_intent_of_their_nearest_examples() -> None:
    found, scores = assign_intents(
        _encode(["please cancel my contract", "where is my parcel now", "zebra quagga okapi"]), _intents()
    )
    assert found.tolist() == [0, 1, -1]
    assert scores.dtype == np.float32
    assert scores[2] < scores[0]


def test_the_score_is_the_mean_cosine_of_the_nearest_examples() -> None:
    rng = np.random.default_rng(1)
    vectors, examples = _random(rng, 5_000), _random(rng, 20)
    labels = np.arange(20) % 4
    found, scores = assign_intents(vectors, Intents(tuple("abcd"), examples, labels), k=3)
    cosines = vectors.astype(np.float64) @ examples.T.astype(np.float64)
    expected = np.stack(
        [np.sort(cosines[:, labels == label], axis=1)[:, -3:].mean(axis=1) for label in range(4)], axis=1
    )
    np.testing.assert_allclose(scores, expected.max(axis=1), atol=1e-5)
    accepted = found >= 0
    assert accepted.any()
    np.testing.assert_array_equal(found[accepted], expected.argmax(axis=1)[accepted])


def test_the_threshold_rejects_a_tenth_of_the_examples_themselves() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(10), 20)
    centres = _random(rng, 10, 64)
    noisy = centres[labels] + rng.normal(scale=0.1, size=(200, 64))
    vectors = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    threshold = threshold_of(Intents(tuple("abcdefghij"), vectors, labels))
    left_out = []
    for row in range(200):
        others = np.arange(200) != row
        cosines = np.sort(vectors[others & (labels == labels[row])] @ vectors[row])
        left_out.append(cosines[-3:].mean())
    assert threshold == pytest.approx(np.quantile(left_out, 0.1), abs=1e-5)


def test_single_examples_take_the_fallback_and_do_not_disturb_the_others() -> None:
    rng = np.random.default_rng(3)
    examples = _random(rng, 3)
    assert threshold_of(Intents(("a", "b", "c"), examples, np.arange(3))) == FALLBACK
    pair = Intents(("a", "b"), examples, np.array([0, 0, 1]))
    assert threshold_of(pair) == pytest.approx(float(examples[0] @ examples[1]), abs=1e-5)


def test_no_examples_no_intent_and_no_texts_no_answers() -> None:
    nothing = Intents(("a",), np.empty((0, 8), np.float32), np.empty(0, np.int64))
    found, scores = assign_intents(_random(np.random.default_rng(4), 3), nothing)
    assert found.tolist() == [-1, -1, -1]
    assert np.isnan(scores).all()
    found, scores = assign_intents(np.empty((0, 128), np.float32), _intents())
    assert len(found) == len(scores) == 0


def test_an_intent_without_examples_is_never_chosen() -> None:
    rng = np.random.default_rng(5)
    examples = _random(rng, 4)
    found, _ = assign_intents(examples, Intents(("a", "empty", "b"), examples, np.array([0, 0, 2, 2])))
    assert 1 not in found.tolist()


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_texts_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    intents = Intents(tuple("abc"), _random(rng, 9), np.arange(9) % 3)
    vectors = _random(rng, 12)
    order = rng.permutation(12)
    found, scores = assign_intents(vectors, intents)
    shuffled, shuffled_scores = assign_intents(vectors[order], intents)
    np.testing.assert_allclose(shuffled_scores, scores[order], atol=1e-6)
    clear = np.abs(scores - threshold_of(intents)) > 1e-5
    assert (shuffled == found[order])[clear[order]].all()


def test_a_file_of_intents(tmp_path: Path) -> None:
    path = tmp_path / "intents.toml"
    path.write_text(
        '[[intent]]\nname = "cancel"\nexamples = ["stop it", " end it "]\n[[intent]]\nname = "pay"\nexamples = ["pay"]\n'
    )
    assert load_intents(path) == [("cancel", ["stop it", "end it"]), ("pay", ["pay"])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no intents"),
        ("intent = []", "no intents"),
        ('intent = "cancel"', "no intents"),
        ("[[intents]]\nname = 'a'", "unknown field intents; did you mean intent?"),
        ('[[intent]]\nnmae = "a"\nexamples = ["b"]', "unknown field nmae; did you mean name?"),
        ('[[intent]]\nexamples = ["b"]', "name must be a text, and is None"),
        ('[[intent]]\nname = " "\nexamples = ["b"]', "name must be a text"),
        ('[[intent]]\nname = "a"', "examples of 'a' must be a list"),
        ('[[intent]]\nname = "a"\nexamples = []', "examples of 'a' must be a list"),
        ('[[intent]]\nname = "a"\nexamples = ["b", 3]', "example 2 of 'a' must be a text, and is 3"),
        (
            '[[intent]]\nname = "a"\nexamples = ["b"]\n[[intent]]\nname = "a"\nexamples = ["c"]',
            "2: name 'a' is there twice",
        ),
        ("[[intent]\n", "cannot be read as TOML"),
    ],
)
def test_a_bad_file_names_what_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "intents.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"intents\.toml") as error:
        load_intents(path)
    assert said in str(error.value)


def test_an_absent_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"analysis\.intents_file"):
        load_intents(tmp_path / "none.toml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "intents.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_intents(path)
