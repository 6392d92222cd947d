"""CI fails when a test is skipped that must run; on what pytest really writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="no browser here")
def test_page():
    pass

class TestGroup:
    def test_late(self):
        pytest.skip("the command was faster")
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_module_at_all')\n")
    path = tmp_path / "results.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:dash", f"--junitxml={path}", tmp_path]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    return path


def judged(results: Path, *allowed: str) -> tuple[int, list[str]]:
    rules = results.with_name("allowed")
    rules.write_text("\n".join(["# a comment", "", *allowed, ""]))
    command = [sys.executable, ROOT / ".ci" / "skips.py", results, rules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_a_skip_that_is_not_allowed_fails(results: Path) -> None:
    code, lines = judged(results, "test_page: no browser here", "no_such_module_at_all")
    assert code == 1
    assert [line for line in lines if line.startswith("NOT ALLOWED")] == [
        next(line for line in lines if "test_late: the command was faster" in line)
    ]
    assert lines[-1].startswith("3 tests skipped, 1 of them")


def test_skips_that_are_allowed_are_listed(results: Path) -> None:
    code, lines = judged(results, "test_page: no browser", r"TestGroup::test_late: .* faster", "no_such_module_at_all")
    assert code == 0
    assert len(lines) == 4


def test_the_reason_counts_and_not_the_test_alone(results: Path) -> None:
    assert judged(results, "test_page: no display", "test_late", "no_such_module_at_all")[0] == 1


def test_every_rule_of_ours_is_about_a_test_that_exists() -> None:
    """A rule that outlives its test would one day allow another."""
    rules = [
        line
        for line in (ROOT / ".ci" / "allowed-skips").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert rules
    for rule in rules:
        module, _, rest = rule.replace("\\", "").partition("::")
        reason = rest.partition(": ")[2]
        path = ROOT / f"{module.replace('.', '/')}.py"
        assert re.search(re.escape(reason), path.read_text("utf-8")), rule


def test_the_script_is_one_that_bash_reads() -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True, timeout=10)
