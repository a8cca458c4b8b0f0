"""Model files that would end a process, or fill it: nodes say why they refuse them, and go on."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc
import pytest

from splitbed.graphs.formats import format_named, load_graph
from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import store
from splitbed.model_data import read_model
from splitbed.tensors import TensorInfo
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import ModelPiece, PartPiece
from splitbed.wire import tensor_headers
from splitbed.zoo import ZOO, Variant
from tests.graphs.tflite_models import MODELS, save
from tests.hostile.attacked import Attacked
from tests.hostile.length import tries
from tests.node.loopback import small_model

FILES = Path(__file__).parent / "files"
FAULTS = Path(__file__).parents[1] / "graphs" / "faults"
ANSWER_S = 120.0
PIECE_BYTES = 1 << 19

Ends = tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]


def asked(call: Callable[[], object]) -> str:
    """Why it was not done; nothing where it was."""
    try:
        call()
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error.details()
        return error.details() or ""
    return ""


def deployed(edge: Attacked, form: str, layers: int, *files: bytes) -> str:
    """Have an edge take the files of a model, and run all of it; why it does not."""
    stub = nodes_pb2_grpc.EdgeStub(edge.channel)
    pieces = [ModelPiece(task="tensors", format=form, runtime=form)]
    for place, data in enumerate(files):
        cuts = range(0, len(data), PIECE_BYTES)
        pieces += [ModelPiece(file=place, data=data[cut : cut + PIECE_BYTES]) for cut in cuts]
    span = nodes_pb2.Span(first=0, last=layers)
    request = nodes_pb2.LoadRequest(span=span, session=nodes_pb2.SessionOptions(warmup=1))
    return asked(lambda: stub.Deploy(iter(pieces), timeout=ANSWER_S)) or asked(
        lambda: stub.Load(request, timeout=ANSWER_S)
    )


def opened(ue: Attacked, form: str, ends: Ends, data: bytes) -> str:
    """Have a UE take a part, and run it; why it does not."""
    stub = nodes_pb2_grpc.PartsStub(ue.channel)
    inputs, outputs = map(tensor_headers, ends)
    header = nodes_pb2.PartHeader(
        span=nodes_pb2.Span(first=0, last=1),
        format=form,
        inputs=inputs,
        outputs=outputs,
        bytes=len(data),
        sha256=hashlib.sha256(data).digest(),
        model=nodes_pb2.ModelInfo(
            layers=1, inputs=inputs, outputs=outputs, task="tensors", runtime=form
        ),
    )
    cuts = range(0, len(data), PIECE_BYTES)
    pieces = [PartPiece(data=data[cut : cut + PIECE_BYTES]) for cut in cuts]
    options = nodes_pb2.SessionOptions(warmup=1)
    return asked(
        lambda: stub.Take(iter([PartPiece(header=header), *pieces]), timeout=ANSWER_S)
    ) or asked(lambda: stub.Open(options, timeout=ANSWER_S))


def ends_of(graph: Graph) -> Ends:
    return graph.inputs, graph.outputs


SMALL = FILES / "small.tflite"


def test_a_model_that_would_end_an_edge_is_refused(edge: Attacked) -> None:
    layers = load_graph(SMALL).n
    why = deployed(edge, "tflite", layers, (FILES / "segv-model.tflite").read_bytes())
    assert "DEPTHWISE_CONV_2D" in why
    assert not deployed(edge, "tflite", layers, SMALL.read_bytes())


@pytest.mark.parametrize("name", ["segv-part", "memory-part"])
def test_a_part_that_would_end_a_ue_is_refused(name: str, ue: Attacked) -> None:
    """`memory-part` is one only to older interpreters."""
    graph = load_graph(SMALL)
    ends = graph.inputs, graph.cuts[1].tensors
    why = opened(ue, "tflite", ends, (FILES / f"{name}.tflite").read_bytes())
    assert why or name == "memory-part"
    assert not opened(ue, "tflite", ends_of(graph), SMALL.read_bytes())


@dataclass(frozen=True)
class Original:
    """A model file and where in it is something else than weights."""

    form: str
    data: bytes
    skeleton: tuple[range, ...]
    graph: Graph

    def place(self, rng: Random) -> int:
        """Some byte, nine times of ten none of a weight."""
        if rng.random() < 0.1:
            return rng.randrange(len(self.data))
        place = rng.randrange(sum(map(len, self.skeleton)))
        for gap in self.skeleton:
            if place < len(gap):
                return gap[place]
            place -= len(gap)
        raise AssertionError

    def mutated(self, rng: Random) -> bytes:
        """Some of it changed, moved, lost or put in."""
        data = bytearray(self.data)
        for _ in range(rng.choice((1, 1, 2, 4, 8))):
            place = min(self.place(rng), len(data) - 8)
            match rng.randrange(6):
                case 0:
                    data[place] ^= 1 << rng.randrange(8)
                case 1:
                    data[place] = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
                case 2:
                    number = rng.choice((0, 1, -1, 1 << 16, (1 << 31) - 1, -(1 << 31)))
                    data[place : place + 4] = number.to_bytes(4, "little", signed=True)
                case 3:
                    other, size = self.place(rng), rng.choice((1, 4, 8, 64))
                    data[place : place + size] = self.data[other : other + size]
                case 4:
                    del data[place : place + rng.choice((1, 4, 64))]
                case 5:
                    data[place:place] = rng.randbytes(rng.choice((1, 4)))
        return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.02 else data)


def original(path: Path) -> Original:
    model = read_model(path)
    ends = [0, *(place.end for place in model.layout.places)]
    starts = [*(place.offset for place in model.layout.places), model.nbytes]
    gaps = (range(end, start) for end, start in zip(ends, starts, strict=True))
    form = path.suffix[1:]
    return Original(form, path.read_bytes(), tuple(filter(len, gaps)), load_graph(path))


def built(name: str, folder: Path, width: float = 1.0) -> Path:
    """A model of the zoo, of its first format, as a file of its own."""
    anchor = ZOO[name]
    content, _ = anchor.build(Variant(anchor.formats[0], 0, None, width))
    (path := folder / f"{name}.{anchor.formats[0]}").write_bytes(content)
    return path


ORIGINALS: dict[str, Callable[[Path], Path]] = {
    "chain.tflite": lambda folder: save(MODELS["chain"](), folder / "chain.tflite"),
    "int8.tflite": lambda folder: save(
        MODELS["int8 with a scale per channel"](), folder / "int8.tflite"
    ),
    "detection.tflite": lambda folder: save(MODELS["detection"](), folder / "detection.tflite"),
    "posenet.tflite": lambda folder: built("posenet", folder, 0.5),
    "small.onnx": lambda folder: small_model(folder / "small.onnx"),
    "shapesnet.onnx": lambda folder: built("shapesnet", folder),
    "quantised.onnx": lambda _: FAULTS / "qdq_weights_first.onnx",
}


@pytest.mark.parametrize("name", ORIGINALS)
def test_no_mutation_of_a_part_ends_a_ue(name: str, ue: Attacked, tmp_path: Path) -> None:
    model, rng = original(ORIGINALS[name](tmp_path)), Random(name)
    ends = ends_of(model.graph)
    assert not opened(ue, model.form, ends, model.data)
    refused = [opened(ue, model.form, ends, model.mutated(rng)) for _ in range(tries(12, 10_000))]
    assert any(refused)


@pytest.mark.parametrize("name", ["int8.tflite", "small.onnx"])
def test_no_mutation_of_a_model_ends_an_edge(name: str, edge: Attacked, tmp_path: Path) -> None:
    """Of the first file of a format, which has its structure."""
    graph = load_graph(ORIGINALS[name](tmp_path))
    folder, rng = store(graph, tmp_path / "stored").folder, Random(name)
    first, *more = (folder / file for file in format_named(graph.format).FILES)
    structure = first.read_bytes()
    model = Original(graph.format, structure, (range(len(structure)),), graph)
    weights = [file.read_bytes() for file in more]
    assert not deployed(edge, model.form, graph.n, model.data, *weights)
    refused = [
        deployed(edge, model.form, graph.n, model.mutated(rng), *weights)
        for _ in range(tries(12, 10_000))
    ]
    assert any(refused)
