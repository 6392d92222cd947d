"""A run that is killed and run again ends where an undisturbed one ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli_support import Offmap, in_folder
from cli_traffic import write_eval_set, write_log

RUN = "import sys; from monitor.cli import main; sys.exit(main())"
VERBS = ("topics", "gaps", "turns", "signals")


def results(offmap: Offmap) -> dict[str, Any]:
    """What the commands show, without what may differ: when it was published."""
    found: dict[str, Any] = {verb: offmap.done(verb, "--json").lines for verb in ("turns", "signals")}
    for verb in ("topics", "gaps"):
        found[verb] = offmap.done(verb, "--json").json
        del found[verb]["run"]["published_at"]
    for gap in found["gaps"]["gaps"]:  # a gap is as old as the publication that first listed it
        del gap["opened_at"]
        gap["history"] = [event["kind"] for event in gap["history"]]
    return found


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_state(tmp_path: Path) -> None:
    (tmp_path / "undisturbed").mkdir()
    (tmp_path / "killed").mkdir()
    undisturbed, killed = in_folder(tmp_path / "undisturbed"), in_folder(tmp_path / "killed")
    for one in (undisturbed, killed):
        one.done("ingest", write_log(tmp_path / "log.jsonl"))
        one.done("evalset", "import", write_eval_set(tmp_path / "evalset.jsonl"), "--name", "shop")
    environment = {**os.environ, **undisturbed.environment}
    command = [sys.executable, "-c", RUN, "analyse", "--eval-set", "shop"]
    started = time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    whole = time.monotonic() - started

    rng = random.Random(5)
    for _ in range(5):
        process = subprocess.Popen(command, env={**os.environ, **killed.environment}, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.2, 0.95) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        # Between the runs everything can still be read: nothing is published, or all of it.
        assert {killed(verb, "--json").code for verb in VERBS} in ({0}, {1})
    killed.done("analyse", "--eval-set", "shop")
    assert results(killed) == results(undisturbed)
