"""Command lines for sch_netem, and what the kernel says it took. Pure functions."""

import json
from typing import Any

from netem.spec import Shape
from splitbed.errors import LinkError

# tc cuts delays to whole microseconds, and its JSON has six digits.
_ABSOLUTE, _RELATIVE = 1.5e-3, 1e-4


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
