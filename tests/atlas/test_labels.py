"""Labels: equal to BERTopic's c-TF-IDF, unique, and of the words that set a topic apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from monitor.atlas.labels import class_tf_idf, label_topics, most_central


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_equals_bertopics_transformer():
    from bertopic.vectorizers import ClassTfidfTransformer

    counts = csr_matrix(np.random.default_rng(0).poisson(0.4, size=(12, 300)))
    expected = ClassTfidfTransformer().fit_transform(counts).toarray()
    assert np.allclose(class_tf_idf(counts).toarray(), expected, rtol=1e-12, atol=1e-15)


def test_an_empty_class_has_no_weights():
    assert class_tf_idf(csr_matrix(np.array([[0, 0], [2, 1]]))).toarray()[0].tolist() == [0, 0]


def test_the_label_names_what_sets_a_topic_apart():
    texts = ["where is my parcel", "parcel late again", "reset my password", "password forgotten", "hm"]
    labels = label_topics(texts, np.array([0, 0, 1, 1, -1]))
    assert "parcel" in labels[0].text
    assert "password" in labels[1].text


def test_stop_words_alone_give_a_number():
    assert [label.text for label in label_topics(["the of", "and to"], np.array([0, 1]))] == ["topic 1", "topic 2"]


def test_no_topics_no_labels():
    assert label_topics([], np.empty(0, np.int64)) == []
    assert label_topics(["a b"], np.array([-1])) == []


@given(st.lists(st.text("ab c", max_size=8), min_size=1, max_size=12))
def test_labels_are_unique(texts):
    labels = label_topics(texts, np.arange(len(texts)))
    assert len({label.text for label in labels}) == len(texts)


def test_most_central_is_nearest_to_the_weighted_mean():
    half = np.sqrt(0.5)
    vectors = np.array([[1, 0], [0, 1], [half, half], [1, 0]], np.float32)
    topics = np.array([0, 0, 0, 1])
    assert most_central(vectors, topics, np.array([1.0, 1, 1, 1]), count=1) == [(2,), (3,)]
    assert most_central(vectors, topics, np.array([0.0, 9, 0, 1]), count=1)[0] == (1,)
