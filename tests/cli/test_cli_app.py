"""What all commands share: options, exit codes, start-up, Ctrl-C, a closed pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_support import Offmap
from typer.main import get_command

from monitor.cli.app import app

RUN = "import sys; from monitor.cli import main; sys.exit(main())"
HEAVY = ("duckdb", "pyarrow", "numpy", "pandas", "sklearn", "faiss", "onnxruntime", "torch", "rich", "structlog")


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from commands(child, *path, name)
    if command.invoke_without_command:  # it does something itself
        yield path, command


ALL = dict(commands(get_command(app)))


def started(offmap: Offmap, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, **offmap.environment}
    return subprocess.Popen([sys.executable, "-c", RUN, *arguments], env=environment, text=True, **streams)


def test_the_commands_are_those_of_the_design() -> None:
    assert {" ".join(path) for path in ALL} == {
        "init", "ingest", "evalset import", "evalset list", "evalset show", "analyse", "turns", "topics", "gaps", "gap",
        "export", "evalset health", "gate", "selftest", "why", "mark", "unmark", "deadletters list", "deadletters show",
        "deadletters replay", "deadletters discard", "signals", "backup", "restore",
        "forget", "doctor", "config show", "config key", "drift", "alerts list", "alerts test", "alerts retry",
        "consume", "serve", "replay", "keywords", "trends", "watchlist", "lookout",
        "topics name", "topics merge", "topics split", "topics lock", "topics unlock", "topics promote",
        "topics decisions", "topics undo",
    }  # fmt: skip


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_json_a_store_and_help(path: tuple[str, ...], offmap: Offmap) -> None:
    options = {option for parameter in ALL[path].params for option in parameter.opts}
    # `serve` runs until it is ended: it has no document to print.
    assert ({"--store"} if path == ("serve",) else {"--json", "--store"}) <= options
    ran = offmap(*path, "--help")
    assert ran.code == 0 and "Usage: offmap " + " ".join(path) in ran.out
    assert ALL[path].help and len(ALL[path].help.split("\n")[0]) < 65


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, monitor.cli; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_wrong_use_is_exit_code_2(offmap: Offmap) -> None:
    for arguments in (
        ("ingst",),
        ("ingest",),
        ("gaps", "--limt", "3"),
        ("evalset", "show"),
        ("gaps", "--limit", "many"),
    ):
        ran = offmap(*arguments)
        assert ran.code == 2 and "Traceback" not in ran.err and ran.out == ""


def test_version_and_bare_call(offmap: Offmap) -> None:
    assert offmap("--version").out.startswith("offmap 0.")
    assert "Usage: offmap" in "".join((offmap().out, offmap().err))


def test_an_error_is_one_clean_line_on_stderr(offmap: Offmap) -> None:
    ran = offmap("ingest", "no\n\x1b[31msuch\u202efile.jsonl", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: no suchfile.jsonl does not exist") and len(ran.err.splitlines()) == 1


def test_a_bug_keeps_its_traceback(offmap: Offmap) -> None:
    broken = typer.Typer(cls=type(get_command(app)), pretty_exceptions_enable=False)

    @broken.callback()
    def start() -> None: ...

    @broken.command()
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        broken(args=["fail"])


def test_the_settings_file_can_be_named(offmap: Offmap, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[store]\npath = "elsewhere.duckdb"\n')
    environment = {"OFFMAP_CONFIG": "not/there.toml"}
    ran = Offmap(tmp_path, environment).done("--config", file, "config", "show", "--json")
    assert ran.json["settings"][0]["value"] == "elsewhere.duckdb"


@pytest.mark.slow
def test_a_closed_pipe_ends_quietly(built: Offmap) -> None:
    process = started(built, "turns", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 141


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.15, 0.3, 0.6, 1.0])
def test_ctrl_c_ends_with_one_line(built: Offmap, tmp_path: Path, delay: float) -> None:
    store = tmp_path / "copy.duckdb"
    store.write_bytes(built.store.read_bytes())
    arguments = ("analyse", "--eval-set", "shop", "--window", "2026-03-03/2026-03-25", "--store", str(store))
    # Counted from the start of the command: how long Python takes to get there depends on the machine.
    ready = "import sys; from monitor.cli import main; print('ready', flush=True); sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", ready, *arguments],
        env={**os.environ, **built.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode == 0 and out:
        pytest.skip("the command had ended before the signal came")
    assert (process.returncode, err) == (130, "Error: interrupted; run the same command again to go on\n")
    again = started(built, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert again.communicate(timeout=120)[0].startswith("The eval set") and again.returncode == 0
