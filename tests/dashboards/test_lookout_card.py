"""The card of the lookout: before it watches, while it does, and near an alarm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from plotly.utils import PlotlyJSONEncoder

from dashboards.components.lookout import lookout_card
from dashboards.context import PageContext
from monitor.clock import utc_now
from monitor.settings import Settings
from monitor.store import Store
from tests.store.test_lookouts import ROW


class NoService:
    """Nothing is asked of it."""


def shown(store: Store, settings: Settings) -> str:
    context = PageContext(store, settings, NoService(), utc_now, "/")  # type: ignore[arg-type]
    return json.dumps(lookout_card(context), cls=PlotlyJSONEncoder)


def test_each_state_says_what_it_is(tmp_path: Path) -> None:
    settings = Settings().with_value("drift.false_alarms_per_month", 2.0, source="test")
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        assert "offmap serve begins to watch when the traffic spans 14 days and 300" in shown(store, settings)
        store.lookouts.write(ROW)
        assert "Learning what is usual: 1 of 300" in shown(store, settings)
        evidence = {"novelty": 0.3, "topics": 0.05, "negative": 0.0}
        store.lookouts.write(replace(ROW, evidence=evidence, state={"counts": [[[400.0]]]}))
        text = shown(store, settings)
        assert "evidence of a change is 0.70 of 1" in text and "0.60" in text  # two a month: half a month is an alarm
        assert '"orange"' in text and "2 times a month at most" in text
