"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import consumers
import dashboards
import monitor

MODULES = [
    found.name
    for package in (monitor, consumers, dashboards)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
]
#: Those that have examples: one that lost its own is a mistake of this list or of the module.
WITH_EXAMPLES = {
    "monitor.wording",
    "monitor.coverage.selftest_words",
    "monitor.coverage.gaps",
    "monitor.published",
    "monitor.cli.gate",
    "monitor.drift.pool",
    "monitor.drift.statement",
    "monitor.drift.mmd",
    "monitor.drift.neighbourhood",
    "monitor.alerts.blocks",
    "dashboards.components.texts",
    "dashboards.theme",
    "dashboards.state",
    "dashboards.pages.data",
    "dashboards.pages.gap_parts",
    "dashboards.pages.overview",
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
    assert found.attempted > 0 or name not in WITH_EXAMPLES


def test_every_module_with_examples_is_run() -> None:
    assert set(MODULES) >= WITH_EXAMPLES
