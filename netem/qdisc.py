"""Command lines for sch_netem, and what the kernel says it took. Pure functions."""

import json
from typing import Any

from netem.restore import ROOT
from netem.spec import FRAME_BYTES, Shape
from splitbed.errors import LinkError

# tc cuts delays to whole microseconds, and its JSON has six digits.
_ABSOLUTE, _RELATIVE = 1.5e-3, 1e-4

AT_ROOT = f"root handle {ROOT}"
IN_CLASS = f"parent {ROOT}1 handle 5c:"
"""Where a qdisc that shapes an existing interface sits, in tc's words; its handle comes last."""

_TCP, _UDP = 6, 17


def netem(shape: Shape) -> str:
    """netem's parameters, all of them: a change keeps the old rate when none is given."""
    return (
        f"netem limit {shape.queue_packets}"
        f" delay {shape.delay_ms:.6f}ms {shape.jitter_ms:.6f}ms"
        f" loss random {shape.loss_pct:.6f}%"
        f" rate {shape.rate_mbit * 1e6:.0f}bit"
    )


def batch(device: str, shape: Shape) -> str:
    """Lines for ``tc -j -batch -``: shape the egress of ``device``, then read it back."""
    return f"qdisc replace dev {device} root {netem(shape)}\n{show(device)}"


def tbf(shape: Shape, mtu_bytes: int) -> str:
    """tbf's parameters: rate and queue, which is all it can.

    Its burst passes as if there were no rate, so it is small: two frames, the largest packet, or
    what a timer that is a quarter of a millisecond late would hold up.
    """
    late_bytes = round(shape.rate_mbit * 1e6 / 8 * 0.25e-3)
    burst_bytes = max(2 * FRAME_BYTES, mtu_bytes + 14, late_bytes)
    limit_bytes = shape.queue_packets * FRAME_BYTES
    return f"tbf rate {shape.rate_mbit * 1e6:.0f}bit burst {burst_bytes} limit {limit_bytes}"


def sieve(device: str, port: int) -> str:
    """Lines for ``tc -batch -``: an htb that leaves all but ``port``'s packets unshaped.

    Its one class carries more than any link here, so that only the leaf below it shapes.
    """
    fast = "rate 10gbit burst 1m cburst 1m quantum 60000"
    return (
        f"qdisc replace dev {device} root handle {ROOT} htb direct_qlen 1000\n"
        f"class add dev {device} parent {ROOT} classid {ROOT}1 htb {fast}\n"
        + _filters(device, f"parent {ROOT}", port, f"flowid {ROOT}1")
    )


def redirect(device: str, port: int | None, ifb: str) -> str:
    """Lines for ``tc -batch -``: what comes in through ``device`` of ``port`` goes by ``ifb``."""
    then = f"action mirred egress redirect dev {ifb}"
    return f"qdisc add dev {device} ingress\n" + _filters(device, "ingress", port, then)


def _filters(device: str, parent: str, port: int | None, then: str) -> str:
    """TCP and UDP with ``port`` at either end, or everything; IPv4 options are not looked past."""
    if port is None:
        return f"filter add dev {device} {parent} protocol all prio 1 u32 match u32 0 0 {then}\n"
    return "".join(
        f"filter add dev {device} {parent} protocol {protocol} prio {prio} u32"
        f" match {field} protocol {carried} 0xff match {field} {end} {port} 0xffff {then}\n"
        for prio, (protocol, field) in enumerate((("ip", "ip"), ("ipv6", "ip6")), start=1)
        for carried in (_TCP, _UDP)
        for end in ("dport", "sport")
    )


def show(device: str) -> str:
    """The line for ``tc -j -batch -`` that reads the qdiscs of ``device``."""
    return f"qdisc show dev {device}\n"


def parse(printed: str) -> Shape:
    """The root netem in what ``tc -j qdisc show`` printed. Raises LinkError when there is none."""
    try:
        options = next(q["options"] for q in _netems(printed) if q.get("root"))
        return _shape(options, options["rate"]["rate"] * 8 / 1e6)
    except (ValueError, KeyError, TypeError, StopIteration):
        raise LinkError(f"no netem qdisc at the root: tc printed {printed.strip()!r}") from None


def parse_at(place: str, printed: str) -> Shape:
    """The netem or tbf at ``place`` in what ``tc -j -r qdisc show`` printed.

    Raises LinkError when there is none.
    """
    handle = place.rpartition(" ")[2]
    try:
        entry = next(q for q in json.loads(printed) if q["handle"] == handle)
        options = entry["options"]
        if entry["kind"] == "netem":
            return _shape(options, options["rate"]["rate"] * 8 / 1e6)
        queue_packets = options["limit"] // FRAME_BYTES
        return Shape(rate_mbit=options["rate"] * 8 / 1e6, queue_packets=queue_packets)
    except (ValueError, KeyError, TypeError, StopIteration):
        raise LinkError(f"nothing shapes at {place!r}: tc printed {printed.strip()!r}") from None


def parse_below(rate_mbit: float, queue_packets: int, printed: str) -> Shape:
    """The shape of a class that keeps ``rate_mbit``, with the netem below it if there is one."""
    for netem_below in _netems(printed):
        return _shape(netem_below["options"], rate_mbit)
    return Shape(rate_mbit=rate_mbit, queue_packets=queue_packets)


def _netems(printed: str) -> list[dict[str, Any]]:
    return [entry for entry in json.loads(printed) if entry.get("kind") == "netem"]


def _shape(options: dict[str, Any], rate_mbit: float) -> Shape:
    """netem's JSON options: delay in s, loss as a fraction."""
    delay, loss = options.get("delay", {}), options.get("loss-random", {})
    return Shape(
        rate_mbit=rate_mbit,
        delay_ms=delay.get("delay", 0) * 1e3,
        jitter_ms=delay.get("jitter", 0) * 1e3,
        loss_pct=loss.get("loss", 0) * 100,
        queue_packets=options["limit"],
    )


def compare(asked: Shape, taken: Shape, where: str) -> None:
    """Raise LinkError naming every value that the kernel did not take as asked."""
    wrong = [
        f"{name} is {getattr(taken, name):g}, asked {value:g}"
        for name, value in asked
        if abs(getattr(taken, name) - value) > _ABSOLUTE + _RELATIVE * value
    ]
    if wrong:
        raise LinkError(
            f"{where}: the kernel did not take what was asked: {'; '.join(wrong)}; "
            "repair: another link backend, `orchestrate doctor` says which work here"
        )
