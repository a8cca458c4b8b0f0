"""What frames of a visit spent on each node: CPU time by stage, bytes that crossed."""

from collections import Counter
from collections.abc import Iterable

from orchestrator.ask.flow import FLOWS
from orchestrator.ask.topology import kind_of
from orchestrator.results.records import FrameRecord


def cpu_ms(frames: Iterable[FrameRecord]) -> dict[str, dict[str, float]]:
    """By node and stage, or `rest`, of all frames; nothing where several were under way."""
    found: dict[str, dict[str, float]] = {}
    for frame in frames:
        if isinstance(frame.cpu_ns, dict):
            for node, spent in frame.cpu_ns.items():
                sums = found.setdefault(node, {})
                for stage, ns in spent.items():
                    sums[stage] = sums.get(stage, 0.0) + ns / 1e6
    return found


def crossed_bytes(flow: str, frames: Iterable[FrameRecord]) -> dict[str, tuple[int, int]]:
    """What each node sent and received of encoded tensors, of all frames."""
    found: dict[str, tuple[int, int]] = {}
    for (ue, hops), count in Counter((frame.ue, frame.sent) for frame in frames).items():
        for hop in hops:
            ends = FLOWS[flow].ends(hop.name)
            sender, receiver = (ue if ue and kind_of(end) == "ue" else end for end in ends)
            sent, received = found.get(sender, (0, 0))
            found[sender] = sent + count * hop.bytes, received
            sent, received = found.get(receiver, (0, 0))
            found[receiver] = sent, received + count * hop.bytes
    return found
