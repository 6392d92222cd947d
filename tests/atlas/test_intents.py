"""Intents: which and whether any, the threshold that comes from the examples, and the file that names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.atlas.intents import FALLBACK, Intents, assign_intents, load_intents, threshold_of
from monitor.atlas.logistic import fit_logistic
from monitor.atlas.neighbours import build_graph
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


def test_texts_have_the_intent_of_their_examples() -> None:
    found, scores = assign_intents(
        _encode(["please cancel my contract", "where is my parcel now", "zebra quagga okapi"]), _intents()
    )
    assert found.tolist() == [0, 1, -1]
    assert scores.dtype == np.float32
    assert scores[2] < scores[0]


def test_the_score_is_the_nearness_to_the_mean_and_to_the_nearest_three() -> None:
    rng = np.random.default_rng(1)
    vectors, examples = _random(rng, 5_000), _random(rng, 20)
    labels = np.arange(20) % 4
    _, scores = assign_intents(vectors, Intents(tuple("abcd"), examples, labels))
    expected, spreads = [], []
    for label in range(4):
        own = examples[labels == label].astype(np.float64)
        spreads.append(np.square(own - own.mean(axis=0)).sum() / 4)
    for label in range(4):
        own = examples[labels == label].astype(np.float64)
        relative = 1 + 0.5 * 3 / 4 * (spreads[label] / np.mean(spreads) - 1)
        mean = 1 - np.square(vectors - own.mean(axis=0)).sum(axis=1) / 2 / relative
        expected.append(0.7 * mean + 0.3 * np.sort(vectors @ own.T, axis=1)[:, -3:].mean(axis=1))
    np.testing.assert_allclose(scores, np.max(expected, axis=0), atol=1e-5)


def test_the_intent_is_that_of_scikit_learns_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(6)
    examples, labels = _random(rng, 60), np.repeat(np.arange(4), [30, 15, 10, 5])
    vectors = _random(rng, 500)
    ours = fit_logistic(examples, labels).probabilities(vectors)
    theirs = LogisticRegression(C=10, class_weight="balanced", tol=1e-8, max_iter=2_000).fit(examples, labels)
    np.testing.assert_allclose(ours, theirs.predict_proba(vectors), atol=0.02)
    assert (ours.argmax(axis=1) == theirs.predict(vectors)).mean() > 0.98


def test_neighbours_decide_where_the_examples_leave_a_doubt() -> None:
    intents = Intents(("right", "up"), np.eye(2, 3, dtype=np.float32), np.array([0, 1]))
    doubtful = np.array([0.72, 0.70, 0.0])
    vectors = np.array([doubtful, [0.6, 0.8, 0], [0.55, 0.83, 0], [0.5, 0.86, 0]])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    alone, _ = assign_intents(vectors, intents)
    together, scores = assign_intents(vectors, intents, build_graph(vectors, k=3))
    assert alone.tolist() == [0, 1, 1, 1]
    assert together.tolist() == [1, 1, 1, 1]
    np.testing.assert_array_equal(scores, assign_intents(vectors, intents)[1])


def test_a_text_without_neighbours_keeps_its_own_answer() -> None:
    vectors = np.array([[0.9, np.sqrt(1 - 0.81)]], np.float32)
    found, _ = assign_intents(
        vectors, Intents(("a", "b"), np.eye(2, dtype=np.float32), np.arange(2)), build_graph(vectors, k=5)
    )
    assert found.tolist() == [0]


def test_more_intents_than_are_mixed_at_once() -> None:
    rng = np.random.default_rng(7)
    examples = _random(rng, 70, 64)
    names = tuple(map(str, range(70)))
    found, _ = assign_intents(examples, Intents(names, examples, np.arange(70)), build_graph(examples, k=1))
    assert (found == np.arange(70)).mean() > 0.9


@pytest.mark.parametrize("number", [2, 5, 20])
def test_the_threshold_rejects_a_tenth_of_new_texts(number: int) -> None:
    rng = np.random.default_rng(2)
    centres = _random(rng, 20, 64)

    def draw(each: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        labels = np.repeat(np.arange(20), each)
        noisy = centres[labels] + rng.normal(scale=0.1, size=(len(labels), 64))
        return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32), labels

    examples, labels = draw(number)
    intents = Intents(tuple(map(str, range(20))), examples, labels)
    found, _ = assign_intents(draw(200)[0], intents)
    assert (found < 0).mean() == pytest.approx(0.1, abs=0.04)


def test_single_examples_take_the_fallback_and_do_not_disturb_the_others() -> None:
    rng = np.random.default_rng(3)
    examples = _random(rng, 3)
    assert threshold_of(Intents(("a", "b", "c"), examples, np.arange(3))) == FALLBACK
    # Two examples: a quarter of the squared distance between them lies from each to their mean, and a new text is at three
    # times that. The single example counts as another intent.
    pair = Intents(("a", "b"), examples, np.array([0, 0, 1]))
    own = 0.7 * (1 - 3 * np.square(examples[0] - examples[1]).sum() / 4 / 2) + 0.3 * float(examples[0] @ examples[1])
    new = [max(own, float(example @ examples[2])) for example in examples[:2]]
    assert threshold_of(pair) == pytest.approx(np.quantile(new, 0.1), abs=1e-5)


def test_one_intent_with_one_example() -> None:
    example = np.array([[1.0, 0.0]], np.float32)
    found, scores = assign_intents(
        np.array([[0.8, 0.6], [0.0, 1.0]], np.float32), Intents(("a",), example, np.array([0]))
    )
    assert found.tolist() == [0, -1]
    np.testing.assert_allclose(scores, [0.8, 0.0], atol=1e-6)


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


@settings(deadline=None)  # the first regression of a process imports scipy.optimize
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
