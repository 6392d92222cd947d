"""Surges: things that people say more often than before, found where they are said and not where topics were drawn.

A new subject is a handful of conversations at first, fewer than a topic needs; and a topic that holds it holds other things
too, among which it drowns. So this looks at the neighbourhood of every recent text, at several sizes, and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from monitor.atlas.timeline import DAY
from monitor.drift.sample import thinned
from monitor.drift.tails import Tails, adjusted_for_all, rejection_is_out_of_reach

__all__ = ["Surge", "find_surges"]

#: A neighbourhood is everything at least so near to its centre as these quantiles of texts are to their tenth nearest text:
#: the encoder and the traffic say what near is. On the sample traffic they are cosines of about 0.4, 0.5 and 0.6.
_QUANTILES, _TENTH, _ASKED = (0.1, 0.5, 0.75), 10, 1_000
#: Recent is the last so many days: what begins abruptly shows in the short ones, what grows in the long ones.
_RECENT_DAYS = (2.0, 4.0, 7.0)
#: Fewer conversations than this are no surge, whatever their p-value.
_LEAST = 5
#: Beyond so many centres or turns, conversations are sampled: the rates stay what they are.
_MOST_CENTRES, _MOST_TURNS = 20_000, 30_000
#: Neighbourhoods of more conversations than this are thinned: those next to one another hold the same. It keeps memory and time
#: in proportion to the texts where thousands say the same, and leaves out no small subject.
_CROWD = 200
#: Permutations that are counted together: each neighbourhood's conversations are then read once for all of them.
_TOGETHER = 8
#: Two surges are one when they share this part of the smaller one's recent conversations.
_SAME = 0.3


@dataclass(frozen=True, slots=True)
class Surge:
    """One neighbourhood that is asked about more than before.

    `centre` and `members` are rows of the turns that were looked at; members are the recent ones, nearest to the centre
    first. `recent` and `before` count conversations in the last `days` and in the rest of the span, of `all_recent` and
    `all_before`. `p_value` is adjusted for everything that was looked at. `like` is its share of the rest of the span in such
    hours as the recent ones, where hours differ.
    """

    centre: int
    members: tuple[int, ...]
    days: float
    recent: int
    before: int
    all_recent: int
    all_before: int
    p_value: float
    like: float | None = None

    @property
    def share(self) -> float:
        """Share of the recent conversations."""
        return self.recent / self.all_recent

    @property
    def share_before(self) -> float:
        """Share of those before, of like hours."""
        return self.before / self.all_before if self.like is None else self.like


def find_surges(
    vectors: NDArray[np.float32],
    created: NDArray[np.int64],
    conversations: NDArray[np.int64],
    *,
    end: int,
    span_days: float,
    rng: np.random.Generator,
    season: NDArray[np.int64] | None = None,
    permutations: int = 499,
    level: float = 0.01,
    most: int = 20,
) -> list[Surge]:
    """Neighbourhoods with more recent conversations than chance gives, the surest first; none when there is too little.

    Unit vectors [t, d], times in microseconds since 1970 and conversation numbers [t]; `end` is now, and the span reaches
    `span_days` back from it. Of every recent text and each of three cosines the statistic is the binomial tail of its
    recent conversations among all of the neighbourhood's; the least over everything is compared with its least when the
    times of whole conversations are permuted. So `level` bounds the probability that a look finds anything when nothing
    changed, whatever the number of texts (a scan statistic: Kulldorff, 1997, over cosine instead of the plane).

    `season` [t] is the kind of hour that each turn came in, from 0 on, where people ask for other things in some hours: times
    are permuted among conversations of one season, and a conversation's chance to be recent is that of its season.
    """
    rows = np.flatnonzero((created >= end - int(span_days * DAY)) & (created < end))
    rows = thinned(rows, conversations, _MOST_TURNS, rng)
    if not len(rows):
        return []
    names, talk = np.unique(conversations[rows], return_inverse=True)
    opened = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(opened, talk, created[rows])
    borders = [end - int(days * DAY) for days in _RECENT_DAYS]
    recents = np.array([(opened >= border).sum() for border in borders])
    if recents.min() < _LEAST or recents.max() > len(names) // 2:
        return []
    # Any text may be a centre: which of them count follows from the times, also when those are permuted. With the recent
    # texts as the centres of every permutation, one look in eight found something where nothing had changed, at 1 in 20.
    centres = np.arange(len(rows))
    if len(centres) > _MOST_CENTRES:
        centres = np.sort(rng.choice(centres, _MOST_CENTRES, replace=False))
    radii = _radii(vectors[rows], rng)
    near, of_centre, of_radius = _neighbourhoods(vectors[rows], centres, radii, talk, len(names), rng)
    host = talk[of_centre]
    seasons = _seasons(season, rows, created, opened, talk)
    chances = _Chances.of(near, opened, seasons, borders)
    observed = _Counts.of(near, host, opened, borders, chances)
    surest, reached = observed.log_tails.min(initial=0.0), 0
    least = np.empty(permutations)
    for start in range(0, permutations, _TOGETHER):
        block = least[start : start + _TOGETHER]
        block[:] = _surest(near, host, [_permuted(opened, seasons, rng) for _ in block], borders, chances)
        reached += int((block <= surest).sum())
        if rejection_is_out_of_reach(reached, permutations, level):
            return []
    adjusted = adjusted_for_all(observed.log_tails, least)
    found = _separate(observed, near, adjusted, level, opened, borders, most)
    surges = []
    for place, window in found:
        centre, cosine = of_centre[place], radii[of_radius[place]]
        likeness = vectors[rows] @ vectors[rows[centre]]
        inside = np.flatnonzero((likeness >= cosine) & (opened[talk] >= borders[window]))
        inside = inside[np.argsort(-likeness[inside], kind="stable")]
        surges.append(
            Surge(
                centre=int(rows[centre]),
                members=tuple(int(row) for row in rows[inside]),
                days=_RECENT_DAYS[window],
                recent=int(observed.recent[window, place]),
                before=int(observed.total[place] - observed.recent[window, place]),
                all_recent=int(recents[window]),
                all_before=int(len(names) - recents[window]),
                p_value=float(adjusted[window, place]),
                like=_like(near[place].indices, opened, seasons, borders[window]),
            )
        )
    return surges


def _radii(vectors: NDArray[np.float32], rng: np.random.Generator) -> list[float]:
    """The cosines of the neighbourhoods, the smallest first."""
    distinct = np.unique(vectors, axis=0)
    asked = distinct[rng.permutation(len(distinct))[:_ASKED]]
    place = max(len(distinct) - 1 - _TENTH, 0)  # the text itself is its nearest
    tenth = np.concatenate(
        [
            np.partition(asked[start : start + 256] @ distinct.T, place, axis=1)[:, place]
            for start in range(0, len(asked), 256)
        ]
    )
    return [float(cosine) for cosine in np.quantile(tenth, _QUANTILES)]


def _neighbourhoods(
    vectors: NDArray[np.float32],
    centres: NDArray[np.int64],
    radii: Sequence[float],
    talk: NDArray[np.int64],
    conversations: int,
    rng: np.random.Generator,
) -> tuple[csr_matrix, NDArray[np.int64], NDArray[np.int64]]:
    """Which conversations [c] come near a centre at a cosine: a matrix of ones [n, c], and each row's centre and cosine [n].

    Whether a row is left out depends on the texts alone and never on their times: so permutations stay fair.
    """
    parts: list[list[csr_matrix]] = [[] for _ in radii]
    kept: list[list[NDArray[np.int64]]] = [[] for _ in radii]
    for start in range(0, len(centres), 512):
        block = centres[start : start + 512]
        likeness = vectors[block] @ vectors.T
        for part, keep, cosine in zip(parts, kept, radii, strict=True):
            row, column = np.nonzero(likeness >= cosine)
            ones = np.ones(len(row), np.float32)
            matrix = csr_matrix((ones, (row, talk[column])), shape=(len(block), conversations))
            matrix.sum_duplicates()
            matrix.data[:] = 1.0
            stays = rng.random(len(block)) * np.diff(matrix.indptr) < _CROWD
            part.append(matrix[stays])
            keep.append(block[stays])
    of_radius = np.repeat(np.arange(len(radii)), [sum(map(len, keep)) for keep in kept])
    of_centre = np.concatenate([block for keep in kept for block in keep])
    return vstack([matrix for part in parts for matrix in part], format="csr"), of_centre, of_radius


def _seasons(
    season: NDArray[np.int64] | None,
    rows: NDArray[np.int64],
    created: NDArray[np.int64],
    opened: NDArray[np.int64],
    talk: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The season of each conversation [c]: that of its first turn."""
    found = np.zeros(len(opened), np.int64)
    if season is not None:
        first = created[rows] == opened[talk]
        found[talk[first]] = season[rows[first]]
    return found


def _permuted(opened: NDArray[np.int64], seasons: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The times [c] in another order, each with a conversation of its own season."""
    if not seasons.any():
        return rng.permutation(opened)
    again = np.empty_like(opened)
    for one in np.unique(seasons):
        mine = np.flatnonzero(seasons == one)
        again[mine] = opened[rng.permutation(mine)]
    return again


def _like(
    members: NDArray[np.int32], opened: NDArray[np.int64], seasons: NDArray[np.int64], border: int
) -> float | None:
    """The share that a neighbourhood had before in hours like the recent ones; None where all hours are alike."""
    if not seasons.any():
        return None
    count = int(seasons.max()) + 1
    recent = opened >= border
    now, before = (np.bincount(seasons[rows], minlength=count) for rows in (recent, ~recent))
    mine = np.bincount(seasons[members[~recent[members]]], minlength=count)
    shares = np.divide(mine, before, out=np.zeros(count), where=before > 0)
    return float((now * shares).sum() / now.sum())


@dataclass(frozen=True, slots=True)
class _Chances:
    """Conversations of each neighbourhood [n], and by window the tails for the chance of one to be recent.

    Permutations within the seasons leave both as they are.
    """

    total: NDArray[np.int64]
    tails: tuple[Tails, ...]

    @classmethod
    def of(
        cls, near: csr_matrix, opened: NDArray[np.int64], seasons: NDArray[np.int64], borders: Sequence[int]
    ) -> _Chances:
        total = np.diff(near.indptr).astype(np.int64)
        most, tails = int(total.max(initial=0)), []
        for border in borders:
            recent = (opened >= border).astype(np.float64)
            of_season = np.bincount(seasons, weights=recent) / np.maximum(np.bincount(seasons), 1)
            # One season's chance is the same number everywhere.
            alike = np.full(len(total), of_season[0])
            tails.append(Tails.of(near @ of_season[seasons] / np.maximum(total, 1) if seasons.any() else alike, most))
        return cls(total, tuple(tails))

    def log_tails(
        self, window: int, rows: NDArray[np.int64], recent: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of neighbourhoods [r] with so many recent conversations [r]: those with enough, and the logarithms of their tails."""
        many = recent >= _LEAST
        return rows[many], self.tails[window].log_tails(rows[many], self.total[rows[many]], recent[many])


@dataclass(frozen=True, slots=True)
class _Counts:
    """The recent conversations of each neighbourhood [w, n] by window, and the logarithm of their tail [w, n].

    The tail is 1 where the centre is not recent, or too few are.
    """

    total: NDArray[np.int64]
    recent: NDArray[np.int64]
    log_tails: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        near: csr_matrix,
        host: NDArray[np.int64],
        opened: NDArray[np.int64],
        borders: Sequence[int],
        chances: _Chances,
    ) -> _Counts:
        """`host` is the conversation of each neighbourhood's centre."""
        recent = _recent(near, [opened], borders)
        looked = np.flatnonzero(opened[host] >= borders[-1])
        found = np.zeros((len(borders), len(chances.total)))
        for window in range(len(borders)):
            rows, tails = chances.log_tails(window, looked, recent[looked, window])
            found[window, rows] = tails
        return cls(chances.total, recent.T, found)


def _surest(
    near: csr_matrix,
    host: NDArray[np.int64],
    permuted: Sequence[NDArray[np.int64]],
    borders: Sequence[int],
    chances: _Chances,
) -> list[float]:
    """The least logarithm of a tail in each of some permutations of the times, as `_Counts` has them."""
    recent, found = _recent(near, permuted, borders), []
    for number, opened in enumerate(permuted):
        looked = np.flatnonzero(opened[host] >= borders[-1])
        of_windows = recent[looked, number * len(borders) : (number + 1) * len(borders)]
        tails = [chances.log_tails(window, looked, of_windows[:, window])[1] for window in range(len(borders))]
        found.append(min(float(one.min(initial=0.0)) for one in tails))
    return found


def _recent(near: csr_matrix, times: Sequence[NDArray[np.int64]], borders: Sequence[int]) -> NDArray[np.int64]:
    """How many conversations of each neighbourhood are recent [n, t * w], for each of some times [c] by window."""
    came = np.stack([opened >= border for opened in times for border in borders], 1).astype(np.float32)
    return np.asarray(near @ came).astype(np.int64)  # sums of ones are whole


def _separate(
    counts: _Counts,
    near: csr_matrix,
    adjusted: NDArray[np.float64],
    level: float,
    opened: NDArray[np.int64],
    borders: Sequence[int],
    most: int,
) -> list[tuple[int, int]]:
    """The surest neighbourhoods as (row, window), without those that mostly hold the conversations of a surer one."""
    window_of, place_of = np.nonzero(adjusted <= level)
    order = np.lexsort((place_of, window_of, counts.log_tails[window_of, place_of]))
    taken: list[tuple[int, int]] = []
    held: list[set[int]] = []
    for one in order.tolist():
        window, place = int(window_of[one]), int(place_of[one])
        members = near.indices[near.indptr[place] : near.indptr[place + 1]]
        recent = set(members[opened[members] >= borders[window]].tolist())
        if all(len(recent & other) < _SAME * min(len(recent), len(other)) for other in held):
            taken.append((place, window))
            held.append(recent)
            if len(taken) == most:
                break
    return taken
