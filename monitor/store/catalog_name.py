"""How a catalog in PostgreSQL is named: libpq's keywords, and the folder of the Parquet files among them."""

from __future__ import annotations

import re

from monitor.errors import UsageError

__all__ = ["EXAMPLE", "parse"]

EXAMPLE = "'ducklake:postgres:dbname=offmap host=db.example.org user=offmap data_path=/srv/offmap'"

#: `keyword = value`, or `keyword = 'a value with spaces, \\' and \\\\'`, as libpq reads them.
_PAIR = re.compile(r"\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)", re.DOTALL)


def parse(text: str) -> tuple[str, str]:
    """What libpq reads, and the folder.

    >>> parse(r"dbname=offmap host=/run/pg data_path='/srv/our data'")
    ("dbname='offmap' host='/run/pg'", '/srv/our data')

    What is wrong is not quoted in the error: it may be an address with a password in it.
    """
    pairs: dict[str, str] = {}
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            raise UsageError(
                f"store.path: after `ducklake:postgres:` come keywords and values of libpq, and what stands at character "
                f"{position + 1} is none; write it like {EXAMPLE}"
            )
        value = found[2] if found[2] is not None else found[3]
        pairs[found[1].lower()] = re.sub(r"\\(.)", r"\1", value)
        position = found.end()
    folder = pairs.pop("data_path", "")
    if not folder:
        raise UsageError(
            "store.path names a catalog in PostgreSQL and no folder for the Parquet files: add data_path=FOLDER, one that "
            f"every process sees under this name, like {EXAMPLE}"
        )
    if "://" in folder:
        raise UsageError(f"store.path: data_path={folder!r} is no folder: name one on a disk, or on a mounted share")
    if not pairs:
        raise UsageError(f"store.path names no database: add dbname=NAME, like {EXAMPLE}")
    return " ".join(f"{name}='{_escaped(value)}'" for name, value in pairs.items()), folder


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
