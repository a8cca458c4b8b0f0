"""Profiles of parts, as clause 10.2.7 has them taken with TFLite's benchmark tool.

Memory is the growth of a process, so that a fresh one runs the parts:

    profile() ── request (JSON) ──> python -m splitbed.runtime.profiler ── answer ──> PartProfiles
"""

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo
from splitbed.timeline import NS_PER_MS

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5)
_SEED = 0


@dataclass(frozen=True)
class ProfiledPart:
    """A model file to profile, and what goes in and comes out."""

    path: Path
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class PartProfile:
    """What opening and running one part took.

    ``first_ms`` is the first run, ``steady_ms`` the median of those after the warm-up and
    ``min_ms`` the fastest of them.  Memory is what the process grew by since before the file was
    opened: resident after opening it, and at its peak over all runs.  It is None for a part that
    was not the first in its process, which could reuse what the one before had freed.
    """

    init_ms: float
    first_ms: float
    steady_ms: float
    min_ms: float
    init_memory_bytes: int | None
    overall_memory_bytes: int | None


def profile(
    parts: Sequence[ProfiledPart], threads: int, warmup: int, runs: int, timeout_s: float = 600.0
) -> list[PartProfile]:
    """Profiles of ``parts``, one after the other in one fresh process.

    Each is opened, run ``warmup`` times, the first run among them, run ``runs`` times, and closed.
    Inputs are seeded and random.  Raises UsageError for a part that its runtime refuses and for
    counts below 1, NodeError where running fails or takes longer than ``timeout_s``.
    """
    if min(threads, warmup, runs) < 1:
        raise UsageError(
            f"Cannot profile with threads={threads}, warmup={warmup}, runs={runs}: each takes 1"
            " or more."
        )
    request = {
        "parts": [asdict(part) | {"path": str(part.path)} for part in parts],
        "threads": threads,
        "warmup": warmup,
        "runs": runs,
    }
    # killed with the process that asked, however that ends
    argv = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            argv, input=json.dumps(request).encode(), capture_output=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise NodeError(
            f"Profiling {len(parts)} parts took longer than {timeout_s:g} s: ask for fewer runs."
        ) from None
