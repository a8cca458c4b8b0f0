"""A node whose disk is full, or whose memory is, says so and goes on."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from edge_node.service import ModelService
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import store
from splitbed.node.answering import answering
from splitbed.node.config import Limits
from splitbed.node.host import NodeHost
from splitbed.node.stations.references import References
from splitbed.v1.nodes_pb2 import LoadRequest, ModelPiece, Span
from tests.node.loopback import LAYERS, small_model


@dataclass
class Caller:
    """Whoever waits for the answer, as a service sees him."""

    told: list[str] = field(default_factory=list)

    def is_active(self) -> bool:
        return True

    def peer(self) -> str:
        return "unix:"

    def abort(self, code: grpc.StatusCode, reason: str) -> None:
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        self.told.append(reason)


def refusal(call: Callable[..., object], request: object) -> str:
    """Why it is not done."""
    caller = Caller()
    call(request, cast(Any, caller))
    return " ".join(caller.told)


class Service:
    @answering
    def write(self, request: Exception, context: grpc.ServicerContext) -> None:
        raise request

    @answering
    def read(self, request: Exception, context: grpc.ServicerContext) -> Iterator[int]:
        yield 1
        raise request


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room in"),
        (OSError(errno.EIO, "Input/output error"), "it failed: Input/output error"),
        (MemoryError("no 7 bytes"), "more memory than there is (no 7 bytes)"),
    ],
)
def test_what_the_machine_lacks_is_an_answer(error: Exception, says: str) -> None:
    service = Service()
    assert says in refusal(service.write, error)
    assert says in refusal(lambda *of: [*service.read(*of)], error)


@pytest.fixture
def models(tmp_path: Path) -> ModelService:
    """The service of an edge node that keeps little."""
    limits = Limits(kept_bytes=4096)
    (folder := tmp_path / "node").mkdir()
    host = NodeHost("edge", folder, limits)
    return ModelService(host, References(folder / "references", limits))


def pieces(folder: Path, of: Span | None = None) -> Iterator[ModelPiece]:
    stored = store(load_graph(small_model(folder / "small.onnx")), folder / "stored").folder
    yield ModelPiece(task="tensors", format="onnx", runtime="onnx", of=of)
    for place, name in enumerate(("graph.onnx", "weights.bin")):
        yield ModelPiece(file=place, data=(stored / name).read_bytes())


def test_a_model_for_which_there_is_no_room_leaves_nothing(
    models: ModelService, tmp_path: Path
) -> None:
    (file := tmp_path / "node" / "graph.onnx").symlink_to("/dev/full")
    assert "make room in" in refusal(models.Deploy, pieces(tmp_path))
    assert not file.is_symlink()
    assert not refusal(models.Deploy, pieces(tmp_path))


def test_a_version_of_layers_that_is_refused_leaves_nothing_and_there_are_so_many(
    models: ModelService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> int:
        return sum(one.is_dir() for one in (tmp_path / "node").iterdir())

    assert not refusal(models.Deploy, pieces(tmp_path))
    monkeypatch.setattr("edge_node.service.check_stored", lambda *_: None)  # of a file, for long
    before, most = folders(), 4 * Limits().sessions
    bad = [*pieces(tmp_path, Span(last=1, version="fp16")), ModelPiece(file=7)]
    assert "unknown kind of model file" in refusal(models.Deploy, iter(bad))
    assert folders() == before
    for place in [*range(most), 0]:
        of = Span(last=1, version=f"own{place}")
        assert not refusal(models.Deploy, pieces(tmp_path, of))
    of = Span(last=1, version="another")
    assert f"refused to have {most + 1} parts ready" in refusal(models.Deploy, pieces(tmp_path, of))
    assert folders() == before + most
    assert not refusal(models.Load, LoadRequest(deliver=[Span(first=0, last=1)]))
    assert folders() == before


def test_parts_that_are_ready_take_what_may_be_kept(models: ModelService, tmp_path: Path) -> None:
    assert not refusal(models.Deploy, pieces(tmp_path))
    one = LoadRequest(deliver=[Span(first=0, last=1)])
    assert not refusal(models.Load, one)
    many = LoadRequest(deliver=[Span(first=0, last=LAYERS), Span(first=1, last=LAYERS)])
    assert "limits.kept_bytes is 4096" in refusal(models.Load, many)
