"""Work by as many threads as there are processors, each of which multiplies matrices alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["each", "one_thread_a_product"]

_Result = TypeVar("_Result")


def each(work: Callable[[int], _Result], number: int) -> list[_Result]:
    """The results of the work for 0 to `number`, in that order, done by as many threads as faiss may use."""
    import faiss

    threads = min(faiss.omp_get_max_threads(), number)
    with one_thread_a_product():
        if threads <= 1:
            return [work(one) for one in range(number)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, range(number)))


@contextmanager
def one_thread_a_product() -> Iterator[None]:
    """Products of matrices by one thread of OpenBLAS, whose last digit hangs on the number of its threads.

    Its threads wait for one another, too: where other processes want the processors, products of 5,000 x 384 take ten times
    as long by two threads as by one.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
