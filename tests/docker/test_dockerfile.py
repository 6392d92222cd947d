"""What can be known of the image without an engine: its Dockerfile is well formed, whole, and safe by default."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docker_files import DOCKERFILE, IGNORE_FILE, ROOT, context_files, let_through, read_dockerfile

from monitor.errors import SettingError
from monitor.service.web import WebServer
from monitor.settings import Settings, load

HADOLINT = Path(sys.executable).with_name("hadolint")
FILE = read_dockerfile(DOCKERFILE.read_text("utf-8"))
#: Stages that somebody runs; the others are on the way to them.
IMAGES = ("core", "models", "sample")
NO_FILE = Path("/dev/null")


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HADOLINT, path], capture_output=True, text=True, timeout=60)


def test_the_linter_has_no_remark() -> None:
    done = lint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_would_have_one(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE.read_text("utf-8").replace('CMD ["serve"]', "CMD serve"))
    assert "DL3025" in lint(bad).stdout


def test_the_default_image_is_the_core() -> None:
    assert FILE.default == "core"


def test_a_stage_begins_with_an_image_of_a_fixed_version_or_with_a_stage_above() -> None:
    seen: list[str] = []
    for stage in FILE.stages.values():
        assert stage.parent in seen or re.fullmatch(r"python:3\.11-slim", stage.parent)
        for one in stage.own:
            assert one.flags.get("from", seen[-1] if seen else "") in ("", *seen)
        seen.append(stage.name)


def test_everything_that_is_copied_is_there_and_sent_to_the_build() -> None:
    sent = context_files()
    copies = [
        one for stage in FILE.stages.values() for one in stage.own if one.word == "COPY" and "from" not in one.flags
    ]
    assert copies
    for one in copies:
        for source in one.value.split()[:-1]:
            assert any(file == source or file.startswith(f"{source}/") for file in sent), source


def test_the_build_gets_the_packages_whole() -> None:
    sent = set(context_files())
    for package in ("monitor", "consumers", "dashboards", "sample_data"):
        files = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and not path.is_relative_to(ROOT / "sample_data/out")
        }
        assert files <= sent
        assert files


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "docker/.env",
        "offmap.toml",
        "offmap.duckdb",
        "demo/offmap.duckdb",
        ".git/config",
        ".venv/bin/python",
        "monitor/__pycache__/errors.pyc",
        "sample_data/out/turns.jsonl.gz",
    ],
)
def test_what_is_nobodys_business_is_not_sent_to_the_build(path: str) -> None:
    assert not let_through(path, IGNORE_FILE.read_text("utf-8"))


@pytest.mark.parametrize("image", IMAGES)
def test_it_does_not_run_as_root(image: str) -> None:
    user = FILE.last(image, "USER")
    assert user is not None
    assert user.value == "10001"
    assert FILE.stages[image].own[-1] == user, "what stands below would be done as this user"


@pytest.mark.parametrize("image", IMAGES)
def test_commands_are_in_the_exec_form_so_that_signals_reach_them(image: str) -> None:
    for word in ("ENTRYPOINT", "CMD"):
        found = FILE.last(image, word)
        assert found is not None
        assert found.words is not None, f"{word} {found.value}"


@pytest.mark.parametrize("image", ["core", "models"])
def test_it_serves_and_is_asked_how_it_is(image: str) -> None:
    found = {
        word: FILE.last(image, word) for word in ("ENTRYPOINT", "CMD", "STOPSIGNAL", "EXPOSE", "VOLUME", "HEALTHCHECK")
    }
    assert all(found.values()), found
    assert (found["ENTRYPOINT"].words, found["CMD"].words) == (["offmap"], ["serve"])
    assert found["STOPSIGNAL"].value == "SIGTERM"
    environment = FILE.environment(image)
    assert found["EXPOSE"].value == environment["OFFMAP_SERVE_PORT"]
    assert Path(environment["OFFMAP_STORE"]).is_relative_to(found["VOLUME"].value)
    check = found["HEALTHCHECK"].value
    assert check.startswith("CMD [")
    script = check.split('"')[3]
    assert any(one.word == "COPY" and one.value == f"docker/healthy.py {script}" for one in FILE.instructions(image))


def test_the_producer_of_traffic_is_not_asked_how_it_is() -> None:
    assert FILE.last("sample", "HEALTHCHECK").value == "NONE"


def test_only_the_producer_holds_the_sample() -> None:
    stages = FILE.stages.values()
    holders = [
        stage.name for stage in stages if any(one.word == "COPY" and "sample_data" in one.value for one in stage.own)
    ]
    assert holders == ["sample"]


def test_torch_is_in_one_optional_image() -> None:
    def mentions(stage: str) -> bool:
        return any("torch" in one.value.lower() or "all.lock" in one.value for one in FILE.instructions(stage))

    assert [name for name in FILE.stages if mentions(name)] == ["build-models"]
    assert [one.flags["from"] for one in FILE.stages["models"].own if "from" in one.flags] == ["build-models"]
    names = {re.split(r"[=\[ ]", line)[0] for line in (ROOT / "requirements/core.lock").read_text("utf-8").splitlines()}
    assert "onnxruntime" in names
    assert names.isdisjoint({"torch", "sentence-transformers"})


def test_no_secret_is_built_in() -> None:
    for stage in FILE.stages.values():
        for one in stage.own:
            if one.word in ("ENV", "ARG"):
                assert not re.search(r"(KEY|TOKEN|PASSWORD|SECRET|WEBHOOK|CREDENTIAL)\w*=", one.value), one.value


@pytest.mark.parametrize("image", IMAGES)
def test_its_variables_are_settings(image: str) -> None:
    settings, sources = load(FILE.environment(image), file=NO_FILE)
    assert {"store.path", "serve.host", "serve.port"} <= set(sources)
    assert settings.serve.port == Settings().serve.port


def test_the_image_alone_is_not_reached_from_other_machines() -> None:
    """`docker run -p 8050:8050` publishes to the whole network: nothing may answer there until somebody has said so."""
    settings, _ = load({**FILE.environment("core"), "OFFMAP_SERVE_PORT": "0"}, file=NO_FILE)
    assert settings.serve.host == "0.0.0.0"
    with pytest.raises(SettingError, match=r"serve\.behind_proxy"):
        WebServer(settings)
