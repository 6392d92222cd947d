"""What the lookout tells, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from monitor.alerts.lookouts import Because, Seen, changed
from monitor.drift.detector import Change
from monitor.drift.explanation import Explanation, Kind, Within

NOON = datetime(2026, 3, 4, 12)
FAR = Seen(
    change=Change("novelty", 0.0, conversations=83, hits=22, usual=0.05, topic=-1),
    began=datetime(2026, 3, 4, 14, 5),
    topic="",
    label="",
    per_month=1.0,
    watched=12_300,
    watching_since=datetime(2026, 2, 27, 9),
    examples=(1, 2),
)


def test_new_subjects() -> None:
    alert = changed(FAR, NOON)
    assert (alert.kind, alert.subject, alert.title, alert.path) == ("lookout", "novelty", "New subjects", "/drift")
    assert alert.content.text == (
        "Of the 83 conversations since 14:05 on 4 Mar (UTC) 26.5% are far from anything in the reference; 5.0% are usual."
    )
    facts = dict(alert.content.facts)
    assert facts["Watched"] == "12,300 conversations since 09:00 on 27 Feb (UTC)"
    assert "once a month at most" in facts["How sure"] and alert.content.examples == (1, 2)


def test_new_near_a_topic() -> None:
    near = replace(FAR, change=replace(FAR.change, topic=3), topic="t3", label="refund, late")
    alert = changed(near, NOON)
    assert "far from anything in the reference, nearest to refund, late; " in alert.content.text
    assert alert.path == "/topics?topic=t3"
    # A topic that too few users know is not named.
    assert ", and of one kind; " in changed(replace(near, topic="", label=""), NOON).content.text


def test_a_topic_and_replies() -> None:
    asked = replace(FAR, change=Change("topics", 0.0, 120, 24, 0.06, 3), topic="t3", label="refund, late")
    assert changed(asked, NOON).title == "Asked more often: refund, late"
    assert changed(replace(asked, topic="", label=""), NOON).title == "One subject is asked more often"
    wrong = changed(replace(FAR, change=Change("negative", 0.0, 120, 24, 0.06, -1), per_month=0.5), NOON)
    assert "20.0% hold a sign that a reply failed" in wrong.content.text
    assert "once in 2 months at most" in dict(wrong.content.facts)["How sure"]


def test_raised_again_it_is_the_same_alert() -> None:
    assert changed(FAR, NOON).alert_id == changed(FAR, datetime(2026, 3, 5)).alert_id
    assert changed(FAR, NOON).alert_id != changed(replace(FAR, watched=5), NOON).alert_id


ASKED = replace(FAR, change=Change("topics", 0.0, 120, 24, 0.06, 3), topic="t3", label="refund, late")
MIX = Explanation("tenant", 1, False, 0.09, 0.38, 420, usual=0.06, since=0.2, expected=0.19)


def test_another_mix_is_told_as_one() -> None:
    alert = changed(replace(ASKED, because=Because(MIX, "eu\u202e\n<b>", shown=True)), NOON)
    assert (alert.subject, alert.title, alert.path) == ("mix", "More comes from tenant eu <b>", "/drift")
    assert alert.content.text == (
        "Of the last 420 conversations 38.0% come from tenant eu <b>; 9.0% did before. Within the tenants nothing else surely "
        "changed. What rose most, since 14:05 on 4 Mar (UTC): 20.0% are about refund, late, 6.0% before, and 19.0% would be "
        "expected of this mix."
    )
    assert (
        alert.alert_id == changed(ASKED, NOON).alert_id
    )  # raised again it may be explained otherwise, and is the same


@pytest.mark.parametrize(
    ("attribute", "value", "title"),
    [
        ("language", "fr", "Less comes in language fr"),
        ("prompt_version", "v2", "Less comes with prompt version v2"),
        ("model", "", "Less comes with no model"),
    ],
)
def test_who_comes_less(attribute: str, value: str, title: str) -> None:
    less = replace(MIX, attribute=attribute, value_before=0.5, value_since=0.1)
    assert changed(replace(ASKED, because=Because(less, value, shown=True)), NOON).title == title


def test_what_few_users_have_is_not_named() -> None:
    alert = changed(replace(ASKED, because=Because(MIX, "ann", shown=False)), NOON)
    assert alert.title == "More comes from one tenant" and "ann" not in alert.content.text


def test_what_changed_beside_the_mix_is_told_too() -> None:
    both = replace(MIX, within=Within(Kind("novelty"), 0.2, 0.08))
    alert = changed(replace(ASKED, because=Because(both, "eu", shown=True)), NOON)
    assert alert.title == "More comes from tenant eu; within the tenants: New subjects"
    assert alert.content.text.endswith(
        "That is not all. Within the tenants too, more are far from anything in the reference: 20.0%, and 8.0% would be "
        "expected of this mix."
    )


def test_a_new_value_stands_beside_the_change() -> None:
    new = Explanation("prompt_version", 1, True, 0.0, 0.5, 83, usual=0.05, since=0.265, expected=float("nan"))
    first = datetime(2026, 3, 4, 14)
    alert = changed(replace(FAR, because=Because(new, "v7", shown=True, first_seen=first)), NOON)
    assert (alert.subject, alert.title) == ("novelty", "New subjects, with prompt version v7")
    assert alert.content.text.endswith(
        "5.0% are usual. It comes with prompt version v7, first seen 14:00 on 4 Mar (UTC): 50.0% of these conversations, none "
        "of those before."
    )
