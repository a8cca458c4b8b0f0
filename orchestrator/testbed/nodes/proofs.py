"""Proofs of a pair's links, and how long one stands: where it does, rates are not measured twice.

end of a cell: all is measured ──> it stands ──> next cell begins: the round trip alone
             another shape, a restart, a minute ──> it stands no more
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from netem.probe.proof import longest_s
from netem.spec import LinkSpec
from orchestrator.ask.flow import Link
from orchestrator.testbed.nodes.node import ANSWER_S, Node, prove
from splitbed.v1.nodes_pb2 import LinkProof

STANDS_S = 60.0
"""What was measured longer ago says little of a machine that others use, too."""

Ask = Callable[[str, Callable[[Node], LinkProof], str], LinkProof]


class _Standing(NamedTuple):
    spec: LinkSpec
    proof: LinkProof
    at_s: float


class Proofs:
    """Proves the `links` between these nodes, by their number: the first is 0."""

    def __init__(self, nodes: Mapping[str, Node], links: Sequence[Link], ask: Ask) -> None:
        self._nodes, self._links, self._ask = nodes, links, ask
        self._standing: dict[int, _Standing] = {}

    def forget(self) -> None:
        """None stands any more: the nodes are restarted."""
        self._standing.clear()

    def shaped(self, number: int, spec: LinkSpec) -> None:
        """A link is given this shape: a proof of another stands no more."""
        if (last := self._standing.get(number)) and last.spec != spec:
            del self._standing[number]

    def prove(
        self,
        number: int,
        spec: LinkSpec,
        *,
        begins: bool = False,
        shared: LinkProof | None = None,
    ) -> LinkProof:
        """Measure rates and round trip of a link. Raises NodeError.

        Where a cell `begins`, rates are those of the proof that stands, if one does; it stands for
        that cell alone, which may fail before its link is proved again. They are those of another
        proof, too, where the link is `shared` and was measured so from another UE.
        """
        near, far = self._links[number]
        last = self._standing.pop(number, None)
        stands = last and last.spec == spec and time.monotonic() - last.at_s < STANDS_S
        known = shared or (last.proof if last and stands and begins else None)
        proof = self._ask(
            near,
            lambda node: prove(node, self._nodes[far], spec, ANSWER_S + longest_s(spec), known),
            f"prove the link to {far}" if len(self._links) > 1 else "prove the link",
        )
        if proof.fault and len(self._links) > 1:
            proof.fault = f"{near} to {far}: {proof.fault}"
        if not begins and not proof.fault and not shared:
            self._standing[number] = _Standing(spec, proof, time.monotonic())
        return proof
