"""compose.yaml: right by the specification's schema, consistent, and open to this machine alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker_files import COMPOSE_FILE, DOCKERFILE, ROOT, VARIABLE, read_compose, read_dockerfile

from monitor.errors import SettingError
from monitor.settings import ENVIRONMENT_NAMES, load

CHECK = Path(sys.executable).with_name("check-jsonschema")
FILE = read_dockerfile(DOCKERFILE.read_text("utf-8"))
COMPOSE = read_compose({})
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
NO_FILE = Path("/dev/null")


def environment(name: str) -> dict[str, str]:
    """Of a service: its image's, and its own."""
    return {**FILE.environment(SERVICES[name]["build"]["target"]), **SERVICES[name].get("environment", {})}


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    command = [CHECK, "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_is_right_by_the_schema_of_the_specification() -> None:
    done = validate(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout


def test_the_schema_finds_what_is_wrong(tmp_path: Path) -> None:
    document = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
    document["services"]["offmap"]["depend_on"] = document["services"]["offmap"].pop("depends_on")
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(yaml.safe_dump(document))
    done = validate(wrong)
    assert done.returncode == 1
    assert "depend_on" in done.stdout


def test_images_of_others_have_a_version() -> None:
    foreign = {name: service["image"] for name, service in SERVICES.items() if name not in OURS}
    assert set(foreign) == {"kafka"}
    assert re.fullmatch(r"apache/kafka:\d+\.\d+\.\d+", foreign["kafka"])


def test_an_image_name_is_one_build() -> None:
    built: dict[str, Any] = {}
    for name in OURS:
        service = SERVICES[name]
        assert built.setdefault(service["image"], service["build"]) == service["build"]


@pytest.mark.parametrize("name", OURS)
def test_its_image_can_be_built(name: str) -> None:
    build = SERVICES[name]["build"]
    context = (COMPOSE_FILE.parent / build["context"]).resolve()
    assert context == ROOT
    assert context / build["dockerfile"] == DOCKERFILE
    assert build["target"] in FILE.stages


def test_ports_are_published_to_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 2
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port
    inside = environment("offmap")["OFFMAP_SERVE_PORT"]
    assert [port.rpartition(":")[2] for port in SERVICES["offmap"]["ports"]] == [inside]


def test_the_links_lead_to_the_published_port() -> None:
    address = SERVICES["offmap"]["ports"][0].rpartition(":")[0]
    assert environment("offmap")["OFFMAP_PUBLIC_URL"] == f"http://{address}"


def test_a_service_waits_for_one_that_is_there_and_says_what_is_waited_for() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            awaited = SERVICES[other]
            match how["condition"]:
                case "service_healthy":
                    image = FILE.last(awaited["build"]["target"], "HEALTHCHECK") if "build" in awaited else None
                    assert "healthcheck" in awaited or (image is not None and image.value != "NONE")
                case "service_completed_successfully":
                    assert awaited["restart"] == "no", f"{other} would never be completed"
                case other_condition:
                    pytest.fail(other_condition)


def test_volumes_are_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])
    volume = FILE.last("core", "VOLUME")
    assert volume is not None
    for name in ("offmap", "evalset"):
        assert f"data:{volume.value}" in SERVICES[name]["volumes"]


def test_the_one_that_imports_reaches_the_one_that_holds_the_store() -> None:
    """The holder is reached on loopback, by a file beside the store: the same network, the same volume, the same path."""
    assert SERVICES["evalset"]["network_mode"] == "service:offmap"
    assert environment("evalset")["OFFMAP_STORE"] == environment("offmap")["OFFMAP_STORE"]


@pytest.mark.parametrize("name", OURS)
def test_its_variables_are_settings(name: str) -> None:
    load(environment(name), file=NO_FILE)


def test_a_variable_that_is_no_setting_is_found() -> None:
    with pytest.raises(SettingError, match="OFFMAP_KAFKA_BOOTSTRAP"):
        load({**environment("offmap"), "OFFMAP_KAFKA_BOOTSTRAPS": "kafka:9092"}, file=NO_FILE)


def test_it_says_who_keeps_strangers_out_and_reads_the_topic_that_is_written() -> None:
    settings, _ = load(environment("offmap"), file=NO_FILE)
    assert settings.serve.behind_proxy
    assert settings.serve.host == "0.0.0.0"
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"CONTAINERS://{settings.kafka.bootstrap}" in advertised
    command = SERVICES["producer"]["command"]
    assert command[command.index("--bootstrap") + 1] == settings.kafka.bootstrap
    assert command[command.index("--topic") + 1] == settings.kafka.topic


def test_every_listener_of_kafka_is_named_where_kafka_asks_for_it() -> None:
    kafka = SERVICES["kafka"]["environment"]
    listeners = {one.split("://")[0] for one in kafka["KAFKA_LISTENERS"].split(",")}
    advertised = {one.split("://")[0] for one in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    mapped = {one.split(":")[0] for one in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert listeners == mapped
    assert listeners - advertised == {kafka["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert kafka["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised


def test_it_is_given_the_time_to_end() -> None:
    assert int(SERVICES["offmap"]["stop_grace_period"].removesuffix("s")) > 10


def test_no_secret_is_written_down() -> None:
    text = COMPOSE_FILE.read_text("utf-8")
    names = {*ENVIRONMENT_NAMES, "OFFMAP_KAFKA_PASSWORD"}
    secret = {name for name in names if re.search("WEBHOOK$|KEY|PASSWORD", name)}
    assert {"OFFMAP_SLACK_WEBHOOK", "OFFMAP_SECRET_KEY"} <= secret
    for name, value in re.findall(r"^\s+(OFFMAP_\w+): (.*)$", text, flags=re.MULTILINE):
        if name in secret:
            assert value == f"${{{name}:-}}", f"{name} must come from the caller"


def test_what_the_caller_may_set_is_documented() -> None:
    page = (ROOT / "docker" / "README.md").read_text("utf-8")
    for match in VARIABLE.finditer(COMPOSE_FILE.read_text("utf-8")):
        assert f"`{match[1]}`" in page


def test_what_the_caller_sets_arrives() -> None:
    services = read_compose({"OFFMAP_PUBLIC_URL": "https://ops.example.org/offmap"})["services"]
    assert services["offmap"]["environment"]["OFFMAP_PUBLIC_URL"] == "https://ops.example.org/offmap"
