"""The two-sample tests by name: which are always asked, which on request, and what each sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType

from monitor.drift.classifier import classifier
from monitor.drift.energy import energy
from monitor.drift.evidently_embeddings import evidently_embeddings
from monitor.drift.mmd import mmd
from monitor.drift.neighbourhood import NARROW, WIDE, neighbourhood
from monitor.drift.novelty import novelty
from monitor.drift.pool import DriftResult, Pool
from monitor.drift.shares import largest_share, shares

__all__ = ["ALWAYS", "MEANINGS", "ON_REQUEST", "run_tests"]

_TESTS: Mapping[str, Callable[[Pool], DriftResult]] = MappingProxyType(
    {
        "nearest": partial(neighbourhood, k=NARROW),
        "neighbours": partial(neighbourhood, k=WIDE),
        "distribution": mmd,
        "shares": shares,
        "topic": largest_share,
        "novelty": novelty,
        "energy": energy,
        "classifier": classifier,
        "evidently": evidently_embeddings,
    }
)

#: Those of every comparison. All but novelty make the verdict; novelty says how much of the traffic is on something new.
ALWAYS = ("nearest", "neighbours", "topic", "distribution", "shares", "novelty")

#: Those that say nothing more, for whoever knows them.
ON_REQUEST = ("energy", "classifier", "evidently")

MEANINGS = MappingProxyType(
    {
        "nearest": "small new subjects: how many more of each turn's 5 nearest are current too than chance gives",
        "neighbours": "popularity and new subjects: the same of its 20 nearest",
        "distribution": "texts as a whole: distance of the windows' means in the space of a kernel (MMD)",
        "topic": "one topic that grew or shrank: how much the share of the surest one changed",
        "shares": "all topics: the share of turns that would have to change topic to undo the change, beyond chance",
        "novelty": "something new: the share of current turns that are far from everything in the reference",
        "energy": "texts as a whole: energy distance",
        "classifier": "texts as a whole: how well a model tells the windows apart (AUROC less one half)",
        "evidently": "Evidently's domain classifier by its defaults: it says drift above 0 (AUROC less 0.55)",
    }
)


def run_tests(pool: Pool, names: Iterable[str] = ALWAYS) -> dict[str, DriftResult]:
    """The tests of these names that have something to say. Raises `MissingExtraError` for `evidently` without Evidently."""
    found = {name: _TESTS[name](pool) for name in names}
    return {name: result for name, result in found.items() if result.statistics.size}
