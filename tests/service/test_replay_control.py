"""The sample without its planted events. A look every other day spends what has gathered of the budget of false alarms in two:
as many false alarms may be told as by a look a day, for half of its time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.service.replay_support import outcome


@pytest.mark.slow
@pytest.mark.timeout(1150)
def test_the_control_tells_at_most_one(tmp_path: Path) -> None:
    found = outcome(tmp_path, "--control", every=timedelta(days=2))
    assert len(found.told) <= 1, [(one.at, one.alert.title) for one in found.told]
