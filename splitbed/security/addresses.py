"""Addresses that a node listens on, or is asked at."""

import ipaddress

from splitbed.errors import UsageError


def checked_address(address: str, *, allowed: bool, doing: str = "listen on") -> str:
    """`address` if it may be used: a Unix socket, loopback, or anything that is `allowed`.

    Raises UsageError for what is no ``IP:PORT`` or ``unix:PATH``, and for an address that other
    machines reach, unless TLS or `--insecure` allows it.
    """
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":")
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        if not 0 < int(port) <= 65535:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"cannot {doing} {address!r}: give IP:PORT with a port of 1 to 65535, or unix:PATH"
        ) from None
    if not (ip.is_loopback or allowed):
        raise UsageError(
            f"refused to {doing} {address}: others reach it and nothing is encrypted; "
            "give it TLS (`splitbed certs init`) or use 127.0.0.1; on a network that is yours "
            "alone a node's or a topology's file may say `insecure: true`"
        )
    return address


def ipv4_and_port(address: str, *, allowed: bool, doing: str = "listen on") -> tuple[str, int]:
    """Of the data plane, which is TCP and UDP over IPv4; raises as :func:`checked_address`."""
    checked_address(address, allowed=allowed, doing=doing)
    host, _, port = address.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    if address.startswith("unix:") or ":" in host:
        raise UsageError(
            f"cannot {doing} {address!r}: intermediate data crosses a link that is shaped and "
            "proved for IPv4: give IPV4:PORT"
        )
    return host, int(port)
