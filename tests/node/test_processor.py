"""The UE's processor made slower, on real cgroups; v2 in a guest where this machine has v1."""

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netem.backends.linkbox import uml_environment
from splitbed.errors import MachineError, UsageError
from splitbed.node import slowdown
from splitbed.node.processor import (
    Processor,
    abandoned,
    find_place,
    quota_of,
    remove_abandoned,
)
from splitbed.node.slowdown import limited_slowness
from tests.shared_machine import until, within

pytestmark = pytest.mark.measures
ROOT = Path(__file__).parents[2]
QUARTER = 0.25
BAND = 0.25  # the kernel takes stock at ticks of 4 to 10 ms, and other work shares the cores


@pytest.fixture
def limit() -> Iterator[Processor]:
    try:
        limit = Processor()
    except MachineError as error:
        pytest.skip(str(error))
    with limit:
        yield limit


def spinning(cpu_ms: float) -> Callable[[], float]:
    """A computation of ``cpu_ms`` of CPU time on one thread, which says how many ms it took."""

    def spin() -> float:
        start_s, used_s = time.monotonic(), time.thread_time()
        while time.thread_time() - used_s < cpu_ms / 1e3:
            pass
        return (time.monotonic() - start_s) * 1e3

    return spin


def test_a_quarter_of_a_cpu_makes_a_computation_four_times_as_long(limit: Processor) -> None:
    limit.set(QUARTER)
    within((1 - BAND) / QUARTER, lambda: spinning(100)() / 100, (1 + BAND) / QUARTER)


def test_threads_count_together(limit: Processor) -> None:
    def compute(_: int) -> None:
        hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 60_000)

    def share() -> float:
        start_s, used_s = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(compute, range(2)))
        return (time.process_time() - used_s) / (time.monotonic() - start_s)

    limit.set(QUARTER)
    within((1 - BAND) * QUARTER, share, (1 + BAND) * QUARTER)


def test_a_part_shorter_than_a_tick_is_as_slow_once_it_is_repaid(limit: Processor) -> None:
    def slowness() -> float:
        time.sleep(0.01)
        start_ns = time.monotonic_ns()
        with limit.repaid():
            spinning(2)()
        return (time.monotonic_ns() - start_ns) / 1e6 / 2

    limit.set(QUARTER)
    # the quietest of some; one that is too short fails, whatever else runs here
    within(1 / QUARTER, lambda: min(slowness() for _ in range(15)), (1 + BAND) / QUARTER)


@pytest.mark.parametrize("cpus", [0.05, QUARTER, 0.3, 1.5])
def test_the_limit_that_the_kernel_tells_is_the_one_set(limit: Processor, cpus: float) -> None:
    limit.set(cpus)
    assert limit.cpus == pytest.approx(cpus, rel=1e-3)
    limit.set(None)
    assert limit.cpus is None


@pytest.mark.parametrize("cpus", [0, -1, 0.0001, float("nan"), float("inf")])
def test_what_is_no_number_of_cpus_is_refused(cpus: float) -> None:
    with pytest.raises(UsageError, match=r"0\.001"):
        quota_of(cpus)


def test_a_slow_down_is_measured_with_and_without_the_limit(
    limit: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowdown, "_BLOCK_S", 0.05)
    limit.set(0.5)

    def times() -> float:
        found = limited_slowness(spinning(5), limit, QUARTER)
        assert found.full_ms >= 5
        assert found.limited_ms >= 5 / QUARTER
        assert limit.cpus == 0.5
        return found.times

    within(1 / 2 / QUARTER, times, math.inf)


def test_the_process_is_back_and_the_group_gone_at_the_end() -> None:
    before = Path("/proc/self/cgroup").read_text()
    try:
        limit = Processor()
    except MachineError as error:
        pytest.skip(str(error))
    with limit, subprocess.Popen(["sleep", "30"]) as child:
        inside = find_place().group
        limit.close()
        after = Path(f"/proc/{child.pid}/cgroup").read_text()
        child.kill()
    assert inside.name.startswith(f"splitbed-ue-{os.getpid()}-")
    assert not inside.exists()
    assert Path("/proc/self/cgroup").read_text() == before == after


@pytest.fixture
def killed(limit: Processor) -> Iterator[tuple[Path, int]]:
    """The group of a UE that was killed, and a child of it that lives on there."""
    script = (
        "import subprocess\n"
        f"from {Processor.__module__} import Processor, find_place\n"
        "limit = Processor()\n"
        "child = subprocess.Popen(['sleep', '30'])\n"
        "print(find_place().group, child.pid, flush=True)\n"
        "child.wait()\n"
    )
    limit.close()  # its group would be above
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as ue:
        assert ue.stdout is not None
        group, child = ue.stdout.readline().split()
        assert Path(group) not in abandoned()
        ue.kill()
    try:
        yield Path(group), int(child)
    finally:
        remove_abandoned()


def test_what_a_killed_ue_leaves_is_removed_once_nobody_is_in_it(
    killed: tuple[Path, int],
) -> None:
    group, child = killed
    assert group not in remove_abandoned()
    os.kill(child, signal.SIGKILL)
    until(lambda: group in abandoned())
    assert group in remove_abandoned()
    assert not group.exists()


def test_groups_of_others_are_left_alone(limit: Processor) -> None:
    ours = find_place().group
    others = [ours.parent / "splitbed-ue-1", ours.parent / f"other-{os.getpid()}"]
    for other in others:
        other.mkdir()
    try:
        assert not {ours, *others} & set(remove_abandoned())
        assert all(other.is_dir() for other in [ours, *others])
    finally:
        for other in others:
            other.rmdir()


V1 = "31 23 0:28 / {root}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct"
UNIFIED = "41 31 0:38 / {root}/unified rw,relatime - cgroup2 cgroup2 rw"
IN_DOCKER = "31 23 0:28 /docker/1 {root} ro,relatime master:9 - cgroup cgroup rw,cpu"
SPACED = r"41 31 0:38 / {root}/a\040b rw,relatime - cgroup2 cgroup2 rw"


@pytest.mark.parametrize(
    ("mounts", "memberships", "version", "group"),
    [
        ([UNIFIED, V1], "4:cpu,cpuacct:/ue\n1:name=systemd:/x\n0::/", 1, "cpu/ue"),
        ([IN_DOCKER], "4:cpu:/docker/1/ue\n", 1, "ue"),
        ([SPACED], "0::/user.slice/run.scope", 2, "a b/user.slice/run.scope"),
    ],
    ids=["hybrid", "container", "v2"],
)
def test_the_group_is_found_where_the_cpu_controller_is(
    tmp_path: Path, mounts: list[str], memberships: str, version: int, group: str
) -> None:
    proc, place = proc_of(tmp_path, mounts, memberships), tmp_path / group
    place.mkdir(parents=True)
    (place / "cgroup.controllers").write_text("cpu pids\n")
    found = find_place(proc)
    assert (found.version, found.group) == (version, place)


@pytest.mark.parametrize(
    ("mounts", "memberships", "controllers"),
    [
        ([UNIFIED], "0::/", "memory pids\n"),
        ([UNIFIED], "4:cpu:/ue\n0::/", "hugetlb\n"),
        ([IN_DOCKER], "4:cpu:/docker/2", ""),
        ([UNIFIED], "0::/../elsewhere", "cpu\n"),
        ([], "", ""),
    ],
    ids=["not delegated", "v1 not mounted", "other container", "outside", "no cgroups"],
)
def test_a_machine_without_the_cpu_controller_says_what_to_do(
    tmp_path: Path, mounts: list[str], memberships: str, controllers: str
) -> None:
    proc = proc_of(tmp_path, mounts, memberships)
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified/cgroup.controllers").write_text(controllers)
    with pytest.raises(MachineError, match=r"systemd-run .*--ue-threads"):
        Processor(proc)
    assert abandoned(proc) == []


def proc_of(folder: Path, mounts: list[str], memberships: str) -> Path:
    proc = folder / "proc"
    proc.mkdir()
    (proc / "mountinfo").write_text("\n".join(mounts).format(root=folder))
    (proc / "cgroup").write_text(memberships)
    return proc


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_a_user_without_delegation_is_told_what_to_do(limit: Processor) -> None:
    script = f"import os; from {Processor.__module__} import *; os.setuid(65534); Processor()"
    limit.close()
    argv = [sys.executable, "-c", script]
    ended = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)
    last = ended.stderr.splitlines()[-1]
    assert "MachineError: cannot limit the UE's processor" in last
    assert "Permission denied" in last
    assert "systemd-run --user --scope -p Delegate=yes" in last


GUEST = f"""
import json, os, subprocess
from pathlib import Path
from {Processor.__module__} import Processor, abandoned, find_place
"""
GUEST += """
def facts():
    with Processor() as limit:
        limit.set(0.25)
        inside, cpus = find_place().group, limit.cpus
        told = (inside / "cpu.max").read_text().split()
        kind = (inside / "cgroup.type").read_text().strip()
    left = [str(path) for path in find_place().group.glob("splitbed-*")]
    control = (find_place().group / "cgroup.subtree_control").read_text().strip()
    return dict(group=str(inside.parent), max=told, cpus=cpus, kind=kind, left=left,
                control=control, abandoned=len(abandoned()))

root = Path("/sys/fs/cgroup")
results = [facts()]
(root / "cgroup.subtree_control").write_text("+cpu")
(root / "run.scope").mkdir()
(root / "run.scope/cgroup.procs").write_text(str(os.getpid()))
beside = subprocess.Popen(["sleep", "30"])  # as the orchestrator is beside its nodes
results.append(facts())
print("FACTS", json.dumps(results), flush=True)
"""


@pytest.fixture(scope="module")
def guest_facts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What happened on a kernel that has cgroup v2 alone: user-mode Linux."""
    uml = shutil.which("linux.uml")
    if uml is None or os.geteuid() != 0:
        pytest.skip("needs root and linux.uml (apt-get install user-mode-linux)")
    folder = tmp_path_factory.mktemp("guest")
    (folder / "guest.py").write_text(GUEST)
    (folder / "init").write_text(
        "#!/bin/sh\n"
        "mount -t proc proc /proc && mount -t sysfs sys /sys\n"
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup\n"
        f"PATH=$PATH:/bin:/usr/bin PYTHONPATH={ROOT} {sys.executable} -B {folder}/guest.py 2>&1\n"
        "echo o > /proc/sysrq-trigger; sleep 5\n"
    )
    argv = [uml, "mem=192M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"]
    argv += ["init=/bin/sh", "umid=cgroups", "uml_dir=./", "con=null", "con0=null,fd:1", "ssl=null"]
    ended = subprocess.run(
        [*argv, "--", f"{folder}/init"],
        cwd=folder,
        env=uml_environment(folder),
        capture_output=True,
        timeout=60,
        check=False,
    )
    lines = ended.stdout.decode(errors="replace").splitlines()
    told = [line.removeprefix("FACTS ") for line in lines if line.startswith("FACTS ")]
    assert told, "\n".join(lines)
    facts: list[dict[str, object]] = json.loads(told[0])
    return facts


@pytest.mark.parametrize(
    ("index", "group", "kind"),
    [(0, "/sys/fs/cgroup", "domain"), (1, "/sys/fs/cgroup/run.scope", "threaded")],
    ids=["root group", "scope that others are in"],
)
def test_cgroup_v2_takes_the_same_limit(
    guest_facts: list[dict[str, object]], index: int, group: str, kind: str
) -> None:
    facts = guest_facts[index]
    assert (facts["group"], facts["kind"]) == (group, kind)
    assert facts["max"] == ["1000", "4000"]
    assert facts["cpus"] == QUARTER
    assert (facts["left"], facts["abandoned"]) == ([], 0)


def test_cgroup_v2_is_left_as_it_was(guest_facts: list[dict[str, object]]) -> None:
    assert [facts["control"] for facts in guest_facts] == ["", ""]
