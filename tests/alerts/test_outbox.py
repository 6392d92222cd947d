"""The outbox: sent once, tried again, given up, and never lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alert_rows import START, alert, turn
from webhook_server import PATH, Answer, Webhook, webhook

from monitor.alerts.delivery import Delivered, deliver_due, link_of, message_for
from monitor.alerts.notifier import Memory, Message
from monitor.alerts.slack import notifiers_of
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.alerts import AlertRow, DeliveryRow
from tests.hand_clock import HandClock

ROOT = Path(__file__).resolve().parents[2]


def settings(**values: object) -> Settings:
    made = Settings()
    for name, value in values.items():
        made = made.with_value(name.replace("__", "."), value, source="test")
    return made


def of(server: Webhook, **values: object) -> Settings:
    return settings(alerts__slack_webhook=server.address, alerts__allow_private_webhooks=True, **values)


def rounds(store: Store, server: Webhook, clock: HandClock, **values: object) -> Callable[[], Delivered]:
    chosen = of(server, **values)
    return lambda: deliver_due(store, notifiers_of(chosen), chosen, clock=clock)


def raised(store: Store, *alerts: AlertRow, channels: Sequence[str] = ("slack",)) -> None:
    assert store.alerts.raise_alerts(alerts, channels=channels) == len(alerts)


def only(store: Store) -> DeliveryRow:
    (row,) = store.alerts.deliveries()
    return row


def titles(server: Webhook) -> list[str]:
    return [message["text"] for message in server.messages]


def test_what_is_due_is_sent_once_the_oldest_first(opened: Store) -> None:
    raised(opened, alert(2), alert(1), alert(3))
    clock = HandClock(START + timedelta(minutes=1))
    with webhook() as server:
        deliver = rounds(opened, server, clock)
        assert deliver() == Delivered(sent=3)
        assert deliver() == Delivered()
    assert titles(server) == ["Gap: 1", "Gap: 2", "Gap: 3"]
    for row in opened.alerts.deliveries():
        assert (row.state, row.attempts, row.sent_at, row.error) == ("sent", 1, clock.now, None)


def test_what_is_not_due_yet_waits(opened: Store) -> None:
    raised(opened, alert(1))
    clock = HandClock(START)
    with webhook() as server:
        deliver = rounds(opened, server, clock)
        assert deliver() == Delivered()
        clock.wait(1)
        assert deliver() == Delivered(sent=1)


def test_it_is_tried_again_after_growing_pauses_and_then_arrives(opened: Store) -> None:
    raised(opened, alert(1))
    clock = HandClock(START + timedelta(seconds=1))
    with webhook(Answer(500), Answer(502), Answer(503), Answer(200)) as server:
        deliver = rounds(opened, server, clock)
        for attempt, pause in enumerate((15, 30, 60), 1):
            assert deliver().retried == 1
            row = only(opened)
            wait = (row.due_at - clock.now).total_seconds()
            assert (row.state, row.attempts) == ("due", attempt)
            assert 0.75 * pause <= wait <= 1.25 * pause
            clock.wait(wait - 0.1)
            assert deliver() == Delivered()
            clock.wait(0.1)
        assert deliver() == Delivered(sent=1)
    assert (only(opened).attempts, only(opened).error) == (4, None)
    assert len(server.messages) == 4


def test_pauses_end_at_an_hour(opened: Store) -> None:
    raised(opened, alert(1))
    opened.alerts.settle(replace(only(opened), attempts=98))
    clock = HandClock(START + timedelta(days=1))
    with webhook(Answer(500)) as server:
        assert rounds(opened, server, clock, alerts__attempts=100)().retried == 1
    assert 2_700 <= (only(opened).due_at - clock.now).total_seconds() <= 4_500


def test_what_failed_together_does_not_return_together(opened: Store) -> None:
    raised(opened, *(alert(number) for number in range(8)))
    clock = HandClock(START + timedelta(days=1))
    with webhook(Answer(500)) as server:
        for _ in range(8):
            rounds(opened, server, clock)()
    assert len({row.due_at for row in opened.alerts.deliveries()}) == 8


def test_it_is_given_up_after_the_attempts_of_the_settings(opened: Store) -> None:
    raised(opened, alert(1))
    clock = HandClock(START + timedelta(days=1))
    with webhook(Answer(500)) as server:
        deliver = rounds(opened, server, clock, alerts__attempts=3)
        done = []
        for _ in range(5):
            done.append(deliver())
            clock.wait(7_200)
    assert [(one.retried, one.failed) for one in done] == [(1, 0), (1, 0), (0, 1), (0, 0), (0, 0)]
    assert done[2].reason == "given up after 3 attempts: Slack answered 500"
    assert len(server.messages) == 3
    assert (only(opened).state, only(opened).error) == ("failed", done[2].reason)


def test_a_server_that_is_down_is_asked_once_a_round(opened: Store) -> None:
    raised(opened, alert(1), alert(2), alert(3))
    clock = HandClock(START + timedelta(minutes=1))
    with webhook(Answer(503)) as server:
        assert rounds(opened, server, clock)() == Delivered(retried=1, reason="Slack answered 503")
    assert len(server.messages) == 1


def test_whoever_asks_for_time_gets_it_and_it_is_no_attempt(opened: Store) -> None:
    raised(opened, alert(1), alert(2))
    clock = HandClock(START + timedelta(minutes=1))
    with webhook(Answer(429, b"", {"Retry-After": "120"}), Answer(200)) as server:
        deliver = rounds(opened, server, clock, alerts__attempts=1)
        assert deliver() == Delivered(retried=1, reason="Slack asks to wait 120 s (429)")
        for row in opened.alerts.deliveries():
            assert (row.state, row.attempts) == ("due", 0)
            assert row.due_at == clock.now + timedelta(seconds=120)
        clock.wait(119)
        assert deliver() == Delivered()
        assert len(server.messages) == 1
        clock.wait(1)
        assert deliver() == Delivered(sent=2)


def test_what_is_refused_is_given_up_at_once_and_the_others_go_on(opened: Store) -> None:
    raised(opened, alert(1), alert(2))
    clock = HandClock(START + timedelta(minutes=1))
    with webhook(Answer(404, b"no_service"), Answer(200)) as server:
        done = rounds(opened, server, clock)()
    assert (done.sent, done.retried, done.failed) == (1, 0, 1)
    assert "make a new one in Slack" in done.reason
    states = {row.alert_id: (row.state, row.attempts) for row in opened.alerts.deliveries()}
    assert states == {"al1": ("failed", 1), "al2": ("sent", 1)}


def test_a_private_address_is_given_up_with_the_setting_to_change(opened: Store) -> None:
    raised(opened, alert(1))
    chosen = settings(alerts__slack_webhook=f"https://127.0.0.1:1{PATH}")
    done = deliver_due(opened, notifiers_of(chosen), chosen, clock=HandClock(START + timedelta(minutes=1)))
    assert done.failed == 1
    assert "OFFMAP_ALLOW_PRIVATE_WEBHOOKS=true" in str(only(opened).error)
    assert "SECRET" not in str(only(opened).error)


def test_without_a_webhook_deliveries_wait_for_one(opened: Store) -> None:
    raised(opened, alert(1), channels=("slack", "pigeon"))
    clock = HandClock(START + timedelta(days=9))
    assert deliver_due(opened, {}, Settings(), clock=clock) == Delivered()
    with webhook() as server:
        assert rounds(opened, server, clock)() == Delivered(sent=1)
    assert {row.channel: row.state for row in opened.alerts.deliveries()} == {"slack": "sent", "pigeon": "due"}


def test_a_delivery_without_its_alert_is_given_up(opened: Store) -> None:
    opened.alerts.settle(DeliveryRow("gone", "slack", "due", 0, START))
    memory = Memory()
    assert deliver_due(opened, {"slack": memory}, Settings(), clock=HandClock(START)).sent == 0
    assert memory.sent == []
    assert (only(opened).state, only(opened).error) == ("failed", "its alert is gone")


def test_a_restart_sends_what_was_due_and_nothing_twice(path: str) -> None:
    clock = HandClock(START + timedelta(minutes=1))
    with webhook(Answer(500), Answer(200)) as server:
        with Store.open(path, threads=2) as store:
            raised(store, alert(1), alert(2))
            rounds(store, server, clock)()
            before = store.alerts.deliveries()
        with Store.open(path, threads=2) as store:
            assert store.alerts.deliveries() == before
            clock.wait(60)
            assert rounds(store, server, clock)() == Delivered(sent=2)
        with Store.open(path, threads=2) as store:
            assert rounds(store, server, clock)() == Delivered()
            assert store.alerts.raise_alerts([alert(1), alert(2)], channels=["slack"]) == 0
            assert rounds(store, server, clock)() == Delivered()
    assert sorted(titles(server)[1:]) == ["Gap: 1", "Gap: 2"]


class Interrupted(Memory):
    """Sends, and then Ctrl-C comes."""

    def send(self, message: Message) -> None:
        self.sent.append(message)
        raise KeyboardInterrupt


def test_an_interrupt_after_sending_sends_once_more_and_loses_nothing(path: str) -> None:
    clock = HandClock(START + timedelta(minutes=1))
    with Store.open(path, threads=2) as store:
        raised(store, alert(1), alert(2))
        with pytest.raises(KeyboardInterrupt):
            deliver_due(store, {"slack": Interrupted()}, Settings(), clock=clock)
    memory = Memory()
    with Store.open(path, threads=2) as store:
        assert deliver_due(store, {"slack": memory}, Settings(), clock=clock) == Delivered(sent=2)
    assert [message["text"] for message in memory.sent] == ["Gap: 1", "Gap: 2"]


_SENDER = """
import sys
from datetime import datetime
from monitor.alerts.delivery import deliver_due
from monitor.alerts.slack import notifiers_of
from monitor.settings import load
from monitor.store import Store
settings, _ = load({"OFFMAP_SLACK_WEBHOOK": sys.argv[2], "OFFMAP_ALLOW_PRIVATE_WEBHOOKS": "true"})
with Store.open(sys.argv[1]) as store:
    deliver_due(store, notifiers_of(settings), settings, clock=lambda: datetime(2026, 3, 3))
"""


def test_a_process_that_is_killed_while_it_sends_has_it_still_to_send(path: str, tmp_path: Path) -> None:
    with Store.open(path, threads=2) as store:
        raised(store, alert(1))
    arrived, over = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        arrived.set()
        over.wait(10)

    with webhook(Answer(act=wait), Answer(200)) as server:
        command = [sys.executable, "-c", _SENDER, path, server.address]
        with subprocess.Popen(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}) as process:
            try:
                assert arrived.wait(20)
            finally:
                process.kill()
                over.set()
        with Store.open(path, threads=2) as store:
            assert (only(store).state, only(store).attempts) == ("due", 0)
            assert rounds(store, server, HandClock(START + timedelta(days=1)))() == Delivered(sent=1)
    assert titles(server) == ["Gap: 1", "Gap: 1"]


def examples_in(message: dict[str, object]) -> list[str]:
    blocks = message["blocks"]
    assert isinstance(blocks, list)
    return [block["elements"][0]["elements"][0]["text"] for block in blocks if block["type"] == "rich_text"]


def test_examples_are_redacted_few_and_those_that_are_still_there(opened: Store) -> None:
    texts = ["I am ann@example.org, where is it", "call +49 30 901820", "the third", "the fourth"]
    turns = [turn(number, text) for number, text in enumerate(texts)]
    opened.turns.append(turns)
    told = alert(examples=tuple(one.key for one in turns))
    raised(opened, told)
    kept = opened.alerts.find("al1")
    assert kept == told
    message = message_for(opened, kept, Settings())
    assert examples_in(message) == ["I am [email], where is it", "call [phone]", "the third"]
    assert examples_in(message_for(opened, kept, settings(alerts__examples=0))) == []
    unredacted = settings(export__redact=False)
    assert "ann@example.org" not in json.dumps(message_for(opened, kept, unredacted)), "Slack gets no choice"
    opened.deletion.forget(user="u0", at=START + timedelta(days=1))
    assert examples_in(message_for(opened, kept, Settings())) == ["call [phone]", "the third"]


@pytest.mark.parametrize(
    ("public", "local", "link"),
    [
        ("https://offmap.test", "", "https://offmap.test/gaps?gap=g1"),
        ("https://offmap.test/monitor/", "http://127.0.0.1:8050", "https://offmap.test/monitor/gaps?gap=g1"),
        ("", "http://127.0.0.1:8050/", "http://127.0.0.1:8050/gaps?gap=g1"),
        ("", "", None),
    ],
)
def test_the_link_is_the_address_that_people_use(public: str, local: str, link: str | None) -> None:
    assert link_of(alert(), settings(serve__public_url=public), local) == link
