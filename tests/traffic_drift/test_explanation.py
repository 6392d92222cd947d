"""Why the lookout alarms: another mix takes the evidence away, a change of what people ask does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.drift.bets import FAR
from monitor.drift.explanation import Explanation, Kind, Side, explain

TOPICS = 10
#: What each of three tenants asks.
PREFERENCES = np.array(
    [[4, 4, 2, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 6, 6, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 6, 6, 2.0]]
)
USUAL, OTHER = (0.7, 0.25, 0.05), (0.45, 0.15, 0.4)
#: The topic that the third tenant asks most for.
KIND = Kind("topics", 8)


def asked(
    rng: np.random.Generator, number: int, mix: tuple[float, ...], *, more: float = 0.0, version: float = 0.0
) -> Side:
    """Conversations of a mix of tenants; `more` of them are about one topic whoever asks, and `version` have the second prompt
    version."""
    tenant = rng.choice(3, number, p=mix)
    topics = np.array([rng.choice(TOPICS, p=PREFERENCES[one] / PREFERENCES[one].sum()) for one in tenant])
    topics[rng.random(number) < more] = KIND.topic
    bins = np.where(rng.random(number) < 0.1, FAR, 0)
    versions = (rng.random(number) < version).astype(np.int64)
    return side(topics, bins, {"tenant": tenant, "prompt_version": versions})


def side(topics: NDArray[np.int64], bins: NDArray[np.int64], attributes: dict[str, NDArray[np.int64]]) -> Side:
    number = len(topics)
    return Side(topics, bins, np.zeros(number, bool), np.zeros(number, np.int64), attributes)


def why(before: Side, since: Side, kind: Kind = KIND) -> Explanation | None:
    return explain(before, since, kind, topics=TOPICS, fresh=len(since))


def test_another_mix_explains_what_it_brings() -> None:
    named, nearer = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = why(asked(rng, 1_500, USUAL), asked(rng, 250, OTHER))
        assert found is not None and not found.new and found.within is None
        named.append((found.attribute, found.value))
        assert found.value_before == pytest.approx(0.05, abs=0.03) and found.value_since == pytest.approx(0.4, abs=0.1)
        nearer.append(abs(found.usual - found.since) - abs(found.expected - found.since))
    assert set(named) == {("tenant", 2)}
    assert np.mean(nearer) > 0.05


def test_what_all_ask_more_is_not_explained() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert why(asked(rng, 1_500, USUAL, version=0.5), asked(rng, 250, USUAL, more=0.2, version=0.5)) is None


def test_what_grew_within_a_mix_that_changed_too_is_said() -> None:
    said = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = why(asked(rng, 1_500, USUAL), asked(rng, 250, OTHER, more=0.35))
        said.append(found is None or (found.within is not None and found.within.kind == KIND))
    assert all(said)


def test_a_new_value_is_named_where_the_growth_comes_with_it() -> None:
    named, blamed = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before, since = asked(rng, 1_500, USUAL), asked(rng, 250, USUAL, version=0.4)
        new = since.attributes["prompt_version"] == 1
        topics = since.topics.copy()
        topics[new & (rng.random(len(new)) < 0.5)] = KIND.topic
        found = why(before, side(topics, since.bins, dict(since.attributes)))
        named += found is not None and found.new and (found.attribute, found.value) == ("prompt_version", 1)
        # A version that has nothing to do with it is there too.
        blamed += why(before, asked(rng, 250, USUAL, more=0.2, version=0.5)) is not None
    assert named == 20 and blamed <= 1


def test_all_that_comes_has_the_new_value() -> None:
    rng = np.random.default_rng(0)
    found = why(asked(rng, 1_500, USUAL), asked(rng, 100, USUAL, more=0.3, version=1.0))
    assert found is not None and found.new and (found.value_before, found.value_since) == (0, 1)


def test_like_seasons_are_compared() -> None:
    """By night it is another tenant who comes, as always: that is no mix that changed."""
    rng = np.random.default_rng(0)
    day, night = asked(rng, 1_500, USUAL), asked(rng, 700, OTHER)
    before = Side(
        np.concatenate([day.topics, night.topics]),
        np.concatenate([day.bins, night.bins]),
        np.zeros(2_200, bool),
        np.repeat([0, 1], [1_500, 700]),
        {"tenant": np.concatenate([day.attributes["tenant"], night.attributes["tenant"]])},
    )
    since = asked(rng, 250, OTHER)
    since = Side(
        since.topics, since.bins, since.negative, np.ones(250, np.int64), {"tenant": since.attributes["tenant"]}
    )
    assert why(before, since) is None
    as_one = [Side(one.topics, one.bins, one.negative, one.seasons * 0, one.attributes) for one in (before, since)]
    assert why(*as_one) is not None


def test_too_little_says_nothing() -> None:
    rng = np.random.default_rng(0)
    before, since, none = asked(rng, 300, USUAL), asked(rng, 5, OTHER), asked(rng, 0, OTHER)
    assert why(before, since) is None
    assert why(before, none) is None and why(none, since) is None
    assert (
        explain(side(before.topics, before.bins, {}), side(since.topics, since.bins, {}), KIND, topics=TOPICS, fresh=5)
        is None
    )
    alone = {"tenant": np.zeros(300, np.int64)}, {"tenant": np.full(5, -1)}
    assert why(side(before.topics, before.bins, alone[0]), side(since.topics, since.bins, alone[1])) is None


def test_of_many_rare_values_none_is_named_by_chance() -> None:
    named = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        before, since = asked(rng, 1_500, USUAL), asked(rng, 250, USUAL, more=0.15)
        sides = [
            side(one.topics, one.bins, {"tenant": np.minimum(rng.geometric(0.02, len(one)), 300)})
            for one in (before, since)
        ]
        named += why(*sides) is not None
    assert named <= 1
