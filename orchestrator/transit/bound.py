"""How soon what a UE asks for can be there: nothing comes faster than physics."""

from collections.abc import Sequence

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.results.judgement.validity import MIN_OVER_BOUND
from orchestrator.results.records import ProofRecord, segment_of


def bound_ms(nbytes: int, link: LinkSpec, proofs: Sequence[ProofRecord]) -> float:
    """The delay of the request, and what the bytes and their headers take down a proved link."""
    return link.uplink.delay_ms + wire_ms(nbytes, link.downlink, *segment_of(proofs))


def too_soon(link_ms: float, bound: float) -> str:
    """What is wrong with what took so long of at least so many ms; nothing where that can be."""
    if link_ms < MIN_OVER_BOUND * bound:
        return "it came faster than physics: the link was not as asked"
    return ""
