"""Commands run in this process through `main`, on real stores, with the environment handed in."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        assert self.code == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Offmap:
    """The command line on one store in one folder."""

    folder: Path
    environment: dict[str, str]

    @property
    def store(self) -> Path:
        return Path(self.environment["OFFMAP_STORE"])

    def __call__(self, *arguments: str | Path, **variables: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(argument) for argument in arguments], {**self.environment, **variables})
        return Ran(code, out.getvalue(), err.getvalue())

    def done(self, *arguments: str | Path, **variables: str) -> Ran:
        ran = self(*arguments, **variables)
        assert ran.code == 0, ran.err
        return ran


def in_folder(folder: Path) -> Offmap:
    """The command line on a store that does not exist yet; `hashing` needs no model and is fast."""
    settings = folder / "settings.toml"
    settings.write_text('[encoder]\nkind = "hashing"\n')
    return Offmap(folder, {"OFFMAP_STORE": str(folder / "store.duckdb"), "OFFMAP_CONFIG": str(settings)})
