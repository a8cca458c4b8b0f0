"""Shaping an interface that exists, for the time that a :class:`Shaper` is entered.

What leaves through it, and what comes in by way of an ifb where the other side cannot be shaped:

    socket ──> root htb ──┬── data port ──> class ──> netem or tbf ──> wire
                          └── the rest ───────────────────────────────> wire
    wire ──> ingress ──┬── data port ──> ifb: netem or tbf ──> socket
                       └── the rest ─────────────────────────> socket

Without a port everything is shaped.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self, TypeVar

from netem import qdisc, restore
from netem.restore import Before, Guardian
from netem.shell import run
from netem.spec import Shape
from splitbed.errors import LinkError, MachineError, SplitbedError, UsageError

_T = TypeVar("_T")
_Kind = Literal["netem", "tbf"]
_SPARES = ("ifb", "dummy", "veth")
_CAP_NET_ADMIN = 12
_PREDECESSOR_S = 5.0  # a guardian needs less than one to put back what a killed process shaped


class Shaper:
    """Shapes ``dev`` while entered, once: TCP and UDP of ``port`` alone, or everything without one.

    Leaving puts the interface back as it was, and so does any death of this process. Entering
    changes nothing. ``kind`` is what shapes: sch_netem, or tbf (rate and queue only) in a kernel
    without it. May be used from any thread: what it does is done on one thread of its own, in the
    network namespace of the thread that entered.

    Entering raises UsageError when there is no such interface, MachineError without CAP_NET_ADMIN
    and LinkError when the kernel lacks what shaping takes or ``dev`` could not be put back.
    """

    def __init__(self, dev: str, port: int | None, *, ingress: bool = False) -> None:
        if port is not None and not 0 < port < 1 << 16:
            raise UsageError(f"port {port} is none: choose one from 1 to 65535")
        self.dev, self.port, self.ingress = dev, port, ingress
        self.kind: _Kind = "netem"
        self.restored = ""
        """After leaving: what the interface is now, in words; empty when it was never shaped."""
        self._place = qdisc.AT_ROOT if port is None else qdisc.IN_CLASS
        self._ifb = f"sbifb{secrets.token_hex(4)}"
        self._worker = ThreadPoolExecutor(1, f"shaper-{dev}")
        self._guardian: Guardian | None = None
        self._shapes: tuple[Shape, Shape | None] | None = None

    def __enter__(self) -> Self:
        try:
            self._call(self._look)
        except BaseException:
            self._worker.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._guardian:
                self.restored = self._call(self._guardian.end)
        finally:
            self._worker.shutdown()

    def apply(self, egress: Shape, ingress: Shape | None = None) -> tuple[Shape, Shape | None]:
        """Shape, and return what the kernel then says; without ``ingress`` what comes in is free.

        Both or neither: when one fails the earlier shapes are put back and LinkError raised.
        Raises UsageError for an ingress that this shaper was not made for.
        """
        if ingress and not self.ingress:
            raise UsageError(f"what comes in through {self.dev} is not this shaper's to shape")
        for shape in filter(None, (egress, ingress)):
            self._check(shape)
        return self._call(lambda: self._apply(egress, ingress))

    def read(self) -> tuple[Shape, Shape | None]:
        """What the kernel says now. Raises LinkError when it does not shape."""
        return self._call(self._read)

    def _call(self, function: Callable[[], _T]) -> _T:
        return self._worker.submit(function).result()

    def _look(self) -> None:
        _check_privilege(self.dev)
        self._before = self._now()
        self._mtu_bytes = int(restore.interface(self.dev)["mtu"])
        self._await_predecessor()
        restore.check_restorable(self._before)
        if self.ingress and restore.qdiscs(self.dev, ingress=True):
            raise LinkError(
                f"cannot shape what comes in through {self.dev}: it has an ingress or clsact qdisc "
                "already; nothing was changed; repair: take it away "
                f"(tc qdisc del dev {self.dev} ingress), or shape at the other side"
            )
        self.kind = _rehearse(self.port, self.ingress, self._before)

    def _now(self) -> Before:
        changed = ("gso_max_segs", "gro_max_size") if self.ingress else ("gso_max_segs",)
        return restore.look(self.dev, changed, self._ifb)

    def _await_predecessor(self) -> None:
        deadline = time.monotonic() + _PREDECESSOR_S
        while any(line.split()[2] == restore.ROOT for line in self._before.qdiscs):
            if time.monotonic() > deadline:
                raise LinkError(
                    f"cannot shape {self.dev}: it is shaped already; repair: end the node or "
                    "`netem apply` that does it; if there is none: "
                    f"tc qdisc del dev {self.dev} root"
                )
            time.sleep(0.05)
            self._before = self._now()

    def _check(self, shape: Shape) -> None:
        if self.kind == "tbf" and (shape.delay_ms or shape.jitter_ms or shape.loss_pct):
            raise LinkError(
                f"cannot shape {self.dev} to {shape.words}: this kernel has no sch_netem, so that "
                "only a rate can be shaped; repair: modprobe sch_netem, a kernel with "
                "CONFIG_NET_SCH_NETEM, or ask for no delay, jitter and loss"
            )

    def _apply(self, egress: Shape, ingress: Shape | None) -> tuple[Shape, Shape | None]:
        if not self._shapes and restore.qdiscs(self.dev) != self._before.qdiscs:
            raise LinkError(
                f"cannot shape {self.dev}: somebody else has changed its qdiscs since this shaper "
                "was entered; repair: end the other one and start this one again"
            )
        self._guardian = self._guardian or Guardian(self._before)
        try:
            taken = self._set(egress, ingress)
        except SplitbedError as error:
            try:
                if self._shapes:
                    self._set(*self._shapes)
                else:
                    restore.put_back(self._before)
            except SplitbedError as second:
                raise LinkError(f"{error}; putting {self.dev} back failed too: {second}") from None
            raise LinkError(f"{error}; {self.dev} was put back as it was") from None
        self._shapes = (egress, ingress)
        return taken

    def _set(self, egress: Shape, ingress: Shape | None) -> tuple[Shape, Shape | None]:
        first = qdisc.sieve(self.dev, self.port) if self.port and not self._shapes else ""
        _tc(first + self._leaf(self.dev, self._place, egress))
        if not self._shapes:
            # netem must see what the wire would carry, as in netem.backends.native
            restore.set_attributes(self.dev, dict.fromkeys(self._before.attributes, 1))
            restore.set_sysctls(restore.SYSCTLS)
        self._set_ingress(ingress)
        taken = self._read()
        qdisc.compare(egress, taken[0], f"what leaves {self.dev}")
        if ingress and taken[1]:
            qdisc.compare(ingress, taken[1], f"what comes in through {self.dev}")
        return taken

    def _set_ingress(self, shape: Shape | None) -> None:
        if shape is None:
            restore.remove_ingress(self._before)
            return
        if fresh := not restore.exists(self._ifb):
            run(["ip", "link", "add", self._ifb, "type", "ifb"])
            run(["ip", "link", "set", self._ifb, "up"])
        _tc(self._leaf(self._ifb, qdisc.AT_ROOT, shape))
        if fresh:
            _tc(qdisc.redirect(self.dev, self.port, self._ifb))

    def _leaf(self, device: str, place: str, shape: Shape) -> str:
        words = qdisc.netem(shape) if self.kind == "netem" else qdisc.tbf(shape, self._mtu_bytes)
        return f"qdisc replace dev {device} {place} {words}\n"

    def _read(self) -> tuple[Shape, Shape | None]:
        egress = qdisc.parse_at(self._place, _tc(qdisc.show(self.dev)))
        if not restore.exists(self._ifb):
            return egress, None
        return egress, qdisc.parse_at(qdisc.AT_ROOT, _tc(qdisc.show(self._ifb)))


def shaper_kind() -> _Kind:
    """What would shape an interface here: "netem", or "tbf" in a kernel without it.

    Raises MachineError without CAP_NET_ADMIN, LinkError when the kernel has neither.
    """
    _check_privilege("an interface")
    return _rehearse(1, False, None)


def _rehearse(port: int | None, ingress: bool, before: Before | None) -> _Kind:
    """What shapes, and whether ``before`` can be made again: all of it done on a spare interface.

    Raises LinkError.
    """
    place = qdisc.AT_ROOT if port is None else qdisc.IN_CLASS
    shape, refusals = Shape(rate_mbit=1), []
    able: dict[_Kind, str] = {"netem": qdisc.netem(shape), "tbf": qdisc.tbf(shape, 1500)}
    with _spare(("ifb",) if ingress else _SPARES) as spare:
        if before and before.explicit:
            _rehearse_restore(spare, before)
        lines = qdisc.sieve(spare, port) if port else ""
        lines += qdisc.redirect(spare, port, spare) if ingress else ""
        for kind, words in able.items():
            try:
                _tc(f"{lines}qdisc replace dev {spare} {place} {words}\n")
                return kind
            except LinkError as error:
                refusals.append(str(error).split("; repair:")[0])
            lines = ""
    raise LinkError(
        f"this kernel lacks what shaping takes: {'; '.join(refusals)}; repair: "
        "modprobe -a sch_netem sch_tbf sch_htb cls_u32 (and for ingress sch_ingress act_mirred)"
    )


def _rehearse_restore(spare: str, before: Before) -> None:
    try:
        run(["tc", "qdisc", "add", "dev", spare, "root", *(before.explicit or "").split()])
    except LinkError as error:
        raise restore.not_restorable(before, str(error)) from None
    if (made := restore.qdiscs(spare)) != before.qdiscs:
        raise restore.not_restorable(before, f"it would be {made}")


@contextmanager
def _spare(kinds: Sequence[str]) -> Iterator[str]:
    """An interface that carries nothing, to try qdiscs on."""
    name = f"sbtry{secrets.token_hex(4)}"
    refusals = []
    for kind in kinds:
        try:
            run(["ip", "link", "add", name, "type", kind])
            break
        except LinkError as error:
            refusals.append(str(error))
    else:
        raise LinkError(f"{'; '.join(refusals)}; repair: modprobe {kinds[0]}")
    try:
        yield name
    finally:
        run(["ip", "link", "del", name])


def _check_privilege(dev: str) -> None:
    status = Path("/proc/thread-self/status").read_text()
    if not int(status.split("CapEff:")[1].split()[0], 16) >> _CAP_NET_ADMIN & 1:
        raise MachineError(
            f"shaping {dev} needs CAP_NET_ADMIN, which this process lacks; repair: run it as root, "
            "or give the service that capability (systemd: AmbientCapabilities=CAP_NET_ADMIN; "
            "Docker: --cap-add NET_ADMIN)"
        )


def _tc(lines: str) -> str:
    return run(["tc", "-j", "-r", "-batch", "-"], given=lines)
