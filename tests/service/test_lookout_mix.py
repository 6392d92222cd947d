"""What the lookout tells when who asks changes, over a real store: a mix as a mix, and new behaviour as new behaviour."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.encoding.hashing import HashingEncoder
from monitor.pipeline import analyse
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.alerts import AlertRow
from tests.hand_clock import HandClock
from tests.service.test_lookout import NOON, SUBJECTS, SWIMMING, Shop

#: A tenant, or a language, with a part of the traffic; each asks mostly for two subjects of its own.
USUAL, TENFOLD = 0.08, 0.47
RIDING = "how do I saddle the pony before a ride along the beach"


class Town(Shop):
    """A shop whose conversations come from two sorts of people, set apart by one attribute."""

    attribute, many, few = "tenant", "eu", "us <!channel>\u202e"
    #: Beside the attribute.
    version = "v1"

    def ask(self, number: int, share: float, *, other: Callable[[bool], str | None] = lambda _: None) -> None:
        for _ in range(number):
            rare = bool(self.rng.random() < share)
            mine = SUBJECTS[2:] if rare == (self.rng.random() < 0.9) else SUBJECTS[:2]
            text = other(rare) or str(self.rng.choice(mine))
            said = {self.attribute: self.few if rare else self.many} | {"prompt_version": self.version}
            self.talk(text, **said)
        self.arrive()

    def told(self) -> AlertRow:
        (alert,) = [one for one in self.store.alerts.read() if one.kind == "lookout"]
        return alert


@pytest.fixture
def settings() -> Settings:
    found = Settings().with_value("encoder.kind", "hashing", source="test")
    found = found.with_value("alerts.settle_days", 1, source="test")
    return found.with_value("drift.false_alarms_per_month", 30, source="test")


def opened(folder: Path, settings: Settings, attribute: str = "tenant", few: str = Town.few) -> Iterator[Town]:
    clock = HandClock(NOON)
    with Store.open(str(folder / "s.duckdb"), threads=2, clock=clock) as store:
        town = Town(store, clock, settings)
        town.attribute, town.few = attribute, few
        town.many = "en" if attribute == "language" else "eu"
        clock.wait(-86_400)
        town.ask(1, 0.0)
        clock.wait(86_400)
        town.ask(600, USUAL)
        analyse(store, HashingEncoder(), settings, clock=clock)
        assert town.look().startswith("watching from ")
        yield town


@pytest.fixture
def town(tmp_path: Path, settings: Settings) -> Iterator[Town]:
    yield from opened(tmp_path, settings)


def watched(town: Town, step: Callable[[], None], *, most: int = 12) -> AlertRow:
    """The alert that comes while `step` goes on."""
    for _ in range(most):
        step()
        if "alerts" in town.look():
            return town.told()
    raise AssertionError("no alert came")


def test_more_of_a_known_tenant_is_told_as_a_mix(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    town.ask(100, USUAL)
    assert town.look() == "100 conversations"
    with caplog.at_level(logging.DEBUG):
        alert = watched(town, lambda: town.ask(50, TENFOLD))
    # The value is hostile, and one line of visible text all the same.
    assert (alert.subject, alert.title, alert.path) == ("mix", "More comes from tenant us <!channel>", "/drift")
    text = alert.content.text
    assert text.startswith("Of the last ") and "% come from tenant us <!channel>; " in text
    assert "Within the tenants nothing else surely changed. What rose most, since " in text
    assert "first seen" not in text and "\u202e" not in text
    assert not any("password" in record.getMessage() for record in caplog.records)
    # It is as any alarm: what is usual is learned anew, and the new mix is no news.
    row = town.store.lookouts.read()
    assert row is not None and row.alarms == 1
    for _ in range(8):
        town.ask(50, TENFOLD)
    assert town.look() == "400 conversations"
    assert len([one for one in town.store.alerts.read() if one.kind == "lookout"]) == 1


def test_a_tenant_of_few_users_is_not_named(tmp_path: Path, settings: Settings) -> None:
    for town in opened(tmp_path, settings.with_value("alerts.min_users", 60, source="test")):
        alert = watched(town, lambda town=town: town.ask(50, TENFOLD))  # type: ignore[misc]
        assert alert.subject == "mix" and alert.title.startswith("More comes from one tenant")
        assert "us <!channel>" not in alert.title + alert.content.text


def test_another_mix_of_languages(tmp_path: Path, settings: Settings) -> None:
    for town in opened(tmp_path, settings, "language", "fr-CA"):
        alert = watched(town, lambda town=town: town.ask(50, TENFOLD))  # type: ignore[misc]
        assert alert.title.startswith("More comes in language fr")
        assert "Within the languages" in alert.content.text


def test_a_new_subject_in_all_tenants_is_not_explained_away(town: Town) -> None:
    alert = watched(town, lambda: town.ask(50, USUAL, other=lambda _: SWIMMING if town.rng.random() < 0.3 else None))
    assert alert.subject == "novelty" and alert.title == "New subjects"
    assert "tenant" not in alert.title + alert.content.text and "prompt version" not in alert.content.text


def test_a_new_subject_beside_another_mix_is_told(town: Town) -> None:
    alert = watched(town, lambda: town.ask(50, TENFOLD, other=lambda _: SWIMMING if town.rng.random() < 0.4 else None))
    assert "New subjects" in alert.title


def test_a_new_prompt_version_that_brings_something_new_is_named(town: Town) -> None:
    town.ask(50, USUAL)
    town.look()
    began = town.clock()
    rng = town.rng

    def step() -> None:
        for _ in range(50):
            town.version = "v2" if rng.random() < 0.5 else "v1"
            pony = town.version == "v2" and rng.random() < 0.6
            town.ask(1, USUAL, other=lambda _, pony=pony: RIDING if pony else None)  # type: ignore[misc]

    alert = watched(town, step)
    assert alert.subject == "novelty" and alert.title == "New subjects, with prompt version v2"
    assert "It comes with prompt version v2, first seen " in alert.content.text
    assert ", none of those before." in alert.content.text
    seen = alert.content.text.split("first seen ")[1].split(":")
    first = datetime.strptime(f"2026 {seen[0]}:{seen[1]}", "%Y %H:%M on %d %b (UTC)")
    assert began <= first.replace(second=59) and (first - began).total_seconds() < 600


def test_a_new_version_that_has_nothing_to_do_with_it_is_not_named(town: Town) -> None:
    rng = town.rng

    def step() -> None:
        for _ in range(50):
            town.version = "v2" if rng.random() < 0.5 else "v1"
            town.ask(1, USUAL, other=lambda _: RIDING if rng.random() < 0.4 else None)

    alert = watched(town, step)
    assert alert.title == "New subjects" and "v2" not in alert.content.text


def test_a_state_of_an_earlier_version_is_explained_too(town: Town) -> None:
    row = town.store.lookouts.read()
    assert row is not None and row.state["usual_since"] < row.pinned_at.replace(tzinfo=UTC).timestamp()
    town.store.lookouts.write(
        replace(row, state={name: one for name, one in row.state.items() if name != "usual_since"})
    )
    assert watched(town, lambda: town.ask(50, TENFOLD)).subject == "mix"
    row = town.store.lookouts.read()
    assert row is not None and row.state["usual_since"] == row.since.replace(tzinfo=UTC).timestamp()


def test_killed_at_the_alarm_it_tells_the_same_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.look()
    for _ in range(4):
        town.ask(50, TENFOLD)
    lookout = town.lookout()
    with monkeypatch.context() as broken:
        broken.setattr(town.store.alerts, "raise_alerts", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            town.look(lookout)
    assert not town.store.alerts.read()
    assert "alerts" in town.look()
    assert town.told().subject == "mix"
    assert town.look() == ""
