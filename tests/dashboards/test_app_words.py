"""The page of words and what else shows movement: figures by value, queries on a store, pages in a browser."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from dash import html

from dashboards.components.texts import around, with_hits
from dashboards.figures.ratios import Ratio, ratio_dots
from dashboards.figures.watch_lists import watch_days
from dashboards.queries.movement import moves
from dashboards.queries.run import read_run
from dashboards.queries.topics import shares_over_time
from dashboards.queries.watch_lists import count_lists, hit_spans, look_closer, watch_windows
from dashboards.queries.words import Words
from monitor.clock import utc_now
from monitor.records import Turn, Window
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.statistics import Filter
from monitor.watch_list import WatchList, parse_lists
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import served

DAY = timedelta(days=1)
END = datetime(2026, 3, 30)
LISTS = """[
  {name = "fish & co", phrases = ["aquarium"], patterns = ["fish|algae"]},
  {name = "none", phrases = ["zebra"]},
  {name = "broken", patterns = ["(?=x)"]},
]"""


def with_lists(lists: str = LISTS) -> Settings:
    return Settings().with_value("analysis.watch_lists", parse_lists(lists), source="test")


def test_dots_stand_where_their_numbers_are() -> None:
    rows = [
        Ratio("<b>up</b>", 2.0, 1.5, 2.5, True),
        Ratio("still", 1.1, 0.8, 1.4, False),
        Ratio("far", 900, 0, 1e6, True),
    ]
    figure = ratio_dots(rows)
    grey, sure = figure.data[0], figure.data[1]
    assert list(sure.x) == [2.0, 100.0] and list(sure.y) == [0, 2] and list(grey.y) == [1]
    assert sure.error_x.array[0] == pytest.approx(0.5) and sure.error_x.arrayminus[0] == pytest.approx(0.5)
    assert min(sure.x[1] - sure.error_x.arrayminus[1], grey.x[0] - grey.error_x.arrayminus[0]) > 0, (
        "a logarithm is taken"
    )
    assert grey.marker.color != sure.marker.color
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;up&lt;/b&gt;" and figure.layout.xaxis.type == "log"
    low, high = figure.layout.xaxis.range
    assert low < 0 < high, "no change is in the figure"
    assert ratio_dots([]).layout.height > 0


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.2), (0.3, 2.0), (0.2, 7.0), (0.01, 90.0)])
def test_an_axis_has_some_marks_and_not_too_many(low: float, high: float) -> None:
    axis = ratio_dots([Ratio("x", 1.0, low, high, True)]).layout.xaxis
    marks = [tick for tick in axis.tickvals if axis.range[0] <= np.log10(tick) <= axis.range[1]]
    assert 1 <= len(marks) <= 5 and 1.0 in marks


def test_days_of_a_list_are_coloured_from_the_current_window_on() -> None:
    figure = watch_days([(date(2026, 3, 1), 0), (date(2026, 3, 2), 4), (date(2026, 3, 3), 2)], date(2026, 3, 3))
    [bars] = figure.data
    before, same, now = bars.marker.color
    assert before == same != now and list(bars.y) == [0, 4, 2] and figure.layout.yaxis.range[1] > 4


def test_hits_become_marks_and_nothing_else() -> None:
    parts = with_hits("<script>x</script> voucher!", ((0, 8), (19, 26)))
    assert [type(part).__name__ for part in parts] == ["Mark", "str", "Mark", "str"]
    assert [part.children if isinstance(part, html.Mark) else part for part in parts] == [
        "<script>",
        "x</script> ",
        "voucher",
        "!",
    ]
    assert with_hits("abc", ()) == ["abc"] and with_hits("", ()) == []
    assert [str(getattr(part, "children", part)) for part in with_hits("abc", ((1, 99),))] == ["a", "bc"]


@pytest.mark.parametrize("at", [0, 40, 240, 5_000, 9_990])
def test_the_hit_stands_in_the_excerpt(at: int) -> None:
    line = "é" * at + "voucher" + "w" * (9_993 - at)
    text, [(start, end)] = around(line, ((at, at + 7),))
    assert text[start:end] == "voucher" and len(text) <= 242


def test_an_excerpt_of_a_hit_longer_than_itself() -> None:
    text, hits = around("word" * 2_500, ((0, 10_000),))
    assert len(text) == 241 and hits == ((0, 240),)


def said(store: Store, text: str, *, user: str, day: float) -> None:
    number = store.turns.count()
    store.turns.append(
        [
            Turn(
                turn_id=f"t{number}",
                conversation_id=f"c{number}",
                user_id=user,
                user_text=text,
                created_at=END - day * DAY,
            )
        ]
    )


def test_examples_are_of_different_users_and_of_enough(tmp_path: Any) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        said(store, "nothing of it", user="u0", day=0.1)
        for number in range(4):
            said(store, f"a voucher, ann{number}@example.org", user=f"u{number}", day=2)
        for number in range(8):
            said(store, f"voucher again {number}", user="u0", day=1 + number / 10)
        windows = watch_windows(store, Settings(), utc_now)
        assert windows is not None and windows[0].end == END - 0.1 * DAY + timedelta(microseconds=1)
        [counted] = count_lists(store, Settings(), [WatchList("v", ("voucher",))], *windows)
        assert counted.counts is not None and (counted.counts.now.turns, counted.counts.now.users) == (12, 4)
        few = look_closer(store, Settings(), counted, *windows, examples=10)
        assert few.few and few.examples == () and sum(turns for _, turns in few.days) == 12
        said(store, "my voucher!", user="u9", day=3)
        [counted] = count_lists(store, Settings(), [WatchList("v", ("voucher",))], *windows)
        found = look_closer(store, Settings(), counted, *windows, examples=10)
        assert [one.text for one in found.examples] == [
            "voucher again 0",
            "a voucher, [email]",
            "my voucher!",
        ]
        assert [[one.text[a:b] for a, b in one.spans] for one in found.examples] == [["voucher"]] * 3


def test_lists_that_rise_come_first_and_broken_ones_last(tmp_path: Any) -> None:
    lists = parse_lists('[{name="x", patterns=["("]}, {name="much", phrases=["b"]}, {name="rises", phrases=["a"]}]')
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        for number in range(60):
            said(store, "b", user=f"u{number}", day=1 + number / 4)
        for number in range(20):
            said(store, "a", user=f"u{number}", day=1)
        windows = Window(END - 7 * DAY, END), Window(END - 35 * DAY, END - 7 * DAY)
        found = count_lists(store, Settings(), lists, *windows)
        assert [one.one.name for one in found] == ["rises", "much", "x"] and "RE2" in found[2].error
        assert hit_spans(store, lists, ["a b ab", ""]) == [((0, 1), (2, 3)), ()]


@pytest.mark.slow
def test_words_are_remembered_while_the_run_and_its_turns_stay(analysed_app: Offmap) -> None:
    settings = Settings().with_value("alerts.min_users", 2, source="test")
    with Store.open(str(analysed_app.store)) as store:
        shown = read_run(store)
        assert shown is not None
        words = Words(store, settings, utc_now)
        fish = max(
            (one for one in shown.topics if any("aquarium" in word for word in one.keywords)), key=lambda one: one.turns
        )
        found = words.of_topic(shown.run, fish.topic_id, 10)
        assert {"aquarium", "fish", "tank"} & {one.term for one in found.words} and found.every == 1
        assert all(one.users >= 2 and one.low <= one.odds <= one.high for one in found.words)
        strict = Words(store, settings.with_value("alerts.min_users", 50, source="test"), utc_now)
        assert strict.of_topic(shown.run, fish.topic_id, 10).words == (), "50 users said none of it"
        assert words.of_topic(shown.run, fish.topic_id, 10) is found, "it is worked out once"
        assert words.of_topic(shown.run, "t-nothing", 10).words == ()
        part = Words(store, settings, utc_now, most_turns=300).of_topic(shown.run, fish.topic_id, 10)
        whole = {one.term: one for one in words.of_topic(shown.run, fish.topic_id, 500).words}
        both = [(one, whole[one.term]) for one in part.words if one.term in whole]
        assert part.every > 1 and both and all(one.count == same.count for one, same in both), "of the topic, all"
        assert sum(one.other for one, _ in both) <= sum(same.other for _, same in both) / 2
        rising = words.rising(shown.run, 10)
        assert rising.current is not None and rising.reference is not None
        assert rising.current.start == rising.reference.end
        # A turn more or, where somebody asked to be forgotten, a turn less.
        store.turns.append(
            [Turn(turn_id="late", conversation_id="late", user_text="late", created_at=shown.run.window_start + DAY)]
        )
        assert words.of_topic(shown.run, fish.topic_id, 10) is not found


@pytest.mark.slow
def test_days_are_drawn_without_what_weekdays_do(analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        shown = read_run(store)
        assert shown is not None
        topics = [one for one in shown.topics if one.level == 1][:3]
        chosen = Filter(Window(shown.run.window_end - 30 * DAY, shown.run.window_end))
        out = shares_over_time(store, shown, topics, chosen, "UTC")
        was = shares_over_time(store, shown, topics, chosen, "UTC", as_it_was=True)
        assert (out.unit, out.adjustable, out.without_weekdays) == ("day", True, True)
        assert (was.adjustable, was.without_weekdays) == (True, False)
        assert list(out.rows["start"]) == list(was.rows["start"]) and not np.allclose(
            out.rows["share"], was.rows["share"]
        )
        counts = store.statistics.topics_by(
            shown.run.atlas_id, "middle", "day", chosen, [topics[0].topic_id]
        ).to_pylist()
        day = counts[0]["start"]
        total = sum(row["turns"] for row in counts if row["start"] == day)
        mine = sum(row["turns"] for row in counts if row["start"] == day and row["topic"])
        drawn = was.rows[(was.rows["topic"] == topics[0].topic_id) & (was.rows["start"] == day)]["share"]
        assert drawn.tolist() == pytest.approx([mine / total])
        far = shares_over_time(store, shown, topics, chosen, "Pacific/Kiritimati", as_it_was=True)
        assert list(far.rows["share"]) != list(was.rows["share"]), "days are those of the zone's calendar"
        whole = shares_over_time(store, shown, topics, Filter(), "UTC")
        assert (whole.unit, whole.adjustable) == ("week", False)


@pytest.mark.slow
def test_moves_are_those_of_the_command_without_topics_of_few_users(analysed_app: Offmap) -> None:
    told = {one["topic"]: one for one in analysed_app.done("trends", "--limit", "1000", "--json").json["topics"]}
    with Store.open(str(analysed_app.store)) as store:
        shown = read_run(store, least=2)
        assert shown is not None
        found = moves(store, Settings(), shown, 1, utc_now)
        assert found.found and {one.topic.topic_id for one in found.found} <= {one.topic_id for one in shown.topics}
        for one in found.found:
            assert told[one.topic.topic_id]["ratio"] == one.movement.trend.ratio
            assert told[one.topic.topic_id]["p_value"] == one.movement.p_value
        none = read_run(store, least=10_000)
        assert none is not None and moves(store, Settings(), none, 1, utc_now).found == ()


def text_of(tab: Any, url: str) -> str:
    tab.goto(url)
    tab.wait_for_selector("#page h2")
    tab.wait_for_timeout(900)
    return str(tab.inner_text("#page"))


@pytest.mark.slow
def test_the_page_of_words(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, with_lists()) as url:
        shown = text_of(tab, url + "/words")
        assert "fish & co" in shown and "Rising words" in shown and "is no regular expression of RE2" in shown
        tab.wait_for_selector("#rising-words .small-table, #rising-words p")
        marks = [mark.lower() for mark in tab.locator(".said mark").all_inner_texts()]
        assert marks and set(marks) <= {"aquarium", "fish", "algae"}
        assert "Fewer than 5 users said it" in shown
        tab.get_by_role("link", name="fish & co").click()
        tab.wait_for_url("**/words?list=fish+%26+co")
        tab.wait_for_selector("text=← all watch-lists")
        assert "There is no such watch-list" in text_of(tab, url + "/words?list=%3Cb%3E")
        topic = next(one for one in store.atlases.topics(store.runs.current().atlas_id) if "aquarium" in one.label)  # type: ignore[union-attr]
        page = text_of(tab, f"{url}/topics?topic={topic.topic_id}")
        tab.wait_for_selector("#topic-words .small-table")
        assert "move by more than chance" in page or "by more than chance" in page
        assert tab.locator("#talks mark").count() > 0, "conversations are marked too"
        assert "Rising and falling" in text_of(tab, url + "/topics")


@pytest.mark.slow
def test_the_page_stands_while_its_words_are_counted(
    tab: Any, analysed_app: Offmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, of_topic = threading.Event(), Words.of_topic

    def slowly(*given: Any) -> Any:
        assert counted.wait(20)
        return of_topic(*given)

    monkeypatch.setattr(Words, "of_topic", slowly)
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        run = store.runs.current()
        assert run is not None
        tab.goto(f"{url}/topics?topic={store.atlases.topics(run.atlas_id)[0].topic_id}")
        tab.wait_for_selector("#topic-words .mantine-Skeleton-root")
        tab.wait_for_timeout(1_000)
        assert "Conversations" in tab.inner_text("#page"), "what is there already is not hidden by what is not"
        counted.set()
        tab.wait_for_selector("#topic-words .small-table, #topic-words p")


@pytest.mark.slow
def test_without_a_list_the_page_says_how_to_set_one(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        shown = text_of(tab, url + "/words")
        assert "No watch-list is set" in shown and "watch_lists = [" in shown


@pytest.mark.slow
def test_an_alert_leads_to_its_list(tab: Any, tmp_path: Any) -> None:
    from monitor.alerts.findings import watch_list_findings

    settings = with_lists('[{name = "fish & co", phrases = ["voucher"]}]')
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        for number in range(200):
            said(store, "voucher" if number % 2 else "other", user=f"u{number}", day=1)
            said(store, "other", user=f"u{number}", day=10)
        [finding] = watch_list_findings(store, settings, now=END)
        assert finding.path == "/words?list=fish+%26+co"
        with served(store, settings) as url:
            assert "← all watch-lists" in text_of(tab, url + finding.path)


@pytest.mark.slow
def test_hostile_hits_are_text(tab: Any, tmp_path: Any) -> None:
    texts = [
        "<script>document.title='owned'</script> voucher",
        "<img src=x onerror=\"document.title='owned'\"> voucher <b>bold</b>",
        "word" * 2_500 + " voucher",
        "\u202eأريد voucher الآن من فضلك",
        "voucher\x01\x02\x00 {{7*7}} [x](javascript:alert(1))",
    ]
    settings = with_lists(
        '[{name = "<b>v</b>", phrases = ["voucher", "<script>document.title=\'owned\'</script>"], patterns = ["(wo+r?d)+"]}]'
    )
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        for number in range(60):
            said(store, texts[number % 5], user=f"u{number}", day=1 + number / 100)
        with served(store, settings) as url:
            for width in (1440, 390):
                tab.set_viewport_size({"width": width, "height": 900})
                shown = text_of(tab, url + "/words?list=%3Cb%3Ev%3C/b%3E")
                assert "<b>v</b>" in shown and "document.title='owned'" in shown and tab.title() == "offmap"
                assert tab.locator("#page script, #page img, #page b, #page a[href^='javascript']").count() == 0
                assert tab.evaluate("document.documentElement.scrollWidth") <= width
            marks = set(tab.locator(".said mark").all_inner_texts())
            assert "voucher" in marks and "<script>document.title='owned'</script>" in marks
            assert any(mark.startswith("word") for mark in marks)
