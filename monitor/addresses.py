"""Network addresses that offmap sends something to: whether they are on the open internet, and a connection to one.

A host is looked up once, and the addresses that were checked are those that are connected to: a name that answers
differently the second time leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

__all__ = ["is_public", "looked_up", "reached"]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an address is on the open internet, also where it carries another one.

    >>> is_public("1.1.1.1"), is_public("10.0.0.7"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is not None and not is_public(str(inside)):
            return False
    return address.is_global and not address.is_multicast


def looked_up(host: str, port: int) -> list[str]:
    """The addresses of a host. `OSError` when it is not known, `UnicodeError` when it is no name."""
    known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in known))


def reached(addresses: Sequence[str], port: int, timeout: float) -> socket.socket:
    """A connection to the first address that answers: a host may have one that does not."""
    for number, address in enumerate(addresses, 1):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError:
            if number == len(addresses):
                raise
    raise OSError(0, "its host has no address")
