"""Every page in a real browser: with data, empty, half way, with broken addresses and with hostile texts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.records import Turn
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.partitions import PartitionRow
from monitor.store.topic_names import NamingRun, TopicName
from tests.cli.cli_support import Offmap, in_folder
from tests.dashboards.app_support import served

pytestmark = pytest.mark.slow

PAGES = {
    "/": "Overview",
    "/gaps": "Gaps",
    "/topics": "Topics",
    "/words": "Words",
    "/drift": "Drift",
    "/evalsets": "Eval sets",
    "/data": "Data",
}


def text_of(tab: Any, url: str) -> str:
    tab.goto(url)
    tab.wait_for_selector("#page h2")
    tab.wait_for_timeout(700)  # figures and grids are drawn
    return str(tab.inner_text("#page"))


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_with_data(tab: Any, analysed_app: Offmap, path: str, scheme: str) -> None:
    tab.emulate_media(color_scheme=scheme)
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        shown = text_of(tab, url + path)
        assert PAGES[path] in shown and "No turns yet" not in shown
        assert tab.locator("html").get_attribute("data-mantine-color-scheme") == scheme


@pytest.mark.parametrize("path", PAGES)
def test_each_page_of_an_empty_store(tab: Any, tmp_path: Path, path: str) -> None:
    with Store.open(str(tmp_path / "empty.duckdb")) as store, served(store, Settings()) as url:
        shown = text_of(tab, url + path)
        assert "offmap" in shown and ("yet" in shown or "No turns" in shown)


@pytest.mark.parametrize("path", PAGES)
def test_each_page_before_the_first_analysis(tab: Any, offmap_with_turns: Offmap, path: str) -> None:
    with Store.open(str(offmap_with_turns.store)) as store, served(store, Settings()) as url:
        shown = text_of(tab, url + path)
        assert "offmap" in shown or "Turns" in shown


def test_lost_messages_are_shown(tab: Any, tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store, served(store, Settings()) as url:
        when = datetime(2026, 3, 1, 12)
        store.turns.append([Turn(turn_id="t1", user_text="hello", created_at=when, conversation_id="c1")])
        store.partitions.note([PartitionRow("kafka:turns", str(one), 90, 100, when, lost=3 * one) for one in range(3)])
        shown = text_of(tab, url + "/data")
        assert "9 messages had left the log before they were read" in shown and "turns / 2" in shown


@pytest.fixture
def offmap_with_turns(tmp_path: Path) -> Offmap:
    from tests.cli.cli_traffic import write_log

    made = in_folder(tmp_path)
    made.done("ingest", write_log(tmp_path / "log.jsonl", conversations=40))
    return made


def test_without_an_eval_set_and_with_too_few_items(tab: Any, offmap_with_turns: Offmap) -> None:
    offmap_with_turns.done("analyse")
    with Store.open(str(offmap_with_turns.store)) as store, served(store, Settings()) as url:
        assert "No eval set was compared" in text_of(tab, url + "/gaps")
        assert "Topics" in text_of(tab, url + "/topics")
    items = offmap_with_turns.folder / "few.jsonl"
    items.write_text('{"item_id": "e1", "prompt": "where is my parcel"}\n')
    offmap_with_turns.done("evalset", "import", items, "--name", "few")
    offmap_with_turns.done("analyse", "--eval-set", "few")
    with Store.open(str(offmap_with_turns.store)) as store, served(store, Settings()) as url:
        assert "too small to say" in text_of(tab, url + "/gaps")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/gaps?gap=nothing", "There is no gap nothing"),
        ("/topics?topic=%3Cscript%3Ealert(1)%3C/script%3E", "There is no such topic"),
        ("/drift?report=1", "no such comparison"),
        ("/nowhere", "There is no such page"),
        ("/topics?colour=plaid", "topics"),
        ("/data?from=1900-01-01&to=1900-01-02", "No turns in this selection"),
        ("/?model=nothing", "Too few conversations"),
    ],
)
def test_broken_addresses(tab: Any, analysed_app: Offmap, path: str, said: str) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        assert said in text_of(tab, url + path)


def test_a_gap_opens_by_a_press_and_by_its_address(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        text_of(tab, url + "/gaps")
        tab.locator(".ag-center-cols-container .ag-row").first.click()
        tab.wait_for_selector("#export-button")
        address = tab.url
        assert "gap=g" in address
        tab.go_back()
        tab.wait_for_selector("#gaps-grid")
        shown = text_of(tab, address)
        assert "Conversations" in shown and "are covered" in shown
        # Without a service a job cannot be asked for, and the page says so.
        tab.click("#export-button")
        tab.wait_for_selector("text=start offmap serve")


def test_the_bar_is_kept_in_the_address_across_pages(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        text_of(tab, url + "/")
        tab.click("#preset")
        tab.get_by_role("option", name="Last 7 days").click()
        tab.wait_for_url("**/?from=*")
        tab.wait_for_timeout(800)
        tab.get_by_role("link", name="Topics").click()
        tab.wait_for_url("**/topics?from=*")
        assert tab.input_value("#preset") == "Last 7 days"


HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "[click](javascript:document.title='owned') **bold** `code`",
    "{{7*7}} ${7*7} \u202etxet desrever",
    "word" * 2_500,
)


def test_what_users_write_is_text(tab: Any, tmp_path: Path) -> None:
    """Hostile messages in every place that shows them: conversations, labels, the map, nearest items."""
    made = in_folder(tmp_path)
    lines = [
        {
            "turn_id": f"h{number}",
            "conversation_id": f"c{number}",
            "user_id": f"u{number % 40}",
            "created_at": f"2026-03-{1 + number % 27:02d}T10:00:00Z",
            "user_text": f"{HOSTILE[number % len(HOSTILE)]} question number {number} about <b>widgets</b> and gears",
            "assistant_text": HOSTILE[(number + 1) % len(HOSTILE)],
            "model": HOSTILE[0],
        }
        for number in range(200)
    ]
    log = tmp_path / "hostile.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made.done("ingest", log)
    items = tmp_path / "items.jsonl"
    items.write_text(
        "".join(json.dumps({"prompt": f"{HOSTILE[1]} {n}", "label": HOSTILE[0]}) + "\n" for n in range(40))
    )
    made.done("evalset", "import", items, "--name", "<b>evals</b>")
    made.done("analyse", "--eval-set", "<b>evals</b>")
    with Store.open(str(made.store)) as store, served(store, Settings()) as url:
        topic = store.atlases.topics(store.runs.current().atlas_id)[0].topic_id  # type: ignore[union-attr]
        for path in (*PAGES, f"/topics?topic={topic}"):
            text_of(tab, url + path)
            assert tab.title() == "offmap"
            assert tab.locator("#page script, #page img[src=x], #page a[href^='javascript']").count() == 0


def test_a_models_name_stands_above_the_words_that_were_found(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        run = store.runs.current()
        assert run is not None
        one = next(one for one in store.atlases.topics(run.atlas_id) if one.level == 1)
        when = datetime(2026, 3, 1, 12)
        store.topic_names.add(run.atlas_id, [TopicName(one.topic_id, "small-chat", "", "Named things", (), when)])
        store.topic_names.note(NamingRun("run", when, "small-chat", 1, 1, 0, 2, 900, 50, 0.0125, "it answered 503"))
        shown = text_of(tab, f"{url}/topics?topic={one.topic_id}")
        assert "Named things" in shown and f"Called by small-chat; by its words: {one.label}." in shown
        assert tab.input_value("#decide-name") == ""
        data = text_of(tab, url + "/data")
        assert "Topic names" in data and "900, 50" in data and "$0.0125" in data
