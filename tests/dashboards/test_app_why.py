"""The page Why?, in a real browser: from a conversation to its words, marked, and taken back; and what it keeps to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from dashboards.queries.why import read_asked
from dashboards.service import Alone
from monitor.encoding.hashing import HashingEncoder
from monitor.errors import UsageError
from monitor.pipeline import analyse
from monitor.service.duties import Duties
from monitor.settings import AtlasSettings, Settings
from monitor.store import Store
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import now, served
from tests.store.conftest import NOON, make_turn

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> piano pedals"
SETTINGS = Settings().with_value("encoder.kind", "hashing", source="test")


class Command:
    """Runs what a page asks for in this process."""

    def __init__(self, offmap: Offmap) -> None:
        self.offmap, self.asked = offmap, list[list[str]]()

    def run(self, command: list[str], **_: Any) -> Mapping[str, Any]:
        self.asked.append(command)
        found: Mapping[str, Any] = self.offmap.done(*command, "--json").json
        return found


@dataclass(frozen=True)
class Explaining(Alone):
    """A service that does at once what it is asked for."""

    duties: Any = None

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        job: str = self.duties.request(kind, parameters)
        self.duties.run_queued()
        return job


def piano(store: Store) -> Any:
    """The latest turn of the largest gap."""
    run = store.runs.current()
    assert run is not None
    gap = store.reports.gaps(run.report_id)[0]
    keys = store.curation.members(run.atlas_id, "middle", gap.topic_id)["turn_key"].to_pylist()
    return gap, max(store.turns.fetch(keys or gap.examples), key=lambda one: one.created_at)


class Words:
    """Answers as the command does."""

    def run(self, command: list[str], **_: Any) -> Mapping[str, Any]:
        word, item = {"text": "somebody's", "effect": 0.1}, {"item": "i1", "text": "secret", "cosine": 0.5}
        return {"run": "run1", "text": "somebody's", "words": [word, {**word, "effect": None}], "nearest": [item]}


def test_the_job_keeps_numbers_and_ids_alone(store: Store) -> None:
    duties = Duties(store, Settings(), Words(), clock=lambda: NOON, local_url="")  # type: ignore[arg-type]
    job_id = duties.request("why", {"turn": "18446744073709551615"})
    assert duties.run_queued() == "why"
    job = store.jobs.find(job_id)
    assert job is not None and job.result == {"run": "run1", "effects": [0.1, None], "near": [["i1", 0.5]]}
    for turn in ("", "--out=/tmp", "1 2", "9" * 21):
        with pytest.raises(UsageError, match="names no turn"):
            duties.request("why", {"turn": turn})


def test_a_key_that_is_none_has_no_turn(analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        for key in ("", "x", "²", "-1", "1" * 20, "9" * 30):
            assert read_asked(store, SETTINGS, key) is None
        found = read_asked(store, SETTINGS, str(piano(store)[1].key))
        assert found is not None and found.may_be_shown and " ".join(found.pieces) == found.text


@pytest.mark.slow
def test_from_a_gap_to_its_words_marked_and_taken_back(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        sharing = store.share(url="http://127.0.0.1:1")
        assert sharing is not None
        sharing.start()
        command = Command(analysed_app)
        duties = Duties(store, SETTINGS, command, clock=now, local_url="")  # type: ignore[arg-type]
        with served(store, SETTINGS, Explaining(now(), duties)) as url:
            gap, _ = piano(store)
            tab.goto(f"{url}/gaps?gap={gap.gap_id}")
            tab.locator("#talks a:has-text('why?')").first.click()
            tab.wait_for_selector("#why-state .word")
            shown = tab.inner_text("#page")
            assert "The eval set misses it with a probability of" in shown and "Makes it near:" in shown
            assert tab.locator(".word").count() > 0
            tab.fill("#why-reason", HOSTILE)
            tab.get_by_role("button", name="Mark as covered", exact=True).click()
            tab.wait_for_selector("button:has-text('Take the mark back')")
            shown = tab.inner_text("#page")
            assert HOSTILE in shown and "It holds from the next analysis on." in shown and tab.title() != "owned"
            [marked] = store.marks.in_force()
            assert (marked.mark.kind, marked.mark.who, marked.mark.why) == ("covered", "app", HOSTILE)
            tab.wait_for_selector("#why-state .word")
            analyse(store, HashingEncoder(), SETTINGS, eval_sets=["shop"], clock=now)
            tab.reload()
            tab.wait_for_selector("text=It counts as covered, as somebody marked it.")
            tab.wait_for_selector("#why-state .word")
            tab.get_by_role("button", name="Take the mark back", exact=True).click()
            tab.wait_for_selector("text=The mark is taken back: it shows after the next analysis")
            assert store.marks.in_force() == []
            assert tab.locator("#decide-now").count() == 1
            # Asked once a run, however often the page is looked at.
            assert [one[0] for one in command.asked] == ["why", "why"]
        sharing.close()


@pytest.mark.slow
def test_what_people_write_is_text_and_few_users_are_not_shown(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        hers = make_turn("hostile", user_text=HOSTILE, created_at=piano(store)[1].created_at, user_id="u1")
        store.turns.append([hers])
        analyse(store, HashingEncoder(), SETTINGS, eval_sets=["shop"], clock=now)
        asked = read_asked(store, SETTINGS, str(hers.key))
        assert asked is not None and asked.may_be_shown
        with served(store, SETTINGS) as url:
            tab.goto(f"{url}/why?turn={hers.key}")
            tab.wait_for_selector("text=nothing runs in the background here")
            assert HOSTILE in tab.inner_text("#page") and tab.title() != "owned"
            tab.goto(f"{url}/why?turn=12")
            tab.wait_for_selector("text=There is no such turn (any more)")
        few = Settings(atlas=AtlasSettings(min_users=1_000))
        with served(store, few) as url:
            tab.goto(f"{url}/why?turn={hers.key}")
            tab.wait_for_selector("text=What this turn says is not shown")
            assert "piano" not in tab.inner_text("#page")
