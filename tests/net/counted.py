"""What the kernel counts at the interfaces of a testbed."""

from netem.link import Link
from orchestrator.testbed.testbed import Testbed

Carried = dict[str, tuple[int, int]]
"""By the name of a link: bytes of Ethernet frames that were sent up and down it."""


def carried(bed: Testbed) -> Carried:
    """So far."""
    links = {name: joint.link for name, joint in bed.links.items()}
    return {
        name: (
            link.ue.counters()[link.ue_device].sent_bytes,
            link.edge.counters()[link.edge_device].sent_bytes,
        )
        for name, link in links.items()
        if isinstance(link, Link)
    }


def since(before: Carried, after: Carried) -> list[tuple[int, int]]:
    """What each link has carried between."""
    return [(up - before[name][0], down - before[name][1]) for name, (up, down) in after.items()]
