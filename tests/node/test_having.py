"""A UE that has another model already gets what that lacks."""

from collections.abc import Iterator

import numpy as np
import pytest

from netem.spec import LinkSpec, Shape
from orchestrator.measure.arriving import Arriving
from orchestrator.testbed import testbed as beds
from orchestrator.testbed.interruption import Interruption
from splitbed.model_data import ModelFile, read_model
from tests.node.loopback import loopback_link, loopback_pair, proved_as_asked

LINK = LinkSpec(uplink=Shape(rate_mbit=50), downlink=Shape(rate_mbit=50))
THREADS = {"ue": 1, "edge": 1}
W2_BYTES = 8 * 8 * 3 * 3  # as INT8


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[beds.Testbed, ModelFile]]:
    folder = tmp_path_factory.mktemp("pair")
    with proved_as_asked(), loopback_pair(folder) as (pair, model):
        bed = beds.Testbed(model, loopback_link(), pair, Interruption())
        yield bed, read_model(folder / "small.onnx")


def otherwise(model: ModelFile, name: str) -> ModelFile:
    """With another weight of that name."""
    return model.replaced({**model.state, name: model.state[name] * np.float32(1.5) + 1})


@pytest.mark.parametrize("coder", ["int8+zstd", "prune:30+int4+zstd"])
def test_what_is_retrained_comes_alone_each_time(
    bed: tuple[beds.Testbed, ModelFile], coder: str
) -> None:
    testbed, model = bed
    whole = Arriving(testbed, THREADS)
    coded = whole.ready(coder)
    all_of_it = whole.over(LINK, coded).received
    arriving = Arriving(testbed, THREADS, otherwise(model, "w1"))
    arriving.ready(coder)
    assert all_of_it.came_bytes == coded.bytes
    for _ in range(2):
        rest = arriving.over(LINK, coded).received
        assert rest.came_bytes < coded.bytes - W2_BYTES / (2 if "int8" in coder else 4)
        assert rest.decoded.sha256 == all_of_it.decoded.sha256


def test_who_has_nothing_of_it_gets_all(bed: tuple[beds.Testbed, ModelFile]) -> None:
    testbed, model = bed
    other = otherwise(otherwise(model, "w1"), "w2")
    arriving = Arriving(testbed, THREADS, other)
    coded = arriving.ready("int8")
    assert arriving.over(LINK, coded).received.came_bytes == coded.bytes
