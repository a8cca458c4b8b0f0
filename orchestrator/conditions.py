"""The conditions of a run: what a cross-checker needs to repeat it (clause 2)."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from netem.link import Link
from netem.namespace import Namespace
from orchestrator.pair import Pair
from splitbed.v1 import nodes_pb2

COMPARABLE = ("link_backend", "git_commit", "kernel", "python", "ue", "edge", "tcp")
"""What must not change between the cells of one run, since they are compared with one another."""

_TCP = ("tcp_slow_start_after_idle", "tcp_no_metrics_save")


def conditions(pair: Pair, link: Link) -> dict[str, object]:
    """Machine, kernel, versions, nodes and TCP settings, as run.json holds them."""
    return {
        "started": now(),
        "command": sys.argv,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "os": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": os.getloadavg(),
        "ue": _node(pair.ue),
        "edge": _node(pair.edge),
        "link_backend": link.backend,
        "tcp": {"ue": _tcp(link.ue), "edge": _tcp(link.edge)},
    }


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _tcp(namespace: Namespace) -> dict[str, str]:
    """The TCP settings of a namespace, read back from its kernel."""

    def read() -> dict[str, str]:
        folder = Path("/proc/sys/net/ipv4")
        return {name: (folder / name).read_text().strip() for name in _TCP}

    return namespace.call(read)


def _node(node: nodes_pb2.NodeDescription) -> dict[str, object]:
    return {"version": node.version, "cpu": node.cpu, "cpus": node.cpus} | {
        "packages": dict(sorted(node.packages.items()))
    }


def git_commit() -> str | None:
    """The commit of the checkout that this runs from, `+` when changed since; None outside one."""
    here = Path(__file__).parent
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],  # noqa: S607  from PATH
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
