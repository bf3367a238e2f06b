"""Hosts of photos: which hosts are allowed, their addresses, and the connections to them."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import urllib3
import urllib3.connection

from fashion_udf.photos.attempts import Endpoint
from fashion_udf.photos.photo import Remote

PORTS = {"http": 80, "https": 443}
ADDRESS_SECONDS = 60.0  # how long a checked address is used

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address follows


class ForbiddenError(Exception):
    """A URL must not be fetched. The message has the reason, without the URL."""


class UnknownHostError(Exception):
    """A host has no address, perhaps only temporarily."""


def is_allowed(host: str, port: int | None, allowed: Sequence[str]) -> bool:
    """Return whether photos may be fetched from a host.

    Args:
        host: name of the host in lower case.
        port: port in the URL. None means the port of its scheme.
        allowed: `cdn.example`, `cdn.example:8443`, `*.example` for all hosts below it. Without a port, only the port of
            the scheme is allowed: a catalog must not reach other services of a host.
    """
    name = f"[{host}]" if ":" in host else host
    name = name if port is None else f"{name}:{port}"
    return any(
        name == each or (each.startswith("*.") and name.endswith(each[1:]) and len(name) > len(each) - 1)
        for each in map(str.lower, allowed)
    )


def checked_addresses(host: str, port: int, private: bool) -> list[str]:
    """Return the allowed addresses of a host, in the form for a URL.

    Args:
        host: a name or an address.
        port: port of the connection.
        private: also accept private, loopback and link-local addresses.

    Raises:
        ForbiddenError: the host has no allowed address.
        UnknownHostError: the host has no address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(f"the host's name is not known: {type(error).__name__}") from error
    addresses = [str(each[4][0]) for each in found]
    usable = [each for each in addresses if private or is_public(each)]
    if not usable:
        raise ForbiddenError("the host has a private address alone (input.private_image_hosts)")
    return [f"[{each}]" if ":" in each else each for each in usable]


def is_public(address: str) -> bool:
    """Return whether an address is public. An IPv4 address inside an IPv6 address must be public too."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            carried = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if carried is not None:
            return is_public(str(carried))
    return ip.is_global and not ip.is_multicast


this_thread = threading.local()  # `call`: the current request of this thread


class Call:
    """A request in progress, with its connection once it is open."""

    connection: urllib3.connection.HTTPConnection | None = None
    hung_up = False

    def hang_up(self) -> None:
        """End the connection. The waiting reader gets an error, or an incomplete answer."""
        self.hung_up = True
        sock = self.connection.sock if self.connection else None
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not by TLS, which would wait for an answer


class _Followed(urllib3.connection.HTTPConnection):
    """A connection that registers itself with the current call."""

    def connect(self) -> None:
        this_thread.call.connection = self
        super().connect()

    def request(self, *arguments: Any, **named: Any) -> None:
        this_thread.call.connection = self
        super().request(*arguments, **named)


class _FollowedTls(_Followed, urllib3.connection.HTTPSConnection):
    """The same with TLS."""


class Host:
    """A scheme, host and port, with connections to a checked address."""

    def __init__(self, scheme: str, host: str, port: int, remote: Remote) -> None:
        self.scheme, self.host, self.port = scheme, host, port
        self.endpoint = Endpoint(remote.requests_per_second)
        self._private = remote.private_hosts
        self._lock = threading.Lock()
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._address = ""
        self._until = 0.0

    def pool(self) -> urllib3.HTTPConnectionPool:
        """Return the connections.

        Raises:
            ForbiddenError: the host has no allowed address.
            UnknownHostError: it has no address.
        """
        with self._lock:
            if self._pool is None or time.monotonic() > self._until:
                address = checked_addresses(self.host, self.port, self._private)[0]
                if self._pool is None or self._address != address:
                    self._pool, self._address = self._connections(address), address
                self._until = time.monotonic() + ADDRESS_SECONDS
            return self._pool

    def _connections(self, address: str) -> urllib3.HTTPConnectionPool:
        if self.scheme == "http":
            pool = urllib3.HTTPConnectionPool(address, self.port, maxsize=64)
        else:
            # The certificate must be for the host's name, not for the address.
            pool = urllib3.HTTPSConnectionPool(
                *(address, self.port), maxsize=64, server_hostname=self.host, assert_hostname=self.host
            )
        pool.ConnectionCls = _Followed if self.scheme == "http" else _FollowedTls
        return pool

    def header(self) -> str:
        """Return the value of the Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"


_hosts: dict[tuple[str, str, int, Remote], Host] = {}
_making = threading.Lock()


def host(scheme: str, name: str, port: int, remote: Remote) -> Host:
    """Return the shared object of a host in this process."""
    key = (scheme, name, port, remote)
    with _making:
        return _hosts.get(key) or _hosts.setdefault(key, Host(*key))
