"""The conditions of a run: what a cross-checker needs to repeat it (clause 2)."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from orchestrator.pair import Pair
from splitbed.v1 import nodes_pb2


def conditions(pair: Pair) -> dict[str, object]:
    """Machine, kernel, versions, nodes and TCP settings, as run.json holds them."""
    return {
        "started": now(),
        "command": sys.argv,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "os": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": os.getloadavg(),
        "ue": _node(pair.ue),
        "edge": _node(pair.edge),
        "tcp": {"slow_start_after_idle": 0, "no_metrics_save": 1, "route_congctl": "cubic"},
    }


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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
