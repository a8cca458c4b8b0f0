"""A node from its start to its end, in a process of its own."""

import gc
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Literal

from threadpoolctl import ThreadpoolController

from splitbed.ending import unread_stderr
from splitbed.logs import configure
from splitbed.meters.exported import export
from splitbed.meters.process import METER
from splitbed.node.config import NodeConfig
from splitbed.node.host import NodeHost
from splitbed.node.own_folder import own_folder
from splitbed.node.serve import Plane, end, serve
from splitbed.runtime import check_provider
from splitbed.runtime.memory import bound_memory, give_back_freed_memory, keep_freed_memory
from splitbed.telemetry import serving
from splitbed.workers.allowance import ALLOWED
from splitbed.workers.fork_server import prepare

GRPC_EXPERIMENTS = "-event_engine_client,-event_engine_listener"
"""Of its experiments: whoever waits for a message looks for it himself, and no pool of threads.

On loopback 86 KB and their answer took 0.38 ms, in place of 0.46 (bench `transport`, one run).
"""
BLAS_THREADS = 1
"""Codecs' products are short: two threads that wait for one another took 13 ms where one takes 1.

OpenBLAS 0.3.31 heeds no other number that a thread besides the first asks for.
"""
_OTHER_THREADS = 64
_IN_FLIGHT = 64
"""Of a load, and of a stream; where several have as many, what comes on the others waits."""


def _most_threads(config: NodeConfig) -> int:
    """Those of calls on each plane, of sessions, of frames under way together, and of all else."""
    limits = config.limits
    sessions = limits.sessions * (os.cpu_count() or 1)
    return 6 * limits.streams + sessions + 2 * _IN_FLIGHT + _OTHER_THREADS


def run_node(
    role: Literal["ue", "edge"],
    config: NodeConfig,
    planes: Callable[[NodeHost, ExitStack], Sequence[Plane]],
) -> None:
    """Serve what ``planes`` makes for this node's host until SIGTERM; the stack ends with it."""
    os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)  # read when gRPC begins
    configure(config.log)
    ThreadpoolController().limit(limits=BLAS_THREADS, user_api="blas")
    prepare()
    check_provider(config.provider)
    ALLOWED.session_bytes = config.limits.session_bytes
    keep_freed_memory()
    with ExitStack() as stack:
        stack.enter_context(unread_stderr())
        folder = stack.enter_context(own_folder(f"{role}-node-"))
        stack.enter_context(serving(config.metrics, config.tls, insecure=config.insecure))
        if config.metrics:
            export(METER)
        host = NodeHost(role, folder, config.limits, config.provider)
        host.description.name = config.name
        host.model_coders = config.model_coders
        served = planes(host, stack)
        host.forget.append(give_back_freed_memory)  # last, of what the others forgot
        bound_memory(config.limits.own_bytes, _most_threads(config))
        gc.freeze()  # modules stay: to look through them takes 40 ms, in which no call is taken
        serve(config, host.in_flight, *served)
    end()
