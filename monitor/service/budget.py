"""Who gets which share of the machine: what is set here is not left to the libraries, each of which would take all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from monitor.machine import cores, memory_bytes
from monitor.settings import Settings

__all__ = ["Budget"]

#: DuckDB's part of the memory. Its own default, 80 %, leaves too little for the worker that fits an atlas beside it.
_STORE_PART = 0.5
#: What libraries read when they are loaded: OpenMP (faiss), OpenBLAS (numpy), MKL.
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Budget:
    """Threads and memory of `offmap serve`.

    Queries may use every core for the moment that they take. What goes on beside them in the service, encoding new turns
    and finding their neighbours, leaves half of the cores alone; a worker may use all, at a lower priority.
    """

    store_threads: int
    store_memory: str
    service_threads: int
    worker_threads: int

    @classmethod
    def of_this_machine(cls) -> Self:
        return cls.of(cores(), memory_bytes())

    @classmethod
    def of(cls, cores: int, memory: int) -> Self:
        """For so many cores and bytes of memory."""
        return cls(cores, f"{int(memory * _STORE_PART) >> 20}MiB", max(1, cores // 2), cores)

    def applied(self, settings: Settings) -> Settings:
        """The settings of the service. A value that a person chose stays."""
        store, encoder = settings.store, settings.encoder
        return replace(
            settings,
            store=replace(
                store,
                threads=store.threads or self.store_threads,
                memory_limit=store.memory_limit or self.store_memory,
            ),
            encoder=replace(encoder, threads=encoder.threads or self.service_threads),
        )

    def service_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables for the libraries of the service's own process; those that are set already stay."""
        return {name: str(self.service_threads) for name in _LIBRARIES if name not in environment}

    def worker_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables for a worker: those of `environment` stay."""
        return {name: str(self.worker_threads) for name in _LIBRARIES if name not in environment}
