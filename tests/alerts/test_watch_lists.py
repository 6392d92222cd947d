"""Watch-lists: what fits them, what is counted, and when somebody hears of it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from monitor.alerts.findings import watch_list_findings
from monitor.alerts.rules import Policy, decide
from monitor.drift.trend import trend
from monitor.errors import SettingError
from monitor.records import Turn, Window
from monitor.settings import Settings
from monitor.store import Store
from monitor.watch_list import WatchList, parse_lists

END = datetime(2026, 3, 30)
DAY = timedelta(days=1)
EVERYWHERE = ("production",)


def said(store: Store, texts: list[str], *, day: float = 1.0, users: int = 1_000, **more: object) -> None:
    start = store.turns.count()
    store.turns.append(
        [
            Turn(
                turn_id=f"t{start + number}",
                conversation_id=f"c{start + number}",
                user_id=f"u{(start + number) % users}",
                user_text=text,
                created_at=END - day * DAY,
                **more,  # type: ignore[arg-type]
            )
            for number, text in enumerate(texts)
        ]
    )


def matching(store: Store, one: WatchList) -> set[str]:
    keys = store.watch_lists.latest(one, None, EVERYWHERE, most=100)
    return {turn.user_text for turn in store.turns.fetch(keys)}


def test_a_phrase_fits_whole_words_in_any_case_and_script(store: Store) -> None:
    texts = ["Money  back!", "money\nback", "moneyback", "my money backs it", "ünlü para iadesi", "c++ (beta)?", "c"]
    said(store, texts)
    assert matching(store, WatchList("a", ("money back",))) == {"Money  back!", "money\nback"}
    assert matching(store, WatchList("a", ("PARA İadesi".replace("İ", "i"),))) == {"ünlü para iadesi"}
    assert matching(store, WatchList("a", ("nlü",))) == set(), "ü is a letter"
    assert matching(store, WatchList("a", ("c++ (beta)?",))) == {"c++ (beta)?"}
    assert matching(store, WatchList("a", ("c", "moneyback"))) == {"c", "moneyback", "c++ (beta)?"}


def test_patterns_and_phrases_are_one_list_and_quotes_are_text(store: Store) -> None:
    said(store, ["refunds please", "it's 'quoted'; DROP TABLE turns", "nothing"])
    one = WatchList("a", ("'quoted'; drop table turns",), ("refund(s|ed)?",))
    assert matching(store, one) == {"refunds please", "it's 'quoted'; DROP TABLE turns"}
    assert store.turns.count() == 3


def test_no_pattern_hangs_the_store(store: Store) -> None:
    said(store, ["a" * 50_000 + "b"] * 3)
    started = time.monotonic()
    assert store.watch_lists.count(WatchList("a", patterns=("(a+)+$", "(a|aa)+$")), None, EVERYWHERE).turns == 0
    assert time.monotonic() - started < 5


def hits(store: Store, one: WatchList, text: str) -> list[str]:
    [spans] = store.watch_lists.spans(one, [text])
    return [text[start:end] for start, end in spans]


def test_hits_are_found_where_they_stand(store: Store) -> None:
    back = WatchList("a", ("money back", "voucher"), (r"refund(s|ed)?", r"\bcat\b", "x*"))
    assert hits(store, back, "My MONEY  back money back, voucher voucher voucher; moneyback") == [
        "MONEY  back",
        "money back",
        *["voucher"] * 3,
    ]
    assert hits(store, back, "concat cat: refunded") == ["cat", "refunded"], (
        "the place, and not the first that reads so"
    )
    assert hits(store, back, "nothing of it") == []
    assert hits(store, WatchList("a", ("para iadesi",)), "ünlü 🙂 Para  iadesi مرحبا") == ["Para  iadesi"]
    assert hits(store, WatchList("a", ("مرحبا",)), "🙂 مرحبا <script>") == ["مرحبا"]
    assert hits(store, WatchList("a", ("ab",), ("bc",)), "ab abc") == ["ab", "bc"]
    assert hits(store, WatchList("a", ("b c",), ("a b", "c d")), "a b c d") == ["a b c d"]
    assert hits(store, WatchList("a", patterns=("b",)), "a\x01b\x02\x00c") == ["b"], "marks in a text are no marks"
    assert store.watch_lists.spans(back, []) == []


def test_hits_of_many_texts_in_their_order(store: Store) -> None:
    texts = [f"{'x' * number} voucher" if number % 3 else "other" for number in range(3_000)]
    found = store.watch_lists.spans(WatchList("a", ("voucher",)), texts)
    assert [bool(one) for one in found] == [bool(number % 3) for number in range(3_000)]
    assert all(texts[number][one[0][0] : one[0][1]] == "voucher" for number, one in enumerate(found) if one)


def test_no_pattern_hangs_the_marking(store: Store) -> None:
    started = time.monotonic()
    text = "a" * 50_000 + "b"
    assert store.watch_lists.spans(WatchList("a", patterns=("(a+)+$", "(a|aa)+$")), [text] * 3) == [[]] * 3
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("pattern", ["(a", "(?=a)", r"(a)\1", "a)|(?:b", "*", "a{5000}"])
def test_a_pattern_that_is_none_is_named(store: Store, pattern: str) -> None:
    with pytest.raises(
        SettingError, match=r"analysis\.watch_lists: the pattern .* of 'bad' is no regular expression of RE2"
    ):
        store.watch_lists.count(WatchList("bad", patterns=(pattern,)), None, EVERYWHERE)


def test_counts_are_of_the_traffic_in_the_window(store: Store) -> None:
    said(store, ["voucher"] * 4 + ["other"] * 6, users=3)
    said(store, ["voucher"] * 5, day=20)
    said(store, ["voucher"] * 7, environment="staging")
    one, week = WatchList("a", ("voucher",)), Window(END - 7 * DAY, END)
    hits = store.watch_lists.count(one, week, EVERYWHERE)
    assert (hits.turns, hits.conversations, hits.users, hits.of_turns, hits.of_conversations) == (4, 4, 3, 10, 10)
    days = store.watch_lists.days(one, None, EVERYWHERE).to_pylist()
    assert [(row["turns"], row["of_turns"]) for row in days] == [(5, 5), (4, 10)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[", "as TOML writes it"),
        (5, "a list of watch-lists, such as"),
        ([5], "watch-list 1 is 5, and is a table"),
        ([{"phrases": ["a"]}], "watch-list 1 has no name"),
        ([{"name": "a"}], "has neither phrases nor patterns"),
        ([{"name": "a", "phrases": [" "]}], "has phrases = "),
        ([{"name": "a", "patterns": ["x" * 1_001]}], "has patterns = "),
        ([{"name": "a", "phrase": ["b"]}], "unknown field phrase; did you mean phrases?"),
        ([{"name": "a", "phrases": "b"}, {"name": "a", "phrases": "c"}], "two are called 'a'"),
    ],
)
def test_bad_lists_say_why(value: object, reason: str) -> None:
    with pytest.raises(ValueError, match="list of watch-lists") as caught:
        parse_lists(value)
    assert reason in str(caught.value)
    with pytest.raises(SettingError, match=r"analysis\.watch_lists"):
        Settings().with_value("analysis.watch_lists", value, source="test")


def test_a_trend_and_its_interval() -> None:
    assert trend(1, 0, 1, 10) is None and trend(1, 10, 1, 0) is None
    same, none, all_ = trend(10, 100, 40, 400), trend(0, 100, 0, 400), trend(100, 100, 400, 400)
    assert same and none and all_ and same.low < 1 < same.high and not same.rises and not same.falls
    assert none.low < 1 < none.high and all_.low <= 1 <= all_.high
    fallen = trend(5, 1_000, 400, 4_000)
    assert fallen and fallen.falls and fallen.p_value > 0.999
    risen = trend(12, 100, 0, 400)
    assert risen and risen.p_value == pytest.approx(0.2**12) and risen.low > 1


def settings() -> Settings:
    lists = '[{name = "vouchers", phrases = ["voucher"]}, {name = "pumps", phrases = ["heat pump"]}]'
    return Settings().with_value("analysis.watch_lists", lists, source="test")


def test_what_rises_is_told_once_by_its_name(store: Store) -> None:
    said(store, ["a heat pump"] * 20 + ["other"] * 380, day=20)
    said(store, ["my voucher"] * 12 + ["a heat pump"] * 5 + ["other"] * 83)
    policy = Policy(growth=2.0, min_users=5)
    (found,) = watch_list_findings(store, settings(), now=END)
    assert (found.kind, found.key, found.title, found.users) == ("watch_list", "w:vouchers", "Watch-list: vouchers", 12)
    assert {turn.user_text for turn in store.turns.fetch(list(found.body.examples))} == {"my voucher"}
    first = decide([found], [], now=END, at=END, policy=policy)
    assert [alert.title for alert in first.alerts] == ["Watch-list: vouchers"]
    assert decide([found], first.subjects, now=END + DAY, at=END + DAY, policy=policy).alerts == ()


def test_all_lists_share_what_the_look_may_spend(store: Store) -> None:
    said(store, ["other"] * 400, day=20)
    said(store, ["my voucher"] * 6 + ["other"] * 94)
    (found,) = watch_list_findings(store, settings(), now=END)
    counted = store.watch_lists.count(settings().analysis.watch_lists[0], None, EVERYWHERE)
    rise = trend(counted.conversations, 100, 0, 400)
    assert rise is not None and found.telling
    at_most = [watch_list_findings(store, settings(), now=END, level=times * rise.p_value) for times in (2.01, 1.99)]
    assert [[one.telling for one in found] for found in at_most] == [[True], [False]], "there are two lists"


def test_few_people_and_chance_are_not_told(store: Store) -> None:
    said(store, ["other"] * 400, day=20)
    said(store, ["my voucher"] * 12 + ["a heat pump"] * 2 + ["other"] * 86, users=3)
    policy = Policy(growth=2.0, min_users=5)
    found = watch_list_findings(store, settings(), now=END)
    assert [one.key for one in found] == ["w:vouchers"]  # two heat pumps are chance
    assert decide(found, [], now=END, at=END, policy=policy).alerts == ()
