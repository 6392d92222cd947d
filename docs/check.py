"""Checks that the docs tell the truth; `--write` renews what is generated.

    python docs/check.py            one line a problem, exit code 1 when there is any
    python docs/check.py --write    renews the generated parts first

Generated parts stand between `<!-- NAME -->` and `<!-- /NAME -->`: the commands (from the command line itself), the
settings (from `monitor.settings`), and the README's benchmark tables (from `benchmarks/results/*.json`). Checked besides:
every command, option and setting says what it is for; links between our pages lead somewhere; commands in ```console
blocks exist; every section of docs/methods.md says what it owes, and the settings that it names have these defaults.

A benchmark's table is made by its function in `docs/benchmark_tables.py`. A result without one is shown by its `table`: a list
of flat objects with the same keys, a row each.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the checkout that this file stands in, whatever is installed

from docs.benchmark_tables import BENCHMARKS, table  # noqa: E402
from docs.methods_page import methods_problems  # noqa: E402
from monitor.settings import ENVIRONMENT_NAMES, Settings, describe  # noqa: E402

#: Folders of the checkout that hold no page of ours.
NOT_OURS = {"build", "demo", "node_modules"}

#: Programs that a ```console block may call beside `offmap` and `make`.
FOREIGN_PROGRAMS = {"cd", "curl", "docker", "export", "git", "pip"}


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument of a command, as its help states it."""

    names: tuple[str, ...]
    meaning: str
    argument: bool
    flag: bool
    required: bool
    default: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command that does something: `offmap evalset import`, not `offmap evalset`."""

    name: str
    meaning: str
    options: tuple[Option, ...]

    @property
    def usage(self) -> str:
        arguments = [option.names[0].upper() for option in self.options if option.argument]
        return " ".join([self.name, *arguments])


@dataclass(frozen=True, slots=True)
class Part:
    """A generated part of a page."""

    page: str
    name: str
    content: str


# --- what is generated


def commands_of(app: Any, name: str = "offmap") -> list[Command]:
    """Every command of a typer app, in the order of its help."""
    import typer.main

    return list(_walk(typer.main.get_command(app), name))


def _walk(node: Any, name: str) -> Iterator[Command]:
    children = getattr(node, "commands", None)
    if children is not None:
        for child_name, child in children.items():
            if not child.hidden:
                yield from _walk(child, f"{name} {child_name}")
        if not node.invoke_without_command:
            return
    options = tuple(_option(parameter) for parameter in node.params if not getattr(parameter, "hidden", False))
    yield Command(name, inspect.cleandoc(node.help or ""), options)


def _option(parameter: Any) -> Option:
    argument = parameter.param_type_name == "argument"
    default = parameter.default
    shown = (
        ""
        if default is None or isinstance(default, bool) or callable(default)
        else str(getattr(default, "value", default))
    )
    return Option(
        names=(parameter.name,) if argument else (*parameter.opts, *parameter.secondary_opts),
        meaning=getattr(parameter, "help", None) or "",
        argument=argument,
        flag=bool(getattr(parameter, "is_flag", False)),
        required=bool(parameter.required),
        default="" if shown in {"()", "[]"} else shown,
    )


def commands_section(commands: Sequence[Command]) -> str:
    """A heading, a sentence and a table for each command."""
    parts = []
    for command in commands:
        parts += [f"## {command.name}", "", f"`{command.usage}`", "", command.meaning, ""]
        if command.options:
            rows = [
                (" ".join(f"`{name.upper() if option.argument else name}`" for name in option.names), _notes(option))
                for option in command.options
            ]
            parts += [table(("option", "meaning"), rows), ""]
    return "\n".join(parts).strip()


def _notes(option: Option) -> str:
    notes = ["required"] if option.required and not option.argument else []
    notes += [f"default `{option.default}`"] if option.default else []
    return " ".join([option.meaning.replace("\n", " "), f"({', '.join(notes)})" if notes else ""]).strip()


def settings_section() -> str:
    """A table of every setting, a row each."""
    limits = {
        f"{section.name}.{item.name}": item.metadata
        for section in fields(Settings)
        for item in fields(section.default_factory)  # type: ignore[arg-type]
    }
    fixed = {name: variable for variable, name in ENVIRONMENT_NAMES.items()}
    rows = []
    for setting in describe(Settings(), {}):
        variable = fixed.get(setting.name, "OFFMAP_" + setting.name.replace(".", "_").upper())
        allowed = _allowed(limits[setting.name])
        value = setting.value
        default = (
            ", ".join(value)
            if isinstance(value, tuple)
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )
        rows.append(
            (f"`{setting.name}`", f"`{variable}`", f"`{default}`" if default else "", setting.meaning + allowed)
        )
    return table(("setting", "variable", "default", "meaning"), rows)


def _allowed(metadata: Mapping[str, Any]) -> str:
    if metadata["choices"]:
        return "; one of " + ", ".join(f"`{choice}`" for choice in metadata["choices"])
    low, high = metadata["low"], metadata["high"]
    if low is not None and high is not None:
        return f"; from {low:g} to {high:,}"
    return "; secret" if metadata["secret"] else "" if low is None else f"; at least {low:g}"


def benchmark_section(name: str, results: Path) -> str:
    """The table of a benchmark's committed result, or that there is none."""
    path = results / f"{name}.json"
    if not path.is_file():
        return f"No result is committed yet: `python benchmarks/{name}.py` makes one."
    try:
        return BENCHMARKS[name](json.loads(path.read_text("utf-8")))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SystemExit(
            f"{path}: no table can be made of it ({type(error).__name__}: {error}); "
            "give it a `table`, a list of flat objects, or a function in BENCHMARKS of docs/check.py"
        ) from error


def parts(root: Path, commands: Sequence[Command]) -> list[Part]:
    """Every generated part, as it should stand."""
    results = root / "benchmarks" / "results"
    return [
        Part("docs/commands.md", "commands", commands_section(commands)),
        Part("docs/settings.md", "settings", settings_section()),
        *(Part("README.md", f"bench:{name}", benchmark_section(name, results)) for name in BENCHMARKS),
    ]


def _place(part: Part, text: str) -> tuple[str, str, str] | None:
    """The text before, inside and after a part; None when its marks are absent."""
    found = re.search(f"(.*<!-- {part.name} -->\n)(.*?)(<!-- /{part.name} -->.*)", text, re.DOTALL)
    return (found[1], found[2], found[3]) if found else None


def write(root: Path, generated: Sequence[Part]) -> list[str]:
    """Renew the generated parts; the pages that changed."""
    changed = []
    for part in generated:
        path = root / part.page
        text = path.read_text("utf-8")
        place = _place(part, text)
        if place and place[1] != part.content + "\n":
            path.write_text(place[0] + part.content + "\n" + place[2], "utf-8")
            changed.append(part.page)
    return sorted(set(changed))


# --- what is checked


def stale(root: Path, generated: Sequence[Part]) -> Iterator[str]:
    """Generated parts that are not what they should be."""
    for part in generated:
        place = _place(part, (root / part.page).read_text("utf-8"))
        if place is None:
            yield f"{part.page}: the marks <!-- {part.name} --> and <!-- /{part.name} --> are absent"
        elif place[1] != part.content + "\n":
            yield f"{part.page}: the part {part.name} is out of date: run python docs/check.py --write"


def undocumented(commands: Sequence[Command]) -> Iterator[str]:
    """Commands, options and settings that do not say what they are for."""
    for command in commands:
        if not command.meaning:
            yield f"{command.name} has no help"
        yield from (f"{command.name} {option.names[0]} has no help" for option in command.options if not option.meaning)
    yield from (f"setting {setting.name} has no meaning" for setting in describe(Settings(), {}) if not setting.meaning)


def pages(root: Path) -> list[Path]:
    """Our Markdown pages."""
    return sorted(
        path
        for path in root.rglob("*.md")
        if not any(part.startswith(".") or part in NOT_OURS for part in path.relative_to(root).parts)
    )


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", _without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def broken_links(page: Path, root: Path) -> Iterator[str]:
    """Links of a page into this checkout that lead nowhere."""
    text = re.sub(r"`[^`\n]*`", "", _without_code(page.read_text("utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        aim = (page.parent / file).resolve() if file else page
        if not aim.exists() or not aim.is_relative_to(root):
            yield f"{page.relative_to(root)}: link to {target}: no such file in the repository"
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim.read_text("utf-8")):
            yield f"{page.relative_to(root)}: link to {target}: the page has no such heading"


def console_lines(text: str) -> list[str]:
    """What a page tells a person to type: the lines after `$ ` in its ```console blocks."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def unknown_commands(page: Path, root: Path, commands: Sequence[Command]) -> Iterator[str]:
    """Commands that a page tells a person to type and that do not exist."""
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    by_name = {command.name: command for command in commands}
    for line in console_lines(page.read_text("utf-8")):
        where = f"{page.relative_to(root)}: $ {line}"
        yield from (f"{where}: {problem}" for problem in _problems(line, targets, by_name, root))


def _problems(line: str, targets: set[str], commands: Mapping[str, Command], root: Path) -> Iterator[str]:
    words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
    if not words:
        return
    program, rest = Path(words[0]).name, words[1:]
    if program == "make":
        yield from (f"the Makefile has no target {word}" for word in rest if word not in targets)
    elif program == "offmap":
        yield from _offmap_problems(rest, commands)
    elif program == "python":
        script = f"{rest[1].replace('.', '/')}.py" if rest[:1] == ["-m"] else (rest or [""])[0]
        if not (root / script).is_file():
            yield f"there is no {script}"
    elif program not in FOREIGN_PROGRAMS:
        yield f"{program} is none of {', '.join(sorted({'make', 'offmap', 'python', *FOREIGN_PROGRAMS}))}"


def _offmap_problems(words: Sequence[str], commands: Mapping[str, Command]) -> Iterator[str]:
    if list(words) in ([], ["--help"], ["--version"]):
        return
    name = next((name for size in (2, 1) if (name := " ".join(["offmap", *words[:size]])) in commands), None)
    if name is None:
        yield f"there is no command {' '.join(words[:2])}"
        return
    known = {"--help", *(option_name for option in commands[name].options for option_name in option.names)}
    for word in words:
        if word.startswith("-") and word.partition("=")[0] not in known:
            yield f"{name} has no option {word}"


def problems(root: Path, commands: Sequence[Command], generated: Sequence[Part]) -> list[str]:
    """Everything that is wrong with the docs, a line each."""
    found = [*stale(root, generated), *undocumented(commands), *methods_problems(root)]
    for page in pages(root):
        found += [*broken_links(page, root), *unknown_commands(page, root, commands)]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python docs/check.py", description="Check that the docs tell the truth")
    parser.add_argument("--write", action="store_true", help="renew the generated parts first")
    chosen = parser.parse_args(arguments)
    from monitor.cli.app import app

    commands = commands_of(app)
    generated = parts(ROOT, commands)
    if chosen.write:
        for page in write(ROOT, generated):
            print(f"{page} renewed")
    found = problems(ROOT, commands, generated)
    print("\n".join(found) or f"docs: {len(pages(ROOT))} pages, {len(commands)} commands, nothing wrong")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
