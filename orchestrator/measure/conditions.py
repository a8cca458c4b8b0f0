"""The conditions of a run: what a cross-checker needs to repeat it (clause 2)."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from orchestrator.results.facts import CodedFacts, Conditions, NodeFacts
from orchestrator.testbed.nodes.pair import Pair
from splitbed.node.host import PACKAGES, cpu_name, versions
from splitbed.v1 import nodes_pb2

CODING_PACKAGES = (*PACKAGES, "zstandard", "nncodec")
COMPARABLE = ("link_backend", "git_commit", "kernel", "python", "ue", "edge", "nodes", "tcp")
"""What must not change between the cells of one run, since they are compared with one another."""


def conditions(pair: Pair, link_backend: str) -> Conditions:
    """Machine, kernel, versions, nodes and TCP settings, as run.json holds them."""
    return Conditions(
        started=now(),
        command=tuple(sys.argv),
        git_commit=git_commit(),
        python=platform.python_version(),
        kernel=platform.release(),
        os=platform.platform(),
        cpus=os.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
        load_average=os.getloadavg(),
        ue=_node(pair.ue),
        edge=_node(pair.edge),
        nodes={name: _node(node) for name, node in _others(pair).items()},
        link_backend=link_backend,
        warnings=tuple(warnings(pair)),
        tcp={
            name: dict(node.tcp)
            for name, node in {"ue": pair.ue, "edge": pair.edge, **_others(pair)}.items()
        },
    )


def coded_facts() -> CodedFacts:
    """This process, as what codes and judges models."""
    return CodedFacts(
        git_commit=git_commit(),
        python=platform.python_version(),
        cpu=cpu_name(),
        cpus=len(os.sched_getaffinity(0)),
        packages=dict(sorted(versions(CODING_PACKAGES))),
    )


def warnings(pair: Pair) -> list[str]:
    """What a reader of the results should know of the nodes."""
    found = [] if pair.secure else ["the nodes were neither encrypted nor authenticated"]
    nodes = {"UE": pair.ue, "edge": pair.edge, **_others(pair)}
    common = set.intersection(*({*node.packages} for node in nodes.values()))
    told = {name: [node.packages[name] for node in nodes.values()] for name in common}
    told["splitbed"] = [node.version for node in nodes.values()]
    differing = [
        f"{name} {_all(every)}" for name, every in sorted(told.items()) if len({*every}) > 1
    ]
    if differing:
        found.append(
            f"{_all([*nodes])} run different versions of {', '.join(differing)}: times and outputs "
            "may differ for it; install the same on all to rule that out"
        )
    return found


def _all(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _others(pair: Pair) -> dict[str, nodes_pb2.NodeDescription]:
    """The nodes beside the user's and the one that holds the model, by their names."""
    told = {pair.user, pair.holder}
    return {name: node.says for name, node in pair.nodes.items() if name not in told}


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _node(node: nodes_pb2.NodeDescription) -> NodeFacts:
    packages = dict(sorted(node.packages.items()))
    return NodeFacts(
        version=node.version,
        cpu=node.cpu,
        cpus=node.cpus,
        packages=packages,
        mtu=node.mtu or None,
        offloads=dict(sorted(node.offloads.items())) or None,
        provider=node.provider,
    )


def git_commit(module: Path = Path(__file__)) -> str | None:
    """The commit of Splitbed's checkout that `module` is of, `+` when changed since; else None.

    An installed copy may lie in a repository of somebody else: a checkout is Splitbed's where its
    top level is the folder of this very package, which it tracks.
    """
    top = module.parents[2]
    if _git(top, "rev-parse", "--show-prefix") != "":
        return None
    if not _git(top, "ls-files", "--", str(module.relative_to(top))):
        return None
    return _git(top, "describe", "--always", "--abbrev=40", "--dirty=+")


def _git(folder: Path, *argv: str) -> str | None:
    # a hook's GIT_DIR would be that of another repository
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *argv],  # noqa: S607  from PATH
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
