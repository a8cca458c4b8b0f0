"""Profiles of parts, as clause 10.2.7 has them taken with TFLite's benchmark tool.

Memory is what a process grows by, so a fresh one opens and runs the parts:

    profile() ── request (JSON) ──> python -m splitbed.runtime.profiler ── answer ──> PartProfile
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from splitbed.ending import PYTHON, WITH_US
from splitbed.errors import MachineError, NodeError, SplitbedError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.runtime import RUNTIMES
from splitbed.runtime.part_profile import PartProfile, ProfiledPart
from splitbed.runtime.provider import Provider
from splitbed.runtime.session import PartSession
from splitbed.runtime.turns import QUIET_SHARE, TELLS, Turn, least_disturbed, waited_ms
from splitbed.tensors import TensorInfo, Tensors
from splitbed.timeline import NS_PER_MS
from splitbed.workers.allowance import Allowance
from splitbed.workers.task import expendable
from splitbed.workers.wanted import LOOK_S

_ROUNDS = 2
_PACED_RUNS, _PAUSE_S = 2, 0.05
_TURN_PAUSE_S = 0.02
_MOST_ROUNDS = 3  # times those asked for, where others disturb them
_RESET_PEAK = "5"  # proc(5)
_SEED = 0
_SMALL_BYTES = 1024
_ERRORS = {error.exit_code: error for error in (UsageError, MachineError, NodeError)}


def profile(
    parts: Sequence[ProfiledPart],
    threads: int,
    warmup: int,
    runs: int,
    timeout_s: float = 600.0,
    *,
    by_turns: int = 0,
    given_up: Callable[[], bool] = lambda: False,
) -> list[PartProfile]:
    """Profiles of ``parts``, taken in one fresh process.

    The ``runs`` are spread over up to 2 rounds, so that what slows the machine for a while slows
    no single part.  In each round a part is opened, run ``warmup`` times and then its share of
    ``runs``, and closed before the next.  Inputs are seeded and random.

    With ``by_turns`` all are open at once instead, and together may take what so many may; in each
    of ``runs`` rounds each is run once, in an order of the round's own and after a pause: caches
    then hold what another part needed, and threads sleep, as those of a node do that waits for its
    next frame.  Where others disturb the runs there are up to three times as many rounds.
    ``steady_ms`` is the median of those that were disturbed least, half as many as ``runs``.

    Nobody wants them any more once ``given_up``.

    Raises UsageError for counts below 1 and for a part that its runtime refuses, MachineError where
    the runtime is not installed, NodeError where running fails or takes over ``timeout_s``.
    """
    if min(threads, warmup, runs) < 1:
        raise UsageError(
            f"cannot profile with threads={threads}, warmup={warmup}, runs={runs}: none can be"
            " below 1"
        )
    request = {
        "parts": [asdict(part) | {"path": str(part.path)} for part in parts],
        "counts": {"threads": threads, "warmup": warmup, "runs": runs},
        "by_turns": by_turns > 0,
        "allowance": asdict(_allowance(parts, timeout_s, min(len(parts), max(by_turns, 1)))),
    }
    answer = json.loads(_child(json.dumps(request), timeout_s, given_up))
    if "error" in answer:
        raise _ERRORS.get(answer["exit_code"], NodeError)(answer["error"])
    return [PartProfile(**profile) for profile in answer["profiles"]]


def _allowance(parts: Sequence[ProfiledPart], seconds: float, opened: int) -> Allowance:
    """What all may take of which so many are open at once, and no more than there is."""
    size = sum(path.stat().st_size for path in {part.path for part in parts} if path.is_file())
    allowance = Allowance.of_files(size, sessions=opened, threads=os.cpu_count() or 1)
    return replace(allowance, seconds=seconds)


def _child(request: str, timeout_s: float, given_up: Callable[[], bool]) -> str:
    argv = [*WITH_US, *PYTHON, "-m", __name__]
    deadline, pipe = time.monotonic() + timeout_s, subprocess.PIPE
    # a file: after a time-out, communicate() writes no more of what a pipe did not hold
    with TemporaryFile("w+") as asked:
        asked.write(request)
        asked.seek(0)
        process = subprocess.Popen(argv, text=True, stdin=asked, stdout=pipe, stderr=pipe)
    with process:
        while True:
            try:
                out, err = process.communicate(timeout=min(LOOK_S, timeout_s))
                break
            except subprocess.TimeoutExpired:
                pass
            if given_up():
                process.kill()
                raise NodeError("profiling was ended: nobody waits for it any more")
            if time.monotonic() > deadline:
                process.kill()
                raise NodeError(
                    f"profiling took over {timeout_s:g} s: the model is too slow for it on this"
                    " machine; a sweep can do without (--no-profile)"
                )
    if process.returncode:
        last = err.strip().rpartition("\n")[2]
        raise NodeError(f"the process that profiled died with {process.returncode}: {last}")
    return out


@dataclass(frozen=True)
class _Round:
    """What was measured of one part from opening to closing it; memory is the process's."""

    init_ms: float
    warmup_ms: list[float]
    runs_ms: list[float]
    paced_ms: list[float]
    open_bytes: int
    peak_bytes: int


def _profiled(
    parts: Sequence[ProfiledPart], threads: int, warmup: int, runs: int
) -> list[PartProfile]:
    tensors = [random_inputs(part.inputs, _SEED) for part in parts]
    small = _small(tensors[0], parts[0].inputs)
    for part in parts:
        RUNTIMES.named(part.runtime).load()
    with suppress(OSError):  # where the kernel cannot, the peak counts the imports as well
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    before_bytes = _memory_bytes("VmRSS")
    measured = [
        [
            _measured(part, fed, small, threads, (warmup, share, 0 if index else _PACED_RUNS))
            for index, (part, fed) in enumerate(zip(parts, tensors, strict=True))
        ]
        for share in _shares(runs)
    ]
    return [
        _profile(rounds, None if index else before_bytes)
        for index, rounds in enumerate(zip(*measured, strict=True))
    ]


def _shares(runs: int) -> list[int]:
    rounds = min(_ROUNDS, runs)
    return [runs // rounds + (index < runs % rounds) for index in range(rounds)]


def _measured(
    part: ProfiledPart,
    tensors: Tensors,
    small: Tensors,
    threads: int,
    counts: tuple[int, int, int],
) -> _Round:
    """``counts`` are runs to warm up, one after the other, and after a pause.

    What may be a shape is taken from ``small``, to which the part's own is added: parts come in
    the order in which they follow one another.
    """
    tensors = {name: small.get(name, value) for name, value in tensors.items()}
    start_ns = time.monotonic_ns()
    with _opened(part, threads) as session:
        init_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
        open_bytes = _memory_bytes("VmRSS")
        warmup_ms, runs_ms, paced_ms = (
            [_run_ms(session, tensors, pause_s) for _ in range(count)]
            for count, pause_s in zip(counts, (0, 0, _PAUSE_S), strict=True)
        )
        peak_bytes = _memory_bytes("VmHWM")
        if any(_is_small(info) and info.name not in small for info in part.outputs):
            small |= _small(session.run(tensors), part.outputs)
    return _Round(init_ms, warmup_ms, runs_ms, paced_ms, open_bytes, peak_bytes)


def _by_turns(
    parts: Sequence[ProfiledPart], threads: int, warmup: int, runs: int
) -> list[PartProfile]:
    orders = np.random.default_rng(_SEED)
    with ExitStack() as stack:
        opened = []
        for part in parts:
            fed = random_inputs(part.inputs, _SEED)
            start_ns = time.monotonic_ns()
            session = stack.enter_context(_opened(part, threads))
            init_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
            first_ms, *_ = [_run_ms(session, fed, 0) for _ in range(warmup)]
            opened.append((session, fed, init_ms, first_ms))
        turns: list[list[Turn]] = [[] for _ in parts]
        for count in range(1, _MOST_ROUNDS * runs + 1):
            for place in orders.permutation(len(parts)).tolist():
                session, fed, *_ = opened[place]
                before_ms = waited_ms()
                took_ms = _run_ms(session, fed, _TURN_PAUSE_S)
                turns[place].append(Turn(took_ms, waited_ms() - before_ms))
            quiet = [least_disturbed(of_part, runs // 2 + 1) for of_part in turns]
            if count >= runs and all(one.waited_share < QUIET_SHARE for one in quiet):
                break
    return [
        _of_turns(init_ms, first_ms, turns[place], quiet[place])
        for place, (_, _, init_ms, first_ms) in enumerate(opened)
    ]


def _of_turns(init_ms: float, first_ms: float, turns: Sequence[Turn], quiet: Turn) -> PartProfile:
    shortest_ms = min(turn.ms for turn in turns)
    share = quiet.waited_share if TELLS else None
    return PartProfile(init_ms, first_ms, quiet.ms, shortest_ms, None, None, None, share)


def _opened(part: ProfiledPart, threads: int) -> PartSession:
    fed = [tensor.name for tensor in part.inputs]
    ends = part.inputs, part.outputs
    return PartSession(part.path, *ends, fed, threads, part.runtime, part.provider)


def _small(tensors: Tensors, infos: Sequence[TensorInfo]) -> Tensors:
    return {info.name: tensors[info.name] for info in infos if _is_small(info)}


def _is_small(info: TensorInfo) -> bool:
    """Whether it may be a shape, an index, or what one is computed from."""
    return info.is_index or info.least.nbytes <= _SMALL_BYTES


def _run_ms(session: PartSession, tensors: Tensors, pause_s: float) -> float:
    if pause_s:
        time.sleep(pause_s)
    start_ns = time.monotonic_ns()
    session.run(tensors)
    return (time.monotonic_ns() - start_ns) / NS_PER_MS


def _memory_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise MachineError(f"cannot read the memory in use: /proc/self/status has no {field}")


def _profile(rounds: Sequence[_Round], before_bytes: int | None) -> PartProfile:
    first = rounds[0]
    paced_ms = [took_ms for each in rounds for took_ms in each.paced_ms]
    return PartProfile(
        init_ms=first.init_ms,
        first_ms=first.warmup_ms[0],
        steady_ms=min(statistics.median(each.runs_ms) for each in rounds),
        min_ms=min(min(each.runs_ms) for each in rounds),
        paced_ms=statistics.median(paced_ms) if paced_ms else None,
        init_memory_bytes=None if before_bytes is None else first.open_bytes - before_bytes,
        overall_memory_bytes=None if before_bytes is None else first.peak_bytes - before_bytes,
    )


def _part(asked: Mapping[str, Any]) -> ProfiledPart:
    inputs, outputs = (
        tuple(TensorInfo(**info | {"shape": tuple(info["shape"])}) for info in asked[side])
        for side in ("inputs", "outputs")
    )
    provider = Provider(**asked["provider"])
    return ProfiledPart(Path(asked["path"]), inputs, outputs, asked["runtime"], provider)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    Allowance(**request["allowance"]).hold()
    try:
        take = _by_turns if request["by_turns"] else _profiled
        profiles = take([_part(asked) for asked in request["parts"]], **request["counts"])
    except SplitbedError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    return {"profiles": [asdict(profile) for profile in profiles]}


if __name__ == "__main__":
    expendable()
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
