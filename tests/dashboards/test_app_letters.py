"""Dead letters on the page of data, in a real browser: seen, opened, replayed, discarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.dead_letters import Again, replay
from dashboards.service import Alone
from monitor.records import Coordinates, DeadLetter
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.dead_letters import Chosen
from tests.dashboards.app_support import served

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 1, 12)
HOSTILE = (
    b"<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> \x1b[31m \xe2\x80\xae \xff"
)


def letter(position: int, payload: bytes, reason: str = "not JSON: unexpected character at character 1") -> DeadLetter:
    at = Coordinates("kafka:turns", "0", position)
    return DeadLetter(at, reason, payload, NOON + timedelta(minutes=position), (("trace<b>", "ann@example.org"),))


LETTERS = [
    letter(1, HOSTILE, "latency_ms: expected a number, got '<b>x</b>'"),
    letter(2, b'{"user_text": "where is my meter", "user_id": "ann@example.org"}', "in no known format"),
    letter(3, b'{"user_text": "and my bill"}', "in no known format"),
    letter(4, b"{"),
]


@dataclass(frozen=True)
class Working(Alone):
    """A service that does what it is asked for at once, in this process."""

    store: Any = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        chosen = Chosen(ids=tuple(parameters.get("ids", ())), reason=parameters.get("reason"))
        job = f"job{len(self.asked)}"
        self.asked.append((kind, dict(parameters)))
        self.store.jobs.begin(job, kind, parameters)
        if kind == "replay_letters":
            done = replay(self.store, chosen, Again())
            self.store.jobs.finish(job, {"read": done.read, "left": done.left, "turns": done.counts.turns})
        else:
            self.store.jobs.finish(job, {"discarded": self.store.dead_letters.discard(chosen)})
        return job


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(str(tmp_path / "letters.duckdb")) as opened:
        opened.dead_letters.append(LETTERS)
        yield opened


def card(tab: Any) -> Any:
    return tab.locator("#letters-live")


def row(tab: Any, text: str) -> Any:
    """The row of a reason, with its buttons."""
    return card(tab).locator("tr", has_text=text).filter(has=tab.get_by_role("button"))


def test_reasons_and_the_newest_letters_are_listed(tab: Any, store: Store) -> None:
    with served(store, Settings()) as url:
        tab.goto(url + "/data")
        tab.wait_for_selector("#letters-live")
        shown = card(tab).inner_text()
        assert "4 records could not be read." in shown and "turns / 0 offset 4" in shown
        assert row(tab, "in no known format").locator("td").nth(1).inner_text() == "2 letters"
        assert row(tab, "latency_ms: expected a number, got …").count() == 1
        assert tab.locator("#letters-live b").count() == 0
        # Without a service nothing can be asked for, and the page says so.
        row(tab, "in no known format").get_by_role("button", name="Replay").click()
        tab.wait_for_selector("text=start offmap serve")


def test_an_empty_store_and_one_without_letters(tab: Any, tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "empty.duckdb")) as empty, served(empty, Settings()) as url:
        tab.goto(url + "/data")
        tab.wait_for_selector("text=there are no dead letters")
        assert card(tab).get_by_role("button").count() == 0
        tab.goto(url + "/data?letter=%3Cscript%3Ealert(1)%3C/script%3E")
        tab.wait_for_selector("text=There is no dead letter")


def test_one_letter_is_text_and_never_markup(tab: Any, store: Store) -> None:
    with served(store, Settings()) as url:
        tab.goto(url + "/data")
        card(tab).locator("tr", has_text="offset 1").get_by_role("link", name="open").click()
        tab.wait_for_selector(".payload")
        shown = tab.inner_text(".payload")
        assert "<script>document.title='owned'</script><img src=x" in shown
        assert r"\x1b[31m \u202e \xff" in shown and "\u202e" not in tab.inner_text("#page")
        assert tab.title() == "offmap"
        assert tab.locator("#page script, #page img[src=x], #page b").count() == 0
        assert f"letter={LETTERS[0].letter_id}" in tab.url
        assert "ann@example.org" not in tab.inner_text("#page") and "[email]" in tab.inner_text("#page")
        tab.get_by_role("link", name="← data").click()
        tab.wait_for_selector("#letters-live")


def test_a_payload_is_redacted_as_the_settings_say(tab: Any, store: Store) -> None:
    for redact in (True, False):
        settings = Settings().with_value("export.redact", redact, source="test")
        with served(store, settings) as url:
            tab.goto(f"{url}/data?letter={LETTERS[1].letter_id}")
            tab.wait_for_selector(".payload")
            assert ("ann@example.org" in tab.inner_text(".payload")) != redact
            assert ("Redacted as the settings say." in tab.inner_text("#page")) == redact


def test_a_reason_is_replayed(tab: Any, store: Store) -> None:
    service = Working(NOON, store)
    with served(store, Settings(), service) as url:
        tab.goto(url + "/data")
        row(tab, "in no known format").get_by_role("button", name="Replay").click()
        tab.wait_for_selector("text=2 records could be read now: 2 new turns.")
        tab.wait_for_selector("text=2 records could not be read.")
        assert service.asked == [("replay_letters", {"reason": "in no known format"})]
        assert (store.turns.count(), store.dead_letters.count()) == (2, 2)
        # What was drawn anew can be pressed again, and nothing is pressed by being drawn.
        tab.wait_for_timeout(5_500)
        assert len(service.asked) == 1
        card(tab).get_by_role("button", name="Replay").first.click()
        tab.wait_for_selector("text=0 records could be read now. 2 stay, each with its reason of today.")
        assert service.asked[1:] == [("replay_letters", {"all": True})]


def test_discarding_asks_first_and_takes_what_was_asked_about(tab: Any, store: Store) -> None:
    service = Working(NOON, store)
    with served(store, Settings(), service) as url:
        tab.goto(url + "/data")
        row(tab, "in no known format").get_by_role("button", name="Discard").click()
        tab.wait_for_selector("text=Discard 2 dead letters with the reason “in no known format”?")
        tab.get_by_role("button", name="Keep").click()
        tab.wait_for_selector("#letters-yes", state="hidden")
        assert service.asked == [] and store.dead_letters.count() == 4
        row(tab, "in no known format").get_by_role("button", name="Discard").click()
        tab.wait_for_selector("#letters-yes")
        store.dead_letters.append([letter(9, b"", "in no known format")])
        tab.click("#letters-yes")
        tab.wait_for_selector("text=Discarded: 2 dead letters.")
        assert {one.coordinates.position for one in store.dead_letters.read()} == {1, 4, 9}
        assert service.asked == [("discard_letters", {"ids": [one.letter_id for one in LETTERS[1:3]]})]


def test_one_letter_is_discarded_on_its_page(tab: Any, store: Store) -> None:
    service = Working(NOON, store)
    with served(store, Settings(), service) as url:
        tab.goto(f"{url}/data?letter={LETTERS[3].letter_id}")
        tab.get_by_role("button", name="Discard").click()
        tab.wait_for_selector(f"text=Discard 1 dead letter {LETTERS[3].letter_id}?")
        tab.click("#letters-yes")
        tab.wait_for_selector("text=Discarded: 1 dead letter.")
        assert store.dead_letters.find(LETTERS[3].letter_id) is None
        tab.reload()
        tab.wait_for_selector("text=There is no dead letter")
