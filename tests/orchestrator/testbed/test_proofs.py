"""How long the proof of a link stands, so that its rates need not be measured twice."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from netem.spec import symmetric
from orchestrator.testbed.nodes import proofs
from orchestrator.testbed.nodes.node import Node
from orchestrator.testbed.nodes.proofs import Proofs
from splitbed.v1.nodes_pb2 import LinkProof

LINK, OTHER = symmetric(rate_mbit=20), symmetric(rate_mbit=50)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[LinkProof | None]:
    """What was known at each proof."""
    found: list[LinkProof | None] = []

    def prove(*given: Any) -> LinkProof:
        found.append(given[-1])
        return LinkProof(uplink_mbit=len(found))

    monkeypatch.setattr(proofs, "prove", prove)
    return found


@pytest.fixture
def link(known: list[LinkProof | None]) -> Proofs:
    """As the cell before ended, with the only link."""
    nodes = dict.fromkeys(("ue", "edge"), cast(Node, None))
    made = Proofs(nodes, [("ue", "edge")], lambda name, ask, what: ask(nodes[name]))
    made.prove(0, LINK, begins=True)
    made.prove(0, LINK)
    known.clear()
    return made


def test_the_next_cell_knows_the_rates_that_the_one_before_ended_with(
    link: Proofs, known: list[LinkProof | None]
) -> None:
    link.shaped(0, LINK)
    link.prove(0, LINK, begins=True)
    link.prove(0, LINK)
    assert known == [LinkProof(uplink_mbit=2), None]


@pytest.mark.parametrize(
    "meanwhile",
    [
        Proofs.forget,
        lambda link: (link.shaped(0, OTHER), link.shaped(0, LINK)),
        lambda link: link.prove(0, LINK, begins=True),  # of a cell that failed after that
    ],
    ids=["restarted", "shaped otherwise", "a cell failed"],
)
def test_what_happened_since_leaves_no_proof_standing(
    link: Proofs, known: list[LinkProof | None], meanwhile: Callable[[Proofs], object]
) -> None:
    meanwhile(link)
    known.clear()
    link.prove(0, LINK, begins=True)
    assert known == [None]


def test_a_proof_stands_for_a_while_only(
    link: Proofs, known: list[LinkProof | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "STANDS_S", 0.0)
    link.prove(0, LINK, begins=True)
    assert known == [None]
