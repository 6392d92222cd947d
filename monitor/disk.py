"""Forcing what was written to the disk."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["flush"]


def flush(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk.

    Where a folder cannot be opened (Windows) the system does it in its time.
    """
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
