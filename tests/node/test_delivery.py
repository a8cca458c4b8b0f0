"""Part 1 on its way to the UE: whole, checked, and run as it came."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netem.spec import symmetric
from orchestrator.testbed.loading.loader import Loader
from orchestrator.testbed.nodes.node_process import NodeProcess
from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.graphs.parts import extract_part
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart, Parcel, pack, receive, receive_all
from splitbed.runtime.trial import KNOWN
from splitbed.v1.nodes_pb2 import PartPiece
from tests.node.loopback import FRAME_S, LAYERS, Splits, loopback_pair

LINK = symmetric(rate_mbit=20)
LIMITS = Limits(model_bytes=1 << 20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both, delivery=True)


@pytest.fixture(autouse=True)
def nothing_held(shared: Splits) -> None:
    shared.parts.forget()


@pytest.mark.parametrize("layers", range(LAYERS + 1))
def test_a_ue_that_has_only_what_the_edge_sent_it_runs_every_cut(
    shared: Splits, layers: int
) -> None:
    asked = shared.asked(layers)
    shared.parts.load(asked)
    took_ms = shared.parts.deliver(LINK, timeout_s=FRAME_S)
    assert took_ms is not None
    assert took_ms > 0
    assert (shared.parts.loaded.part1_bytes > 0) == (layers > 0)
    shared.parts.assign(asked)
    record = shared.run(of=asked)
    assert dict(record.results) == {"scores": 1}
    if layers < LAYERS:
        assert record.max_abs_diff <= 1e-6


def test_frames_go_on_while_the_same_part_is_delivered_again(shared: Splits) -> None:
    asked = shared.asked(2)
    shared.parts.load(asked)
    shared.parts.deliver(LINK, timeout_s=FRAME_S)
    shared.parts.assign(asked)
    for frame in range(3):
        shared.parts.deliver(symmetric(rate_mbit=100 + frame), timeout_s=FRAME_S)
        assert shared.run(frame, of=asked).frame == frame


def test_a_part_that_the_edge_has_not_made_ready_is_refused(shared: Splits) -> None:
    shared.parts.load(shared.asked(2))
    loader = Loader(shared.pair, shared.model, {})
    with pytest.raises(NodeError, match="the part of the layers 0-4 is not ready"):
        loader.deliver(("ue", Span(0, 4)), FRAME_S)


@pytest.fixture
def parcel(shared: Splits, tmp_path: Path) -> Parcel:
    model = shared.model
    return pack(CutPart(extract_part(model.stored, 0, 3), Span(0, 3), model.info), tmp_path)


def test_what_was_packed_is_what_is_received(parcel: Parcel, tmp_path: Path) -> None:
    (there := tmp_path / "there").mkdir()
    cut = receive(parcel.pieces(), there, LIMITS).cut
    assert parcel.file is not None
    assert cut.part.path is not None
    assert cut.part.path.read_bytes() == parcel.file.read_bytes()
    assert (cut.span, cut.model.layers) == (Span(0, 3), LAYERS)


def test_what_is_to_be_profiled_is_not_taken_for_what_is_opened_here(
    parcel: Parcel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (there := tmp_path / "there").mkdir()
    learnt: list[Path] = []
    monkeypatch.setattr(KNOWN, "learn", lambda path, _: learnt.append(path))
    receive_all(parcel.pieces(), there, LIMITS)
    assert not learnt
    assert [receive(parcel.pieces(), there, LIMITS).cut.part.path] == learnt


def spoilt(pieces: list[PartPiece], how: str) -> list[PartPiece]:
    header, *data = pieces
    match how:
        case "bit flipped":
            data[0].data = bytes([data[0].data[0] ^ 1]) + data[0].data[1:]
        case "end missing":
            data[-1].data = data[-1].data[:-1]
        case "goes on":
            data.append(PartPiece(data=b"more"))
        case "no header":
            return data
        case "too large":
            header.header.bytes = 1 << 50
        case "path for a format":
            header.header.format = "../../etc/x"
        case "unknown task":
            header.header.model.task = "guess"
        case "impossible shape":
            header.header.inputs[0].shape[:] = [-7]
        case "enormous input":
            header.header.inputs[0].shape[:] = [1 << 40]
        case "enormous output":
            header.header.outputs[0].shape[:] = [1 << 40]
        case "empty, but out of range":
            header.header.outputs[0].shape[:] = [0, 1 << 62]
        case "hands on what it has not":
            header.header.passthrough[:] = ["nothing"]
        case "computes without a file":
            header.header.bytes = 0
            data = []
        case "pieces of nothing":
            data = [PartPiece(data=b"")] * 3
    return [header, *data]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("bit flipped", "or others than were sent"),
        ("end missing", "or others than were sent"),
        ("goes on", "went on beyond"),
        ("no header", "begins with its header"),
        ("too large", "limits.model_bytes"),
        ("path for a format", "refused a part of"),
        ("unknown task", "unknown task 'guess'"),
        ("impossible shape", "impossible shape"),
        ("enormous input", "limit"),
        ("enormous output", "limit"),
        ("empty, but out of range", "limit"),
        ("hands on what it has not", "hands on what it takes"),
        ("computes without a file", "has a file for all else"),
        ("pieces of nothing", "or others than were sent"),
    ],
)
def test_a_parcel_that_is_not_what_it_says_is_refused(
    parcel: Parcel, tmp_path: Path, how: str, says: str
) -> None:
    (there := tmp_path / "there").mkdir()
    with pytest.raises(NodeError, match=says):
        receive(iter(spoilt(list(parcel.pieces()), how)), there, LIMITS)
    assert how == "goes on" or not (there / "part.onnx").exists()


def test_cuts_leave_no_files_behind(shared: Splits) -> None:
    pair, model = shared.pair, shared.model
    for layers in range(1, LAYERS):
        for delivery in (True, False):
            Splits(pair, model, delivery=delivery).parts.load(shared.asked(layers))
    edge = pair.nodes["edge"]
    assert isinstance(edge, NodeProcess)
    for folder in (model.stored.folder, edge.scratch.folder):
        assert list(folder.rglob("graph.onnx"))  # it is the right place
        assert not list(folder.rglob("*.part*.onnx"))
