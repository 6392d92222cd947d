"""What the lookout tells, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from monitor.alerts.lookouts import Seen, changed
from monitor.drift.detector import Change

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
