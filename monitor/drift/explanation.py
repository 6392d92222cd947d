"""Why the lookout alarms: another mix of who asks, or a value of an attribute that was hardly there before.

A kind of conversations (of a topic, far from the reference, with a failed reply) came more often. Compared within the values of
an attribute (tenant, language, model, prompt version), so that another mix of them makes no difference, does it still? By
Mantel and Haenszel: within each value the conversations of the kind are parted between before and since as their numbers are,
and

    z = sum over values of (kind since - number since * kind / number) / its standard deviation

of which a value without conversations before has no part. With one value for all it is the plain comparison. When the mix
changed surely, and half of the evidence (z squared) is gone within the values, that is what changed: half is in the middle
between all, which another mix alone takes away, and nothing, which is what a change of what people ask everywhere loses. The
kind that alarmed is the one of fifty that chance helped most, so all topics together are asked too: the sum of z squared less
their number.

Source: Mantel and Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease" (1959). Shares
that are expected of a mix are standardised directly. Pure: arrays in, results out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtri, xlogy

from monitor.drift.bets import FAR

__all__ = ["LEAST_SINCE", "Explanation", "Kind", "Side", "Within", "explain"]

#: Who asked is looked at in so many of the last conversations at least: of fewer no mix is known.
LEAST_SINCE = 200
#: A value of which the reference has fewer conversations says nothing of what is usual in it.
_LEAST = 30
#: The part of the evidence, or of the growth, that a mix or a value takes to be named.
_MOST_OF_IT = 0.5
#: The mix changed surely at this p-value of the G-test, over all attributes together.
_SURELY = 0.001
#: Who comes less is named only where nobody comes more by two thirds of it: one looks for who came.
_RATHER_GREW = 1.5
#: All topics together changed from so many standard deviations of what chance gives on; else only the kind itself is asked.
_TOGETHER = 2.0
#: Within the values something else changed: so many standard deviations, the surest of some fifty kinds, and so much in shares.
_SURELY_WITHIN, _WORTH_IT = 4.5, 0.02
#: A new value carries what grew by so many standard deviations, when the kind is more frequent with it than without by a chance
#: of no more than this over all new values of so many conversations, or when so few come without.
_SURELY_GREW, _BY_CHANCE, _FEW_WITH, _FEW_WITHOUT = 2.0, 0.008, 5, 10


@dataclass(frozen=True, slots=True)
class Kind:
    """Conversations of a topic, far from the reference, both, or with a negative signal; as a `Change` names them."""

    family: str
    topic: int = -1


_FAR_ANYWHERE = Kind("novelty")


@dataclass(frozen=True, slots=True)
class Side:
    """Conversations [c] in the order in which they began: topic, bin of novelty, whether a reply failed, season, and the number
    of each attribute's value, -1 where none is known."""

    topics: NDArray[np.int64]
    bins: NDArray[np.int64]
    negative: NDArray[np.bool_]
    seasons: NDArray[np.int64]
    attributes: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.topics)

    def among(self, kept: NDArray[np.bool_]) -> Side:
        """Those that are kept."""
        of = {name: one[kept] for name, one in self.attributes.items()}
        return Side(self.topics[kept], self.bins[kept], self.negative[kept], self.seasons[kept], of)

    def hits(self, kinds: Sequence[Kind]) -> NDArray[np.float64]:
        """Which are of each kind [c, kinds]."""
        found = np.zeros((len(self), len(kinds)))
        for place, kind in enumerate(kinds):
            of_it = np.ones(len(self), bool) if kind.topic < 0 else self.topics == kind.topic
            if kind.family == "novelty":
                of_it &= self.bins >= FAR
            found[:, place] = self.negative if kind.family == "negative" else of_it
        return found


@dataclass(frozen=True, slots=True)
class Within:
    """A kind that grew within the values: its share since, and what the mix alone would give."""

    kind: Kind
    since: float
    expected: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`value` (its number, -1 for conversations that name none) of `attribute`, with its shares of the conversations before and
    of the `conversations` since.

    Where `new`, the reference has hardly any of it, and most of the growth comes with it. Otherwise the mix of known values
    changed, this one by most, and takes away most of what changed: `expected` is the share of the kind that the mix alone would
    give, `usual` the share before, `since` what it is, and `within` what grew within the values beside it.
    """

    attribute: str
    value: int
    new: bool
    value_before: float
    value_since: float
    conversations: int
    usual: float
    since: float
    expected: float
    within: Within | None = None


def explain(before: Side, since: Side, kind: Kind, *, topics: int, fresh: int) -> Explanation | None:
    """Why more conversations are of a kind, of `topics` topics, in the last `fresh` of those `since` than `before`; None where
    no attribute says why. Of few fresh ones no mix is known, so `since` may be more of them.

    Like seasons are compared: each is apart from the others in every value.
    """
    if not len(before) or not fresh:
        return None
    others = [_FAR_ANYWHERE, Kind("negative"), *(Kind("topics", one) for one in range(topics))]
    kinds = [kind, *(one for one in others if one != kind)]
    last = since.among(np.arange(len(since)) >= len(since) - fresh)
    hits, hits_of_last = (before.hits(kinds), since.hits(kinds)), last.hits(kinds)
    level = _SURELY / max(len(before.attributes), 1)
    mixes, new = [], []
    for name in before.attributes:
        table = _Table.of(before, since, name, hits)
        of_last = _Table.of(before, last, name, (hits[0], hits_of_last))
        mixes.append(_by_mix(name, table, of_last, kinds, level))
        new.append(_by_new(name, of_last, kinds, since.attributes[name], hits[1]))
    by_mix = [one for one in mixes if one is not None]
    if by_mix:
        return min(by_mix, key=lambda one: one[0])[1]
    by_new = [one for one in new if one is not None]
    return max(by_new, key=lambda one: one[0])[1] if by_new else None


@dataclass(frozen=True, slots=True)
class _Table:
    """Counts by value and season [v, seasons], the last value being none: conversations before and since; those of each kind
    [v, seasons, kinds]."""

    before: NDArray[np.float64]
    since: NDArray[np.float64]
    hits_before: NDArray[np.float64]
    hits_since: NDArray[np.float64]

    @classmethod
    def of(
        cls, before: Side, since: Side, attribute: str, hits: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> _Table:
        """By an attribute; `hits` [c, kinds] of each side."""
        numbers = before.attributes[attribute], since.attributes[attribute]
        none = max(int(one.max(initial=-1)) for one in numbers) + 1
        shape = none + 1, max(int(one.seasons.max()) for one in (before, since)) + 1
        counts = [np.zeros(shape) for _ in range(2)]
        of_kinds = [np.zeros((*shape, hits[0].shape[1])) for _ in range(2)]
        for side, one in enumerate((before, since)):
            cells = np.where(numbers[side] < 0, none, numbers[side]), one.seasons
            np.add.at(counts[side], cells, 1)
            np.add.at(of_kinds[side], cells, hits[side])
        # What one side has nothing of in a season is compared with nothing.
        both = (counts[0].sum(axis=0) > 0) & (counts[1].sum(axis=0) > 0)
        return cls(counts[0][:, both], counts[1][:, both], of_kinds[0][:, both], of_kinds[1][:, both])

    def only(self, values: NDArray[np.bool_]) -> _Table:
        return _Table(*(one[values] for one in (self.before, self.since, self.hits_before, self.hits_since)))

    @property
    def together(self) -> _Table:
        """All values as one."""
        parts = (self.before, self.since, self.hits_before, self.hits_since)
        return _Table(*(one.sum(axis=0, keepdims=True) for one in parts))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Values [v] that the reference says something of."""
        found: NDArray[np.bool_] = self.before.sum(axis=1) >= _LEAST
        return found

    @property
    def like(self) -> NDArray[np.float64]:
        """What a conversation before counts in each season [seasons], for both sides to have the same; nought for none."""
        before, since = self.before.sum(axis=0), self.since.sum(axis=0)
        found: NDArray[np.float64] = since / np.maximum(before, 1.0) / max(since.sum(), 1.0)
        return found

    @property
    def shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each value [v], before and since."""
        since = self.since.sum(axis=1)
        return self.before @ self.like, since / max(since.sum(), 1.0)

    def surely(self) -> NDArray[np.float64]:
        """By how many standard deviations each kind grew within the values and seasons [kinds]."""
        before, since = self.before[..., None], self.since[..., None]
        number, kind = np.maximum(before + since, 1.0), self.hits_before + self.hits_since
        beyond = (self.hits_since - since * kind / number).sum(axis=(0, 1))
        variance = since * before * kind * (number - kind) / number**2 / np.maximum(number - 1, 1.0)
        found: NDArray[np.float64] = beyond / np.sqrt(np.maximum(variance.sum(axis=(0, 1)), 1e-9))
        return found

    def kind_shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of each kind [kinds]: before, since, and what the mix since would give of what each value had before."""
        like = np.einsum("vsk,s->k", self.hits_before, self.like)
        rates = self.hits_before.sum(axis=1) / np.maximum(self.before.sum(axis=1), 1.0)[:, None]
        number = max(self.since.sum(), 1.0)
        plain = self.together
        overall = plain.hits_before.sum(axis=1) / max(plain.before.sum(), 1.0)
        mix = (self.since.sum(axis=1) / number - self.before.sum(axis=1) / max(self.before.sum(), 1.0)) @ (
            rates - overall
        )
        return like, self.hits_since.sum(axis=(0, 1)) / number, like + mix

    def mix_changed(self, level: float) -> bool:
        """The G-test of the values' shares, season by season."""
        g, freedom = 0.0, 0
        for before, since in zip(self.before.T, self.since.T, strict=True):
            both = before + since
            expected = both * since.sum() / max(both.sum(), 1.0), both * before.sum() / max(both.sum(), 1.0)
            g += sum(
                float(xlogy(seen, seen / np.where(due > 0, due, 1.0)).sum())
                for seen, due in zip((since, before), expected, strict=True)
            )
            freedom += max(int((both > 0).sum()) - 1, 0)
        return bool(freedom and chdtrc(freedom, max(2 * g, 0.0)) <= level)


def _by_mix(
    attribute: str, table: _Table, last: _Table, kinds: Sequence[Kind], level: float
) -> tuple[float, Explanation] | None:
    """The part of the evidence that is left within the known values of an attribute whose mix changed; None where that is most.
    `last` are the conversations since the change, of those in `table`."""
    known, of_last = table.only(table.known), last.only(last.known)
    if len(known.before) < 2 or not of_last.since.sum() or not known.mix_changed(level):
        return None
    within = of_last.surely()
    left = min(
        max(float(within[0]), 0.0) ** 2 / max(float(of_last.together.surely()[0]), 1.0) ** 2,
        _left_of_all(known, np.array([one.family == "topics" or one == _FAR_ANYWHERE for one in kinds])),
    )
    if left > 1 - _MOST_OF_IT:
        return None
    before, since = table.shares
    moved = np.where(since > before, _RATHER_GREW, 1.0) * np.abs(since - before)
    value = int(np.argmax(np.where(table.known, moved, 0.0)))
    usual, now, expected = of_last.kind_shares()
    worth = within * (now - expected >= _WORTH_IT)
    first = int(worth.argmax())
    beside = Within(kinds[first], float(now[first]), float(expected[first])) if worth[first] >= _SURELY_WITHIN else None
    found = _explanation(attribute, table, value)
    return left, replace(found, usual=float(usual[0]), since=float(now[0]), expected=float(expected[0]), within=beside)


def _left_of_all(table: _Table, of_topics: NDArray[np.bool_]) -> float:
    """The part of the evidence of all topics together that is left; 1 where there is hardly any."""
    number = int(of_topics.sum())
    total, rest = (float((one.surely()[of_topics] ** 2).sum()) - number for one in (table.together, table))
    return max(rest, 0.0) / total if total >= _TOGETHER * np.sqrt(2 * number) else 1.0


def _by_new(
    attribute: str, table: _Table, kinds: Sequence[Kind], numbers: NDArray[np.int64], hits: NDArray[np.float64]
) -> tuple[float, Explanation] | None:
    """How surely the growth comes with a value of which there were hardly any, and the explanation. `numbers` [c] are the
    values of the conversations since, `hits` [c, kinds] which are of each kind."""
    candidates = [0] + ([kinds.index(_FAR_ANYWHERE)] if kinds[0].family == "novelty" and kinds[0].topic >= 0 else [])
    usual, now, _ = table.kind_shares()
    _, since = table.shares
    grew = table.together.surely()
    asked = int((~table.known[:-1] & (table.since.sum(axis=1)[:-1] >= _FEW_WITH)).sum())
    surely = -float(ndtri(_BY_CHANCE / max(asked, 1)))
    best: tuple[float, int] | None = None
    for kind in candidates:
        growth = now[kind] - usual[kind]
        if growth <= 0 or grew[kind] < _SURELY_GREW:
            continue
        rates = table.hits_since[:, :, kind].sum(axis=1) / np.maximum(table.since.sum(axis=1), 1.0)
        parts = np.where(table.known, 0.0, since * (rates - usual[kind])) / growth
        parts[-1] = 0.0  # that a value is not named any more is no new value
        value = int(parts.argmax())
        sure = _surely_with(numbers == value, hits[:, kind]) if parts[value] >= _MOST_OF_IT else 0.0
        if sure >= surely and (best is None or sure > best[0]):
            best = sure, value
    return (best[0], replace(_explanation(attribute, table, best[1]), new=True)) if best else None


def _surely_with(with_it: NDArray[np.bool_], hits: NDArray[np.float64]) -> float:
    """By how many standard deviations a kind [c] is more frequent with a value than without, since the value is there: what
    came before the change has neither. Where next to none come without it, there is nothing else that it could come with."""
    first = int(with_it.argmax())
    with_it, hits = with_it[first:], hits[first:]
    number, rest = int(with_it.sum()), int((~with_it).sum())
    if rest < _FEW_WITHOUT and number >= 2 * _FEW_WITHOUT:
        return float("inf")
    if not rest or not number:
        return 0.0
    rate = float(hits.mean())
    deviation = np.sqrt(rate * (1 - rate) * (1 / number + 1 / rest))
    return float((hits[with_it].mean() - hits[~with_it].mean()) / max(deviation, 1e-12))


def _explanation(attribute: str, table: _Table, value: int) -> Explanation:
    before, since = table.shares
    usual, now, _ = table.kind_shares()
    return Explanation(
        attribute,
        value if value < len(before) - 1 else -1,
        False,
        float(before[value]),
        float(since[value]),
        int(table.since.sum()),
        float(usual[0]),
        float(now[0]),
        float("nan"),
    )
