"""Sweeps on machines beside one another here: workers killed at random, and how wall time falls."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from onnx import ModelProto

from orchestrator.fleet.sending import TRIES
from tests.bench.figure import Bar, Figure
from tests.graphs import models
from tests.net.cluster import ASKED, HOSTS, Cluster, check_whole, group_of, lines, measuring
from tests.net.sweeps import ORCHESTRATE, Place, ended

KILLS, EACH, SEED, LATEST_S = 20, 5, 7, 10.0
_NOTICED_S = 5.0
"""Until a sweep has told that its head is gone, which refuses by then: it is not silent."""
LONG_S = 1800.0
"""For a sweep, on a busy machine."""
_KILLED = ("--split", "3:3", "--bw", "5,6,7,8,9", "--runs", "3", "--no-delivery")
_KILLED_LINKS = 5
_0 = Bar(most=0)
BARS = {2: 0.55, 4: 0.275}
"""Of the wall time on one machine: 1/N, and 10 % of that."""
_LINKS = "5,5.01,5.02,5.03"
_TIMED = ("--split", "1:2", "--bw", _LINKS, "--runs", "95", "--no-delivery")


def kills(folder: Path) -> Iterator[Figure]:
    """How many workers were killed as they measured, and how many of the sweeps are not whole."""
    dice, hit, wrong = random.Random(SEED), 0, 0
    with _cluster(folder, HOSTS) as cluster:
        while hit < KILLS:
            (place := Place(folder / f"after-{hit}")).folder.mkdir()
            process = place.start(*_KILLED, "--on", cluster.address)
            killed = _killed(process, cluster.cache, dice, min(EACH, KILLS - hit))
            hit += killed
            spoilt, said = _wrong(place, process, _KILLED_LINKS)
            wrong += spoilt
            print(f"fleet: {killed} killed, {said}", file=sys.stderr, flush=True)
            assert killed, "a sweep ended before any of its workers could be killed"
    yield Figure("workers killed as they measured", hit, bar=Bar(least=KILLS))
    yield Figure("sweeps with a cell lost or doubled", wrong, bar=_0)


def head(folder: Path) -> Iterator[Figure]:
    """What becomes of a sweep whose head is restarted, and of a machine that joins after that."""
    with _cluster(folder, HOSTS[:1]) as cluster:
        (place := Place(folder / "restarted")).folder.mkdir()
        process = place.start(*ASKED, "--on", cluster.address)
        _begun(process, cluster.cache)
        cluster.restart(HOSTS[0])
        cluster.add(HOSTS[1])
        wrong, said = _wrong(place, process, 2)
        print(f"fleet-head: {said}", file=sys.stderr, flush=True)
    yield Figure("sweeps with a cell lost or doubled, of 1 whose head was restarted", wrong, bar=_0)
    late = {row["link"] for row in place.rows() if row["measured_on"] == HOSTS[1]}
    yield Figure("links that a machine measured that joined late", len(late), bar=Bar(least=1))


def client(folder: Path) -> Iterator[Figure]:
    """A sweep by Ray's client server; its head is killed after a group, then it is gone on with."""
    with _cluster(folder, HOSTS[:1], port := _free_port()) as cluster:
        (place := Place(folder / "client")).folder.mkdir()
        by = ("--on", f"ray://127.0.0.1:{port}")
        process = place.start(*ASKED, *by)
        _await(place.cells, process)
        _begun(process, cluster.cache)
        cluster.end()
        time.sleep(_NOTICED_S)
        process.send_signal(signal.SIGINT)
        stopped = ended(process)
        print(f"fleet-client: exit {stopped.returncode}\n{stopped.stderr}", file=sys.stderr)
        assert place.cells(), "the sweep ended before any of its cells had"
        before = {one["attempt"] for one in lines(place, "cells.jsonl")}
        cluster.add(HOSTS[0])
        resumed = place.popen([*ORCHESTRATE, "sweep", "--resume", str(place.out), *by])
        wrong, said = _wrong(place, resumed, 2, HOSTS[:1])
        print(f"fleet-client: {said}", file=sys.stderr, flush=True)
    after = {one["attempt"] for one in lines(place, "cells.jsonl")}
    yield Figure("cells kept that a sweep by ray:// had before its head was killed", len(before))
    yield Figure("of these measured again", len(before - after), bar=_0)
    yield Figure("sweeps with a cell lost or doubled", wrong, bar=_0)


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def slurm(folder: Path) -> Iterator[Figure]:
    """What becomes of a sweep of which one of submitit's jobs is killed."""
    os.environ["SPLITBED_CACHE"] = str(folder)
    (place := Place(folder / "killed")).folder.mkdir()
    process = place.start(*ASKED, "--on", "submitit:cluster=local")
    killed = _killed(process, folder, random.Random(SEED), 1)
    wrong, said = _wrong(place, process, 2, [socket.gethostname()])
    print(f"fleet-slurm: {killed} killed, {said}", file=sys.stderr, flush=True)
    yield Figure("jobs killed as they measured", killed, bar=Bar(least=1))
    yield Figure("sweeps with a cell lost or doubled", wrong, bar=_0)


def _wrong(
    place: Place, process: "subprocess.Popen[str]", links: int, hosts: Collection[str] = HOSTS
) -> tuple[bool, str]:
    """Whether the run of a sweep, once that has ended, is other than whole; and in words."""
    done = ended(process, LONG_S)
    try:
        check_whole(place, links, hosts)
    except (AssertionError, OSError) as error:
        return True, f"exit {done.returncode}: {error}\n{done.stderr}"
    return False, f"exit {done.returncode}: whole"


def _killed(process: "subprocess.Popen[str]", cache: Path, dice: random.Random, most: int) -> int:
    """Kill workers of a sweep at random times, none so often that its group is given up."""
    killed: Counter[str] = Counter()
    while process.poll() is None and killed.total() < most:
        time.sleep(dice.uniform(0, LATEST_S))
        there = [(one, group_of(one)) for one in measuring(cache)]
        there = [(one, group) for one, group in there if group and killed[group] < TRIES - 1]
        if not there:
            continue
        victim, group = dice.choice(there)
        with suppress(psutil.NoSuchProcess):  # where it ended meanwhile
            if worker := victim.parent():
                worker.kill()
                killed[group] += 1
    return killed.total()


def times(folder: Path) -> Iterator[Figure]:
    """Wall time on N machines against one. The frames wait for the link: no core is short."""
    one_s = _timed(folder, 1)
    yield Figure("wall time on one machine", one_s, "s")
    for count, bar in BARS.items():
        ratio = _timed(folder, count) / one_s
        yield Figure(f"wall time on {count} machines, of that on one", ratio, bar=Bar(most=bar))


def _begun(process: "subprocess.Popen[str]", cache: Path) -> None:
    _await(lambda: measuring(cache), process)


def _await(came: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Until it came, or the sweep ended before."""
    while not came() and process.poll() is None:
        time.sleep(0.05)


def _timed(folder: Path, count: int) -> float:
    """Seconds from the first group's begin to the end of the sweep."""
    with _cluster(folder, tuple(f"host{number}" for number in range(count))) as cluster:
        (place := Place(folder / f"on-{count}")).folder.mkdir()
        models.save(_waits(), place.folder / "small.onnx")
        process = place.start(*_TIMED, "--on", cluster.address)
        _begun(process, cluster.cache)
        began_s = time.monotonic()
        ended(process, LONG_S)
        return time.monotonic() - began_s


def _waits() -> ModelProto:
    """Three layers that cost next to nothing, 120 kB from one to the next."""
    nodes = [
        models.node("Relu", "x", "a"),
        models.node("Relu", "a", "b"),
        models.node("GlobalAveragePool", "b", "y"),
    ]
    return models.model(nodes, {"x": [1, 3, 100, 100]}, {"y": [1, 3, 1, 1]})


@contextmanager
def _cluster(
    folder: Path, names: tuple[str, ...], client_port: int | None = None
) -> Iterator[Cluster]:
    cluster = Cluster(Path(tempfile.mkdtemp(dir=folder)), names, client_port)
    try:
        yield cluster
    finally:
        cluster.close()
