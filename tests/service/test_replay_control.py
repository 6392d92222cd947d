"""The sample without its planted events, a look a day."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.replay_support import outcome


@pytest.mark.slow
@pytest.mark.timeout(1150)
def test_the_control_tells_at_most_one(tmp_path: Path) -> None:
    found = outcome(tmp_path, "--control")
    assert len(found.told) <= 1, [(one.at, one.alert.title) for one in found.told]
