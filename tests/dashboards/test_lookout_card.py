"""The card of the lookout: before it watches, while it does, and near an alarm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboards.components.lookout import lookout_card
from dashboards.context import PageContext
from monitor.clock import utc_now
from monitor.service.duties import Duties
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import served
from tests.store.test_lookouts import ROW


class NoService:
    """Nothing is asked of it."""


def shown(store: Store, settings: Settings) -> str:
    context = PageContext(store, settings, NoService(), utc_now, "/")  # type: ignore[arg-type]
    return json.dumps(lookout_card(context), cls=PlotlyJSONEncoder)


def test_each_state_says_what_it_is(tmp_path: Path) -> None:
    settings = Settings().with_value("drift.false_alarms_per_month", 4.0, source="test")
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        assert "offmap serve begins to watch when the traffic spans 14 days and 300" in shown(store, settings)
        store.lookouts.write(ROW)
        assert "Learning what is usual: 1 of 300" in shown(store, settings)
        evidence = {"novelty": 0.3, "topics": 0.05, "negative": 0.0}
        store.lookouts.write(replace(ROW, evidence=evidence, state={"counts": [[[400.0]]]}))
        text = shown(store, settings)
        assert (
            "evidence of a change is 0.70 of 1" in text and "0.60" in text
        )  # half of four a month: half a month is an alarm
        assert '"orange"' in text and "4 times a month at most" in text


class Accepting(Worker):
    """Notes what it is asked to run."""

    def __init__(self) -> None:
        super().__init__({})
        self.commands = list[list[str]]()

    def run(self, command: Sequence[str], *, log: Path | None = None) -> Mapping[str, Any]:
        self.commands.append(list(command))
        return {"accepted": True}


def test_a_change_is_accepted_by_the_command(tmp_path: Path) -> None:
    worker = Accepting()
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        duties = Duties(store, Settings(), worker, clock=utc_now, local_url="")
        duties.request("accept_change", {"ignored": "--store=/tmp"})
        assert duties.run_queued() == "accept_change"
    assert [command[:2] for command in worker.commands] == [["lookout", "--accept"]]


@pytest.mark.slow
def test_the_button_asks_for_it(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        evidence = {"novelty": 0.3, "topics": 0.05, "negative": 0.0}
        store.lookouts.write(replace(ROW, evidence=evidence, state={"counts": [[[400.0]]]}))
        tab.goto(url + "/drift")
        tab.click("#lookout-accept")
        tab.wait_for_selector("#lookout-state >> text=start offmap serve")
