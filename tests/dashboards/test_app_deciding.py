"""Decisions on the page of a topic, in a real browser: named, merged, refused, taken back, analysed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from dashboards.service import Alone
from monitor.decisions import Decisions
from monitor.settings import AtlasSettings, Settings
from monitor.store import Store
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import now, served

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


@dataclass(frozen=True)
class Analysing(Alone):
    """A service that notes what it is asked for."""

    store: Any = None

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        self.store.jobs.begin("job1", kind, parameters)
        self.store.jobs.finish("job1", {})
        return "job1"


def topics(store: Store, level: int) -> list[Any]:
    run = store.runs.current()
    assert run is not None
    return [one for one in store.atlases.topics(run.atlas_id) if one.level == level]


def press(tab: Any, name: str) -> None:
    tab.get_by_role("button", name=name, exact=True).click()


def test_a_name_is_there_at_once_and_is_text(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        one = topics(store, 1)[0]
        tab.goto(f"{url}/topics?topic={one.topic_id}")
        tab.wait_for_load_state("networkidle")  # the page loads its words after itself
        tab.fill("#decide-name", HOSTILE)
        press(tab, "Name")
        tab.wait_for_selector("h2:has-text('onerror')")
        assert tab.title() != "owned"
        shown = tab.inner_text("#page")
        assert "It shows from now on." in shown and f"found as\t{one.label}" in shown
        assert store.curation.names() == {one.topic_id: HOSTILE}
        assert store.curation.read()[0].who == "app"
        tab.goto(f"{url}/topics")
        tab.wait_for_selector(".ag-row")
        assert "onerror" in tab.inner_text("#page") and tab.title() != "owned"


def test_a_merge_says_when_it_shows_and_is_taken_back(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings(), Analysing(now(), store)) as url:
        one, other = topics(store, 1)[:2]
        tab.goto(f"{url}/topics?topic={one.topic_id}")
        tab.wait_for_load_state("networkidle")  # the page loads its words after itself
        tab.click("#decide-into")
        tab.get_by_role("option", name=other.label, exact=True).click()
        press(tab, "Merge into")
        tab.wait_for_selector("#decide-now")
        assert "It shows after the next analysis, within" in tab.inner_text("#page")
        assert [(row.kind, row.topic_id, row.other) for row in store.curation.read()] == [
            ("merge", one.topic_id, other.topic_id)
        ]
        press(tab, "Analyse now")
        tab.wait_for_selector("text=The analysis is done.")
        assert [job.kind for job in store.jobs.read() if job.job_id == "job1"] == ["refit"]
        press(tab, "undo")
        tab.wait_for_selector("text=is taken back")
        assert store.curation.in_force() == []


def test_what_cannot_be_is_said_and_nothing_is_written(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        one = topics(store, 2)[0]
        tab.goto(f"{url}/topics?topic={one.topic_id}")
        tab.wait_for_load_state("networkidle")  # the page loads its words after itself
        press(tab, "Name")
        tab.wait_for_selector("text=must not be empty")
        tab.fill("#decide-intent", "parcel")
        press(tab, "Make an intent")
        tab.wait_for_selector("text=has examples in the eval set shop")
        assert store.curation.read() == []
        press(tab, "Lock")
        tab.wait_for_selector("button:has-text('Unlock')")
        assert "Analyse now" in tab.inner_text("#page")
        press(tab, "Analyse now")
        tab.wait_for_selector("text=nothing runs in the background here")


def test_topics_of_few_users_are_one_line(tab: Any, analysed_app: Offmap) -> None:
    settings = Settings(atlas=AtlasSettings(min_users=6))  # each has five
    with Store.open(str(analysed_app.store)) as store, served(store, settings) as url:
        hidden = topics(store, 1)
        tab.goto(f"{url}/topics")
        tab.wait_for_selector("text=turns are in topics of fewer than 6 users, which are not shown")
        assert f"{sum(one.turns for one in hidden):,} turns" in tab.inner_text("#page")
        for path in ("/topics", "/gaps", "/", f"/topics?topic={hidden[0].topic_id}"):
            tab.goto(url + path)
            tab.wait_for_selector("#page h2")
            tab.wait_for_timeout(500)
            assert all(one.label not in tab.inner_text("#page") for one in hidden)


def test_a_named_topic_that_died_is_said(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        run = store.runs.current()
        assert run is not None
        [one, *_] = topics(store, 1)
        Decisions(store, Settings()).name(one.topic_id, "Old fish")
        members = store.curation.members(run.atlas_id, "middle", one.topic_id).column("turn_key").to_pylist()
        for conversation in {turn.conversation_id for turn in store.turns.fetch(members)}:
            store.deletion.forget(conversation=conversation, at=now(), erase=False)
    analysed_app.done("analyse", "--eval-set", "shop")
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        tab.goto(f"{url}/topics")
        tab.wait_for_selector("text=Named before, and no topic any more: “Old fish”.")
