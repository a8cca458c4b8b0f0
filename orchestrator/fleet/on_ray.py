"""Ray as a fleet: it starts and finds machines, hands them orders, tells of those that are lost.

A machine of a cluster is one that was started with ``--resources '{"splitbed": 1}'``. Ray's
resources are logical: the machine's own lock keeps groups apart in truth.
"""

import logging
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestrator.fleet.fleet import OURS, Came, Fleet
from orchestrator.fleet.order import Answer, Order
from splitbed.errors import MachineError, shorten

LOCAL = "ray"
CLIENT = "ray://"
_CONNECT_S = 5.0
_LOOK_S = 120.0
_AWAY_S = "RAY_CLIENT_RECONNECT_GRACE_PERIOD", "10"
"""For how long a client waits for its head in silence: half a minute by itself."""
OF_A_RUN = {
    "agent_register_timeout_ms": 120_000,  # on a busy machine its helpers are slow to start
    "memory_monitor_refresh_ms": 0,  # it would end what measures for what others take
    "worker_niceness": 0,
}
"""Of a Ray that is started for a run."""
_START = f"""ray start --address=HEAD:6379 --resources='{{"{OURS}": 1}}'"""

_LOCAL_REPAIR = "free memory and ports"
_CLUSTER_REPAIR = "ray start --head there; RAY_AUTH_MODE=token here, where it asks for a token"


class RayFleet(Fleet):
    """The machines of a cluster at an `address`, or of a Ray of this one that is started for it."""

    def __init__(self, address: str | None) -> None:
        """Raises MachineError where Ray is not installed."""
        if find_spec("ray") is None:
            raise MachineError("Ray is not installed; repair: pip install 'splitbed[ray]'")
        self.words = f"Ray at {address}" if address else "a local Ray"
        self._address = address
        self._head = address or ""
        self._sent: dict[Any, Order] = {}
        self._files: dict[str, Any] = {}
        self._task: Any = None

    def open(self, spool: Path) -> None:
        del spool  # Ray's own store has what travels
        import ray

        usual: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address is None:
            usual |= {
                "include_dashboard": False,
                "resources": {OURS: 1},
                "_system_config": OF_A_RUN,
            }
        try:
            if self._address:  # Ray itself tries for minutes
                _answering(self._address)
            os.environ.setdefault(*_AWAY_S)
            ray.init(self._address or "local", **usual)
        except Exception as error:  # of any kind, as Ray raises them
            how = _LOCAL_REPAIR if self._address is None else _CLUSTER_REPAIR
            raise MachineError(
                f"{self.words} cannot be had: {_refused(error)}; repair: {how}"
            ) from None
        self._head = self._address or ray.get_runtime_context().gcs_address
        if not self._places():
            raise MachineError(
                f"{self.words} has no machine that is to measure; repair: start Ray there with "
                f"{_START}"
            )
        self._task = ray.remote(_handed())

    def offer(self, files: Mapping[str, Path]) -> None:
        import ray

        self._files |= {name: ray.put(file.read_bytes()) for name, file in files.items()}

    def looked_at(self, order: Order) -> Sequence[Answer]:
        import ray

        sent = {self._submitted(order, near=place, soft=False): place for place in self._places()}
        done, late = ray.wait([*sent], num_returns=len(sent), timeout=_LOOK_S)
        for ref in late:
            ray.cancel(ref)
        silent = (f"it said nothing for {_LOOK_S:.0f} s",)
        unheard = [Answer(machine=sent[ref], place=sent[ref], unfit=silent) for ref in late]
        return [*(self._looked(ref, sent[ref]) for ref in done), *unheard]

    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        self._sent[self._submitted(order, avoiding, near)] = order

    def next(self, timeout_s: float) -> Came | None:
        import ray

        self._check_head()
        done, _ = ray.wait([*self._sent], timeout=timeout_s)
        for ref in done:
            order = self._sent.pop(ref)
            try:
                return Came(order, *self._answer(ref))
            except ray.exceptions.RayError as error:
                return Came(order, lost=_why(error))
        return None

    def any_left(self, avoiding: Collection[str]) -> bool:
        self._check_head()
        return bool(set(self._places()) - set(avoiding))

    def close(self) -> None:
        import ray

        if self._sent and ray.is_initialized():
            for ref in self._sent:
                ray.cancel(ref, force=True)
        ray.shutdown()

    def _check_head(self) -> None:
        """Raise MachineError where it is gone: Ray waits for it a minute, and ends us then."""
        try:
            _answering(self._head)
        except OSError as error:
            raise MachineError(f"the head of {self.words} is gone: {error}") from None

    def _places(self) -> list[str]:
        import ray

        nodes = [one for one in ray.nodes() if one["Alive"] and one["Resources"].get(OURS)]
        return [one["NodeID"] for one in nodes]

    def _submitted(
        self, order: Order, avoiding: Collection[str] = (), near: str = "", *, soft: bool = True
    ) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # a machine that was lost is not tried in silence: who asked is told, and asks again
        how: dict[str, Any] = {"num_cpus": 0, "resources": {OURS: 1}, "max_retries": 0}
        if near and near in self._places():
            how["scheduling_strategy"] = NodeAffinitySchedulingStrategy(near, soft=soft)
        elif avoiding:
            how["label_selector"] = {"ray.io/node-id": f"!in({','.join(avoiding)})"}
        return self._task.options(**how).remote(order.json().encode(), self._files)

    def _looked(self, ref: Any, place: str) -> Answer:
        """What a machine answered, or what became of it meanwhile."""
        import ray

        try:
            return self._answer(ref)[0]
        except ray.exceptions.RayError as error:
            return Answer(machine=place, place=place, unfit=(_why(error),))

    def _answer(self, ref: Any) -> tuple[Answer, bytes]:
        import ray

        place, answer, archive = ray.get(ref)
        return replace(Answer.from_json(answer), place=place), archive


def _answering(address: str) -> None:
    """Raise OSError where nobody listens."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def _handed() -> Callable[[bytes, Mapping[str, Any]], tuple[str, bytes, bytes]]:
    """What a machine does: sent as it is, for machines that have another Splitbed, or none."""

    def handed(order: bytes, files: Mapping[str, Any]) -> tuple[str, bytes, bytes]:
        import json
        import socket

        import ray

        place = ray.get_runtime_context().get_node_id()
        try:
            from orchestrator.fleet.worker import answered
        except ImportError as error:
            why = f"it has no Splitbed that measures for others ({error}): install this one there"
            told = {"machine": socket.gethostname(), "unfit": [why]}
            return place, json.dumps(told).encode(), b""
        return place, *answered(order, lambda name: ray.get(files[name]))

    return handed


def _refused(error: Exception) -> str:
    """What Ray raised; of a server's own traceback in it the last line, which says what."""
    said, _, traced = str(error).partition("Traceback (most recent call last):")
    words = " ".join([said.strip(), *traced.strip().splitlines()[-1:]])
    return shorten(words or type(error).__name__)


def _why(error: Exception) -> str:
    """The last line says what was raised, the first who was lost."""
    import ray

    said = str(error).strip().splitlines() or [type(error).__name__]
    return shorten(said[-1] if isinstance(error, ray.exceptions.RayTaskError) else said[0])
