"""Reads the Dockerfile, its ignore file and compose.yaml, as far as ours use them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
IGNORE_FILE = ROOT / "docker" / "Dockerfile.dockerignore"
COMPOSE_FILE = ROOT / "docker" / "compose.yaml"


@dataclass(frozen=True, slots=True)
class Instruction:
    word: str
    flags: Mapping[str, str]
    value: str

    @property
    def words(self) -> list[str] | None:
        """The exec form's; None in the shell form."""
        return json.loads(self.value) if self.value.startswith("[") else None

    @property
    def pairs(self) -> dict[str, str]:
        """Of ENV and ARG."""
        return dict(part.split("=", 1) for part in self.value.split() if "=" in part)


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    parent: str
    own: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    stages: Mapping[str, Stage]

    @property
    def default(self) -> str:
        return list(self.stages)[-1]

    def instructions(self, stage: str) -> Iterator[Instruction]:
        """Those of its parents first, as an image inherits them."""
        found = self.stages.get(stage)
        if found is not None:
            yield from self.instructions(found.parent)
            yield from found.own

    def last(self, stage: str, word: str) -> Instruction | None:
        """What is in force: the last one of its kind."""
        return ([one for one in self.instructions(stage) if one.word == word] or [None])[-1]

    def environment(self, stage: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self.instructions(stage):
            if one.word == "ENV":
                found |= one.pairs
        return found


def read_dockerfile(text: str) -> Dockerfile:
    stages: dict[str, Stage] = {}
    name, parent, own = "", "", list[Instruction]()
    for instruction in _instructions(text):
        if instruction.word == "FROM":
            if name:
                stages[name] = Stage(name, parent, tuple(own))
            parent, _, name = instruction.value.partition(" AS ")
            own = []
        else:
            own.append(instruction)
    stages[name] = Stage(name, parent, tuple(own))
    return Dockerfile(stages)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        flags = {}
        while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(word, flags, rest.strip())


def let_through(path: str, ignore: str) -> bool:
    """Whether Docker sends this file of the folder to the build: the last pattern that fits it or a folder above it wins."""
    sent = True
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for line in ignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        if any(_pattern(pattern.removeprefix("!")).fullmatch(one) for one in above):
            sent = pattern.startswith("!")
    return sent


def _pattern(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern.strip("/"))
    return re.compile(escaped.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*"))


def context_files() -> list[str]:
    """What a build gets of this checkout."""
    ignore = IGNORE_FILE.read_text("utf-8")
    top = {line.removeprefix("!").split("/")[0] for line in ignore.splitlines() if line.startswith("!")}
    files = [
        str(path.relative_to(ROOT))
        for name in sorted(top)
        for path in ([ROOT / name] if (ROOT / name).is_file() else sorted((ROOT / name).rglob("*")))
        if path.is_file()
    ]
    return [file for file in files if let_through(file, ignore)]


VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def read_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """compose.yaml with its variables replaced from this environment: in the values, after they were parsed."""
    return interpolated(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")), environment)


def interpolated(node: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: interpolated(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, environment) for value in node]
    if isinstance(node, str):
        return VARIABLE.sub(lambda match: environment.get(match[1]) or match[2] or "", node)
    return node
