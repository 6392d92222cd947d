"""A refit follows what people decide about topics, by the schedule and when a page asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.records import EvalItem, EvalSet, Turn
from monitor.service.duties import Duties
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.curation import DecisionRow

NOON = datetime(2026, 3, 1, 12)
LOCK = DecisionRow("", 0, NOON, None, "lock", "t1", 2, "parcel", None, None, ("t1",), "a1")


class Noting(Worker):
    """Notes commands instead of running them."""

    def __init__(self) -> None:
        super().__init__({})
        self.commands: list[list[str]] = []

    def run(self, command: Sequence[str], *, log: Path | None = None) -> Mapping[str, Any]:
        self.commands.append(list(command))
        return {"verdict": "fine"}


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(str(tmp_path / "s.duckdb")) as opened:
        opened.turns.append([Turn(turn_id="t", user_text="hello", created_at=NOON, conversation_id="c")])
        opened.eval_sets.save(EvalSet("shop", "1", NOON, (EvalItem(item_id="1", prompt="hello"),)))
        yield opened


def test_a_decision_is_a_reason_for_a_refit_and_a_name_is_none(store: Store) -> None:
    worker = Noting()
    refit = Duties(store, Settings(), worker, clock=lambda: NOON, local_url="").refitting().run
    assert (refit(), refit()) == ("fine", "")
    store.curation.add(replace(LOCK, kind="name", name="Parcels"))
    assert refit() == ""
    lock = store.curation.add(LOCK)
    assert (refit(), refit()) == ("fine", "")
    store.curation.add(replace(LOCK, kind="undo", other=lock.decision_id))
    assert refit() == "fine"
    assert worker.commands == [["analyse", "--eval-set", "shop"]] * 3


def test_a_page_asks_for_a_refit(store: Store) -> None:
    worker = Noting()
    duties = Duties(store, Settings(), worker, clock=lambda: NOON, local_url="")
    job_id = duties.request("refit", {"ignored": "--out=/tmp"})
    assert duties.run_queued() == "refit"
    assert worker.commands == [["analyse", "--eval-set", "shop"]]
    job = store.jobs.find(job_id)
    assert job is not None
    assert job.state == "finished"
