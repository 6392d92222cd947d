"""What the page of drift makes of a comparison: which cards it has, and that hostile names stay text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboards.components.descriptors import descriptors_card
from dashboards.pages.drift import _carried, _mixes, _tests
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.drift import DriftRow
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import served

HOSTILE = "<script>x</script>\u202e"


def row(p_value: float) -> DriftRow:
    value = {"value": HOSTILE, "before": 0.2, "after": 0.6, "contribution": 0.4}
    body: dict[str, Any] = {
        "tests": [
            {
                "name": "nearest",
                "p_value": p_value,
                "effect": 0.1,
                "low": 0.05,
                "high": 0.2,
                "weight": 0.3,
                "meaning": "m",
            },
            {
                "name": "evidently",
                "p_value": None,
                "effect": 0.02,
                "low": None,
                "high": None,
                "weight": 0,
                "meaning": "e",
            },
        ],
        "topics": [{"topic": "t1", "label": HOSTILE, "level": 1, "contribution": 0.7, "parent": None}],
        "terms": [{"term": f"refund{HOSTILE}", "before": 0.01, "after": 0.09, "contribution": 0.35}],
        "mixes": [{"attribute": "prompt_version", "p_value": 0.01, "effect": 0.4, "values": [value]}],
    }
    start = datetime(2026, 3, 1)
    return DriftRow("d1", "a1", start, "window", start, start, start, start, "v", True, p_value, 0.1, body)


def shown(part: Any) -> str:
    return json.dumps(part, cls=PlotlyJSONEncoder)


def test_what_carries_a_change_is_shown_where_there_is_one() -> None:
    context: Any = SimpleNamespace(settings=Settings())
    assert _carried(context, row(0.5)) == []
    drawn = shown(_carried(context, row(0.001)))
    assert "What carries the change" in drawn
    assert "prompt versions" in drawn
    assert "refund" in drawn and drawn.count("all other words 65%") == 2
    assert "1.0%" in drawn and "9.0%" in drawn
    assert "&lt;script&gt;x" in drawn and "\\u202e" not in drawn
    # Of the table it is text, which React escapes.
    assert drawn.count("<script>") == 1
    plain = row(0.001)
    del plain.body["terms"]
    assert "words" not in shown(_carried(context, plain))


def test_who_was_there_and_how_it_was_tested() -> None:
    context: Any = SimpleNamespace(settings=Settings())
    drawn = shown(_mixes(row(0.001)))
    assert "prompt version <script>x</script>" in drawn and "\\u202e" not in drawn
    assert "20.0%" in drawn and "60.0%" in drawn and "0.010" in drawn
    dated = row(0.001)
    dated.body["mixes"][0]["values"][0]["since"] = "2026-03-23"
    assert "</script>, since 23 Mar" in shown(_mixes(dated))
    old = row(0.001)
    assert (
        _mixes(
            DriftRow(**{**{name: getattr(old, name) for name in old.__slots__}, "body": {"topics": [], "tests": []}})
        )
        == []
    )
    tests = shown(_tests(context, row(0.001)))
    assert "0.050 \\u2013 0.200" in tests
    assert '"\\u2013"' in tests


@pytest.mark.slow
def test_topics_that_moved_are_drawn_over_time(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        run = store.runs.current()
        assert run is not None
        topic = next(one for one in store.atlases.topics(run.atlas_id) if one.level == 1 and one.users >= 5)
        moved = {
            "topic": topic.topic_id, "label": topic.label, "level": 1, "parent": None, "before": 0.02, "after": 0.05,
            "change_low": 0.01, "change_high": 0.05, "p_value": 0.001, "contribution": 0.7, "moved": True,
            "since": "2026-03-23", "since_days": 1,
        }  # fmt: skip
        middle = run.window_start + (run.window_end - run.window_start) / 2
        found = replace(
            row(0.001),
            report_id="dmoved",
            atlas_id=run.atlas_id,
            reference_start=run.window_start,
            reference_end=middle,
            current_start=middle,
            current_end=run.window_end,
        )
        found.body["topics"] = [moved]
        store.drift.write(found)
        tab.goto(url + "/drift?report=dmoved")
        tab.wait_for_selector("text=Since when")
        tab.wait_for_selector("text=23 Mar")
        tab.goto(url + "/drift")
        tab.wait_for_selector("text=How it was tested")
        assert tab.locator("text=Since when").count() == 0, "no topic moved"


def test_descriptors_are_a_table_and_sure_ones_are_marked() -> None:
    found = row(0.5)
    assert descriptors_card(found) == []
    found.body["descriptors"] = [
        {"name": "refusals", "before": 0.01, "after": 0.08, "unit": "share", "low": 0.04, "high": 0.1, "sure": True},
        {
            "name": f"language {HOSTILE}",
            "before": 0.2,
            "after": 0.2,
            "unit": "share",
            "low": -0.1,
            "high": 0.1,
            "sure": False,
        },
        # as they were kept before there were intervals
        {"name": "latency", "before": 900.0, "after": 950.0, "unit": "ms"},
    ]
    drawn = shown(descriptors_card(found))
    assert "Refusals" in drawn and "1.0%" in drawn and "+4.0 to +10.0 points \\u2731" in drawn
    assert "Latency, ms" in drawn and "950" in drawn and "\\u202e" not in drawn and drawn.count(" \\u2731") == 1
    assert "eval set" not in drawn
