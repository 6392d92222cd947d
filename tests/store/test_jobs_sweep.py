"""Jobs are found by what they are about, and old ones go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from monitor.store import Store
from monitor.store.jobs import KEPT, KEPT_WHY
from tests.hand_clock import HandClock
from tests.store.conftest import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOON)


@pytest.fixture
def dated(name: str, clock: HandClock) -> Iterator[Store]:
    with Store.open(name, threads=2, clock=clock) as opened:
        yield opened


def done(
    store: Store, clock: HandClock, job_id: str, kind: str, at: datetime, result: dict[str, object] | None = None
) -> None:
    clock.now = at
    store.jobs.begin(job_id, kind, {"turn": job_id})
    store.jobs.finish_step(job_id, "only", 1.0)
    store.jobs.finish(job_id, result)


def left(store: Store) -> set[str]:
    return {job.job_id for job in store.jobs.read()}


def test_jobs_are_found_by_state_kind_and_parameters(dated: Store, clock: HandClock) -> None:
    for number, kind in enumerate(("why", "why", "refit")):
        clock.now += MINUTE
        dated.jobs.enqueue(f"j{number}", kind, {"turn": "7", "a": 1} if number else {"turn": "8"})
    clock.now += MINUTE
    dated.jobs.begin("j3", "why", {"a": 1, "turn": "7"})
    read = dated.jobs.read
    assert [job.job_id for job in read()] == ["j3", "j2", "j1", "j0"]
    assert [job.job_id for job in read(most=2)] == ["j3", "j2"]
    assert [job.job_id for job in read("queued", kind="why")] == ["j1", "j0"]
    assert [job.job_id for job in read(kind="why", parameters={"turn": "7", "a": 1}, most=1)] == ["j3"]
    assert [job.job_id for job in read(kind="why", parameters={"turn": "8"})] == ["j0"]
    assert read(parameters={"turn": "9"}) == read(kind="export") == read("failed") == []


def test_old_jobs_go_and_what_a_page_shows_stays(dated: Store, clock: HandClock) -> None:
    for number in range(8):
        done(dated, clock, f"run{number}", "analyse", NOON + number * MINUTE)
    done(dated, clock, "test", "selftest", NOON, {"found": 3})
    done(dated, clock, "export", "export", NOON, {"path": "/exports/export/g1.jsonl", "examples": 2})
    dated.jobs.enqueue("waits", "why", {"turn": "1"})
    for job in ("why1", "why2"):
        done(dated, clock, job, "why", NOON, {"run": "run1", "effects": []})
    dated.jobs.begin("failed", "why", {"turn": "2"})
    dated.jobs.fail("failed", "no model")
    clock.now = NOON + KEPT_WHY
    assert dated.jobs.sweep() == 0
    done(dated, clock, "why3", "why", NOON + MINUTE, {"run": "run1", "effects": []})
    clock.now = NOON + KEPT_WHY + MINUTE
    assert dated.jobs.sweep() == 3 and left(dated) & {"why1", "why2", "failed", "why3"} == {"why3"}
    clock.now = NOON + KEPT + timedelta(hours=1)
    assert dated.jobs.sweep() == 3 + 1
    assert left(dated) == {"test", "export", "waits", *(f"run{number}" for number in range(3, 8))}
    assert dated.jobs.steps("run2") == [] and dated.jobs.steps("run3") == [("only", 1.0)]
    assert dated.jobs.sweep() == 0


def test_of_a_kind_no_more_than_so_many_are_kept(
    dated: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.store.jobs._MOST", 6)
    for number in range(9):
        done(dated, clock, f"why{number}", "why", NOON + number * MINUTE)
    assert dated.jobs.sweep() == 3
    assert left(dated) == {f"why{number}" for number in range(3, 9)}
