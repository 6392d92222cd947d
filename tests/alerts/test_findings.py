"""What a look says of gaps and surges, on turns in a real store."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.alerts.findings import find_surges_of, gap_findings, seasons_of, surge_findings
from monitor.alerts.rules import Decision, Policy, decide
from monitor.atlas.attributes import Attribute
from monitor.coverage.life import Life, Lives
from monitor.drift.look import Look
from monitor.drift.surges import Surge
from monitor.records import Turn
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.alerts import SubjectRow
from monitor.store.atlases import AtlasRow, TopicRow
from monitor.store.reports import GapRow
from monitor.store.runs import PublishedRun

END = datetime(2026, 3, 30)
EPOCH = datetime(1970, 1, 1)
DAY = timedelta(days=1)
OLD, PARCELS, ROBOTS = range(3)
TEXTS = {
    OLD: "where is my invoice for the subscription",
    PARCELS: "the parcel arrived broken",
    ROBOTS: "does the vacuum robot climb stairs",
}


def microseconds(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def topic(number: int, level: int = 1) -> TopicRow:
    return TopicRow(f"k{number}", level, None, f"topic {number}", ("a",), 9, 9, 9, 0.1, (), END - 20 * DAY)


def gap(topic_id: str = "k1", **fields: object) -> GapRow:
    row = GapRow(
        "g" + topic_id[1:], 1, topic_id, "parcels", 1_234, 30, 0.04, 0.1, 0.02, 0.5, 0.04, 0.21, 0.6, 0.9, True,
        END - 20 * DAY, 1.5, 0.2, (1, 2), ("e1",),
    )  # fmt: skip
    return replace(row, **fields)  # type: ignore[arg-type]


class Traffic:
    """Turns of three subjects, each in a direction of its own, and the look that a run would give."""

    def __init__(self, store: Store, subjects: list[int], days: list[float], users: list[int] | None = None) -> None:
        rng = np.random.default_rng(7)
        users = users or list(range(len(subjects)))
        turns = [
            Turn(
                turn_id=f"t{number}",
                user_text=f"{TEXTS[subject]} {'abcdefghij'[number % 10]}x",
                created_at=END - day * DAY,
                conversation_id=f"c{number}",
                user_id=f"u{user}",
            )
            for number, (subject, day, user) in enumerate(zip(subjects, days, users, strict=True))
        ]
        store.turns.append(turns)
        order = np.argsort(np.array([turn.key for turn in turns], np.uint64))
        self.subject: NDArray[np.int64] = np.array(subjects, np.int64)[order]
        hashes = [f"{number:016d}".encode() for number in order]
        directions = np.eye(32, dtype=np.float32)[self.subject]
        vectors = directions + rng.normal(0, 0.1, (len(turns), 32)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.vectors.append("mini", "text", hashes, vectors)
        run = PublishedRun("r1", "a1", "p1", END, END - 60 * DAY, END, (), "{}")
        self.look = Look(
            run=run,
            atlas=AtlasRow("a1", END, END - 60 * DAY, END, "mini", "text", "leiden", "{}", 3, 2, "f"),
            report=None,
            topics=[topic(0), topic(1), topic(2, level=2)],
            gaps=[],
            keys=np.array([turns[number].key for number in order], np.uint64),
            hashes=hashes,
            created=np.array([microseconds(turns[number].created_at) for number in order], np.int64),
            conversation=order.astype(np.int64),
            user=np.array(users, np.int64)[order],
            fine=np.where(self.subject == ROBOTS, 2, -1),
            middle=np.where(self.subject == ROBOTS, -1, self.subject),
            covered=np.full(len(turns), np.nan),
        )

    def rows(self, subject: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.subject == subject)

    def surge(self, subject: int, **fields: object) -> Surge:
        rows = self.rows(subject)
        made = Surge(int(rows[0]), tuple(rows.tolist()), 2.0, 12, 0, 100, 1_000, 0.002)
        return replace(made, **fields)  # type: ignore[arg-type]


@pytest.fixture
def traffic(opened: Store) -> Traffic:
    """Forty old turns, twenty about parcels of four users, twelve about robots in the last two days."""
    subjects = [OLD] * 40 + [PARCELS] * 20 + [ROBOTS] * 12
    days = [1 + 0.5 * number for number in range(60)] + [0.1 * number + 0.1 for number in range(12)]
    users = [*range(40), *(number % 4 for number in range(20)), *range(100, 112)]
    return Traffic(opened, subjects, days, users)


def test_a_gap_that_is_marked_is_a_finding(traffic: Traffic) -> None:
    rows = [gap("k1"), gap("k2", alert=False), gap("k9"), gap("k0", sampled_high=0.46)]
    first, second = gap_findings(replace(traffic.look, gaps=rows))
    assert (first.kind, first.key, first.title, first.path) == ("gap", "g1", "Gap: parcels", "/gaps?gap=g1")
    assert (first.sure, first.telling) == (False, True)
    assert first.size == pytest.approx(0.04 * 0.9)
    assert first.users == 4
    assert first.body.text == "10% of 1,234 turns are covered (2% to 50%); the topic is 4.0% of the traffic."
    facts = dict(first.body.facts)
    assert facts["Users"] == "4"
    assert facts["Covered"] == "10% (2% to 50%)"
    assert facts["How sure"] == "every look of a week found it, the last one clearly"
    assert facts["Since"] == "10 Mar 2026"
    assert first.body.examples == (1, 2)
    look = traffic.look
    assert set(first.members) == {int(key) for key in look.keys[traffic.rows(PARCELS)]}
    latest = traffic.rows(PARCELS)[np.argmax(look.created[traffic.rows(PARCELS)])]
    assert first.members[0] == look.keys[latest]
    assert (second.key, second.telling) == ("g0", False), "with other conversations it may well be covered"


def test_no_more_members_are_kept_than_are_needed(opened: Store) -> None:
    traffic = Traffic(opened, [PARCELS] * 500, [0.01 * number for number in range(500)])
    (found,) = gap_findings(replace(traffic.look, gaps=[gap("k1")]))
    assert len(found.members) == 400
    assert found.users == 500


def test_a_gap_that_is_a_part_of_a_topic_tells_of_its_turns_alone(traffic: Traffic) -> None:
    look, rows = traffic.look, traffic.rows(PARCELS)
    tenant = np.full(len(look.keys), -1)
    tenant[rows[:6]] = 0
    of_uk = replace(look, attributes={"tenant": Attribute(("uk",), tenant)})
    part = gap("k1", gap_id="g1-abcd", attribute="tenant", value="uk")
    (found,) = gap_findings(replace(of_uk, gaps=[part]))
    assert set(found.members) == {int(key) for key in look.keys[rows[:6]]}
    assert found.users == len(np.unique(look.user[rows[:6]]))
    assert found.path == "/gaps?gap=g1-abcd" and "they are 4.0% of the traffic" in found.body.text
    (nothing,) = gap_findings(replace(look, gaps=[part]))
    assert nothing.members == () and nothing.users == 0


def test_no_gaps_and_no_turns_are_no_findings(traffic: Traffic, opened: Store) -> None:
    assert gap_findings(traffic.look) == []
    assert surge_findings(traffic.look, [], opened) == []
    look = traffic.look
    assert find_surges_of(look, opened, Settings(), end=int(look.created.min())) == []


def test_a_surge_that_nothing_is_known_of_is_drift(traffic: Traffic, opened: Store) -> None:
    (found,) = surge_findings(traffic.look, [traffic.surge(ROBOTS)], opened)
    assert (found.kind, found.sure, found.telling, found.users) == ("drift", True, True, 12)
    assert found.size == 0.12
    assert found.key == f"s{int(traffic.look.keys[traffic.rows(ROBOTS)[0]]):016x}"
    assert found.title.startswith("New subject: ")
    assert {"vacuum", "robot", "climb", "stairs"} & set(found.title.replace(",", " ").split())
    assert not {"invoice", "parcel"} & set(found.title.replace(",", " ").split())
    assert found.body.text == "12.0% of the conversations of the last 2 days are about this; nobody asked before."
    assert "Covered" not in dict(found.body.facts)
    assert dict(found.body.facts)["How sure"] == "chance does this in at most 0.2% of looks when nothing has changed"
    assert found.path == "/topics?topic=k2"


def test_words_of_one_user_and_addresses_are_in_no_title(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "sandra.okonkwo@example.org sandra okonkwo " * 6
    monkeypatch.setitem(TEXTS, ROBOTS, f"robot vacuum {words}")
    traffic = Traffic(opened, [PARCELS] * 20 + [ROBOTS] * 5, [0.1] * 25, [*range(20), 30, 30, 30, 30, 30])
    (one_user,) = surge_findings(traffic.look, [traffic.surge(ROBOTS)], opened)
    assert not {"sandra", "okonkwo", "robot"} & set(re.findall(r"\w+", one_user.title))


def test_words_of_several_users_are_in_the_title(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, ROBOTS, "robot vacuum")
    more = Traffic(opened, [PARCELS] * 20 + [ROBOTS] * 5, [0.1] * 25, [*range(40, 60), 31, 32, 33, 34, 35])
    (several,) = surge_findings(more.look, [more.surge(ROBOTS)], opened)
    assert {"robot", "vacuum"} <= set(several.title.replace(",", " ").split())


def test_a_surge_that_is_not_covered_is_a_gap_and_opens_its_page(traffic: Traffic, opened: Store) -> None:
    covered = np.where(traffic.subject == ROBOTS, 0.25, 1.0)
    look = replace(traffic.look, covered=covered, gaps=[gap("k2")])
    (found,) = surge_findings(look, [traffic.surge(ROBOTS)], opened)
    assert (found.kind, found.path) == ("gap", "/gaps?gap=g2")
    assert found.size == pytest.approx(0.12 * 0.75)
    assert found.body.text.endswith(" The eval set covers about 25% of it.")
    assert dict(found.body.facts)["Covered"] == "about 25%"


def test_a_surge_of_what_is_covered_says_how_many_times_as_often(traffic: Traffic, opened: Store) -> None:
    look = replace(traffic.look, covered=np.full(len(traffic.look.keys), 0.9))
    (found,) = surge_findings(look, [traffic.surge(PARCELS, before=40)], opened)
    assert found.kind == "drift"
    assert found.size == 0.12
    assert found.title.startswith("Asked 3.0 times as often: ")
    assert "4.0% before." in found.body.text
    assert found.path == "/topics?topic=k1"


def test_examples_are_of_different_users(traffic: Traffic, opened: Store) -> None:
    (found,) = surge_findings(traffic.look, [traffic.surge(PARCELS)], opened)
    user = dict(zip(traffic.look.keys.tolist(), traffic.look.user.tolist(), strict=True))
    assert sorted(user[key] for key in found.body.examples) == [0, 1, 2, 3]
    assert found.users == 4
    assert decide([found], [], now=END, at=END, policy=Policy(2.0, 5)).alerts == (), "four users are too few to tell"


def test_a_surge_without_a_topic_of_its_own_opens_the_page_of_drift(traffic: Traffic, opened: Store) -> None:
    nowhere = np.full(len(traffic.look.keys), -1)
    look = replace(traffic.look, fine=nowhere, middle=nowhere, gaps=[gap("k2")])
    (found,) = surge_findings(look, [traffic.surge(ROBOTS)], opened)
    assert found.path == "/drift"


def test_a_surge_that_is_all_the_traffic_has_words_too(opened: Store) -> None:
    traffic = Traffic(opened, [ROBOTS] * 12, [0.1] * 12)
    (found,) = surge_findings(traffic.look, [traffic.surge(ROBOTS)], opened)
    assert found.title.startswith("New subject: ")
    assert len(found.title) > len("New subject: ")


def test_a_planted_subject_is_found_told_once_and_known_again_in_another_atlas(opened: Store) -> None:
    rng = np.random.default_rng(3)
    subjects = rng.choice([OLD, PARCELS], 900).tolist()
    days = rng.uniform(0.01, 60, 900).tolist()
    planted = 25
    traffic = Traffic(opened, subjects + [ROBOTS] * planted, days + rng.uniform(0.01, 1.9, planted).tolist())
    look, settings = traffic.look, Settings()
    surges = find_surges_of(look, opened, settings, end=microseconds(END))
    assert surges == find_surges_of(look, opened, settings, end=microseconds(END)), "the same look gives the same"
    (surge,) = surges
    assert set(surge.members) <= set(traffic.rows(ROBOTS).tolist()), "rows of the look, not of its last weeks"
    assert surge.centre in surge.members
    assert len(surge.members) == surge.recent >= planted // 2
    assert surge.before == 0
    policy = Policy(2.0, 5)
    first = decide(surge_findings(look, surges, opened), [], now=END, at=END, policy=policy)
    assert len(first.alerts) == 1
    later = replace(look, topics=[replace(one, topic_id="z" + one.topic_id) for one in look.topics])
    again = surge_findings(later, surges, opened)
    renamed = [replace(one, key="s" + "f" * 16) for one in again]
    assert decide(renamed, first.subjects, now=END + DAY, at=END + DAY, policy=policy).alerts == ()


def test_a_surge_beyond_what_the_look_may_spend_is_not_told_and_keeps_a_told_one_alive(
    traffic: Traffic, opened: Store
) -> None:
    policy = Policy(2.0, 5)

    def weighed(level: float, known: tuple[SubjectRow, ...] = (), at: datetime = END) -> Decision:
        found = surge_findings(traffic.look, [traffic.surge(ROBOTS)], opened, level=level)
        return decide(found, known, now=at, at=at, policy=policy)

    beyond = weighed(0.001)
    assert beyond.alerts == beyond.subjects == ()
    told = weighed(0.002)
    assert len(told.alerts) == 1
    (alive,) = weighed(0.0, told.subjects, END + 3 * DAY).subjects
    assert (alive.state, alive.seen_at) == ("open", END + 3 * DAY)


def test_hours_that_ask_for_other_things_are_seasons_of_surges(opened: Store) -> None:
    rng = np.random.default_rng(5)
    days = rng.uniform(0.05, 34.9, 1_800)
    weekend = np.array([(END - day * DAY).weekday() >= 5 for day in days.tolist()])
    traffic = Traffic(opened, np.where(weekend & (rng.random(1_800) < 0.3), PARCELS, OLD).tolist(), days.tolist())
    look, span = traffic.look, np.arange(1_800)
    of_turns = seasons_of(look, span, Settings())
    at_weekends = np.array([(EPOCH + timedelta(microseconds=one)).weekday() >= 5 for one in look.created.tolist()])
    assert len(np.unique(of_turns)) == 2 and len({*zip(of_turns.tolist(), at_weekends.tolist(), strict=True)}) == 2
    alike = replace(look, middle=rng.permutation(look.middle))
    assert not seasons_of(alike, span, Settings()).any()
    assert not seasons_of(replace(look, middle=np.full(1_800, -1)), span, Settings()).any(), "no turn has a topic"


def test_before_it_came_nothing_was_found(opened: Store) -> None:
    rng = np.random.default_rng(3)
    traffic = Traffic(opened, rng.choice([OLD, PARCELS], 900).tolist(), rng.uniform(0.01, 60, 900).tolist())
    assert find_surges_of(traffic.look, opened, Settings(), end=microseconds(END)) == []


def lives(state: str, *, growing: bool = False, owner: str | None = None) -> Lives:
    states = (state, *(["growing"] if growing else []), "opened")
    return Lives({"g1": Life("g1", states, owner=owner)})


def test_an_alert_of_a_gap_names_its_state_and_its_owner(traffic: Traffic) -> None:
    look = replace(traffic.look, gaps=[gap("k1")])
    [one] = gap_findings(look)
    assert (dict(one.body.facts)["State"], dict(one.body.facts)["Owner"]) == ("opened", "nobody yet")
    [one] = gap_findings(look, lives("planned", growing=True, owner="Ann\x1b[31m <b>"))
    assert (dict(one.body.facts)["State"], dict(one.body.facts)["Owner"]) == ("planned, growing", "Ann <b>")


@pytest.mark.parametrize(
    ("state", "growing", "telling"),
    [
        ("opened", False, True),
        ("growing", True, True),
        ("being_closed", False, True),
        ("acknowledged", False, False),
        ("acknowledged", True, True),
        ("planned", False, False),
        ("planned", True, True),
        ("wont_fix", False, False),
        ("wont_fix", True, False),
    ],
)
def test_who_is_on_a_gap_hears_of_it_again_only_when_it_grows(
    traffic: Traffic, state: str, growing: bool, telling: bool
) -> None:
    [one] = gap_findings(replace(traffic.look, gaps=[gap("k1")]), lives(state, growing=growing))
    assert one.telling is telling


def test_a_silent_gap_raises_no_alert_and_one_that_was_told_none_again(traffic: Traffic) -> None:
    look = replace(traffic.look, gaps=[gap("k1")])
    policy = Policy(growth=2, min_users=1)
    new = decide(gap_findings(look, lives("planned")), [], now=END, at=END, policy=policy)
    assert (new.alerts, new.subjects) == ((), ())
    row = SubjectRow("gap", "g1", "open", END - 9 * DAY, END - DAY, END - 9 * DAY, 0.01, 0.01)
    for found, alerts in ((lives("planned"), 0), (lives("planned", growing=True), 1), (lives("wont_fix"), 0)):
        said = decide(gap_findings(look, found), [row], now=END, at=END, policy=policy)
        assert len(said.alerts) == alerts
        assert [one.state for one in said.subjects] == ["open"]  # it is still known, and so not resolved


def test_a_surge_in_a_gap_that_will_not_be_fixed_is_not_told(traffic: Traffic, opened: Store) -> None:
    look = replace(
        traffic.look, gaps=[gap("k1")], covered=np.where(traffic.subject == PARCELS, 0.1, traffic.look.covered)
    )
    surge = traffic.surge(PARCELS)
    [one] = surge_findings(look, [surge], opened, lives("acknowledged", owner="Ann"))
    assert (one.path, one.telling) == ("/gaps?gap=g1", True)
    assert dict(one.body.facts)["Owner"] == "Ann"
    assert not surge_findings(look, [surge], opened, lives("wont_fix"))[0].telling
