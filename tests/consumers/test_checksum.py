"""Kafka's checksum in C: the same numbers, and a batch that was spoiled is still found out."""

from __future__ import annotations

import random

import google_crc32c
import pytest
from kafka.record import default_records
from kafka.record._crc32c import crc
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from consumers import checksum


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is used by other tests of this process, too."""
    monkeypatch.setattr(default_records, "calc_crc32c", default_records.calc_crc32c)


def batch() -> bytearray:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 16,
    )
    for number in range(20):
        builder.append(number, timestamp=1_772_357_400_000, key=None, value=b"a message %d" % number, headers=[])
    return bytearray(builder.build())


def test_the_client_computes_it_in_c() -> None:
    assert checksum.quicken()
    assert default_records.calc_crc32c is checksum._checksum
    assert checksum.quicken()  # each connection asks for it


@pytest.mark.parametrize("size", [0, 1, 7, 64, 1_000])
def test_it_is_the_clients_own_number(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert checksum._checksum(memoryview(data)) == checksum._checksum(memoryview(bytearray(data))) == crc(data)


def test_a_spoiled_batch_is_found_out() -> None:
    checksum.quicken()
    whole = batch()
    assert DefaultRecordBatch(bytes(whole)).validate_crc()
    for position in (21, len(whole) // 2, len(whole) - 1):  # the checksum covers all from its attributes on
        spoiled = bytearray(whole)
        spoiled[position] ^= 1
        assert not DefaultRecordBatch(bytes(spoiled)).validate_crc()


def test_a_machine_without_the_wheel_keeps_the_clients_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_crc32c, "implementation", "python")
    before = default_records.calc_crc32c
    assert not checksum.quicken()
    assert default_records.calc_crc32c is before


def test_another_checksum_of_the_client_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(data: object) -> int:
        return 0

    monkeypatch.setattr(default_records, "calc_crc32c", other)
    assert not checksum.quicken() and default_records.calc_crc32c is other
