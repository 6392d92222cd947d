"""Eval sets with their versions, the health of the compared ones, and coverage by publication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.store.eval_health import EvalHealthRow
from monitor.store.eval_sets import EvalSetSummary
from monitor.store.history import CoveragePoint
from monitor.store.store import Store

__all__ = ["Numbered", "compared_versions", "coverage_points", "numbered_versions", "version_marks"]

#: A chart has no more points than this: of each stretch of equal length the latest.
_POINTS = 200


@dataclass(frozen=True, slots=True)
class Numbered:
    """A version of an eval set; `number` counts the versions of its name from 1. `latest` is the one that is compared."""

    summary: EvalSetSummary
    number: int
    latest: bool


def numbered_versions(store: Store) -> list[Numbered]:
    """By name, and the latest of each first."""
    by_name: dict[str, list[EvalSetSummary]] = {}
    for one in store.eval_sets.summaries():
        by_name.setdefault(one.name, []).append(one)
    return [
        Numbered(one, place, place == len(versions))
        for versions in by_name.values()
        for place, one in sorted(enumerate(versions, start=1), reverse=True)
    ]


def version_marks(versions: Sequence[Numbered], names: Sequence[str]) -> list[tuple[datetime, str]]:
    """When each version of these names was imported, and what to call it; with one name its number says enough."""
    alone = len(set(names)) == 1
    marks = [
        (one.summary.created_at, f"v{one.number}" if alone else f"{one.summary.name} v{one.number}")
        for one in versions
        if one.summary.name in names
    ]
    return sorted(marks)


def coverage_points(store: Store, names: Sequence[str]) -> list[CoveragePoint]:
    """Publications that compared these eval sets and could say something, from the oldest to the latest."""
    found = [one for one in store.history.read() if set(one.eval_sets) == set(names) and one.value is not None]
    if len(found) <= _POINTS:
        return found
    step = (found[-1].published_at - found[0].published_at) / _POINTS
    kept = {int((one.published_at - found[0].published_at) / step): one for one in found} if step else {0: found[-1]}
    return list(kept.values())


def compared_versions(store: Store, names: Sequence[str]) -> list[EvalHealthRow]:
    """What was found in each combination of versions of these names, those compared last last."""
    return [one for one in store.eval_health.read() if set(one.names) == set(names)]
