"""Where the coverage of a topic lies, about its figure."""

import numpy as np
import pytest

from monitor.coverage.interval import lies, moves


def draws(*figures: float, spread: float = 0.0, replicates: int = 400) -> np.ndarray:
    steps = np.linspace(-spread, spread, replicates)[:, None]
    return np.clip(np.array(figures) + steps, 0, 1)


def unmarked(*figures: float, **kwargs: float) -> tuple:
    return lies(np.array(figures), draws(*figures, **kwargs), np.zeros(len(figures)), 0.9, learnt=False)


@pytest.mark.parametrize("figure", [0.02, 0.1, 0.3, 0.5, 0.8, 0.97])
def test_of_intents_that_are_covered_or_not_the_interval_holds_the_share(figure):
    """Ten intents of unequal sizes, as many as three of equal sizes (the sum of the squared shares is a third)."""
    rng = np.random.default_rng(1)
    sizes = rng.dirichlet(np.full(10, 2 / 7), size=4000)
    truth = (sizes * (rng.random((4000, 10)) < figure)).sum(axis=1)
    (found,) = unmarked(figure)
    assert 0.85 <= ((truth >= found.low - 0.01) & (truth <= found.high + 0.01)).mean() <= 0.99
    assert found.low < figure < found.high and found.value == figure


def test_half_covered_says_nothing_and_the_ends_say_much():
    half, none, all_ = unmarked(0.5, 0.0, 1.0)
    assert (half.low, half.high) == (pytest.approx(0.05, abs=0.01), pytest.approx(0.95, abs=0.01))
    assert (none.low, all_.high) == (0, 1)
    assert none.high < 0.05 and all_.low > 0.95


def test_what_a_figure_moves_by_itself_is_less_and_widens_where_it_lies():
    (moved,) = moves(np.array([0.9]), draws(0.9, spread=0.05), 0.9)
    assert (moved.low, moved.high) == (pytest.approx(0.855, abs=0.002), pytest.approx(0.945, abs=0.002))
    (lying,) = unmarked(0.9, spread=0.05)
    assert lying.low < moved.low and lying.high > moved.high
    (still,) = unmarked(0.2)
    (unsteady,) = unmarked(0.2, spread=0.2)
    assert unsteady.high > still.high


def test_what_people_marked_is_covered_for_certain():
    figures, marked = np.array([0.75, 1.0]), np.array([0.5, 1.0])
    half, all_ = lies(figures, draws(*figures), marked, 0.9, learnt=False)
    assert half.low == pytest.approx(0.5 + 0.5 * 0.05, abs=0.01)
    assert (all_.low, all_.value, all_.high) == (1, 1, 1)


def test_a_topic_without_turns_has_no_interval():
    figures = np.array([np.nan, 0.5, 0.5])
    drawn = draws(0.5, 0.5, 0.5)
    drawn[::2, 1] = np.nan  # without turns in half of the replicates
    nothing, some, _ = lies(figures, drawn, np.zeros(3), 0.9, learnt=False)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert some.low < 0.1 and some.high > 0.9


def test_a_learnt_order_tells_more():
    figures = np.array([0.2, 0.5, 0.9])
    for wide, narrow in zip(
        unmarked(*figures), lies(figures, draws(*figures), np.zeros(3), 0.9, learnt=True), strict=True
    ):
        assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_intervals_are_the_same_each_time():
    assert unmarked(0.3, 0.6, spread=0.1) == unmarked(0.3, 0.6, spread=0.1)
