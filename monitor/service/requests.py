"""What a page may ask for: each kind of job as the command that does it, and what is kept of the command's document.

What is kept stands in the store for as long as the job does. It holds numbers, ids and paths, and nothing that may quote what
somebody wrote and has forgotten later: a verdict names topics, and their labels are made of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from monitor.errors import UsageError

__all__ = ["KINDS", "command_of", "kept_of"]


def command_of(kind: str, parameters: Mapping[str, Any]) -> list[str]:
    """The command that does such a job. Raises `UsageError` for parameters that name nothing."""
    return [str(part) for part in _COMMANDS[kind](parameters)]


def kept_of(kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Of the command's document what the job's page needs."""
    kept = {name: document[name] for name in _NEEDED.get(kind, ()) if name in document}
    return {**kept, **_MADE[kind](document)} if kind in _MADE else kept


def _export(parameters: Mapping[str, Any]) -> list[str]:
    which = "gap" if parameters.get("gap") else "topic"
    return ["export", f"--{which}={parameters[which]}", f"--format={parameters['format']}"]


def _drift(parameters: Mapping[str, Any]) -> list[str]:
    names = ("current", "reference", "against")
    return ["drift", "--descriptors", *(f"--{name}={parameters[name]}" for name in names if parameters.get(name))]


def _why(parameters: Mapping[str, Any]) -> list[str]:
    key = str(parameters.get("turn", ""))
    if not re.fullmatch(r"[0-9]{1,20}", key):
        raise UsageError("that names no turn")
    return ["why", f"--key={key}"]


def _letters(command: str, *options: str) -> Callable[[Mapping[str, Any]], list[str]]:
    """A command about dead letters: those with `ids`, those with `reason`, or `all`. Nothing is never all."""

    def made(parameters: Mapping[str, Any]) -> list[str]:
        ids, reason = [str(one) for one in parameters.get("ids") or ()], str(parameters.get("reason") or "")
        if any(not re.fullmatch(r"dl[0-9a-f]{12}", one) for one in ids) or "\0" in reason:
            raise UsageError("that names no dead letters")
        if ids:
            return ["deadletters", command, *ids, *options]
        if reason.strip():
            return ["deadletters", command, f"--reason={reason}", *options]
        if parameters.get("all") is True:
            return ["deadletters", command, "--all", *options]
        raise UsageError("that names no dead letters (any more)")

    return made


#: Values are joined to their option, so that none is an option itself.
_COMMANDS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "export": _export,
    "refit": lambda _: ["analyse"],
    "drift": _drift,
    "drift_html": _drift,
    "replay_letters": _letters("replay"),
    "discard_letters": _letters("discard", "--yes"),
    "selftest": lambda _: ["selftest"],
    "accept_change": lambda _: ["lookout", "--accept"],
    "why": _why,
}
KINDS = tuple(_COMMANDS)

#: What pages read of a document, as it stands there.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "export": ("path", "examples"),
    "drift": ("id",),
    "drift_html": ("path",),
    "replay_letters": ("read", "left", "turns"),
    "discard_letters": ("discarded",),
    "selftest": ("found", "tested", "labelled", "smallest_share", "hours", "new_share"),
    "why": ("run",),
}


def _tested(document: Mapping[str, Any]) -> dict[str, Any]:
    """Which topics a self-test found. Their names may hold words that are forgotten later."""
    names = ("topic", "items", "share", "alone", "found")
    return {"hidden": [{name: one[name] for name in names} for one in document.get("hidden", ())]}


def _explained(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of what makes a turn near the numbers and ids alone, in the order of its words: its page has the words."""
    return {
        "effects": [one["effect"] for one in document.get("words", ())],
        "near": [[one["item"], one["cosine"]] for one in document.get("nearest", ())],
    }


#: What is made of it for a page.
_MADE: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"selftest": _tested, "why": _explained}
