"""What an interface was like before it was shaped, and putting that back, after a crash too.

A guardian process does it: it waits on a pipe from its owner, and what ends the owner ends the
pipe. Only the death of both leaves an interface shaped: that of a container whose network is the
host's, when all in it is killed at once.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netem.shell import failure, run
from splitbed.errors import LinkError, MachineError, SplitbedError, UsageError

ROOT = "5b:"
"""Handle of the root qdisc while we shape. It is set first and taken away last."""

SYSCTLS = {
    # A connection that is warm stays warm, and none inherits what an earlier one learnt.
    "net/ipv4/tcp_slow_start_after_idle": "0",
    "net/ipv4/tcp_no_metrics_save": "1",
}

# Of which tc prints all that made them; of netem it leaves out the distribution.
_RESTORABLE = {"fq", "fq_codel", "codel", "pfifo", "bfifo", "sfq", "tbf", "cake", "noqueue"}
_READY, _RESTORE = "ready\n", "restore\n"
_DYING_S = 0.3  # a tc that the owner had started may outlive it
_PATIENCE_S = 30


@dataclass(frozen=True)
class Before:
    """An interface as it was found.

    ``qdiscs`` are tc's lines; ``attributes`` those of `ip link set` and ``sysctls`` those of this
    network namespace that shaping changes. ``ifb`` is what we make for ingress.
    """

    device: str
    qdiscs: list[str]
    attributes: dict[str, int]
    sysctls: dict[str, str]
    ifb: str

    @property
    def explicit(self) -> str | None:
        """The root qdisc as words for tc, when somebody chose it; None for the kernel's default."""
        if _default(self.qdiscs):
            return None
        _, kind, handle, _, *words = self.qdiscs[0].split()
        # tc prints units that it does not read.
        words = [re.sub(r"^(\d+)(p|b|sec)$", r"\1", word) for word in words]
        return " ".join(["handle", handle, kind, *words])


def look(device: str, attributes: Sequence[str], ifb: str) -> Before:
    """``device`` as it is. Raises UsageError when there is no such interface."""
    interface(device)  # for its refusal
    lines = qdiscs(device)  # first, as the last that put_back sets: it may be at work
    shown = interface(device)
    return Before(
        device,
        lines,
        {name: shown[name] for name in attributes if name in shown},
        {key: Path("/proc/sys", key).read_text().strip() for key in SYSCTLS},
        ifb,
    )


def check_restorable(before: Before) -> None:
    """Raise LinkError when ``before`` could not be put back; nothing is changed."""
    for key, value in SYSCTLS.items():
        if before.sysctls[key] != value:
            _check_writable(key, value)
    if before.explicit is None:
        return
    kind = before.qdiscs[0].split()[1]
    alone = len(before.qdiscs) == 1 and not run(["tc", "filter", "show", "dev", before.device])
    if kind not in _RESTORABLE or not alone:
        raise not_restorable(
            before,
            f"its kind is none of {', '.join(sorted(_RESTORABLE))}, or it has filters or children",
        )


def not_restorable(before: Before, why: str) -> LinkError:
    """The error for an interface with a qdisc that cannot be made again as it was."""
    device = before.device
    return LinkError(
        f"cannot shape {device}: it has a qdisc of its own ({before.qdiscs[0]!r}) that could not "
        f"be put back afterwards ({why}); nothing was changed; repair: take it away "
        f"(tc qdisc del dev {device} root) and make it anew when the shaping has ended"
    )


def put_back(before: Before) -> str:
    """Make the interface what it was, as far as it is not; returns what it is now in words.

    Goes on past a step that fails. Raises LinkError naming each that did.
    """
    failures = []
    for step in (remove_ingress, _set_attributes, _set_sysctls, _set_root):
        try:
            step(before)
        except SplitbedError as error:
            failures.append(str(error))
    if failures:
        raise LinkError(
            f"{before.device} is not what it was before shaping: {'; '.join(failures)}; "
            f"it was {_words(before)}"
        )
    return _words(before) if exists(before.device) else f"{before.device} is gone"


def interface(device: str) -> dict[str, Any]:
    """What ``ip`` says of ``device``. Raises UsageError that names the interfaces there are."""
    shown = _interfaces()
    if device not in shown:
        raise UsageError(f"there is no interface {device!r}; there are {', '.join(shown)}")
    return shown[device]


def qdiscs(device: str, *, ingress: bool = False) -> list[str]:
    """tc's lines on the egress of ``device``, or its ``ingress``, less its counts of users."""
    lines = run(["tc", "qdisc", "show", "dev", device]).splitlines()
    return [
        re.sub(r" refcnt \d+", "", line).strip()
        for line in lines
        if (line.split()[1] in ("ingress", "clsact")) == ingress
    ]


def _interfaces() -> dict[str, dict[str, Any]]:
    return {one["ifname"]: one for one in json.loads(run(["ip", "-d", "-j", "link", "show"]))}


def exists(device: str) -> bool:
    """Whether this network namespace has an interface of that name."""
    return device in _interfaces()


def _default(lines: list[str]) -> bool:
    return all(line.split()[2] == "0:" for line in lines)


def _words(before: Before) -> str:
    said = [line.removeprefix("qdisc ") for line in before.qdiscs[:1]]
    said += [f"{name} {value}" for name, value in before.attributes.items()]
    said += [f"{key.rpartition('/')[2]} {value}" for key, value in before.sysctls.items()]
    return ", ".join(said)


def remove_ingress(before: Before) -> None:
    """Take away what we made to shape what comes in; nothing when there is nothing."""
    if not exists(before.ifb):
        return  # made before the ingress qdisc, and removed after it
    ingress = ["dev", before.device, "ingress"]
    if exists(before.device) and before.ifb in run(["tc", "filter", "show", *ingress]):
        run(["tc", "qdisc", "del", *ingress])
    run(["ip", "link", "del", before.ifb])


def _set_attributes(before: Before) -> None:
    if exists(before.device):
        set_attributes(before.device, before.attributes)


def set_attributes(device: str, wanted: dict[str, int]) -> None:
    """Set those attributes of ``device`` that differ."""
    shown = interface(device)
    for name, value in wanted.items():
        if shown[name] != value:
            run(["ip", "link", "set", "dev", device, name, str(value)])


def _set_sysctls(before: Before) -> None:
    set_sysctls(before.sysctls)


def set_sysctls(wanted: dict[str, str]) -> None:
    """Set those sysctls of this network namespace that differ. Raises LinkError."""
    for key, value in wanted.items():
        path = Path("/proc/sys", key)
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            raise LinkError(failure(f"write {value} to {path}", str(error), 1)) from None


def _check_writable(key: str, value: str) -> None:
    try:
        os.close(os.open(Path("/proc/sys", key), os.O_WRONLY))
    except OSError as error:
        name = key.replace("/", ".")
        raise LinkError(
            f"cannot set {name}={value}, which a measured link needs: {error.strerror}; repair: "
            f"set it beforehand (sysctl -w {name}={value}; Docker: --sysctl {name}={value})"
        ) from None


def _set_root(before: Before) -> None:
    device = before.device
    if not exists(device):
        return
    if any(line.split()[2:4] == [ROOT, "root"] for line in qdiscs(device)):
        explicit = before.explicit
        how = ["replace", "dev", device, "root", *explicit.split()] if explicit else None
        run(["tc", "qdisc", *(how or ["del", "dev", device, "root"])])
    now = qdiscs(device)
    if now != before.qdiscs and not (_default(now) and _default(before.qdiscs)):
        raise LinkError(f"its qdisc is {now}")


class Guardian:
    """A process that puts ``before`` back when told to, or when this process is dead.

    It has a session of its own and ignores what ends its owner. Raises MachineError.
    """

    def __init__(self, before: Before) -> None:
        self._before = before
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "netem.restore", json.dumps(asdict(before))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout
        if self._process.stdout.readline() != _READY:
            self._process.kill()
            self._process.communicate()
            raise MachineError(
                f"cannot start the process that puts {before.device} back after a crash "
                f"(exit {self._process.returncode}); nothing was changed"
            )

    def end(self) -> str:
        """Have it put everything back; returns what the interface is now. Raises LinkError."""
        try:
            printed, _ = self._process.communicate(_RESTORE, timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        if self._process.returncode:  # it failed, or somebody killed it
            return put_back(self._before)
        return printed.strip()


def main() -> int:
    """The guardian: wait for the owner's word or its end, then put back."""
    before = Before(**json.loads(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.write(_READY)
    sys.stdout.flush()
    orderly = sys.stdin.readline() == _RESTORE
    if not orderly:
        time.sleep(_DYING_S)
    try:
        said, exit_code = put_back(before), 0
    except MachineError as error:
        said, exit_code = f"error: {error}", error.exit_code
    with suppress(OSError):  # whoever would have read it may be gone
        told = sys.stdout if orderly else sys.stderr
        told.write(f"{said}\n")
        told.flush()
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
