"""A Ray of machines that are all this one, each with a name, a cache and a lock of its own."""

import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from orchestrator.fleet.on_ray import OF_A_RUN
from tests.net.sweeps import Place
from tests.shared_machine import until

HOSTS = ("one", "two")
ASKED = ("--split", "3:3", "--bw", "5,6", "--runs", "3", "--no-delivery")
"""Of a small sweep: two groups, of a split and its anchors."""


_CACHE = "SPLITBED_CACHE"
_LIGHT = {"include_dashboard": False, "no_monitor": True, "include_log_monitor": False}
"""What Ray starts that no sweep needs, each some CPU-seconds."""


class Cluster:
    """A Ray whose machines are called as they are told."""

    def __init__(
        self, cache: Path, names: Sequence[str] = HOSTS, client_port: int | None = None
    ) -> None:
        """With a port its head has Ray's client server there, for who is not of the cluster."""
        from ray.cluster_utils import Cluster as Ray

        os.environ |= {f"RAY_{name}": str(value) for name, value in OF_A_RUN.items()}
        self.cache = cache
        self._of_head = {"ray_client_server_port": client_port}
        self._ray = Ray()
        for name in names:
            self.add(name)

    def add(self, name: str, **more: object) -> None:
        """A machine that joins."""
        own = {"SPLITBED_HOST": name, _CACHE: str(self.cache)}
        from ray._private.services import get_node

        def patient(*told: Any) -> Any:
            """Ray gives a machine that starts half a minute, which is too little on a busy one."""
            found = list[Any]()

            def there() -> bool:
                with suppress(RuntimeError):
                    found.append(get_node(*told))
                return bool(found)

            until(there)
            return found[0]

        before = {key: os.environ.get(key) for key in own}
        os.environ |= own
        try:
            with patch("ray._private.services.get_node", patient):
                more |= {} if self._ray.head_node else self._of_head
                self._ray.add_node(resources={"splitbed": 1}, num_cpus=1, **_LIGHT, **more)
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})

    def restart(self, name: str) -> None:
        """All go; a head of that name comes in the place of the one that there was."""
        port = int(self.address.rpartition(":")[2])
        self.end()
        self.add(name, gcs_server_port=port)

    def end(self) -> None:
        """All go."""
        from ray.cluster_utils import Cluster as Ray

        self._ray.shutdown()
        self._ray = Ray()

    @property
    def address(self) -> str:
        return str(self._ray.address)

    def close(self) -> None:
        self._ray.shutdown()


def lines(place: Place, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place.out / name).read_text().splitlines()]


def group_of(process: psutil.Process) -> str:
    """The key of the group that a process measures; empty before it has a run, or once it ended."""
    with suppress(psutil.Error):
        for file in process.open_files():
            if "groups" in (parts := Path(file.path).parts):
                return parts[parts.index("groups") + 1]
    return ""


def measuring(cache: Path) -> list[psutil.Process]:
    """The processes that measure groups for machines whose cache is there."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "orchestrator.fleet.group" in (process.info["cmdline"] or ()):
            with suppress(psutil.Error):
                if process.environ().get(_CACHE) == str(cache):
                    found.append(process)
    return found


def check_whole(place: Place, links: int = 2, hosts: Collection[str] = HOSTS) -> None:
    """Every cell is there once, on the machine of its link; frames are of cells, and of one."""
    rows = place.rows()
    assert Counter(row["split"] for row in rows) == dict.fromkeys(("0:6", "3:3", "6:0"), links)
    assert all(row["frames"] and not int(row["errors"]) for row in rows)
    on = {(row["link"], row["measured_on"]) for row in rows}
    assert len(on) == links
    assert {machine for _, machine in on} <= {*hosts}
    cells = lines(place, "cells.jsonl")
    visits = Counter((cell["key"], cell["block"], cell["measured"]) for cell in cells)
    assert {*visits.values()} == {1}
    attempts = Counter(frame["attempt"] for frame in lines(place, "samples.jsonl"))
    assert {cell["attempt"]: cell["frames"] for cell in cells} == attempts
