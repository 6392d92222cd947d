"""A command whose stderr is a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_a_terminal(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> str:
    """What a command writes to a terminal as wide as a page; its stdout is a file."""
    here, there = pty.openpty()
    os.set_blocking(here, True)
    environment = {**environment, "TERM": "xterm", "COLUMNS": "140"}
    with (folder / "out").open("wb") as out:
        command = [sys.executable, "-c", "import sys; from monitor.cli import main; sys.exit(main())", *arguments]
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=there)
    os.close(there)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while data := os.read(here, 65_536):
            shown += data
    os.close(here)
    assert process.wait(60) == 0, shown
    return shown.decode()
