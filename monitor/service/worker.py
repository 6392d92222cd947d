"""Heavy work in processes of its own: a refit, an export or a comparison is an offmap command, started and watched.

The command finds the store shared by the service and works through it. So the service's threads never wait for Python code
that holds the interpreter, a crash of the numerics ends one command, and its memory goes back when it is done.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from monitor.errors import OffmapError

__all__ = ["Worker"]

#: Its standard input is a pipe that nobody writes to: it ends when the service does, however that ends, and the command with
#: it. Otherwise a command whose service was killed would find the store free, hold it, and keep the next service out.
_MAIN = """
import os, sys, threading
os.nice(10)  # pages, and turns that come in, go first
# Not through sys.stdin: a thread that holds its lock when Python ends makes Python abort.
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
from monitor.cli import main
sys.exit(main())
"""


class Worker:
    """Runs commands, each in a process, several at a time when several threads ask."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, command: Sequence[str], *, log: Path | None = None) -> Mapping[str, Any]:
        """Run `offmap COMMAND --json` and return its document. Raises `OffmapError` with what the command said."""
        with self._lock:
            if self._stopped:
                raise OffmapError("the service is stopping")
            process = subprocess.Popen(  # noqa: S603  our own command; values are joined to their options
                [sys.executable, "-c", _MAIN, *command, "--json"],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C in the terminal is for the service, which ends its workers itself.
                start_new_session=True,
            )
            self._running.add(process)
        try:
            out, said = _output(process)
        finally:
            with self._lock:
                self._running.discard(process)
        if process.returncode:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            reason = lines[-1].removeprefix("Error: ") if lines else f"it ended with code {process.returncode}"
            if process.returncode < 0:
                reason = f"it was ended by signal {-process.returncode}"
            raise OffmapError(f"offmap {command[0]}: {reason}")
        document: Mapping[str, Any] = orjson.loads(out)
        return document

    def stop(self, patience: float = 3.0) -> None:
        """End what runs: politely, then not. Everything that a command does can be done again."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()


def _output(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What a command wrote. `communicate` would close its standard input at once, and so end it."""
    assert process.stdout is not None and process.stderr is not None and process.stdin is not None
    said: list[bytes] = []
    reader = threading.Thread(target=_keep, args=(process.stderr, said), daemon=True)
    reader.start()
    with process.stdin, process.stdout, process.stderr:
        out = process.stdout.read()
        process.wait()
        reader.join()
    return out, b"".join(said)


def _keep(stream: IO[bytes], said: list[bytes]) -> None:
    said.append(stream.read())
