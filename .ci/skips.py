"""Lists the tests that were skipped, and fails when one of them is not allowed to be.

    python .ci/skips.py RESULTS.xml ALLOWED

RESULTS.xml is what pytest writes with --junitxml. ALLOWED holds a regular expression a line.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path


def skipped(results: Path) -> Iterator[str]:
    """Each skipped test, or module, as `tests.folder.module::test: reason`."""
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314  our own pytest wrote it
        for skip in case.iter("skipped"):
            where = "::".join(filter(None, (case.get("classname"), case.get("name"))))
            # A module that is skipped whole says "collection skipped" and has the reason in its text.
            reason = " ".join(f"{skip.get('message', '')} {skip.text or ''}".split())
            yield f"{where}: {reason}"


def read_allowed(path: Path) -> list[re.Pattern[str]]:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def main(arguments: Sequence[str]) -> int:
    results, allowed = Path(arguments[0]), read_allowed(Path(arguments[1]))
    found = list(skipped(results))
    refused = [one for one in found if not any(pattern.search(one) for pattern in allowed)]
    for one in found:
        sys.stdout.write(f"{'NOT ALLOWED' if one in refused else 'allowed'}  {one}\n")
    sys.stdout.write(
        f"{len(found)} tests skipped, {len(refused)} of them must not be ({arguments[1]} lists what may be)\n"
    )
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
