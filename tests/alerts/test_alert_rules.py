"""What is told, when, and when again: the rules, fed with looks day by day."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts.blocks import message_of
from monitor.alerts.rules import Decision, Finding, Policy, Unread, adopt, decide, stalled, sum_up, unreadable
from monitor.store.alerts import AlertBody, AlertRow, SubjectRow
from monitor.store.dead_letters import Reason
from monitor.store.partitions import PartitionRow

START = datetime(2026, 3, 2, 6)
DAY = timedelta(days=1)
POLICY = Policy(growth=2.0, min_users=5)


def gap(key: str = "gparcel", members: range | tuple[int, ...] = range(100), **fields: object) -> Finding:
    values: dict[str, object] = {
        "kind": "gap",
        "key": key,
        "title": f"Gap: {key}",
        "body": AlertBody("10% are covered.", (("Users", "9"),), tuple(members)[:3]),
        "path": f"/gaps?gap={key}",
        "size": 0.02,
        "users": 9,
        "members": tuple(members),
        "sure": False,
    }
    return Finding(**{**values, **fields})  # type: ignore[arg-type]


def surge(key: str = "s01", members: range | tuple[int, ...] = range(100), **fields: object) -> Finding:
    return gap(key, members, **{"kind": "drift", "sure": True, **fields})


@dataclass
class Memory:
    """Looks one after another, each on what the one before left, as the store would keep it."""

    known: dict[tuple[str, str], SubjectRow] = field(default_factory=dict)
    policy: Policy = POLICY

    def look(self, day: float, *findings: Finding) -> tuple[AlertRow, ...]:
        now = START + day * DAY
        return self.keep(decide(findings, list(self.known.values()), now=now, at=now, policy=self.policy)).alerts

    def keep(self, decision: Decision) -> Decision:
        for row in (*decision.subjects, *decision.forgotten):
            self.known.pop((row.kind, row.subject), None)
        self.known.update({(row.kind, row.subject): row for row in decision.subjects})
        return decision

    def state(self, subject: str) -> str | None:
        return next((row.state for row in self.known.values() if row.subject == subject), None)


def titles(alerts: tuple[AlertRow, ...]) -> list[str]:
    return [alert.title for alert in alerts]


def test_a_sure_finding_is_told_at_once_and_once() -> None:
    memory = Memory()
    (told,) = memory.look(0, surge())
    assert (told.kind, told.subject, told.title, told.path) == ("drift", "s01", "Gap: s01", "/gaps?gap=s01")
    assert told.created_at == START
    assert told.content == AlertBody("10% are covered.", (("Users", "9"),), (0, 1, 2))
    for day in range(1, 30):
        assert memory.look(day, surge()) == ()
    assert memory.state("s01") == "open"


def test_an_unsure_finding_is_told_when_a_week_of_looks_found_it() -> None:
    memory = Memory()
    for hours in range(0, 7 * 24, 6):
        assert memory.look(hours / 24, gap()) == ()
        assert memory.state("gparcel") == "seen"
    assert titles(memory.look(7, gap())) == ["Gap: gparcel"]
    assert memory.look(7.25, gap()) == ()


def test_one_look_without_it_starts_the_week_again() -> None:
    memory = Memory()
    for day in range(6):
        memory.look(day, gap())
    assert memory.look(6) == ()
    assert memory.known == {}, "a subject that was only seen is forgotten"
    for day in range(7, 14):
        assert memory.look(day, gap()) == ()
    assert titles(memory.look(14, gap())) == ["Gap: gparcel"]


def test_a_look_that_is_less_certain_keeps_the_week_and_tells_nothing() -> None:
    memory = Memory()
    for day in range(7):
        assert memory.look(day, gap(telling=day in (0, 6))) == ()
    assert memory.look(7, gap(telling=False)) == ()
    assert titles(memory.look(7.5, gap())) == ["Gap: gparcel"]


def test_what_is_not_to_be_told_is_not_remembered_either() -> None:
    memory = Memory()
    assert memory.look(0, surge(telling=False)) == ()
    assert memory.known == {}


def test_a_finding_that_is_not_to_be_told_keeps_a_told_subject_open() -> None:
    memory = Memory()
    memory.look(0, surge())
    for day in range(1, 20):
        assert memory.look(day, surge(telling=False, size=0.9)) == ()
    assert memory.state("s01") == "open"


def test_it_is_told_again_when_it_has_doubled_since_it_was_told() -> None:
    memory = Memory()
    memory.look(0, surge(size=0.02))
    assert memory.look(1, surge(size=0.0399)) == ()
    (again,) = memory.look(2, surge(size=0.05))
    assert again.title == "Growing: Gap: s01"
    assert again.content.facts[-1] == ("Change", "2.5 times as large as when it was told")
    assert again.content.facts[:-1] == (("Users", "9"),)
    assert memory.look(3, surge(size=0.09)) == (), "compared with the size when it was told last"
    assert len(memory.look(4, surge(size=0.1))) == 1


def test_two_alerts_about_one_subject_are_two() -> None:
    memory = Memory()
    (first,) = memory.look(0, surge(size=0.02))
    (second,) = memory.look(1, surge(size=0.05))
    assert first.subject == second.subject
    assert first.alert_id != second.alert_id


def test_the_size_of_a_gap_is_not_compared_with_that_of_a_surge() -> None:
    memory = Memory()
    memory.look(0, surge("s01", range(100), size=0.01))
    assert memory.look(1, gap("gparcel", range(100), size=0.5)) == ()
    assert memory.state("gparcel") is None, "it is the told surge"
    assert len(memory.look(2, surge("s02", range(100), size=0.5))) == 1, "a surge is compared with a surge"


def test_a_finding_without_members_is_known_by_its_key() -> None:
    memory = Memory()
    assert len(memory.look(0, surge("traffic", (), size=0.1), surge("s01", range(100)))) == 2
    assert memory.look(1, surge("traffic", (), size=0.15)) == ()
    assert [alert.subject for alert in memory.look(2, surge("traffic", (), size=0.2))] == ["traffic"]
    assert memory.look(3) == ()
    assert memory.look(4) == ()
    assert memory.state("traffic") == "resolved"


def test_nothing_grows_from_nothing() -> None:
    memory = Memory()
    memory.look(0, surge(size=0.0))
    assert memory.look(1, surge(size=0.0)) == ()


def test_it_is_resolved_after_two_days_and_comes_back_silently() -> None:
    memory = Memory()
    memory.look(0, surge())
    assert memory.look(1.99) == ()
    assert memory.state("s01") == "open"
    assert memory.look(2) == ()
    assert memory.state("s01") == "resolved"
    row = memory.known["drift", "s01"]
    assert row.since == START + 2 * DAY
    assert row.seen_at == START, "when it was found last"
    assert memory.look(10, surge()) == ()
    assert memory.state("s01") == "open"
    assert memory.known["drift", "s01"].since == START + 10 * DAY


def test_it_is_news_again_after_35_days() -> None:
    early, late = Memory(), Memory()
    for memory in (early, late):
        memory.look(0, surge())
        memory.look(3)
    assert early.look(34.9, surge()) == ()
    assert titles(late.look(35, surge())) == ["Gap: s01"]


def test_what_stays_open_is_never_news_again() -> None:
    memory = Memory()
    told = sum(len(memory.look(day, surge())) for day in range(100))
    assert told == 1


def test_the_same_members_under_another_key_are_the_same_subject() -> None:
    memory = Memory()
    memory.look(0, surge("s01", range(100)))
    assert memory.look(1, surge("s02", range(60, 160))) == (), "40 of 100 are known"
    assert memory.state("s02") is None
    assert len(memory.look(2, surge("s03", range(121, 221)))) == 1, "39 of 100 are known"


def test_a_mix_of_two_told_subjects_is_no_third() -> None:
    memory = Memory()
    memory.look(0, surge("s01", range(100)), surge("s02", range(500, 600)))
    mixed = (*range(25), *range(500, 530), *range(9_000, 9_045))
    assert memory.look(1, surge("s03", mixed)) == ()
    assert memory.known["drift", "s02"].members[:55] == mixed[:55], "it is the one that it shares most with"
    assert memory.known["drift", "s01"].seen_at == START


def test_members_gather_so_that_a_subject_that_moves_stays_known() -> None:
    memory = Memory()
    memory.look(0, surge("s0", range(100)))
    for step in range(1, 20):
        start = 50 * step
        assert memory.look(step, surge(f"s{step}", range(start, start + 100))) == ()
    assert len(memory.known) == 1
    assert len(memory.known["drift", "s0"].members) == 1_000, "those of long ago make room"
    assert memory.known["drift", "s0"].members[:100] == tuple(range(950, 1050))


def test_what_was_only_seen_is_nobody_elses_subject() -> None:
    memory = Memory()
    memory.look(0, gap("ga", range(100)))
    assert len(memory.look(1, surge("s01", range(100)), gap("ga", range(100)))) == 1
    assert memory.state("ga") is None, "it is the surge that has just been told"


def test_two_findings_of_one_look_about_one_subject_tell_once() -> None:
    memory = Memory()
    (told,) = memory.look(0, surge("s01", range(100)), surge("s02", range(20, 120)), gap("ga", range(100)))
    assert told.subject == "s01"
    assert list(memory.known) == [("drift", "s01")]
    assert set(memory.known["drift", "s01"].members) == set(range(120))


def test_few_users_are_left_out() -> None:
    memory = Memory()
    assert memory.look(0, surge(users=4)) == ()
    assert memory.known == {}
    assert len(memory.look(1, surge(users=5))) == 1
    assert memory.look(4, surge(users=4, size=0.9)) == ()
    assert memory.state("s01") == "resolved", "a finding that is left out keeps nothing open"


def test_the_clock_dates_the_alert_and_the_traffic_decides() -> None:
    clock = START + 200 * DAY
    decision = decide([surge()], [], now=START, at=clock, policy=POLICY)
    assert decision.alerts[0].created_at == clock
    assert decision.subjects[0].told_at == START


def test_looks_without_findings_on_nothing_say_nothing() -> None:
    assert decide([], [], now=START, at=START, policy=POLICY) == Decision((), (), ())


FINDINGS = st.builds(
    lambda key, start, size, sure, telling, users: replace(
        gap(key, range(start, start + 50), size=size, sure=sure, telling=telling, users=users),
        kind="gap" if key.startswith("g") else "drift",
    ),
    st.sampled_from(["g1", "g2", "s1", "s2"]),
    st.sampled_from([0, 25, 40, 200]),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.integers(1, 9),
)


@given(st.lists(st.tuples(st.sampled_from([0.25, 1, 3, 40]), st.lists(FINDINGS, max_size=4)), max_size=8))
def test_whatever_looks_find_no_alert_is_doubled_and_no_subject_is_lost(
    looks: list[tuple[float, list[Finding]]],
) -> None:
    memory, day, seen = Memory(), 0.0, set[str]()
    for pause, findings in looks:
        day += pause
        alerts = memory.look(day, *findings)
        assert len({alert.subject for alert in alerts}) == len(alerts)
        assert not seen & {alert.alert_id for alert in alerts}
        seen |= {alert.alert_id for alert in alerts}
        told = {row.subject for row in memory.known.values() if row.state == "open"}
        assert {alert.subject for alert in alerts} <= told
        assert all(row.told_at is not None for row in memory.known.values() if row.state == "open")


def test_a_history_is_summed_up_in_one_alert() -> None:
    gaps = [gap(f"g{number}", range(100 * number, 100 * number + 50)) for number in range(10)]
    decision = sum_up(
        [*gaps, gap("gfew", (), users=4), gap("gquiet", (), telling=False)],
        now=START,
        at=START + DAY,
        policy=POLICY,
        path="/gaps",
    )
    (alert,) = decision.alerts
    assert (alert.kind, alert.title, alert.path) == ("history", "10 gaps in the traffic so far", "/gaps")
    assert alert.created_at == START + DAY
    assert alert.content.facts == tuple((f"Gap: g{number}", "10% are covered.") for number in range(8))
    assert "2 more are on the page" in alert.content.text
    assert [row.subject for row in decision.subjects] == ["history", *(f"g{number}" for number in range(10))]
    memory = Memory()
    memory.keep(decision)
    memory.known.pop(("history", "history"))
    assert memory.look(0.5, *gaps) == (), "what was summed up is known"
    assert len(memory.look(1, replace(gaps[3], size=0.04))) == 1, "and tells when it grows"


def test_one_gap_is_one_gap() -> None:
    decision = sum_up([gap()], now=START, at=START, policy=POLICY, path="/gaps")
    assert decision.alerts[0].title == "1 gap in the traffic so far"
    assert "more" not in decision.alerts[0].content.text.partition("From now on")[0]


def test_a_history_without_gaps_is_remembered_and_silent() -> None:
    decision = sum_up([gap(users=1)], now=START, at=START, policy=POLICY, path="/gaps")
    assert decision.alerts == ()
    assert [(row.kind, row.subject) for row in decision.subjects] == [("history", "history")]


PARTITIONS = [
    PartitionRow("chat", "0", 10, 1_210, START),
    PartitionRow("chat", "1", 5, 5, START),
]


def stall(
    hours: float, known: list[SubjectRow], arrived: datetime | None = START, partitions: list[PartitionRow] = PARTITIONS
) -> Decision:
    now = START + timedelta(hours=hours)
    return stalled(arrived, partitions, known, now=now, patience=timedelta(hours=1))


def test_a_stall_is_told_once_until_turns_come_again() -> None:
    assert stall(1, []) == Decision((), (), ())
    first = stall(1.5, [])
    (alert,) = first.alerts
    assert (alert.kind, alert.subject, alert.title, alert.path) == ("stalled", "ingest", "Ingest has stalled", "/data")
    assert alert.content.text == "No turn has arrived for 1.5 hours. 1,200 messages wait."
    assert alert.content.facts == (("Last turn", "2026-03-02 06:00 UTC"), ("Waiting", "1,200 messages"))
    assert stall(9, list(first.subjects)) == Decision((), (), ())
    over = stall(9, list(first.subjects), arrived=START + timedelta(hours=8.5))
    assert over.alerts == ()
    assert [row.state for row in over.subjects] == ["resolved"]
    second = stall(11, list(over.subjects), arrived=START + timedelta(hours=8.5))
    assert len(second.alerts) == 1
    assert second.alerts[0].alert_id != alert.alert_id


def test_a_stall_without_waiting_messages_says_that_nothing_is_produced() -> None:
    (alert,) = stall(2, [], partitions=PARTITIONS[1:]).alerts
    assert alert.content.text == "No turn has arrived for 2.0 hours. No message waits: nothing is produced."


@pytest.mark.parametrize(("arrived", "partitions"), [(None, PARTITIONS), (START, [])])
def test_an_empty_store_and_one_that_is_fed_by_hand_do_not_stall(
    arrived: datetime | None, partitions: list[PartitionRow]
) -> None:
    assert stall(99, [], arrived=arrived, partitions=partitions) == Decision((), (), ())


def unread(
    letters: int, records: int, known: list[SubjectRow], hours: float = 0, *, whole: bool = True, most: float = 0.05
) -> Decision:
    now = START + timedelta(hours=hours)
    kinds = (Reason("in no known format", letters, now),) if letters else ()
    seen = Unread(now - timedelta(minutes=60 if whole else 7), records, kinds, whole)
    return unreadable(seen, known, now=now, most=most)


def test_many_dead_letters_are_told_once_until_there_are_few_again() -> None:
    first = unread(51, 1_000, [])
    (alert,) = first.alerts
    assert (alert.kind, alert.subject, alert.path) == ("dead_letters", "records", "/data")
    assert alert.content.text.startswith("51 of the 1,000 records of the last hour became dead letters (5%).")
    assert alert.content.facts == (("51", "in no known format"),)
    assert unread(900, 1_000, list(first.subjects), 1) == Decision((), (), ())
    over = unread(50, 1_000, list(first.subjects), 2)
    assert over.alerts == () and [row.state for row in over.subjects] == ["resolved"]
    assert unread(0, 0, list(over.subjects), 3) == Decision((), (), ())
    second = unread(100, 1_000, list(over.subjects), 4)
    assert len(second.alerts) == 1 and second.alerts[0].alert_id != alert.alert_id


@pytest.mark.parametrize(
    ("letters", "records", "most", "told"),
    [(19, 19, 0.05, 0), (20, 20, 0.05, 1), (20, 400, 0.05, 0), (20, 399, 0.05, 1), (0, 0, 0, 0), (99, 99, 1, 0)],
)
def test_how_many_are_many(letters: int, records: int, most: float, told: int) -> None:
    assert len(unread(letters, records, [], most=most).alerts) == told


def test_a_service_that_has_just_started_tells_and_does_not_know_that_it_is_over() -> None:
    first = unread(30, 100, [], whole=False)
    assert "of the last 7 minutes" in first.alerts[0].content.text
    assert unread(0, 0, list(first.subjects), 1, whole=False) == Decision((), (), ())
    assert [row.state for row in unread(0, 0, list(first.subjects), 2).subjects] == ["resolved"]


def test_the_commonest_reasons_are_named_and_the_message_fits() -> None:
    kinds = tuple(Reason(f"<!channel> field{number}: expected a text", 40 - number, START) for number in range(8))
    alert = unreadable(Unread(START, 300, kinds, True), [], now=START, most=0.05).alerts[0]
    assert len(alert.content.facts) == 6 and alert.content.facts[-1] == ("102", "other reasons")
    assert "<!channel>" not in str(message_of(alert, (), None))


def adopted(memory: Memory, day: float, *findings: Finding) -> tuple[AlertRow, ...]:
    """A look through another encoder whose findings are all about turns that the look before saw."""
    now = START + day * DAY
    known = adopt(findings, list(memory.known.values()), now=now, policy=memory.policy)
    return memory.keep(decide(findings, known, now=now, at=now, policy=memory.policy)).alerts


def test_another_encoder_is_no_news() -> None:
    memory = Memory()
    assert adopted(memory, 0, surge("s01", size=0.05), gap("gnew", range(200, 300), sure=False)) == ()
    assert memory.state("s01") == memory.state("gnew") == "open"
    assert memory.look(1, surge("s01", size=0.06), gap("gnew", range(200, 300))) == ()
    # What comes after it is.
    assert [one.subject for one in memory.look(2, surge("s02", range(400, 500)))] == ["s02"]


def test_what_was_told_is_measured_anew_with_another_encoder() -> None:
    memory = Memory()
    assert len(memory.look(0, surge("s01", size=0.02))) == 1
    assert adopted(memory, 1, surge("s01", size=0.08)) == ()  # four times as large, of the same turns
    assert memory.look(2, surge("s01", size=0.1)) == ()
    (grown,) = memory.look(3, surge("s01", size=0.17))
    assert grown.title.startswith("Growing")


def test_two_findings_of_one_subject_are_measured_by_the_surer() -> None:
    memory = Memory()
    assert len(memory.look(0, gap("gbig", range(100), size=0.02, sure=True))) == 1
    # With the other encoder two gaps lie where one was.
    parts = gap("gone", range(60), size=0.05), gap("gtwo", range(40, 100), size=0.01)
    assert adopted(memory, 1, *parts) == () and memory.look(2, *parts) == ()


def test_what_waits_to_be_confirmed_goes_on_waiting() -> None:
    memory = Memory()
    assert memory.look(0, gap()) == ()
    assert adopted(memory, 3, gap()) == () and memory.state("gparcel") == "seen"
    assert [one.subject for one in memory.look(7, gap())] == ["gparcel"]


def test_a_topic_of_few_users_is_not_adopted() -> None:
    memory = Memory()
    assert adopted(memory, 0, surge(users=2)) == ()
    assert [one.subject for one in memory.look(1, surge(users=9))] == ["s01"]
