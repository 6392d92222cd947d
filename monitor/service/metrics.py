"""Metrics for Prometheus: what the process counted since it started, and how the store stands at the time of the question.

Labels are names of parts, sources and kinds of reasons. No text of a message and no id of a user is ever a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client import Counter as Counting
from prometheus_client.core import GaugeMetricFamily, Metric

from monitor.health import Health
from monitor.store.samples import FOLDER, HTTP
from monitor.store.store import Store

if TYPE_CHECKING:
    from consumers.batches import Commit, Counts

__all__ = ["Metrics"]

_OUTCOMES = ("turns", "repeated", "filled", "conflicts", "forgotten", "events", "dead_letters", "empty")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_AGES = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)
_ROWS = (1, 10, 50, 100, 500, 1_000, 2_000, 5_000, 10_000)
#: Kinds of reasons with a line of their own; the rarer ones are one together.
_REASONS = 20


class Metrics:
    """One a service. `observe` is called by the consumer, `render` by whoever is asked for `/metrics`."""

    def __init__(self, store: Store, health: Callable[[], Health]) -> None:
        # When a counter began is a second line for each, and nobody's question.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry(auto_describe=True)
        self._registry.register(_Standing(store, health))
        made: dict[str, Any] = {"registry": self._registry}
        self._lines = 0
        self._records = Counting("offmap_ingest_records", "Records that were read from streams", **made)
        self._requested = Counting("offmap_http_records", "Records that came over HTTP and were stored", **made)
        self._from_folder = Counting("offmap_folder_records", "Records that were read from the watched folder", **made)
        self._outcomes = Counting("offmap_ingest_outcomes", "What became of records", ["outcome"], **made)
        self._batch = Histogram("offmap_ingest_batch_records", "Records of a transaction", buckets=_ROWS, **made)
        self._seconds = Histogram("offmap_ingest_commit_seconds", "Time of a transaction", buckets=_SECONDS, **made)
        self._freshness = Histogram(
            "offmap_ingest_freshness_seconds",
            "From the time of a batch's oldest message until its rows can be seen",
            buckets=_AGES,
            **made,
        )
        self._committed = Gauge(
            "offmap_ingest_last_commit_timestamp_seconds", "When a stream stored something last", **made
        )
        for outcome in _OUTCOMES:
            self._outcomes.labels(outcome)

    def observe(self, done: Commit) -> None:
        """Count a transaction of a stream."""
        counts = done.counts
        self._records.inc(counts.records)
        self._count_outcomes(counts)
        self._batch.observe(counts.records)
        self._seconds.observe(done.seconds)
        self._freshness.observe(max(0.0, done.oldest))
        self._committed.set_to_current_time()

    def observe_request(self, counts: Counts) -> None:
        """Count what a request over HTTP stored."""
        self._requested.inc(counts.records)
        self._count_outcomes(counts)

    def observe_folder(self, counts: Counts) -> None:
        """Count what a file of the watched folder brought."""
        self._from_folder.inc(counts.records)
        self._count_outcomes(counts)

    def _count_outcomes(self, counts: Counts) -> None:
        for outcome in _OUTCOMES:
            self._outcomes.labels(outcome).inc(getattr(counts, outcome))

    def observe_lines(self, records: int) -> None:
        """Count what came of logs that grow in the watched folder; they are a part of what `observe_folder` counts."""
        self._lines += records

    def counted(self) -> dict[str, int]:
        """Records since the process started that leave no count of records in the store, by the name of their sample."""
        found = (sample for metric in self._requested.collect() for sample in metric.samples)
        requested = sum(sample.value for sample in found if sample.name.endswith("_total"))
        return {HTTP: int(requested), FOLDER: self._lines}

    def render(self) -> bytes:
        """The answer to a scrape, as text."""
        return generate_latest(self._registry)


class _Standing:
    """How the store and the parts stand, asked at every scrape; each question reads counters and no text."""

    def __init__(self, store: Store, health: Callable[[], Health]) -> None:
        self._store, self._health = store, health

    def describe(self) -> Iterator[Metric]:
        return iter(())  # nothing is asked of the store when this is registered

    def collect(self) -> Iterator[Metric]:
        yield from self._partitions()
        yield _gauge("offmap_store_turns", "Turns in the store", self._store.turns.count())
        yield _gauge("offmap_store_bytes", "Bytes of the store on the disk, with its log", self._store.size())
        yield self._letters()
        deliveries = GaugeMetricFamily("offmap_alert_deliveries", "Alerts on a channel", labels=["state"])
        states = Counter(one.state for one in self._store.alerts.deliveries())
        for state in ("due", "sent", "failed"):
            deliveries.add_metric([state], states[state])
        yield deliveries
        parts = GaugeMetricFamily("offmap_part_up", "1 for a part that is well", labels=["part", "state"])
        for part in self._health().parts:
            parts.add_metric([part.name, part.state], float(part.ok))
        yield parts

    def _partitions(self) -> Iterator[Metric]:
        labels = ["source", "partition"]
        lag = GaugeMetricFamily("offmap_partition_lag", "Messages that wait", labels=labels)
        position = GaugeMetricFamily("offmap_partition_position", "The next message to read", labels=labels)
        lost = GaugeMetricFamily(
            "offmap_partition_lost", "Messages gone from the log before they were read", labels=labels
        )
        for row in self._store.partitions.read():
            names = [row.source, row.partition]
            lag.add_metric(names, row.lag)
            position.add_metric(names, row.position)
            lost.add_metric(names, row.lost or 0)
        yield from (lag, position, lost)

    def _letters(self) -> Metric:
        letters = GaugeMetricFamily("offmap_dead_letters", "Records that are kept unread", labels=["reason"])
        kinds: Counter[str] = Counter()
        for one in self._store.dead_letters.reasons():
            kinds[one.reason.partition(":")[0]] += one.letters
        for reason, count in kinds.most_common(_REASONS):
            letters.add_metric([reason], count)
        rest = kinds.total() - sum(count for _, count in kinds.most_common(_REASONS))
        if rest:
            letters.add_metric(["other"], rest)
        return letters


def _gauge(name: str, meaning: str, value: float) -> Metric:
    found = GaugeMetricFamily(name, meaning)
    found.add_metric([], value)
    return found
