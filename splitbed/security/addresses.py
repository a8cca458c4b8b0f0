"""Addresses that a node listens on, or is asked at: ``IP:PORT``, IPv6 in brackets."""

import re
from ipaddress import IPv4Address, IPv6Address

from splitbed.errors import UsageError

_IP_PORT = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+)):(\d{1,5})", re.ASCII)


def checked_address(address: str, *, allowed: bool, doing: str = "listen on") -> str:
    """`address` if it may be used: a Unix socket, loopback, or anything that is `allowed`.

    Raises UsageError for what is no ``IP:PORT`` or ``unix:PATH``, and for an address that other
    machines reach, unless TLS or `--insecure` allows it.
    """
    if address.startswith("unix:"):
        return address
    if (parsed := _parsed(address)) is None:
        raise UsageError(
            f"cannot {doing} {address!r}: give IP:PORT with a port of 1 to 65535, IPv6 as "
            "[::1]:PORT, or unix:PATH"
        )
    if not (parsed[0].is_loopback or allowed):
        raise UsageError(
            f"refused to {doing} {address}: others reach it and nothing is encrypted; "
            "give it TLS (`splitbed certs init`) or use 127.0.0.1; on a network that is yours "
            "alone a node's or a topology's file may say `insecure: true`"
        )
    return address


def data_address(address: str, *, allowed: bool, doing: str = "listen on") -> tuple[str, int]:
    """Host and port of the data plane, TCP and UDP; raises as :func:`checked_address`."""
    checked_address(address, allowed=allowed, doing=doing)
    if address.startswith("unix:"):
        raise UsageError(
            f"cannot {doing} {address!r}: intermediate data crosses a link that is shaped and "
            "proved: give IP:PORT"
        )
    return host_and_port(address)


def host_and_port(address: str) -> tuple[str, int]:
    """Of an ``IP:PORT``, the host as the kernel writes it; UsageError for what is none."""
    if (parsed := _parsed(address)) is None:
        raise UsageError(f"{address!r} is no IP:PORT; IPv6 goes in brackets: [::1]:PORT")
    return str(parsed[0]), parsed[1]


def ip_port(host: str, port: int) -> str:
    """The address that :func:`host_and_port` takes apart."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parsed(address: str) -> tuple[IPv4Address | IPv6Address, int] | None:
    if not (found := _IP_PORT.fullmatch(address)):
        return None
    six, four, port = found.groups()
    try:
        ip = IPv6Address(six) if six else IPv4Address("127.0.0.1" if four == "localhost" else four)
    except ValueError:
        return None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped  # which is IPv4 on the wire
    return (ip, int(port)) if 0 < int(port) < 1 << 16 else None
