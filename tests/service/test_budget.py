"""Who gets which share of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from monitor.machine import cores, memory_bytes
from monitor.service.budget import Budget
from monitor.settings import Settings


def test_nothing_is_left_to_chance() -> None:
    applied = Budget.of(8, 16 << 30).applied(Settings())
    assert (applied.store.threads, applied.store.memory_limit, applied.encoder.threads) == (8, "8192MiB", 4)


def test_one_core_is_enough() -> None:
    budget = Budget.of(1, 1 << 30)
    assert (budget.service_threads, budget.worker_threads) == (1, 1)


def test_what_a_person_chose_stays() -> None:
    chosen = Settings()
    chosen = replace(chosen, store=replace(chosen.store, threads=3, memory_limit="1GB"))
    chosen = replace(chosen, encoder=replace(chosen.encoder, threads=5))
    budget = Budget.of(8, 16 << 30)
    assert budget.applied(chosen) == chosen
    assert "OMP_NUM_THREADS" not in budget.service_environment({"OMP_NUM_THREADS": "7"})
    assert budget.worker_environment({"OMP_NUM_THREADS": "7"}) == {"OPENBLAS_NUM_THREADS": "8", "MKL_NUM_THREADS": "8"}


def test_a_container_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("536870912\n")
    assert (cores(tmp_path), memory_bytes(tmp_path)) == (1, 512 << 20)


def test_without_limits_it_is_the_machine(tmp_path: Path) -> None:
    unlimited = (cores(tmp_path), memory_bytes(tmp_path))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert (cores(tmp_path), memory_bytes(tmp_path)) == unlimited
    assert unlimited[0] >= 1 and unlimited[1] > 1 << 28
