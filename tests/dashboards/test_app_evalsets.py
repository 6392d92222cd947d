"""The page of eval sets: figures by value, queries on a store, the page in a browser, and its self-test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboards.figures.evalsets import Lack, balance_bars, coverage_by_version
from dashboards.queries.evalsets import coverage_points, numbered_versions, version_marks
from monitor.records import EvalItem, EvalSet
from monitor.service.duties import Duties
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.history import CoveragePoint
from monitor.store.statistics import Release
from tests.cli.cli_support import Offmap
from tests.cli.cli_traffic import write_eval_set
from tests.dashboards.app_support import served

NOON, DAY = datetime(2026, 3, 1, 12), timedelta(days=1)


def point(number: int, **more: Any) -> CoveragePoint:
    fields = {"eval_sets": ("shop",), "turns": 90, "value": 0.5 + 0.01 * number, "low": 0.4, "high": 0.7, "gaps": 1}
    return CoveragePoint(f"r{number}", NOON + number * DAY, NOON, NOON, **{**fields, **more})


def test_coverage_with_the_versions_that_came_in() -> None:
    marks = [(NOON - 9 * DAY, "v1"), (NOON - 2 * DAY, "v2"), (NOON + 3 * DAY, "<b>v3")]
    figure = coverage_by_version([point(number) for number in range(7)], marks)
    line = figure.data[1]
    assert list(line.y) == [0.5 + 0.01 * number for number in range(7)] and line.x[0] == NOON
    assert [
        (shape.x0, note.text) for shape, note in zip(figure.layout.shapes, figure.layout.annotations, strict=True)
    ] == [
        (NOON, "v2"),  # what the first point compared
        (NOON + 3 * DAY, "&lt;b&gt;v3"),
    ]
    assert len(coverage_by_version([], marks).layout.shapes) == 0
    release = Release("prompt_version", "v<4>", point(3).published_at)
    marked = coverage_by_version([point(number) for number in range(7)], marks, [release])
    assert len(marked.layout.shapes) == len(figure.layout.shapes) + 1
    assert "v&lt;4&gt;" in [one.text for one in marked.layout.annotations]


def test_balance_has_the_first_on_top_and_names_as_text() -> None:
    figure = balance_bars([Lack("<i>first", 0.3, 0, 0.0), Lack("second", 0.1, 2, 0.02)])
    items, turns = figure.data
    assert (list(turns.x), list(items.x)) == ([0.1, 0.3], [0.02, 0.0])
    assert [note.text for note in figure.layout.annotations] == ["second", "&lt;i&gt;first"]


def test_versions_are_numbered_and_marked(store: Store) -> None:
    for number, name in enumerate(("shop", "policy", "shop")):
        item = EvalItem(item_id="1", prompt=f"hello {number}")
        store.eval_sets.save(EvalSet(name, str(number), NOON + number * DAY, (item,)))
    versions = numbered_versions(store)
    assert [(one.summary.name, one.number, one.latest) for one in versions] == [
        ("policy", 1, True),
        ("shop", 2, True),
        ("shop", 1, False),
    ]
    assert version_marks(versions, ("shop",)) == [(NOON, "v1"), (NOON + 2 * DAY, "v2")]
    assert version_marks(versions, ("shop", "policy"))[1] == (NOON + DAY, "policy v1")


def test_points_are_those_of_the_same_sets_and_not_too_many(store: Store) -> None:
    for one in (point(1), point(2, value=None), point(3, eval_sets=("policy",)), point(4)):
        store.history.add(one)
    assert [one.run_id for one in coverage_points(store, ("shop",))] == ["r1", "r4"]
    for number in range(5, 500):
        store.history.add(point(number))
    found = coverage_points(store, ("shop",))
    assert len(found) <= 201 and found[-1].run_id == "r499"


class Answered(Worker):
    """A self-test that found three of four, at once."""

    def __init__(self, topic: str) -> None:
        super().__init__({})
        self.topic, self.commands = topic, list[list[str]]()

    def run(self, command: Sequence[str], *, log: Path | None = None) -> Mapping[str, Any]:
        self.commands.append(list(command))
        hidden = {
            "name": "words of somebody",
            "items": 8,
            "topic": self.topic,
            "label": "words of somebody",
            "share": 0.04,
        }
        return {
            "found": 3,
            "tested": 4,
            "smallest_share": 0.021,
            "labelled": True,
            "hours": 30.0,
            "new_share": 0.01,
            "untested": [],
            "hidden": [{**hidden, "alone": False, "found": False, "rank": None}],
        }


def test_a_self_test_keeps_no_words(store: Store) -> None:
    duties = Duties(store, Settings(), Answered("t1"), clock=lambda: NOON, local_url="")
    job_id = duties.request("selftest", {"ignored": "--out=/tmp"})
    assert duties.run_queued() == "selftest"
    job = store.jobs.find(job_id)
    assert job is not None and job.result is not None
    assert job.result["hidden"] == [{"topic": "t1", "items": 8, "share": 0.04, "alone": False, "found": False}]
    assert (job.result["found"], job.result["smallest_share"]) == (3, 0.021)
    assert "somebody" not in repr(job)


@pytest.mark.slow
def test_the_page_says_what_is_wrong_and_what_to_do(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        tab.goto(url + "/evalsets")
        tab.wait_for_selector("#selftest-start")
        shown = str(tab.inner_text("#page"))
        for said in (
            "64 items",
            "Balance against the traffic",
            "unasked",
            "unbalanced",
            "Labels to check",
            "Repeats",
            "Least asked for",
            "1 eval set",
        ):
            assert said in shown
        assert "offmap evalset health shop --subset quick.jsonl" in shown
        assert "The line starts with the second analysis" in shown
        tab.click("#selftest-start")
        tab.wait_for_selector("text=start offmap serve")


@pytest.mark.slow
def test_a_second_version_draws_the_line_and_the_self_test_is_shown(
    tab: Any, analysed_app: Offmap, tmp_path: Path
) -> None:
    analysed_app.done("evalset", "import", write_eval_set(tmp_path / "more.jsonl", each=12), "--name", "shop")
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        tab.goto(url + "/evalsets")
        tab.wait_for_selector("text=A newer version of shop was imported")
    analysed_app.done("analyse", "--eval-set", "shop")
    with Store.open(str(analysed_app.store)) as store:
        run = store.runs.current()
        assert run is not None
        topic = next(one for one in store.atlases.topics(run.atlas_id) if one.level == 1)
        duties = Duties(store, Settings(), Answered(topic.topic_id), clock=lambda: NOON, local_url="")
        duties.request("selftest", {})
        duties.run_queued()
        with served(store, Settings()) as url:
            tab.goto(url + "/evalsets")
            tab.wait_for_selector("text=It would have found 3 of 4 kinds of items")
            tab.wait_for_selector("text=Of kinds with 2.1% of the traffic or more")
            tab.wait_for_selector(".chart .annotation >> nth=0")
            shown = str(tab.inner_text("#page"))
            assert "not found when hidden" in shown and topic.label in shown
            assert "v2, compared" in shown and "96" in shown
