"""Leases: one owner at a time, until it gives the lease back or lets it run out."""

from __future__ import annotations

from datetime import timedelta

from monitor.store import Store
from tests.store.conftest import NOON

MINUTE = timedelta(minutes=1)


def test_one_owner_at_a_time(name: str) -> None:
    now = NOON
    with Store.open(name, threads=1, clock=lambda: now) as store:
        assert store.leases.take("duties", "a", for_=MINUTE)
        assert not store.leases.take("duties", "b", for_=MINUTE)
        assert store.leases.take("others", "b", for_=MINUTE)
        now += timedelta(seconds=40)
        assert store.leases.take("duties", "a", for_=MINUTE)  # prolonged
        now += timedelta(seconds=40)
        assert not store.leases.take("duties", "b", for_=MINUTE)
        now += timedelta(seconds=21)
        assert store.leases.take("duties", "b", for_=MINUTE)  # it ran out
        assert not store.leases.take("duties", "a", for_=MINUTE)
        store.leases.give_back("duties", "a")  # it is not a's
        assert not store.leases.take("duties", "a", for_=MINUTE)
        store.leases.give_back("duties", "b")
        assert store.leases.take("duties", "a", for_=MINUTE)
