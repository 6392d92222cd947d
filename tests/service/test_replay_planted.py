"""The sample's planted events, as somebody who looks once a day would have been told of them. A file of its own, since each
replay takes minutes and files run side by side."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.service.replay_support import outcome


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_planted_events_are_told_and_little_else(tmp_path: Path) -> None:
    found = outcome(tmp_path)
    assert [one.alert.kind for one in found.told].count("history") == 1
    events = [one for one in found.told if one.alert.kind != "history"]
    missing = {
        one["name"]: datetime.fromisoformat(one["born_at"]).replace(tzinfo=None)
        for one in found.truth["missing_intents"]
    }
    shifted = found.truth["shift"]["intent"]
    # The issue asks for two days. Five users are needed, and a look comes once a day: docs/decisions/0007.
    for name, born in missing.items():
        if born > datetime(2026, 3, 20):
            first = min(one.at for one in events if one.about == name)
            assert born < first <= born + timedelta(days=3.5), (name, born, first)
    at = datetime.fromisoformat(found.truth["shift"]["starts_at"]).replace(tzinfo=None)
    assert any(at < one.at <= at + timedelta(days=11) for one in events if one.about == shifted)
    false = [(one.at, one.alert.title, one.about) for one in events if one.about not in {*missing, shifted}]
    assert len(false) <= 2, false
