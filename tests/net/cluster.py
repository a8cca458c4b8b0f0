"""A Ray of machines that are all this one, each with a name, a cache and a lock of its own."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from orchestrator.fleet.on_ray import OF_A_RUN
from tests.net.sweeps import Place

HOSTS = ("one", "two")


class Cluster:
    """A Ray whose machines are called as they are told."""

    def __init__(self, cache: Path, names: Sequence[str] = HOSTS) -> None:
        from ray.cluster_utils import Cluster as Ray

        os.environ |= {f"RAY_{name}": str(value) for name, value in OF_A_RUN.items()}
        self._cache = cache
        self._ray = Ray()
        self._nodes = {name: self.add(name) for name in names}

    def add(self, name: str) -> Any:
        """A machine that joins."""
        own = {"SPLITBED_HOST": name, "SPLITBED_CACHE": str(self._cache)}
        before = {key: os.environ.get(key) for key in own}
        os.environ |= own
        try:
            return self._ray.add_node(resources={"splitbed": 1}, num_cpus=1)
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})

    @property
    def address(self) -> str:
        return str(self._ray.address)

    def close(self) -> None:
        self._ray.shutdown()


def lines(place: Place, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place.out / name).read_text().splitlines()]


def measuring() -> list[psutil.Process]:
    """The processes that measure groups."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "orchestrator.fleet.group" in (process.info["cmdline"] or ()):
            found.append(process)
    return found
