"""The UE given less of its processor: a quota of CPU time for this process, by cgroup v1 or v2.

    the group that the process is in ── splitbed-ue-PID-START: the process, and its quota

The kernel gives the quota anew each period, and takes stock at clock ticks (4 ms at 250 Hz): who
was idle runs on for a few milliseconds first. `Processor.repaid` waits for what that lent.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from splitbed.errors import MachineError, UsageError
from splitbed.workers.wanted import sleep_until

REPAIR = (
    "run it as root, or in a scope that is yours (systemd-run --user --scope -p Delegate=yes"
    " COMMAND), or slow the UE by --ue-threads"
)
_SELF, _CGROUPS = Path("/proc/self"), re.compile(r"splitbed-ue-(\d+)-(\d+)")
# sched-bwc of the kernel's documentation
_MIN_US, _MAX_PERIOD_US = 1_000, 1_000_000
_LEAVING_S = 1.0


@dataclass(frozen=True)
class Place:
    """Where CPU quotas are set: cgroup ``version``, its mount, and the ``group`` of a process."""

    version: int
    mount: Path
    group: Path

    @property
    def threads_file(self) -> str:
        """The file of a group that lists its threads."""
        return "tasks" if self.version == 1 else "cgroup.threads"


def find_place(proc: Path = _SELF) -> Place:
    """The place of the process whose directory in procfs is ``proc``.

    The cpu controller is in one hierarchy: a v1 mount of its own, or the v2 one.  Raises
    MachineError where there is none, or the process's group is outside what is mounted.
    """
    memberships = (proc / "cgroup").read_text().splitlines()
    for version, root, mount, options in _mounts((proc / "mountinfo").read_text()):
        for membership in memberships:
            number, names, path = membership.split(":", 2)
            here = number == "0" if version == 2 else "cpu" in names.split(",")
            if not (here and Path(path).is_relative_to(root)) or ".." in Path(path).parts:
                continue
            group = mount / Path(path).relative_to(root)
            if "cpu" in (options if version == 1 else _controllers(group)):
                return Place(version, mount, group)
    raise MachineError(
        "cannot limit the UE's processor: no cgroup with the cpu controller is mounted here for"
        f" this process (its groups: {', '.join(memberships) or 'none'}); repair: {REPAIR}"
    )


class Processor:
    """Limits the CPU time of this process, all its threads and children together.

    Not of what was started before it: workers are forked of such (:mod:`splitbed.workers`), and
    decode a part, or try one, at full speed.

    Makes a group below the one that the process is in, and moves it there.  Raises MachineError
    where it may not, with what to do.
    """

    def __init__(self, proc: Path = _SELF) -> None:
        self._place = place = find_place(proc)
        pid = os.getpid()
        self._group = place.group / f"splitbed-ue-{pid}-{_start_of(pid)}"
        self._enabled = False
        self._cpus: float | None = None
        try:
            self._group.mkdir()
            if place.version == 2:
                self._enable()
            (self._group / "cgroup.procs").write_text(str(pid))
            self.set(None)
        except OSError as error:
            self.close()
            raise MachineError(
                f"cannot limit the UE's processor by a group in {place.group}:"
                f" {error.strerror}; repair: {REPAIR}"
            ) from None

    def _enable(self) -> None:
        control = self._place.group / "cgroup.subtree_control"
        if "cpu" not in _words(control):
            control.write_text("+cpu")
            self._enabled = True
        # a group with processes of its own gives quotas to threaded groups only (cgroup-v2)
        kind = self._group / "cgroup.type"
        if kind.read_text().strip() == "domain invalid":
            kind.write_text("threaded")

    def set(self, cpus: float | None) -> None:
        """Limit to ``cpus`` processors' worth of time per second; None takes the limit off.

        Raises UsageError for what is no such number or below 0.001, MachineError where the kernel
        refuses it, or says that it set something else.
        """
        quota_us, period_us = quota_of(cpus)
        self._cpus = None
        try:
            if self._place.version == 2:
                asked = f"{'max' if quota_us is None else quota_us} {period_us}"
                (self._group / "cpu.max").write_text(asked)
            else:
                # lifted first: no quota may be above its parent's for a moment
                quota = self._group / "cpu.cfs_quota_us"
                quota.write_text("-1")
                (self._group / "cpu.cfs_period_us").write_text(str(period_us))
                quota.write_text(str(quota_us or -1))
            got = self.cpus
        except OSError as error:
            limit = "no limit" if cpus is None else f"{cpus:g} CPUs"
            raise MachineError(
                f"the kernel refused {limit} for the UE in {self._group}: {error.strerror};"
                " repair: ask for no more than the groups above allow"
            ) from None
        if got != (None if quota_us is None else quota_us / period_us):
            raise MachineError(f"{self._group} was set to {cpus} CPUs and says that it has {got}")
        self._cpus = got

    @property
    def cpus(self) -> float | None:
        """The limit in force, as the kernel has it; None for none."""
        if self._place.version == 2:
            quota, period = _words(self._group / "cpu.max")
        else:
            (quota,) = _words(self._group / "cpu.cfs_quota_us")
            (period,) = _words(self._group / "cpu.cfs_period_us")
        return None if quota in ("max", "-1") else int(quota) / int(period)

    @contextmanager
    def repaid(self, most_cpus: float = float("inf")) -> Iterator[None]:
        """What is done inside takes no less than its CPU time at the limit in force.

        ``most_cpus`` is a lower limit for what computes with fewer threads than others. A wait at
        the end makes up for the first milliseconds, which the kernel lends.
        """
        # who computes with one thread is not charged with what other frames compute meanwhile
        clock = time.thread_time if most_cpus == 1 else time.process_time
        start_s, used_s = time.monotonic(), clock()
        yield
        if self._cpus is not None:
            ends_s = start_s + (clock() - used_s) / min(self._cpus, most_cpus)
            sleep_until(ends_s)

    def close(self) -> None:
        """Move the process back to where it was, and remove the group."""
        deadline_s = time.monotonic() + _LEAVING_S
        while self._group.is_dir():
            for thread in _words(self._group / self._place.threads_file):
                with suppress(ProcessLookupError):  # a child that has ended
                    (self._place.group / "cgroup.procs").write_text(thread)
            try:
                self._group.rmdir()
            except OSError as error:
                # children start while others are moved
                if time.monotonic() > deadline_s:
                    raise MachineError(f"cannot remove {self._group}: {error.strerror}") from None
        if self._enabled and not any(path.is_dir() for path in self._place.group.iterdir()):
            with suppress(OSError):  # another UE came in
                (self._place.group / "cgroup.subtree_control").write_text("-cpu")
        self._enabled, self._cpus = False, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def quota_of(cpus: float | None) -> tuple[int | None, int]:
    """Quota and period in microseconds; quota None for no limit.

    The shortest that the kernel takes, 1 ms each: it lends least.  Raises UsageError.
    """
    if cpus is None:
        return None, 100_000
    if not _MIN_US / _MAX_PERIOD_US <= cpus < float("inf"):
        raise UsageError(f"no processor is limited to {cpus} CPUs: give a number from 0.001 on")
    period_us = max(round(_MIN_US / cpus), _MIN_US)
    return max(round(cpus * period_us), _MIN_US), period_us


def abandoned(proc: Path = _SELF) -> list[Path]:
    """The groups of this user's UEs that are gone: their names are ours, and nobody is in them."""
    try:
        place = find_place(proc)
    except MachineError:
        return []
    folders = (Path(folder) for folder, _, _ in os.walk(place.mount))
    return [folder for folder in folders if _is_abandoned(folder, place)]


def remove_abandoned(proc: Path = _SELF) -> list[Path]:
    """Remove what :func:`abandoned` finds, and return what was removed."""
    removed = []
    for group in abandoned(proc):
        with suppress(OSError):  # another `clean` was first, or somebody came in
            group.rmdir()
            removed.append(group)
    return removed


def _is_abandoned(group: Path, place: Place) -> bool:
    name = _CGROUPS.fullmatch(group.name)
    # what has gone meanwhile is somebody else's to remove
    with suppress(OSError):
        return (
            name is not None
            and group.stat().st_uid == os.geteuid()
            and _start_of(int(name[1])) != int(name[2])
            and not _words(group / place.threads_file)
        )
    return False


def _start_of(pid: int) -> int | None:
    """When a process started, in clock ticks after boot (proc(5)); None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def _mounts(mountinfo: str) -> Iterator[tuple[int, str, Path, list[str]]]:
    """Version, root, mount point and options of each cgroup mount (proc(5))."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, mount = (_unescaped(field) for field in before.split(" ")[3:5])
            yield 2 if kind == "cgroup2" else 1, root, Path(mount), options.split(",")


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)


def _controllers(group: Path) -> list[str]:
    try:
        return _words(group / "cgroup.controllers")
    except OSError:  # hidden by what is mounted over it
        return []


def _words(file: Path) -> list[str]:
    return file.read_text().split()
