"""How gaps stand, read off what was decided and what was seen: states, expiry, and what lineage carries over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from monitor.coverage.history import history_of
from monitor.coverage.life import Life, Lives, lives_of
from monitor.store.alerts import AlertRow
from monitor.store.gap_lives import GapChange, GapDecisionRow, GapLink

START = datetime(2026, 3, 1, 12)
DAY = timedelta(days=1)


def change(day: float = 0, gap: str = "g1", gone: float | None = None, **fields: object) -> GapChange:
    row = GapChange(
        gap, "t" + gap[1:], 1, START + day * DAY, ("e1",), not fields, False, False, 100, 0.1, 0.2, 0.1, 0.3,
        None if gone is None else START + gone * DAY,
    )  # fmt: skip
    return replace(row, **fields)  # type: ignore[arg-type]


def decision(day: float, kind: str, gap: str = "g1", **fields: object) -> GapDecisionRow:
    row = GapDecisionRow(f"d{day}", int(day * 100), START + day * DAY, None, kind, gap, "t" + gap[1:], None, None, None)
    return replace(row, **fields)  # type: ignore[arg-type]


def life(
    *rows: GapChange | GapDecisionRow | GapLink, now: float = 30, gap: str = "g1", exported: tuple[float, ...] = ()
) -> Life:
    links = [row for row in rows if isinstance(row, GapLink)]
    return lives_of(
        [row for row in rows if isinstance(row, GapChange)],
        [row for row in rows if isinstance(row, GapDecisionRow)],
        sorted(links, key=lambda one: one.seen_at, reverse=True),
        [(gap, START + day * DAY) for day in exported],
        now=START + now * DAY,
    ).of(gap)


def kinds(of: Life) -> list[str]:
    return [one.kind for one in of.events]


def test_a_gap_of_which_nothing_is_noted_is_open() -> None:
    one = Lives({}).of("g9")
    assert (one.state, one.owner, one.events, one.hidden, one.silent) == ("opened", None, (), False, False)


def test_opened_growing_exported_being_closed_closed_and_reopened() -> None:
    opened = change(0)
    assert life(opened).states == ("opened",)
    assert life(opened, exported=(-1,)).states == ("opened",)  # an earlier gap of this topic
    assert life(opened, exported=(1,)).states == ("exported", "opened")
    grows = change(2, starts=False, growing=True)
    assert life(opened, grows, exported=(1,)).states == ("growing", "exported", "opened")
    closing = change(3, starts=False, growing=True, closing=True)
    assert life(opened, grows, closing).states == ("being_closed", "growing", "opened")
    assert life(opened, grows, closing).words == "being closed, growing"
    gone = replace(closing, gone_at=START + 4 * DAY)
    closed = life(opened, grows, gone)
    assert (closed.states, closed.closed_at, closed.words) == (("closed",), START + 4 * DAY, "closed")
    again = life(opened, grows, gone, change(9))
    assert (again.states, again.closed_at, again.opened_at) == (("reopened",), None, START + 9 * DAY)
    assert kinds(again) == ["opened", "growing", "being_closed", "closed", "reopened"]


def test_the_last_decision_says_how_it_stands() -> None:
    acknowledged = life(change(), decision(1, "acknowledge"))
    assert (acknowledged.state, acknowledged.silent, acknowledged.hidden) == ("acknowledged", True, False)
    planned = life(change(), decision(1, "acknowledge"), decision(2, "plan", value="https://t.example/1"))
    assert (planned.state, planned.ticket, planned.silent) == ("planned", "https://t.example/1", True)
    opened = life(change(), decision(1, "plan", value="https://t.example/1"), decision(2, "reopen"))
    assert (opened.state, opened.ticket, opened.silent) == ("opened", None, False)
    noted = life(change(), decision(1, "acknowledge"), decision(2, "note", words="hm"))
    assert noted.state == "acknowledged"


def test_the_last_owner_is_the_owner() -> None:
    rows = [change(), decision(1, "owner", value="Ann"), decision(2, "owner", value="Bob")]
    assert life(*rows).owner == "Bob"
    assert life(*rows, decision(3, "owner", value="")).owner is None


def test_what_grows_surely_is_told_again_but_not_what_will_not_be_fixed() -> None:
    grows = change(2, starts=False, growing=True)
    for kind in ("acknowledge", "plan"):
        assert life(change(), grows, decision(1, kind)).silent is False
    wont = decision(1, "wont_fix", words="no", until=START + 60 * DAY)
    assert life(change(), grows, wont).silent is True


@pytest.mark.parametrize(("now", "hidden"), [(19.9, True), (20, False), (21, False)])
def test_a_wont_fix_ends_on_its_day(now: float, hidden: bool) -> None:
    rows = [change(), decision(1, "acknowledge"), decision(2, "wont_fix", words="no", until=START + 20 * DAY)]
    found = life(*rows, now=now)
    assert (found.hidden, found.silent) == (hidden, hidden)
    assert (found.reason, found.until) == (("no", START + 20 * DAY) if hidden else (None, None))
    assert found.state == ("wont_fix" if hidden else "opened")
    assert ("expired" in kinds(found)) is not hidden


@pytest.mark.parametrize(("away", "state"), [(6.9, "planned"), (7, "reopened")])
def test_a_gap_that_was_away_for_a_week_is_a_new_case(away: float, state: str) -> None:
    rows = [change(0, gone=5), decision(1, "plan", value="https://t.example/1"), decision(1, "owner", value="Ann")]
    found = life(*rows, change(5 + away))
    assert (found.state, found.owner) == (state, "Ann")
    later = life(*rows, change(5 + away), decision(6 + away, "acknowledge"))
    assert later.state == "acknowledged"


def test_a_wont_fix_outlives_a_closing() -> None:
    rows = [change(0, gone=5), decision(1, "wont_fix", words="no", until=START + 60 * DAY), change(20)]
    assert life(*rows).hidden


@pytest.mark.parametrize("event", ["split", "part"])
def test_a_piece_stands_as_the_whole_did_when_it_came(event: str) -> None:
    link = GapLink("g2", event, "g1", START + 5 * DAY)
    rows = [change(), change(6, "g2"), decision(1, "owner", value="Ann"), link]
    wont = decision(2, "wont_fix", words="no", until=START + 60 * DAY)
    piece = life(*rows, wont, gap="g2")
    assert (piece.hidden, piece.reason, piece.owner) == (True, "no", "Ann")
    assert kinds(piece) == ["owner", "wont_fix", event, "opened"]
    # What is decided about the whole later is about what is left of it, and what is decided about the piece is about it.
    assert not life(*rows, replace(wont, created_at=START + 5.5 * DAY), gap="g2").hidden
    assert not life(*rows, wont, decision(7, "reopen", "g2"), gap="g2").hidden
    assert life(*rows, wont, decision(7, "reopen", "g2"), gap="g1").hidden


@pytest.mark.parametrize("event", ["merged", "whole"])
def test_what_came_in_brings_who_is_on_it_but_hides_nothing(event: str) -> None:
    link = GapLink("g1", event, "g2", START + 5 * DAY)
    planned = decision(1, "plan", "g2", value="https://t.example/1")
    rows = [change(), change(0, "g2", gone=5), decision(1, "owner", "g2", value="Ann"), link]
    both = life(*rows, planned)
    assert (both.state, both.ticket, both.owner) == ("planned", "https://t.example/1", "Ann")
    assert life(*rows, decision(1, "wont_fix", "g2", words="no", until=START + 60 * DAY)).state == "opened"
    own = life(*rows, planned, decision(2, "acknowledge"), decision(2, "owner", value="Bob"))
    assert (own.state, own.owner) == ("acknowledged", "Bob")


def test_links_are_followed_and_end() -> None:
    links = [
        GapLink("g2", "split", "g1", START + 2 * DAY),
        GapLink("g3", "split", "g2", START + 4 * DAY),
        GapLink("g1", "merged", "g3", START + 6 * DAY),
    ]
    rows = [change(), decision(1, "owner", value="Ann"), *links]
    assert life(*rows, gap="g3").owner == "Ann"
    assert life(*links).owner is None


def test_the_history_names_other_gaps_and_tells_of_alerts() -> None:
    rows = [change(), GapLink("g1", "merged", "g2", START + 2 * DAY), GapLink("g1", "merged", "g3", START + 3 * DAY)]
    alert = AlertRow("al1", "gap", "g1", START + DAY, "Gap: parcels", {}, "/gaps?gap=g1")
    found = history_of(life(*rows), {"g2": "late parcels"}, [alert])
    assert [one.words for one in found] == [
        "opened", "alert: Gap: parcels", "the topic of “late parcels” came in", "the topic of g3 came in"
    ]  # fmt: skip
    assert life(*rows, gap="g2").state  # it is not known but by the link
    into = lives_of([change(0, "g2", gone=2)], [], [GapLink("g1", "merged", "g2", START + 2 * DAY)], [], now=START)
    assert [one.words for one in history_of(into.of("g2"), {"g1": "parcels"})] == [
        "opened", "closed", "goes on in “parcels”, into which its topic went"
    ]  # fmt: skip


def test_a_gap_that_closed_though_nothing_was_added_says_so() -> None:
    link = GapLink("g1", "by_itself", "g1", START + 2 * DAY)
    found = life(change(0, gone=2), link, decision(1, "owner", value="Ann"))
    assert (found.by_itself, found.words, found.owner, found.went_into) == (True, "closed by itself", "Ann", ())
    assert [one.words for one in found.events if one.kind == "by_itself"] == [
        "no eval item was added near it, so it may come back"
    ]
    again = life(change(0, gone=2), link, change(5))
    assert (again.by_itself, again.words) == (False, "reopened")
    assert not life(change(0, gone=2), link, change(5, gone=6)).by_itself


def test_a_gap_is_held_since_it_came_to_be_and_until_it_is_none_again() -> None:
    held = change(2, starts=False, held=True)
    grows = change(4, starts=False, held=True, growing=True)
    found = life(change(), held, grows)
    assert (found.states, found.words) == (("growing", "held", "opened"), "growing, held")
    assert found.held_since == START + 2 * DAY
    assert (life(change(), held, decision(3, "plan", value="https://t.example/1")).words) == "planned, held"
    again = life(change(), held, change(5, starts=False), change(6, starts=False, held=True))
    assert again.held_since == START + 6 * DAY
    assert kinds(again) == ["opened", "held", "held_no_more", "held"]
    closed = life(change(), replace(held, gone_at=START + 3 * DAY))
    assert (closed.words, closed.held_since, kinds(closed)) == ("closed", None, ["opened", "held", "closed"])
    assert life(change(), replace(held, gone_at=START + 3 * DAY), change(9)).held_since is None


def test_closed_gaps_come_the_latest_first() -> None:
    rows = [change(0, "g1", gone=2), change(0, "g2"), change(0, "g3", gone=4)]
    found = lives_of(rows, [], [], [], now=START)
    assert [one.gap_id for one in found.closed] == ["g3", "g1"]


def test_words_of_people_are_one_visible_line() -> None:
    found = life(change(), decision(1, "note", words="a\x1b[31mred\nline"))
    assert found.events[-1].words == "note: ared line"
