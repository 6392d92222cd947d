"""Decisions about gaps are checked before they are kept: addresses, days, words, and which gap."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from monitor.errors import OffmapError, UsageError
from monitor.gap_decisions import GapDecisions, ticket_address, until_day
from monitor.store import Store
from tests.store.test_runs import run_row, write_all

NOW = datetime(2026, 3, 1, 12)


@pytest.fixture
def published(store: Store) -> Store:
    write_all(store, "a1", "r1")
    store.runs.publish(run_row("run1", "a1", "r1"))
    return store


@pytest.mark.parametrize(
    "address",
    ["https://t.example.org/OPS-1", "http://localhost:8080/x?y=1#z", "https://t.example.org/a%20b", "https://[::1]/x"],
)
def test_addresses_of_the_web_are_tickets(address: str) -> None:
    assert ticket_address(f" {address} ") == address


@pytest.mark.parametrize(
    "address",
    [
        "", "OPS-1", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://h/x",
        "//t.example.org/x", "https://", "https:///x", "http://h:99999/", "https://[::1", "https://h/a b", "https://h/a\nb",
        "https://h/\x1b[31m", "https://h/<script>", "https://h/\"onclick", "https://h/'x", "https://hé.example/x",
        "https://h/\u202ex", "https://h\\@evil.example/", "https://h/" + "x" * 500,
    ],
)  # fmt: skip
def test_anything_else_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"the ticket|the address of a ticket") as raised:
        ticket_address(address)
    assert str(raised.value).isprintable()


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="names a user or a password") as raised:
        ticket_address("https://ann:s3cret@t.example.org/OPS-1")
    assert "s3cret" not in str(raised.value)


def test_days() -> None:
    assert until_day(" 2027-03-31 ") == date(2027, 3, 31)
    for text in ("", "tomorrow", "31.3.2027", "2027-02-30"):
        with pytest.raises(UsageError, match="is no date: write it like"):
            until_day(text)


def test_a_wont_fix_lasts_through_its_day(published: Store) -> None:
    decided = GapDecisions(published, "g1", now=NOW, who="ann\x1b[31m")
    decided.wont_fix(" not our\nproduct ", date(2026, 3, 1))
    [row] = decided.write()
    assert (row.words, row.until, row.who, row.topic_id) == ("not our product", datetime(2026, 3, 2), "ann", "t1")
    assert published.gap_lives.decisions() == [row]


def test_what_cannot_be_is_refused_and_nothing_is_written(published: Store) -> None:
    decided = GapDecisions(published, "g1", now=NOW)
    decided.acknowledge()
    for wrong, message in (
        (lambda: decided.wont_fix("no", date(2026, 2, 28)), "that day has passed"),
        (lambda: decided.wont_fix("no", (NOW + timedelta(days=731)).date()), "more than two years away"),
        (lambda: decided.wont_fix(" \u202e ", date(2026, 4, 1)), "a reason not to fix it must not be empty"),
        (lambda: decided.note("x" * 501), "at most 500 characters, and this has 501"),
        (lambda: decided.owner("x" * 81), "at most 80 characters"),
        (lambda: decided.plan("nothing"), "is no address"),
    ):
        with pytest.raises(UsageError, match=message):
            wrong()
    assert published.gap_lives.decisions() == []
    assert len(decided) == 1


def test_a_gap_is_known_by_its_id_also_when_it_is_not_listed_any_more(published: Store) -> None:
    with pytest.raises(UsageError, match=r"no gap 'g1x' was ever listed; did you mean g1\?"):
        GapDecisions(published, "g1x", now=NOW)
    with pytest.raises(UsageError, match="`offmap gaps --all` lists them"):
        GapDecisions(published, "nothing", now=NOW)
    made = GapDecisions(published, "g2", now=NOW)
    made.note("hm")
    made.write()
    published.reports.write_gaps("r2", [])
    published.runs.publish(run_row("run2", "a1", "r2"))
    assert GapDecisions(published, "g2", now=NOW).gap_id == "g2"


def test_before_an_analysis_it_says_so(store: Store) -> None:
    with pytest.raises(OffmapError, match="nothing has been analysed yet"):
        GapDecisions(store, "g1", now=NOW)
