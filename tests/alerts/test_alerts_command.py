"""`offmap alerts list`, `test` and `retry`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from alert_rows import START, alert
from webhook_server import PATH, Answer, Webhook, webhook

from monitor.store import Store
from monitor.store.alerts import DeliveryRow
from tests.cli.cli_support import Offmap, in_folder


@pytest.fixture
def offmap(tmp_path: Path) -> Offmap:
    made = in_folder(tmp_path)
    with Store.open(str(made.store), threads=2):
        return made


def fill(offmap: Offmap) -> None:
    with Store.open(str(offmap.store), threads=2) as store:
        store.alerts.raise_alerts([alert(number) for number in range(1, 5)], channels=["slack"])
        store.alerts.raise_alerts([alert(5)])
        store.alerts.settle(DeliveryRow("al1", "slack", "sent", 1, START, START + timedelta(hours=1)))
        for number in (2, 3):
            error = "given up after 10 attempts: Slack answered 500"
            store.alerts.settle(DeliveryRow(f"al{number}", "slack", "failed", 10, START, None, error))


def to(server: Webhook, **more: str) -> dict[str, str]:
    return {"OFFMAP_SLACK_WEBHOOK": server.address, "OFFMAP_ALLOW_PRIVATE_WEBHOOKS": "true", **more}


def test_no_alert_yet(offmap: Offmap) -> None:
    assert "No alert yet" in offmap.done("alerts", "list").out
    assert offmap("alerts", "list", "--json").json == {"alerts": []}


def test_list_shows_the_latest_and_whether_they_arrived(offmap: Offmap) -> None:
    fill(offmap)
    lines = offmap.done("alerts", "list").out.splitlines()
    assert [line.split()[3:5] for line in lines[-5:]] == [["Gap:", str(number)] for number in (5, 4, 3, 2, 1)]
    assert "app only" in lines[-5]
    assert "slack: due" in lines[-4]
    assert "slack: failed, given up" in lines[-3]
    assert "slack: sent" in lines[-1]
    assert "2026-03-02 06:00" in lines[-1]
    two = offmap.done("alerts", "list", "--limit", "2").out
    assert "Gap: 4" in two
    assert "Gap: 3" not in two


def test_list_as_json(offmap: Offmap) -> None:
    fill(offmap)
    found = offmap("alerts", "list", "--json", "--limit", "4").json["alerts"]
    assert [one["id"] for one in found] == ["al5", "al4", "al3", "al2"]
    assert found[0]["deliveries"] == []
    assert found[2]["deliveries"] == [
        {
            "channel": "slack",
            "state": "failed",
            "attempts": 10,
            "sent_at": None,
            "error": "given up after 10 attempts: Slack answered 500",
        }
    ]
    assert found[0]["title"] == "Gap: 5"
    assert found[0]["text"] == "10% are covered."
    assert found[0]["facts"] == [{"name": "Users", "value": "9"}]
    assert found[0]["path"] == "/gaps?gap=g5"
    assert offmap("alerts", "list", "--limit", "0").code == 2


def test_hostile_titles_do_nothing_to_the_terminal(offmap: Offmap) -> None:
    with Store.open(str(offmap.store), threads=2) as store:
        store.alerts.raise_alerts(
            [alert(1, title="a\x1b]0;owned\x07\x1b[31m\u202eb\nc" + "x" * 100_000)], channels=["slack"]
        )
        store.alerts.settle(DeliveryRow("al1", "slack", "failed", 1, START, None, "\x1b[2Jgone\nline"))
    out = offmap.done("alerts", "list").out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert len(out.splitlines()) <= 5
    assert offmap("alerts", "list", "--json").json["alerts"][0]["deliveries"][0]["error"] == "\x1b[2Jgone\nline"


@pytest.mark.parametrize("command", ["list", "retry"])
def test_without_a_store_it_says_so_in_one_line(tmp_path: Path, command: str) -> None:
    ran = in_folder(tmp_path)("alerts", command)
    assert ran.code in (1, 2)
    assert ran.err.startswith("Error: ")
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "store.duckdb").exists()


def test_test_sends_a_message_now(offmap: Offmap) -> None:
    with webhook() as server:
        ran = offmap.done("alerts", "test", **to(server))
        linked = offmap.done("alerts", "test", **to(server, OFFMAP_PUBLIC_URL="https://offmap.test/m/"))
        assert offmap("alerts", "test", "--json", **to(server)).json == {"sent": True, "channel": "slack"}
    assert "Sent" in ran.out
    assert "OFFMAP_PUBLIC_URL" in ran.out
    assert "OFFMAP_PUBLIC_URL" not in linked.out
    assert [message["text"] for message in server.messages] == ["Test alert from offmap"] * 3
    buttons = [[b for b in message["blocks"] if b["type"] == "actions"] for message in server.messages]
    assert [len(one) for one in buttons] == [0, 1, 0]
    assert buttons[1][0]["elements"][0]["url"] == "https://offmap.test/m/"
    assert offmap("alerts", "list", "--json").json == {"alerts": []}, "a test is not kept"


def test_test_without_a_webhook_says_how_to_get_one(offmap: Offmap) -> None:
    ran = offmap("alerts", "test")
    assert ran.code == 2
    assert "OFFMAP_SLACK_WEBHOOK" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404, b"no_service"), "make a new one in Slack"),
        (Answer(429, b"", {"Retry-After": "9"}), "wait 9 s"),
        (Answer(500, PATH.encode()), "Slack answered 500"),
        (Answer(302, b"", {"Location": "http://127.0.0.1/"}), "302"),
    ],
)
def test_test_says_in_one_line_why_it_did_not_arrive(offmap: Offmap, answer: Answer, said: str) -> None:
    with webhook(answer) as server:
        ran = offmap("alerts", "test", **to(server))
    assert ran.code == 1
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "SECRET" not in ran.out + ran.err


@pytest.mark.parametrize(
    "address", ["nonsense SECRET", "http://127.0.0.1:1/SECRET", "https://127.0.0.1:1/SECRET", "https://a..b/SECRET"]
)
def test_test_with_an_address_that_is_not_allowed(offmap: Offmap, address: str) -> None:
    ran = offmap("alerts", "test", OFFMAP_SLACK_WEBHOOK=address)
    assert ran.code == 2
    assert "alerts.slack_webhook" in ran.err
    assert "SECRET" not in ran.err
    assert len(ran.err.splitlines()) == 1


def test_config_show_hides_the_address(offmap: Offmap) -> None:
    with webhook() as server:
        ran = offmap.done("config", "show", **to(server))
    assert "SECRET" not in ran.out
    assert "(set, hidden)" in ran.out


def test_retry_makes_what_was_given_up_due_again(offmap: Offmap) -> None:
    fill(offmap)
    assert "2 deliveries due again" in offmap.done("alerts", "retry").out
    with Store.open(str(offmap.store), threads=2) as store:
        rows = {row.alert_id: row for row in store.alerts.deliveries()}
    assert {name: row.state for name, row in rows.items()} == {"al1": "sent", "al2": "due", "al3": "due", "al4": "due"}
    assert (rows["al2"].attempts, rows["al2"].error) == (0, None)
    assert rows["al2"].due_at > START + timedelta(days=1), "due now"
    assert offmap("alerts", "retry", "--json").json == {"due": 0}
