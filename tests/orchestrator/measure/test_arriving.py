"""A whole model arrives on the UE, on real nodes without a link."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netem.spec import symmetric
from orchestrator.measure.arriving import Arriving
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.testbed import Testbed as Bed
from splitbed.errors import NodeError
from splitbed.wire import max_abs_diff
from tests.node.loopback import loopback_link, loopback_pair

LINK = symmetric(rate_mbit=100)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with loopback_pair(tmp_path_factory.mktemp("arriving")) as (pair, model):
        yield Bed(model, loopback_link(), pair, Interruption())


@pytest.fixture(scope="module")
def arriving(bed: Bed) -> Arriving:
    return Arriving(bed, {"ue": 1, "edge": 1})


@pytest.mark.parametrize(("coder", "most"), [("dummy", 1e-6), ("int8+zstd", 0.1)])
def test_what_the_ue_infers_with_is_what_arrived(
    bed: Bed, arriving: Arriving, coder: str, most: float
) -> None:
    seen: list[str] = []

    @contextmanager
    def during() -> Iterator[None]:
        seen.append("begun")
        yield
        seen.append("there")

    arrival = arriving.over(LINK, arriving.ready(coder), during())
    received = arrival.received
    assert seen == ["begun", "there"]
    assert arrival.startup_ms == received.receive_ms + arrival.open_ms + arrival.first_ms
    assert 0 < received.link_ms <= received.receive_ms
    assert max_abs_diff(arriving.infer(), bed.pair.references[0]) < most


def test_what_a_model_needs_of_memory_is_told(bed: Bed, arriving: Arriving) -> None:
    (file,) = Path(bed.model.stored.folder.parent).glob("small.onnx")
    assert arriving.memory(file) > file.stat().st_size


def test_nodes_that_are_as_new_have_nothing_ready(arriving: Arriving) -> None:
    coded = arriving.ready("int8")
    arriving.restart()
    with pytest.raises(NodeError, match="is not ready here"):
        arriving.over(LINK, coded)
    assert arriving.ready("int8").sha256 == coded.sha256
