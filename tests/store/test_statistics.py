"""Counts for pages, and the small tables of the service, on both kinds of store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from monitor.records import Turn, Window
from monitor.store import Store
from monitor.store.atlases import ASSIGNMENTS
from monitor.store.drift import DriftRow
from monitor.store.history import CoveragePoint
from monitor.store.partitions import PartitionRow
from monitor.store.reports import SIGNALS, TURN_COVERAGE, CoverageRow
from monitor.store.schedule import ScheduledJob
from monitor.store.statistics import FILTERS, Filter, Release
from tests.store.conftest import NOON, make_turn

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOSTILE = "x'); DROP TABLE turns; -- \u202e<b>"


def turns() -> list[Turn]:
    """Two conversations on a Sunday, one with a turn on Monday; a third a week later."""
    return [
        make_turn("a1", conversation_id="a", turn_index=0, model="small", tenant="eu", language="en"),
        make_turn("a2", conversation_id="a", turn_index=1, model="small", tenant="eu", created_at=NOON + HOUR),
        make_turn("a3", conversation_id="a", turn_index=2, model="large", tenant="eu", created_at=NOON + DAY),
        make_turn("b1", conversation_id="b", model=HOSTILE, environment="production", created_at=NOON + HOUR),
        make_turn("c1", conversation_id="c", language="de", environment="staging", created_at=NOON + 7 * DAY),
    ]


def assign(
    store: Store,
    rows: list[tuple[Turn, str | None, str | None, bool]],
    atlas_id: str = "a1",
    foreign: Mapping[int, str] | None = None,
) -> None:
    """Turns with their topic on every level, act and flood; `foreign` languages by turn key."""
    columns = {
        "turn_key": [turn.key for turn, *_ in rows],
        "text_hash": [turn.key.to_bytes(16, "big") for turn, *_ in rows],
        **{level: [topic and f"{level} {topic}" for _, topic, _, _ in rows] for level in ("broad", "middle", "fine")},
        "act": [act for _, _, act, _ in rows],
        "flood": [flood for *_, flood in rows],
        "intent": [None] * len(rows),
        "intent_similarity": [None] * len(rows),
        "foreign_language": [(foreign or {}).get(turn.key) for turn, *_ in rows],
    }
    store.atlases.append(
        atlas_id, pa.table({name: pa.array(columns[name], ASSIGNMENTS.field(name).type) for name in ASSIGNMENTS.names})
    )


def filled(store: Store) -> list[Turn]:
    all_ = turns()
    store.turns.append(all_)
    topics = ["x", "x", "y", "x", None]
    assign(store, [(turn, topic, None, False) for turn, topic in zip(all_, topics, strict=True)])
    return all_


def test_turns_by_hour_day_and_week(store: Store) -> None:
    filled(store)
    sunday, midnight = datetime(2026, 3, 1), datetime(2026, 2, 23)
    assert store.statistics.turns_by("day", Filter()).to_pylist() == [
        {"start": sunday, "turns": 3, "conversations": 2},
        {"start": sunday + DAY, "turns": 1, "conversations": 1},
        {"start": sunday + 7 * DAY, "turns": 1, "conversations": 1},
    ]
    hours = store.statistics.turns_by("hour", Filter())
    assert hours.column("start").to_pylist() == [NOON, NOON + HOUR, NOON + DAY, NOON + 7 * DAY]
    assert hours.column("turns").to_pylist() == [1, 2, 1, 1]
    weeks = store.statistics.turns_by("week", Filter())
    # Weeks begin on Monday.
    assert weeks.column("start").to_pylist() == [midnight, midnight + 7 * DAY]
    assert weeks.column("turns").to_pylist() == [3, 2]
    with pytest.raises(ValueError, match="hour, day or week"):
        store.statistics.turns_by("year'); --", Filter())


def test_releases_are_what_came_after_the_first_day_and_is_in_use(store: Store) -> None:
    assert store.statistics.releases() == []
    rows = [
        *((f"v3-{n}", "small", "v3", NOON + n * HOUR) for n in range(30)),
        *((f"v4-{n}", "small", "v4", NOON + 5 * DAY + n * HOUR) for n in range(25)),
        *((f"m-{n}", HOSTILE, "v4", NOON + 9 * DAY + n * HOUR) for n in range(20)),
        *((f"r-{n}", "rare", "v4", NOON + 8 * DAY) for n in range(19)),
    ]
    store.turns.append(
        [make_turn(name, model=model, prompt_version=version, created_at=at) for name, model, version, at in rows]
    )
    v4, hostile = Release("prompt_version", "v4", NOON + 5 * DAY), Release("model", HOSTILE, NOON + 9 * DAY)
    assert store.statistics.releases() == [v4, hostile]
    assert store.statistics.releases(1) == [hostile]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Filter(), 5),
        (Filter(model=("small",)), 2),
        (Filter(model=("small", "large")), 3),
        (Filter(model=("small",), language=("en",)), 1),
        (Filter(model=(HOSTILE,)), 1),
        (Filter(model=("' OR 1=1 --",)), 0),
        (Filter(tenant=("eu",)), 3),
        (Filter(tenant=("eu",), language=("de",)), 0),
        (Filter(window=Window(NOON, NOON + HOUR)), 1),  # the end is not in it
        (Filter(window=Window(NOON, NOON + 8 * DAY), language=("de",)), 1),
        (Filter(prompt_version=("v1",)), 0),
    ],
)
def test_filters(store: Store, chosen: Filter, expected: int) -> None:
    filled(store)
    assert sum(store.statistics.turns_by("day", chosen).column("turns").to_pylist()) == expected


def test_a_condition_counts_turns_of_any_environment_unless_some_are_named(store: Store) -> None:
    filled(store)
    condition, parameters = Filter(tenant=("eu",)).condition(["production"])
    assert "eu" not in condition
    assert parameters == [["production"], ["eu"]]


def test_values_of_a_field(store: Store) -> None:
    filled(store)
    assert store.statistics.values("model") == ["small", "large", HOSTILE]
    assert store.statistics.values("model", limit=1) == ["small"]
    assert [len(store.statistics.values(field)) for field in FILTERS] == [3, 0, 2, 1]
    assert store.statistics.by_environment() == [("(none)", 3), ("production", 1), ("staging", 1)]


def test_topics_by_day_and_the_rest(store: Store) -> None:
    all_ = filled(store)
    found = store.statistics.topics_by("a1", "fine", "day", Filter(), ["fine x"]).to_pylist()
    counts = {(row["start"], row["topic"]): row["turns"] for row in found}
    sunday = datetime(2026, 3, 1)
    # Other topics, and none, come together.
    assert counts == {(sunday, "fine x"): 3, (sunday + DAY, None): 1, (sunday + 7 * DAY, None): 1}
    assert store.statistics.topics_by("a2", "fine", "day", Filter(), ["fine x"]).num_rows == 0
    only = store.statistics.topics_by("a1", "broad", "week", Filter(model=("large",)), ["broad y"]).to_pylist()
    assert [(row["topic"], row["turns"]) for row in only] == [("broad y", 1)]
    assert len(all_) == 5


def test_acts_and_floods_are_no_members(store: Store) -> None:
    all_ = turns()
    store.turns.append(all_)
    assign(
        store,
        [
            (all_[0], "x", None, False),
            (all_[1], "x", "thanks", False),
            (all_[2], "x", None, False),
            (all_[3], "x", None, True),
            (all_[4], "y", None, False),
        ],
    )
    keys, total = store.statistics.members("a1", "middle", "middle x", Filter(), limit=10)
    assert (keys, total) == ([all_[2].key, all_[0].key], 2)  # the latest first
    assert store.statistics.members("a1", "middle", "middle x", Filter(), limit=1, offset=1) == ([all_[0].key], 2)
    assert store.statistics.members("a1", "middle", "middle x", Filter(model=("small",)), limit=9) == ([all_[0].key], 1)
    assert store.statistics.members("a1", "middle", HOSTILE, Filter(), limit=9) == ([], 0)
    topics = store.statistics.topics_by("a1", "middle", "week", Filter(), ["middle x"]).to_pylist()
    assert sum(row["turns"] for row in topics) == 3


def test_whole_conversations_in_order(store: Store) -> None:
    all_ = filled(store)
    found = store.statistics.conversation_of([all_[2].key, all_[3].key]).to_pylist()
    by_conversation: dict[int, list[int]] = {}
    for row in found:
        by_conversation.setdefault(row["conversation_key"], []).append(row["turn_key"])
    assert by_conversation == {
        all_[0].conversation_key: [turn.key for turn in all_[:3]],
        all_[3].conversation_key: [all_[3].key],
    }
    assert store.statistics.conversation_of([]).num_rows == 0
    assert store.statistics.conversation_of([12345]).num_rows == 0


def test_coverage_of_conversations_and_signals_of_topics(store: Store) -> None:
    all_ = filled(store)
    report = CoverageRow("r1", "a1", NOON, (), 9, 0.5, 0.4, 0.6, "", "{}")
    covered = {all_[0].key: 0.5, all_[1].key: 1.0, all_[2].key: 0.25, all_[3].key: None, all_[4].key: 0.0}
    rows = [
        dict.fromkeys(TURN_COVERAGE.names) | {"turn_key": key, "covered": value, "novelty": 0.5}
        for key, value in covered.items()
    ]
    store.reports.write_coverage(report, [], pa.Table.from_pylist(rows, TURN_COVERAGE))
    found = store.statistics.coverage_by_conversation("r1", "day", Filter()).to_pylist()
    sunday, talk = datetime(2026, 3, 1), all_[0].conversation_key
    assert {(row["start"], row["conversation_key"]): (row["covered"], row["turns"]) for row in found} == {
        (sunday, talk): (1.5, 2),
        (sunday + DAY, talk): (0.25, 1),
        (sunday + 7 * DAY, all_[4].conversation_key): (0.0, 1),
    }
    assert store.statistics.coverage_by_conversation("r1", "day", Filter(language=("en",))).num_rows == 1
    assert store.statistics.coverage_by_conversation("r2", "day", Filter()).num_rows == 0

    said = [(0, "rephrase"), (0, "rephrase"), (1, "rephrase"), (0, "challenge"), (2, "challenge"), (3, "challenge")]
    signals = [
        dict.fromkeys(SIGNALS.names) | {"turn_key": all_[row].key, "signal": name, "span_start": number}
        for number, (row, name) in enumerate(said)
    ]
    store.reports.write_signals("r1", pa.Table.from_pylist(signals, SIGNALS))
    # Two signals of a turn are one turn; of equals, the order is that of their names.
    found_signals = store.statistics.signals_of("r1", "a1", "fine", "fine x")
    assert list(found_signals.items()) == [("challenge", 2), ("rephrase", 2)]
    assert store.statistics.signals_of("r1", "a1", "fine", "fine y") == {"challenge": 1}
    assert store.statistics.signals_of("r2", "a1", "fine", "fine x") == {}


def test_turns_that_wait_for_a_topic(store: Store) -> None:
    all_ = turns()
    store.turns.append(all_)
    assert store.statistics.unassigned("a1", ["production"]) == 4  # staging does not count
    assign(store, [(all_[0], "x", None, False), (all_[4], "x", None, False)])
    assert store.statistics.unassigned("a1", ["production"]) == 3
    assert store.statistics.unassigned("a2", ["production"]) == 4


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.statistics.turns_by("day", Filter()).num_rows == 0
    assert store.statistics.coverage_by_conversation("r1", "day", Filter()).num_rows == 0
    assert store.statistics.map_points("a1", "r1", Filter()).num_rows == 0
    assert store.statistics.members("a1", "fine", "x", Filter(), limit=5) == ([], 0)
    assert store.statistics.signals_of("r1", "a1", "fine", "x") == {}
    assert store.statistics.values("model") == []
    assert store.statistics.by_environment() == []
    assert store.statistics.unassigned("a1", ["production"]) == 0
    assert store.layouts.read("a1").num_rows == 0
    assert store.drift.latest() is None
    assert (store.drift.read(), store.history.read(), store.schedule.read(), store.partitions.read()) == (
        [],
        [],
        [],
        [],
    )


def test_a_map_is_written_whole_and_holds_the_turns_that_are_on_it(store: Store) -> None:
    all_ = filled(store)
    keys = np.array([turn.key for turn in all_[:3]], np.uint64)
    places = np.array([[0, 1], [0.5, -1], [0.25, 0]], np.float32)
    store.layouts.write("a1", keys, places)
    store.layouts.write("a2", keys[:1], places[:1])
    order = np.argsort(keys)
    found = store.layouts.read("a1")
    assert found.column("turn_key").to_pylist() == keys[order].tolist()
    np.testing.assert_array_equal(np.stack([found.column(axis).to_numpy() for axis in "xy"], 1), places[order])
    points = {row["turn_key"]: row for row in store.statistics.map_points("a1", "r1", Filter()).to_pylist()}
    assert set(points) == set(keys.tolist())
    assert points[all_[2].key] == {
        "turn_key": all_[2].key, "x": 0.25, "y": 0.0,
        "broad": "broad y", "middle": "middle y", "fine": "fine y", "novelty": None, "covered": None,
    }  # fmt: skip
    assert store.statistics.map_points("a1", "r1", Filter(model=("large",))).num_rows == 1
    store.layouts.write("a1", keys[:0], places[:0])
    assert store.layouts.read("a1").num_rows == 0
    assert store.layouts.read("a2").num_rows == 1


def test_partitions_are_noted_and_lag_is_never_negative(store: Store) -> None:
    row = PartitionRow("turns", "0", 5, 9, NOON, NOON - HOUR)
    ahead = PartitionRow("turns", "1", 9, 5, NOON)
    store.partitions.note([ahead, row])
    assert store.partitions.read() == [row, ahead]
    assert (row.lag, ahead.lag) == (4, 0)
    later = replace(row, position=9, seen_at=NOON + HOUR)
    store.partitions.note([later])
    store.partitions.note([])
    assert store.partitions.read() == [later, ahead]


def test_the_schedule_keeps_one_row_a_job(store: Store) -> None:
    job = ScheduledJob("refit", NOON, "waiting", None, None, 0, None)
    store.schedule.write(job)
    failed = replace(job, state="failed", started_at=NOON, finished_at=NOON + HOUR, attempts=2, error=HOSTILE)
    store.schedule.write(failed)
    store.schedule.write(replace(job, job="assign"))
    assert store.schedule.read() == [replace(job, job="assign"), failed]


def test_history_keeps_one_point_a_run_in_the_order_of_publication(store: Store) -> None:
    point = CoveragePoint("r2", NOON, NOON - 7 * DAY, NOON, ("mine", "o,ther"), 900, 0.7, 0.6, 0.8, 3)
    before = replace(point, run_id="r1", published_at=NOON - DAY, eval_sets=(), value=None, low=None, high=None)
    for one in (point, before, point):
        store.history.add(one)
    assert store.history.read() == [before, point]
    store.history.add(replace(point, gaps=0))
    assert [one.gaps for one in store.history.read()] == [3, 0]


def report(report_id: str, hours: int = 0, reference: str = "window", **more: object) -> DriftRow:
    body = {"tests": [], "topics": [{"label": HOSTILE, "p_value": 0.5}], "turns": {"reference": 3, "current": 2}}
    row = DriftRow(
        report_id, "a1", NOON + hours * HOUR, reference, NOON - 9 * DAY, NOON - 2 * DAY, NOON - 2 * DAY, NOON,
        "No change.", False, 0.5, 0.01, body,
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def test_drift_reports_come_back_as_they_were_the_latest_first(store: Store) -> None:
    first, second = report("d1"), report("d2", 1)
    against = report("d3", 2, HOSTILE, reference_start=None, reference_end=None, p_value=None, effect=None, alarm=True)
    for one in (first, against, second):
        store.drift.write(one)
    assert store.drift.read() == [against, second, first]
    assert store.drift.read(limit=1) == [against]
    assert store.drift.latest() == second
    assert store.drift.latest(HOSTILE) == against
    assert store.drift.latest("absent") is None
    assert store.drift.find("d1") == first
    assert store.drift.find("d9") is None
    store.drift.write(replace(first, created_at=NOON + 5 * HOUR, verdict="It changed."))
    assert len(store.drift.read()) == 3
    assert store.drift.latest() == replace(first, created_at=NOON + 5 * HOUR, verdict="It changed.")


def test_a_map_is_added_to_and_a_large_one_is_sampled_by_topic(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    all_ = filled(store)
    keys = np.array([turn.key for turn in all_], np.uint64)
    places = np.stack([np.arange(len(keys)), np.zeros(len(keys))], axis=1).astype(np.float32)
    assert not store.layouts.drawn("a1")
    store.layouts.write("a1", keys[:2], places[:2])
    assert store.layouts.drawn("a1")
    assert store.layouts.append("a1", keys, places + 1) == len(keys) - 2
    found = {row["turn_key"]: row["x"] for row in store.layouts.read("a1").to_pylist()}
    assert [found[key] for key in keys.tolist()] == [0, 1, *range(3, len(keys) + 1)]
    rows = {row["turn_key"]: row["middle"] for row in store.statistics.map_points("a1", "r1", Filter()).to_pylist()}
    assert sorted(row["x"] for row in store.layouts.of_texts("a1").to_pylist()) == sorted(found[key] for key in rows)
    monkeypatch.setattr("monitor.store.statistics.MAP_POINTS", 2)
    few = store.statistics.map_points("a1", "r1", Filter()).to_pylist()
    for topic in set(rows.values()):
        own = sorted(key for key, name in rows.items() if name == topic)
        assert sorted(row["turn_key"] for row in few if row["middle"] == topic) == own[:3]
