"""A whole model arrives on the UE, on real nodes without a link."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import grpc
import pytest

from netem.spec import symmetric
from orchestrator.measure.arriving import Arriving
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.loading.patience import Patience
from orchestrator.testbed.nodes import ways
from orchestrator.testbed.testbed import Testbed as Bed
from splitbed.errors import NodeError
from splitbed.wire import max_abs_diff
from tests.node.loopback import loopback_link, loopback_pair, proved_as_asked

LINK = symmetric(rate_mbit=100)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with proved_as_asked(), loopback_pair(tmp_path_factory.mktemp("arriving")) as (pair, model):
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
    assert 0 < received.link_ms <= received.receive_ms
    assert max_abs_diff(arriving.infer(), bed.pair.references[0]) < most


def test_what_a_model_needs_of_memory_is_told(bed: Bed, arriving: Arriving) -> None:
    (file,) = Path(bed.model.stored.folder.parent).glob("small.onnx")
    assert arriving.memory(file) > file.stat().st_size


def test_an_inference_has_the_time_that_it_takes(
    bed: Bed, arriving: Arriving, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float | None] = []

    class Watched(Patience):
        def answer(self, call: "grpc.Future[object]") -> object:  # type: ignore[override]
            left.append(cast(grpc.Call, call).time_remaining())
            return super().answer(call)

    arriving.over(LINK, arriving.ready("int8"))
    monkeypatch.setattr(ways, "Patience", Watched)
    arriving.infer()
    assert left == [None]


def test_no_file_of_what_was_sent_is_left_even_where_that_failed(
    bed: Bed, arriving: Arriving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def profile(*_: object) -> object:
        raise NodeError("no room")

    folder = Path(bed.model.stored.folder)
    monkeypatch.setattr(bed.pair, "profile", profile)
    with pytest.raises(NodeError, match="no room"):
        arriving.memory(folder.parent / "small.onnx")
    assert not list(folder.glob("parcel-*"))


def test_nodes_that_were_given_up_are_others_when_something_is_ready(
    bed: Bed, arriving: Arriving
) -> None:
    coded, before = arriving.ready("int8"), bed.pair.ue.pid
    arriving.give_up()
    assert arriving.ready("int8").sha256 == coded.sha256
    assert bed.pair.ue.pid != before
