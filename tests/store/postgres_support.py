"""A PostgreSQL of the tests' own: an ordinary user's, in a folder that goes with it, on a socket alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MISSING", "Postgres", "binaries", "catalog_dump", "postgres_server"]

MISSING = "no PostgreSQL on this machine: apt-get install postgresql"


def binaries() -> Path | None:
    """Debian keeps the server out of the PATH, a folder a version."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    one = debian[-1] if debian else Path(found).resolve() if found else None
    return one.parent if one else None


@dataclass(slots=True)
class Postgres:
    """A server. Its folder has its data and its socket."""

    programs: Path
    folder: Path
    user: dict[str, Any]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": 200,
        }
        command = [self.programs / "postgres", "-D", self.folder / "data"]
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, *options], cwd=self.folder, stdout=log, stderr=log, **self.user)
        end = time.monotonic() + 60
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", self.folder]).returncode:
            assert self._process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)

    def end(self) -> None:
        """At once, and its children with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)

    def restart(self) -> None:
        self.end()
        self.start()

    def new_store(self, folder: Path) -> str:
        """The name of a store that does not exist yet, with a database of its own."""
        name = f"offmap_{uuid.uuid4().hex[:12]}"
        self._run("createdb", name)
        return f"ducklake:postgres:{self.keywords(name)} data_path='{folder / name}'"

    def copy(self, database: str, to: str) -> None:
        """Put what is in one database, which nobody uses now, in place of another."""
        self.ask("postgres", f"DROP DATABASE {to}")
        self.ask("postgres", f"CREATE DATABASE {to} TEMPLATE {database}")

    def keywords(self, database: str) -> str:
        return f"dbname={database} host={self.folder} user=offmap"

    def ask(self, database: str, sql: str) -> str:
        return self._run("psql", "-Atqc", sql, database).strip()

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self.programs / program), "-h", str(self.folder), "-U", "offmap", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


def catalog_dump(server: str) -> str:
    """All that is in a catalog, as SQL; `server` are libpq's keywords."""
    programs = binaries()
    assert programs is not None
    done = subprocess.run([programs / "pg_dump", "-d", server], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    programs = binaries()
    assert programs is not None, MISSING
    # PostgreSQL refuses to run as root. A short path: a socket's may have 107 bytes.
    user: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="offmap-pg-"))
    server = Postgres(programs, folder, user)
    try:
        if user:
            shutil.chown(folder, "nobody", "nogroup")
            folder.chmod(0o755)
        options = ["-U", "offmap", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        made = subprocess.run(
            [programs / "initdb", "-D", folder / "data", *options],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            **user,
        )
        assert made.returncode == 0, made.stderr
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
