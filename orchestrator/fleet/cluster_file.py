"""A file that `ray up` takes: where the head of its cluster is.

Of clusters whose machines are named in it (``provider: {type: local, head_ip: …}``,
https://docs.ray.io/en/latest/cluster/vms/references/ray-cluster-configuration.html).
"""

import re
import socket
from contextlib import suppress
from pathlib import Path

from splitbed.checked import read_yaml
from splitbed.errors import UsageError

SUFFIXES = (".yaml", ".yml")
_PORT, _CLIENT_PORT = "port", "ray-client-server-port"
_USUAL = {_PORT: "6379", _CLIENT_PORT: "10001"}
_LOCAL = "local"


def address_in(file: Path) -> str:
    """HOST:PORT of the head where this machine is of the cluster, else ray://HOST:PORT.

    Raises UsageError for a file that does not name its head.
    """
    told = read_yaml(file, "Ray cluster file")
    provider = told.get("provider")
    if not isinstance(provider, dict):
        raise UsageError(f"{file} is no Ray cluster file: it has no provider")
    if (kind := provider.get("type")) != _LOCAL or not provider.get("head_ip"):
        what = f"is of the provider {kind}" if kind != _LOCAL else "has no head_ip"
        raise UsageError(
            f"{file} {what}, so that it does not say where its head is: give --on "
            f"ray://HOST:{_USUAL[_CLIENT_PORT]}, the host as `ray get-head-ip {file}` says it"
        )
    head, workers = provider["head_ip"], provider.get("worker_ips") or []
    if not isinstance(head, str) or not isinstance(workers, list):
        raise UsageError(f"{file}: head_ip must be an address, worker_ips a list of them")
    started = told.get("head_start_ray_commands") or []
    command = " ".join(map(str, started)) if isinstance(started, list) else str(started)
    if any(_is_here(str(one)) for one in (head, *workers)):
        return f"{head}:{_said(command, _PORT)}"
    outside = provider.get("external_head_ip") or head
    return f"ray://{outside}:{_said(command, _CLIENT_PORT)}"


def _said(command: str, option: str) -> str:
    """The number that an option has in a command, else that which Ray takes."""
    found = re.search(rf"--{option}[= ](\d+)", command)
    return found[1] if found else _USUAL[option]


def _is_here(host: str) -> bool:
    """Whether it is this machine: nobody listens at an address that is another's."""
    with suppress(OSError):
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, 0, type=socket.SOCK_DGRAM
        ):
            with suppress(OSError), socket.socket(family, kind, protocol) as there:
                there.bind(address)
                return True
    return False
