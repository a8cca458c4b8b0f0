"""Slurm as a fleet, by submitit: an order is a job, of which each has a machine for itself."""

import math
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from orchestrator.fleet.fleet import Came, Fleet
from orchestrator.fleet.order import Answer, Order
from splitbed.errors import MachineError, UsageError, shorten

SLURM = "submitit"
_HOURS = 24.0
_OPTIONS = ("cluster", "partition", "hours")
_CLUSTERS = ("slurm", "local")


class SlurmFleet(Fleet):
    """The machines of a partition; ``cluster=local`` has jobs be processes of this one.

    The run folder must lie where all of them see it: what is sent and answered lies in there.
    """

    words = "Slurm"

    def __init__(self, options: str) -> None:
        """Of ``KEY=VALUE,…``; UsageError, and MachineError where submitit is not installed."""
        pairs = [word.partition("=") for word in options.split(",") if word]
        self._options = {key: value for key, _, value in pairs}
        if unknown := set(self._options) - set(_OPTIONS):
            raise UsageError(
                f"--on {SLURM}:{options}: {unknown.pop()} is none of {', '.join(_OPTIONS)}, each "
                "as KEY=VALUE"
            )
        if self._cluster not in _CLUSTERS:
            raise UsageError(f"--on {SLURM}:{options}: cluster is one of {', '.join(_CLUSTERS)}")
        try:
            self._minutes = math.ceil(60 * float(self._options.get("hours", _HOURS)))
        except (ValueError, OverflowError):
            self._minutes = 0
        if self._minutes < 1:
            raise UsageError(f"--on {SLURM}:{options}: hours must be a number above 0")
        if find_spec("submitit") is None:
            raise MachineError("submitit is not installed; repair: pip install 'splitbed[slurm]'")
        if self._cluster == "slurm" and shutil.which("sbatch") is None:
            raise MachineError("this machine has no sbatch: run the sweep where Slurm takes jobs")
        self._sent: list[tuple[Any, Order]] = []
        self._files = Path()
        self._spool = Path()

    @property
    def _cluster(self) -> str:
        return self._options.get("cluster", "slurm")

    def open(self, spool: Path) -> None:
        self._spool = spool.resolve() / uuid4().hex
        self._files = self._spool / "files"
        self._files.mkdir(parents=True)

    def offer(self, files: Mapping[str, Path]) -> None:
        for name, file in files.items():
            if not (self._files / name).exists():
                shutil.copyfile(file, draft := self._files / f".{name}")
                draft.replace(self._files / name)

    def looked_at(self, order: Order) -> Sequence[Answer]:
        del order
        return ()

    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        import submitit
        from submitit.core.utils import FailedJobError

        del near  # Slurm chooses
        executor = submitit.AutoExecutor(folder=self._spool / "log", cluster=self._cluster)
        how: dict[str, Any] = {"timeout_min": self._minutes, "name": "splitbed"}
        if self._cluster == "slurm":
            how |= {"slurm_exclusive": True}
            how |= {"slurm_partition": one} if (one := self._options.get("partition")) else {}
            how |= {"slurm_exclude": ",".join(avoiding)} if avoiding else {}
        executor.update_parameters(**how)
        try:
            job = executor.submit(_handed(), order.json().encode(), self._files)
        except FailedJobError as error:
            raise MachineError(f"Slurm takes no job: {shorten(str(error))}") from None
        self._sent.append((job, order))

    def next(self, timeout_s: float) -> Came | None:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        ends = time.monotonic() + timeout_s
        while True:
            for place, (job, order) in enumerate(self._sent):
                if not job.done():
                    continue
                del self._sent[place]
                try:
                    name, answer, archive = job.result()
                except (FailedJobError, UncompletedJobError) as error:
                    return Came(order, lost=f"job {job.job_id}: {shorten(str(error))}")
                return Came(order, replace(Answer.from_json(answer), place=name), archive)
            if time.monotonic() >= ends:
                return None
            time.sleep(0.1)

    def any_left(self, avoiding: Collection[str]) -> bool:
        # Slurm alone knows which machines there are: a job that none can take it tells of itself
        return self._cluster == "slurm" or not avoiding

    def close(self) -> None:
        for job, _ in self._sent:
            job.cancel()
        if self._spool != Path():
            shutil.rmtree(self._spool, ignore_errors=True)
            with suppress(OSError):  # another sweep has its own there
                self._spool.parent.rmdir()


def _handed() -> Callable[[bytes, Path], tuple[str, bytes, bytes]]:
    """What a machine does: sent as it is, for machines that have another Splitbed, or none."""

    def handed(order: bytes, files: Path) -> tuple[str, bytes, bytes]:
        import json
        import socket

        place = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
        try:
            from orchestrator.fleet.worker import answered
        except ImportError as error:
            why = f"it has no Splitbed that measures for others ({error}): install this one there"
            return place, json.dumps({"machine": place, "unfit": [why]}).encode(), b""
        return place, *answered(order, lambda name: (files / name).read_bytes())

    return handed
