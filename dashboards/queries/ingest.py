"""Ingest over the last hours: records a minute by source, how far behind each partition is, dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from monitor.store.samples import LETTERS, Sample
from monitor.store.store import Store

__all__ = ["Course", "Flow", "Line", "ingest_course"]

#: Two samples that are nearer say little of a rate.
_SHORTEST = timedelta(seconds=20)
#: Partitions that are drawn alone, those that are most behind; the others are one line.
_ALONE = 6


@dataclass(frozen=True, slots=True)
class Flow:
    """Records of a source between two times."""

    source: str
    start: datetime
    end: datetime
    records: int

    @property
    def per_minute(self) -> float:
        return self.records / ((self.end - self.start).total_seconds() / 60)


@dataclass(frozen=True, slots=True)
class Line:
    """A number over time."""

    name: str
    points: tuple[tuple[datetime, int], ...]


@dataclass(frozen=True, slots=True)
class Course:
    """How ingest went, from `start` to `end`."""

    start: datetime
    end: datetime
    flows: tuple[Flow, ...]
    lags: tuple[Line, ...]
    letters: Line


def ingest_course(store: Store, now: datetime) -> Course:
    """What was sampled, and how it is now."""
    samples = [*store.samples.read(), *store.samples.now()]
    start = min([samples[0].taken_at, now - timedelta(minutes=10)]) if samples else now - timedelta(minutes=10)
    letters = tuple((one.taken_at, one.position) for one in samples if one.source == LETTERS)
    records = [one for one in samples if one.source != LETTERS]
    return Course(
        start,
        max(now, samples[-1].taken_at) if samples else now,
        tuple(_flows(records)),
        tuple(_lags(records)),
        Line(LETTERS, letters),
    )


def _flows(samples: Iterable[Sample]) -> Iterable[Flow]:
    """Differences of counters, by source. One that went back was set back: all of it came since."""
    sums: dict[tuple[str, datetime, datetime], int] = {}
    for (source, _), counters in _by_counter(samples):
        for before, after in pairwise(counters):
            if after.taken_at - before.taken_at >= _SHORTEST:
                more = after.position - before.position
                span = (source, before.taken_at, after.taken_at)
                sums[span] = sums.get(span, 0) + (more if more >= 0 else after.position)
    return [Flow(*span, records) for span, records in sorted(sums.items())]


def _lags(samples: Iterable[Sample]) -> Iterable[Line]:
    lines = [
        Line(f"{source} / {partition}", tuple((one.taken_at, one.lag) for one in counters))
        for (source, partition), counters in _by_counter(samples)
        if partition
    ]
    lines.sort(key=lambda line: (-line.points[-1][1], -max(lag for _, lag in line.points)))
    if len(lines) <= _ALONE:
        return sorted(lines, key=lambda line: line.name)
    rest: dict[datetime, int] = {}
    for line in lines[_ALONE:]:
        for at, lag in line.points:
            rest[at] = rest.get(at, 0) + lag
    return [*lines[:_ALONE], Line(f"{len(lines) - _ALONE} others", tuple(sorted(rest.items())))]


def _by_counter(samples: Iterable[Sample]) -> Iterable[tuple[tuple[str, str], Sequence[Sample]]]:
    ordered = sorted(samples, key=lambda one: (one.source, _natural(one.partition), one.taken_at))
    return [(key, list(group)) for key, group in groupby(ordered, key=lambda one: (one.source, one.partition))]


def _natural(partition: str) -> tuple[int, str]:
    """Partition 10 comes after 9."""
    return (int(partition), "") if partition.isdecimal() else (-1, partition)
