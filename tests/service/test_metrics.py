"""What Prometheus is told."""

from __future__ import annotations

from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families

from consumers.batches import Commit, Counts
from monitor.health import Health, PartHealth
from monitor.records import Coordinates, DeadLetter, Turn
from monitor.service.metrics import Metrics
from monitor.store import Store
from monitor.store.partitions import PartitionRow

NOON = datetime(2026, 3, 1, 12)


def health() -> Health:
    return Health(NOON, (PartHealth("consumer", "running", NOON), PartHealth("refit", "failing", NOON, "no model")))


def scraped(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their labels."""
    samples = [one for family in text_string_to_metric_families(metrics.render().decode()) for one in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


def test_an_empty_store_answers(store: Store) -> None:
    found = scraped(Metrics(store, health))
    assert found["offmap_ingest_records_total",] == 0
    assert found["offmap_store_turns",] == 0 and found["offmap_store_bytes",] > 0
    assert found["offmap_part_up", "consumer", "running"] == 1
    assert found["offmap_part_up", "refit", "failing"] == 0


def test_commits_are_counted_and_timed(store: Store) -> None:
    metrics = Metrics(store, health)
    metrics.observe(Commit(Counts(records=12, turns=9, repeated=1, dead_letters=2), 0.02, 4.0, 0.5))
    metrics.observe(Commit(Counts(records=3, turns=3), 0.2, -1.0, -2.0))  # a clock that is ahead
    found = scraped(metrics)
    assert found["offmap_ingest_records_total",] == 15
    assert found["offmap_ingest_outcomes_total", "turns"] == 12
    assert found["offmap_ingest_outcomes_total", "dead_letters"] == 2
    assert found["offmap_ingest_batch_records_sum",] == 15
    assert found["offmap_ingest_commit_seconds_bucket", "0.025"] == 1
    assert found["offmap_ingest_freshness_seconds_bucket", "0.5"] == 1
    assert found["offmap_ingest_freshness_seconds_sum",] == 4
    assert found["offmap_ingest_last_commit_timestamp_seconds",] > 1.7e9


def test_the_store_is_asked_at_each_scrape(store: Store) -> None:
    metrics = Metrics(store, health)
    store.partitions.note([PartitionRow("kafka:turns", "0", 7, 10, NOON, lost=4)])
    turn = Turn(
        turn_id="t1", user_text="where is my refund?", created_at=NOON, conversation_id="c", user_id="ann@example.org"
    )
    store.turns.append([turn])
    reasons = [
        "user_text: blank",
        "user_text: expected a text, got 4",
        *(f"field{number}: missing" for number in range(25)),
    ]
    store.dead_letters.append(
        [
            DeadLetter(Coordinates("kafka:turns", "0", at), why, b"ann@example.org", NOON)
            for at, why in enumerate(reasons)
        ]
    )
    text = metrics.render().decode()
    found = scraped(metrics)
    assert found["offmap_partition_lag", "0", "kafka:turns"] == 3
    assert found["offmap_partition_lost", "0", "kafka:turns"] == 4
    assert found["offmap_store_turns",] == 1
    assert found["offmap_dead_letters", "user_text"] == 2
    assert found["offmap_dead_letters", "other"] == 6
    assert sum(value for name, value in found.items() if name[0] == "offmap_dead_letters") == 27
    assert "ann@" not in text and "refund" not in text
