"""`.ci/run` ends as its parts end: on a folder with a Makefile of its own; chromium and initdb only say their versions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = """
check demo:
\t@echo $@ SERVE=$(SERVE)
test:
\t@echo REQUIRE_BROWSER=$$REQUIRE_BROWSER REQUIRE_POSTGRES=$$REQUIRE_POSTGRES
\t@.venv/bin/python -m pytest -q -p no:dash $(ARGS) test_some.py
"""
GOOD = "def test_good():\n    pass\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_some.py").write_text(GOOD)
    programs = {
        ".venv/bin/python": f'exec {sys.executable} "$@"',
        "bin/chromium": "echo Chromium 1.0",
        "bin/initdb": "echo initdb 15",
    }
    for name, line in programs.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    return tmp_path


def ci(checkout: Path) -> subprocess.CompletedProcess[str]:
    # Nothing of this machine but what the script needs: neither apt nor a chromium.
    tools = checkout / "bin"
    for name in ("bash", "dirname", "echo", "env", "make", "mktemp", "rm", "sh"):
        found = shutil.which(name)
        assert found is not None
        if not (tools / name).exists():
            (tools / name).symlink_to(found)
    return subprocess.run(
        ["bash", ".ci/run"],
        cwd=checkout,
        env={"PATH": str(tools), "HOME": str(checkout)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_all_is_well(checkout: Path) -> None:
    done = ci(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "Chromium 1.0",
        "initdb 15",
        "demo SERVE=0",
        "REQUIRE_BROWSER=1 REQUIRE_POSTGRES=1",
        "1 passed",
        "0 tests skipped",
    ):
        assert said in done.stdout


def test_a_test_fails(checkout: Path) -> None:
    (checkout / "test_some.py").write_text("def test_bad():\n    assert not 1\n")
    done = ci(checkout)
    assert done.returncode != 0
    assert "1 failed" in done.stdout


def test_a_skip_is_not_allowed(checkout: Path) -> None:
    (checkout / "test_some.py").write_text(f"import pytest\n{GOOD}def test_page():\n    pytest.skip('no chromium')\n")
    done = ci(checkout)
    assert done.returncode != 0
    assert "NOT ALLOWED  test_some::test_page: no chromium" in done.stdout


def test_no_test_ran(checkout: Path) -> None:
    (checkout / "test_some.py").write_text("")
    done = ci(checkout)
    assert done.returncode != 0
    assert "no tests ran" in done.stdout


def test_a_check_fails_and_nothing_follows(checkout: Path) -> None:
    (checkout / "Makefile").write_text(MAKEFILE.replace("check demo:", "check:\n\t@exit 3\ndemo:"))
    done = ci(checkout)
    assert done.returncode != 0
    assert "SERVE=0" not in done.stdout


def test_no_browser_and_no_way_to_get_one(checkout: Path) -> None:
    (checkout / "bin" / "chromium").unlink()
    done = ci(checkout)
    assert done.returncode != 0
    assert "chromium is not installed" in done.stderr
    assert "make check" not in done.stdout


def test_no_postgres_and_no_way_to_get_one(checkout: Path) -> None:
    (checkout / "bin" / "initdb").unlink()
    if list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        # Where Debian has put one it is found; then the variable is set all the same.
        assert ci(checkout).returncode == 0
        return
    done = ci(checkout)
    assert done.returncode != 0
    assert "postgresql is not installed" in done.stderr
    assert "make check" not in done.stdout
