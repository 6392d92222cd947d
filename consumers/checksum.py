"""The checksum of Kafka's batches, in C.

kafka-python computes it in Python, a byte at a time, unless the package `crc32c` is there, whose licence (LGPL) keeps it out of
our install: two thirds of what polling costs. google-crc32c (Apache 2.0) is put in its place.
"""

from __future__ import annotations

import warnings

__all__ = ["quicken"]

_KNOWN = (b"123456789", 0xE3069283)


def quicken() -> bool:
    """Let kafka-python compute checksums in C; False where that cannot be done, and everything is as it was."""
    from kafka.record import default_records

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no wheel for a machine it says at length that it is slow
        import google_crc32c

    data, expected = _KNOWN
    if google_crc32c.implementation != "c" or default_records.calc_crc32c(data) != expected:
        return False
    default_records.calc_crc32c = _checksum
    return True


def _checksum(data: memoryview) -> int:
    from google_crc32c import value

    return int(value(bytes(data)))
