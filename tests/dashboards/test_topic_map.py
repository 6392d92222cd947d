"""The map's figure: where labels stand, and what it opens on."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from dashboards.figures.topics import topic_map
from monitor.store.atlases import TopicRow


def row(name: str, label: str) -> TopicRow:
    return TopicRow(name, 1, None, label, (), 10, 10, 10, 0.1, (), datetime(2026, 3, 1))


def drawn(places: dict[str, tuple[float, float]], turns: dict[str, int], labels: dict[str, str]) -> list[str]:
    rows = [(name, *places[name], "said") for name in places for _ in range(turns[name])]
    points = pd.DataFrame(rows, columns=["middle", "x", "y", "text"]).assign(covered=0.5, novelty=0.5)
    figure = topic_map(points, {name: row(name, labels[name]) for name in places}, "topic")
    return [one.text for one in figure.layout.annotations]


def test_a_label_that_would_cover_a_larger_topics_is_left_out() -> None:
    places = {"a": (0.0, 0.0), "b": (0.01, 0.0), "c": (0.0, 1.0)}
    labels = {"a": "moving out, key", "b": "moving in, key", "c": "gas leak, smell"}
    assert drawn(places, {"a": 3, "b": 5, "c": 1}, labels) == ["moving in", "gas leak"]


def test_a_text_far_out_does_not_make_the_rest_a_blot() -> None:
    rng = np.random.default_rng(1)
    places = np.vstack([rng.uniform(-1, 1, (999, 2)), [[50.0, 50.0]]])
    points = pd.DataFrame(places, columns=["x", "y"]).assign(middle="a", text="said", covered=0.5, novelty=0.5)
    layout = topic_map(points, {"a": row("a", "gas leak")}, "topic").layout
    for axis in (layout.xaxis, layout.yaxis):
        assert -1.3 < axis.range[0] < -0.9 and 0.9 < axis.range[1] < 1.3


def test_one_point_and_hostile_labels_are_drawn() -> None:
    assert drawn({"a": (2.0, 2.0)}, {"a": 1}, {"a": "<b>bold</b>"}) == ["&lt;b&gt;bold&lt;/b&gt;"]
