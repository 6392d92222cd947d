"""The self-test: hide what the eval set does cover, kind by kind, and see whether it is found to be missing.

It is the benchmark of docs/decisions/0024 on somebody's own data, where the truth is known for as long as it is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.neighbours import nearest
from monitor.atlas.timeline import DAY
from monitor.coverage.items import ComparedItems
from monitor.coverage.novelty import EvalVectors, home_topics
from monitor.coverage.production import Production
from monitor.coverage.repeats import without_repeats
from monitor.coverage.report import Report, compare
from monitor.coverage.slices import FINE, MIDDLE
from monitor.settings import Settings

__all__ = ["NEW_SHARE", "Hidden", "SelfTest", "self_test"]

#: Kinds are hidden in so many groups, one after another. The more is away at a time, the more is found, also of what is really
#: missing (docs/decisions/0039).
_GROUPS = 20

#: The smallest share that would be noticed: of kinds at least so large, this part was found.
_MOSTLY = 0.8

#: What takes this share of the traffic from its first day is the example of how long something new goes unlisted.
NEW_SHARE = 0.01

_HOUR = DAY / 24

#: A turn is rather covered than not from this probability on.
_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class Hidden:
    """A kind of items that was hidden: its name, how many items, the share of the turns that ask it, and the middle topic that
    most of these lie in.

    `alone` says that no other kind's items lie in that topic: what shares a topic is found less often. `found` says that the
    topic, or one in it, was listed as a gap, and `rank` where.
    """

    name: str
    items: int
    topic_id: str
    share: float
    alone: bool
    found: bool
    rank: int | None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What was hidden, the largest first; `labelled` says that kinds are labels and not topics.

    `untested` names the kinds that no turn asks, `listed` those whose topic is on the list of gaps as it is: hidden, they would
    be on it for what is missing already. `smallest` is the least share of the traffic from which on most kinds were
    found (nan when there is none, and without labels), and `hours` how long a new kind with `NEW_SHARE` of the traffic takes
    to be listed.
    """

    hidden: tuple[Hidden, ...]
    untested: tuple[str, ...]
    listed: tuple[str, ...]
    labelled: bool
    smallest: float
    hours: float

    @property
    def found(self) -> int:
        return sum(one.found for one in self.hidden)


def self_test(
    production: Production, items: ComparedItems, vectors: NDArray[np.float32], settings: Settings
) -> SelfTest:
    """Hide every kind of items [m] once: the labels, or the topics that items lie in where they are not labelled.

    What people marked as covered is found like all else: nobody marks what is hidden.
    """
    production = replace(production, marked=None)
    items, vectors = without_repeats(items, vectors)
    homes = home_topics(
        production.text_topics(MIDDLE), production.network.vectors, vectors, k=settings.atlas.neighbours
    )
    kinds = EvalVectors(vectors, items.labels, items.texts).kinds()
    labelled = kinds is not None
    kinds = homes if kinds is None else kinds
    whole = compare(production, items, vectors, settings)
    asked = _asked(production, whole, kinds, vectors)
    own, untested, listed = {}, [], []
    for kind in np.unique(kinds).tolist():
        first, home = int(np.flatnonzero(kinds == kind)[0]), asked.home(kind)
        name = (items.labels[first] or "") if labelled else ""
        if home is None or not (name if labelled else kind >= 0):
            untested.append(name or "items without a topic")
            continue
        if _ranks(home, whole, production):
            listed.append(name or production.atlas.topics[kind].label)
            continue
        own[kind] = (name or production.atlas.topics[kind].label, home, int((kinds == kind).sum()))
    rng = np.random.default_rng(settings.atlas.seed)
    order = rng.permutation(np.array(list(own), np.int64)) if own else np.empty(0, np.int64)
    found: list[Hidden] = []
    for group in range(min(_GROUPS, len(order))):
        away = order[group::_GROUPS]
        keep = ~np.isin(kinds, away)
        report = compare(production, items.only(keep), vectors[keep], settings)
        left = set(homes[keep].tolist())
        found += [_hidden(*own[kind], asked.share(kind), left, report, production) for kind in away.tolist()]
    found.sort(key=lambda one: (-one.share, one.name))
    # Of whole topics even the smallest are found, and what is asked inside of one is not: their size says nothing.
    smallest = _smallest(found) if labelled else float("nan")
    hours = _hours(production, smallest, settings)
    return SelfTest(tuple(found), tuple(sorted(untested)), tuple(sorted(listed)), labelled, smallest, hours)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of each kind: the kind [c] of the turns that count, -1 for none, and their middle topics [c]."""

    kinds: NDArray[np.int64]
    topics: NDArray[np.int64]

    def share(self, kind: int) -> float:
        return float((self.kinds == kind).mean())

    def home(self, kind: int) -> int | None:
        """The topic that most of its turns lie in."""
        at = self.topics[(self.kinds == kind) & (self.topics >= 0)]
        return int(np.bincount(at).argmax()) if len(at) else None


def _asked(production: Production, report: Report, kinds: NDArray[np.int64], vectors: NDArray[np.float32]) -> _Asked:
    """A turn is of its nearest item's kind when it is rather covered than not: what is missing is near to some item too."""
    counted = production.counted
    covered = report.turns.column("covered").to_numpy(zero_copy_only=False) if report.turns.num_rows else None
    nearest_item = nearest(production.network.vectors, vectors, k=1)[0][:, 0][production.corpus.text_of[counted]]
    of_turns = np.full(len(counted), -1, np.int64)
    if covered is not None:
        of_turns = np.where(covered[counted] >= _COVERED, kinds[nearest_item], -1)
    return _Asked(of_turns, production.atlas.of_turns[MIDDLE][counted])


def _hidden(
    name: str,
    home: int,
    items: int,
    share: float,
    left: set[int],
    report: Report,
    production: Production,
) -> Hidden:
    ranks = _ranks(home, report, production)
    topic_id = production.atlas.topics[home].topic_id
    return Hidden(name, items, topic_id, share, home not in left, bool(ranks), min(ranks, default=None))


def _ranks(home: int, report: Report, production: Production) -> list[int]:
    """Where the gaps stand that are a topic or lie in it."""
    topics = production.atlas.topics
    topic_id = topics[home].topic_id
    family = {topic_id, *(one.topic_id for one in topics if one.level == FINE and one.parent == topic_id)}
    return [gap.rank for gap in report.gaps if gap.topic_id in family]


def _smallest(tested: Sequence[Hidden]) -> float:
    """The least share such that of the kinds at least so large most were found; nan when not even of the largest."""
    smallest = float("nan")
    found = 0
    for number, one in enumerate(tested, start=1):  # the largest first
        found += one.found
        if one.found and found >= _MOSTLY * number:
            smallest = one.share
    return smallest


def _hours(production: Production, smallest: float, settings: Settings) -> float:
    """Hours until a kind that is new, and takes `NEW_SHARE` of the traffic from then on, has as many turns as the smallest that
    is noticed, and the conversations that a gap needs, at the window's pace. Then it waits for the next analysis."""
    counted = production.counted
    if not np.isfinite(smallest) or not len(counted):
        return float("nan")
    hours = max((production.end - int(production.corpus.created[counted].min())) / _HOUR, 1e-9)
    conversations = len(np.unique(production.corpus.conversation[counted]))
    needed = max(smallest, settings.gaps.min_conversations / conversations)
    return hours * needed / NEW_SHARE
