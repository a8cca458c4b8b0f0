"""The processors that nodes on one machine share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import Namespaces, kind_of


@dataclass(frozen=True)
class Processors:
    """What nodes on one machine share: how many there are, and how many a part of a node uses."""

    count: int
    threads: Mapping[str, int]

    def share(self, node: str, kind: str) -> float:
        """Of all of them, what a stage keeps busy."""
        used = self.threads.get(node, 0) or self.count if kind == "part" else 1
        return min(used, self.count) / self.count


def shared_processors(config: SweepConfig) -> Processors | None:
    """Those of this machine, where all nodes are on it."""
    if not isinstance(config.place, Namespaces):
        return None
    threads = {"ue": config.ue_threads, "edge": config.edge_threads}
    nodes = {name: threads.get(kind_of(name), 0) for name in config.place.names}
    return Processors(len(os.sched_getaffinity(0)), nodes)
