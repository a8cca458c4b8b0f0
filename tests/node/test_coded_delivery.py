"""A part that travels as a bitstream: decoded as it comes, checked, resumed where it was cut."""

import hashlib
import io
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import cast

import grpc
import numpy as np
import pytest

from netem.spec import symmetric
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import configurations
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.testbed.loading.loader import Loader
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.model import Known
from orchestrator.testbed.nodes.node_process import NodeProcess
from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.graphs.onnx.parts import check_received
from splitbed.graphs.parts import extract_part
from splitbed.model_coders.rebuilding import Rebuilding
from splitbed.model_coders.rest import MOST_HAVE
from splitbed.model_coders.worker import DecodingWorker
from splitbed.model_data import model_of
from splitbed.model_data.digest import by_hash
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart, Parcel, receive
from splitbed.node.parts.coded import Feeding, decoding, pack_coded
from splitbed.node.parts.fetch import IN_VAIN, Fetch
from splitbed.node.stations.data import DataService
from splitbed.node.stations.passing import Passing
from splitbed.node.streams.connection import Dialled
from splitbed.runtime.trial import KNOWN
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import Delivery, PartPiece
from splitbed.wire import CHANNEL_OPTIONS, max_abs_diff, tensors_of
from splitbed.workers.wanted import WANTED
from tests.model_coders.coding import coded, weights
from tests.node.loopback import FRAME_S, LAYERS, Splits, loopback_pair

WHOLE = "ue", Span(0, LAYERS)
LIMITS = Limits(model_bytes=1 << 20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both, delivery=True)


@pytest.fixture
def loader(shared: Splits) -> Loader:
    shared.parts.forget()
    return Loader(shared.pair, shared.model, {"ue": 1, "edge": 1})


@pytest.mark.parametrize("coder", ["dummy", "int8+zstd"])
def test_the_ue_runs_what_it_decoded(shared: Splits, loader: Loader, coder: str) -> None:
    loader.coder = coder
    ready = loader.load([WHOLE], 0, fetched=[WHOLE])[WHOLE]
    received = loader.deliver(WHOLE, FRAME_S)
    assert received.decoded.bytes == received.bytes
    assert abs(received.bytes - ready.part_bytes) < 100  # the same, written anew
    assert received.link_ms <= received.receive_ms
    loader.open("ue", warmup=0)
    asked = shared.asked(LAYERS)
    shared.parts.assign(asked)
    difference = _difference(shared, shared.run(of=asked))
    assert difference < 1e-6 if coder == "dummy" else 1e-6 < difference < 0.1


def test_what_the_edge_encodes_is_what_is_encoded_elsewhere(
    shared: Splits, loader: Loader, tmp_path: Path
) -> None:
    loader.coder = "int8+zstd"
    (coded,) = loader.load([WHOLE], 0, fetched=[WHOLE])[WHOLE].coded
    parcel, _ = pack_coded(_whole(shared), tmp_path, "int8+zstd")
    assert parcel.header.sha256 == coded.sha256


def delivered(loader: Loader, coder: str) -> nodes_pb2.PartReceived:
    loader.coder = coder
    loader.load([WHOLE], 0, fetched=[WHOLE])
    received = loader.deliver(WHOLE, FRAME_S)
    loader.open("ue", warmup=0)
    return received


def test_an_update_makes_the_model_that_comes_when_it_is_sent_at_once(
    shared: Splits, loader: Loader
) -> None:
    at_once = delivered(loader, "int16:8+zstd")
    asked = shared.asked(LAYERS)
    shared.parts.assign(asked)
    fine = _difference(shared, shared.run(of=asked))
    delivered(loader, "int8:8+zstd")
    coarse = _difference(shared, shared.run(of=asked))
    updated = delivered(loader, "update:8:16")
    assert updated.decoded.sha256 == at_once.decoded.sha256
    assert _difference(shared, shared.run(of=asked)) == fine < coarse


def test_an_update_of_another_part_is_refused_and_that_goes_on(
    shared: Splits, loader: Loader
) -> None:
    delivered(loader, "int8:8+zstd")
    asked = shared.asked(LAYERS)
    shared.parts.assign(asked)
    before = _difference(shared, shared.run(of=asked))
    loader.coder = "update:4:16"
    loader.load([WHOLE], 0, fetched=[WHOLE])
    with pytest.raises(NodeError, match="the bitstream updates the state"):
        loader.deliver(WHOLE, FRAME_S)
    assert _difference(shared, shared.run(of=asked)) == before
    delivered(loader, "update:8:16")  # the right one is still one


@pytest.mark.parametrize("coder", ["dummy", "int8+zstd"])
def test_a_part_comes_without_the_tensors_that_the_one_before_has(
    shared: Splits, loader: Loader, coder: str
) -> None:
    loader.coder = coder
    first, more = ("ue", Span(0, 2)), WHOLE  # conv1; conv1 and conv2
    ready = loader.load([first, more], 0, fetched=[first, more])
    whole = loader.deliver(more, FRAME_S)
    loader.deliver(first, FRAME_S)
    rest = loader.deliver(more, FRAME_S, rest=True)
    assert whole.came_bytes == ready[more].coded[0].bytes
    assert rest.came_bytes < whole.came_bytes - (8 * 3 * 3 * 3 * (4 if coder == "dummy" else 1)) / 2
    assert rest.decoded.sha256 == whole.decoded.sha256
    again = loader.deliver(more, FRAME_S, rest=True)
    assert again.came_bytes < rest.came_bytes
    assert again.decoded.sha256 == whole.decoded.sha256


def test_a_part_that_is_ready_otherwise_is_refused(loader: Loader) -> None:
    loader.coder = "fp16"
    loader.load([WHOLE], 0, fetched=[WHOLE])
    loader.coder = "int8"
    with pytest.raises(NodeError, match="the part of the layers 0-6 is not ready here as int8"):
        loader.deliver(WHOLE, FRAME_S)


def test_a_bad_bitstream_is_refused_and_the_model_before_goes_on(
    shared: Splits, loader: Loader
) -> None:
    loader.coder = "int8"
    loader.load([WHOLE], 0, fetched=[WHOLE])
    loader.deliver(WHOLE, FRAME_S)
    loader.open("ue", warmup=0)
    asked = shared.asked(LAYERS)
    shared.parts.assign(asked)
    before = _difference(shared, shared.run(of=asked))
    edge = shared.pair.nodes["edge"]
    assert isinstance(edge, NodeProcess)
    (bitstream,) = edge.scratch.folder.rglob("*.bit")
    data = bytearray(bitstream.read_bytes())
    data[len(data) // 2] ^= 1
    bitstream.write_bytes(data)
    with pytest.raises(NodeError, match=r"checksum|or others than were sent"):
        loader.deliver(WHOLE, FRAME_S)
    assert _difference(shared, shared.run(of=asked)) == before


@pytest.mark.parametrize(("layers", "lossless"), [(0, True), (2, False), (LAYERS, False)])
def test_a_part_that_came_encoded_is_judged_as_it_came(
    shared: Splits, layers: int, lossless: bool
) -> None:
    given = {"model": "small", "part_coder": "int4", "split": "all", "runs": 3}
    config = sweep_config(given)
    (asked,) = (
        one for one in configurations(config, shared.model, lambda _: ["raw"]) if one.k == layers
    )
    assert asked.lossless == lossless
    parts = Parts(shared.pair, shared.model, config)
    parts.load(asked)
    parts.deliver(symmetric(rate_mbit=20), timeout_s=FRAME_S)
    parts.assign(asked)
    record = shared.pair.ways.run_frame(0, 0, FRAME_S, parts.assignment(asked))
    frames = AccuracySet(config, shared.model, lambda: None, lambda _: None)
    judged = dict(frames.coded([asked], Known()))
    if lossless:
        assert not judged
        assert _difference(shared, record) < 1e-6
        return
    difference = judged[asked].difference(0, tensors_of(record.result))
    assert difference is not None
    assert difference < 1e-6
    assert _difference(shared, record) > 1e-3
    coded = parts.loaded.coded_bytes
    edge = shared.pair.nodes["edge"]
    assert isinstance(edge, NodeProcess)
    (bitstream,) = edge.scratch.folder.rglob(f"parcel-0-{layers}.bit")
    assert coded == bitstream.stat().st_size


def _difference(shared: Splits, record: nodes_pb2.FrameRecord) -> float:
    return max_abs_diff(tensors_of(record.result), shared.pair.references[0])


def _whole(shared: Splits) -> CutPart:
    model = shared.model
    return CutPart(extract_part(model.stored, 0, LAYERS), WHOLE[1], model.info)


def spoilt(pieces: list[PartPiece], how: str) -> list[PartPiece]:
    header, *data = pieces
    match how:
        case "foreign":
            data = [PartPiece(data=b"no bitstream of ours, whatever it is")]
        case "truncated":
            data = [PartPiece(data=data[0].data[:-9])]
    whole = b"".join(piece.data for piece in data)
    header.header.bytes = len(whole)
    header.header.sha256 = hashlib.sha256(whole).digest()
    return [header, *data]


@pytest.mark.parametrize(("how", "says"), [("foreign", "bitstream"), ("truncated", "end")])
def test_what_was_sent_so_is_refused_by_the_decoder(
    shared: Splits, tmp_path: Path, how: str, says: str
) -> None:
    (there := tmp_path / "there").mkdir()
    parcel, _ = pack_coded(_whole(shared), tmp_path, "int8")
    pieces = iter(spoilt([*parcel.pieces()], how))
    with pytest.raises(NodeError, match=says), decoding(there, 1 << 20) as (decode, _):
        receive(pieces, there, LIMITS, decode)
    assert not [*there.iterdir()]


def test_a_model_larger_than_the_limit_is_refused_however_small_its_bitstream(
    shared: Splits, tmp_path: Path
) -> None:
    (there := tmp_path / "there").mkdir()
    parcel, said = pack_coded(_whole(shared), tmp_path, "int4+zstd")
    most_bytes = said.bytes + 10
    with (
        pytest.raises(NodeError, match=f"there is room for {most_bytes}"),
        decoding(there, most_bytes) as (decode, _),
    ):
        receive(parcel.pieces(), there, Limits(model_bytes=most_bytes), decode)


def test_a_model_that_is_refused_leaves_the_one_before(shared: Splits, tmp_path: Path) -> None:
    (there := tmp_path / "there").mkdir()
    (before := there / "part.onnx").write_bytes(b"the one before")
    parcel, _ = pack_coded(_whole(shared), tmp_path, "int8")

    def decode(chunks: Iterator[bytes], _: CutPart, path: Path) -> tuple[int, nodes_pb2.Decoded]:
        path.write_bytes(b"".join(chunks))  # no ONNX
        check_received(path)
        return 0, nodes_pb2.Decoded()

    with pytest.raises(NodeError, match="refused a part"):
        receive(parcel.pieces(), there, LIMITS, decode)
    assert before.read_bytes() == b"the one before"
    assert [*there.iterdir()] == [before]


def test_what_came_has_been_tried_before_its_last_byte_was_there(
    shared: Splits, tmp_path: Path
) -> None:
    (there := tmp_path / "there").mkdir()
    base: Path | None = None
    for coder in ("int8:8+zstd", "update:8:16"):
        parcel, _ = pack_coded(_whole(shared), tmp_path, coder)
        with decoding(there, 1 << 20, update_of=base) as (decode, _):
            cut = receive(parcel.pieces(), there, LIMITS, decode).cut
        asked, base = cut.asked(threads=1), cut.part.path
        assert KNOWN.holds(asked.files, asked.run), coder
        assert [file.name for file in there.iterdir()] == ["part.onnx"]


def test_a_class_that_the_node_was_not_told_of_is_not_imported(loader: Loader) -> None:
    loader.coder = "antigravity:Coder"
    with pytest.raises(NodeError, match="list it as one of model_coders in its configuration"):
        loader.deliver(WHOLE, FRAME_S)


def test_a_delivery_that_is_given_up_does_not_wait_for_what_is_to_be_decoded(
    shared: Splits, tmp_path: Path
) -> None:
    ended: list[str] = []
    cut = _whole(shared)

    def chunks(pid: int) -> Iterator[bytes]:
        os.kill(pid, signal.SIGSTOP)
        for _ in range(20):
            yield bytes(1 << 18)
        raise NodeError("given up")

    def give_up() -> None:
        with decoding(tmp_path, 1 << 30) as (decode, _):
            assert isinstance(decode, partial)
            try:
                decode(chunks(decode.args[0].pid), cut, tmp_path / "part")
            except NodeError as error:
                ended.append(str(error))

    (trying := threading.Thread(target=give_up, daemon=True)).start()
    trying.join(FRAME_S)
    assert ended == ["given up"]


def test_no_more_than_a_backlog_waits_for_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbed.node.parts.coded.BACKLOG_BYTES", 3000)
    may_go = threading.Event()

    class Slow:
        def feed(self, _: bytes) -> None:
            may_go.wait(FRAME_S)

    feeding = Feeding(cast(DecodingWorker, Slow()))
    for _ in range(4):
        feeding.feed(bytes(1000))
    (more := threading.Thread(target=feeding.feed, args=(bytes(1000),))).start()
    more.join(0.05)
    assert more.is_alive()
    may_go.set()
    more.join()
    feeding.finish()
    feeding.close()
    assert feeding.most_bytes == 4000


def test_parts_that_are_fetched_at_once_come_one_after_another(loader: Loader) -> None:
    loader.coder = "int8"
    loader.load([WHOLE], 0, fetched=[WHOLE])
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(lambda _: loader.deliver(WHOLE, FRAME_S), range(2))
    assert one.decoded.sha256 == other.decoded.sha256


def test_a_part_may_be_fetched_without_a_deadline(shared: Splits, loader: Loader) -> None:
    loader.coder = "int8"
    loader.load([WHOLE], 0, fetched=[WHOLE])
    request = Delivery(span=nodes_pb2.Span(first=0, last=LAYERS), coder="int8")
    stub = nodes_pb2_grpc.PartsStub(shared.pair.nodes["ue"].channel)
    assert stub.Receive(request).decoded.bytes


@contextmanager
def cut_off(port: int, after: int, times: int) -> Iterator[str]:
    """Where connections to `port` are reset after so many bytes from there, the first of them."""
    with socket.create_server(("127.0.0.1", 0)) as door, ExitStack() as stack:
        threading.Thread(
            target=_forward, args=(door, port, after, times, stack), daemon=True
        ).start()
        yield f"127.0.0.1:{door.getsockname()[1]}"


def _forward(door: socket.socket, port: int, after: int, times: int, stack: ExitStack) -> None:
    for place in count():
        try:
            near, _ = door.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", port))
        for end in (near, far):
            stack.callback(end.close)
        left = after if place < times else 1 << 40
        threading.Thread(target=_pump, args=(near, far, 1 << 40), daemon=True).start()
        threading.Thread(target=_pump, args=(far, near, left), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, left: int) -> None:
    with suppress(OSError):
        while left > 0 and (data := source.recv(1 << 16)):
            sink.sendall(data)
            left -= len(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def fetched(parcel: Parcel, times: int, after: int) -> Iterator[Fetch]:
    """A part, from a node whose connection is cut off so often, `after` some bytes."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=CHANNEL_OPTIONS)
    sender = DataService(cast(Passing, None), lambda _span, _coder: parcel, 0)
    sender.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with cut_off(port, after, times) as address:
            node = Dialled("edge", address)
            yield node.part(Delivery(span=nodes_pb2.Span(first=0, last=1)))
            node.close()
    finally:
        server.stop(0).wait()


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    (file := tmp_path / "sent").write_bytes(np.random.default_rng(0).bytes(900_000))
    return Parcel(nodes_pb2.PartHeader(bytes=900_000), file)


def test_a_part_that_is_cut_off_goes_on_where_it_was(parcel: Parcel) -> None:
    assert parcel.file is not None
    with fetched(parcel, times=2, after=400_000) as fetch:
        header, *data = fetch
    assert header.header.bytes == 900_000
    assert b"".join(piece.data for piece in data) == parcel.file.read_bytes()
    assert fetch.resumed == 2


def test_what_is_lacking_of_a_part_goes_on_where_it_was(tmp_path: Path) -> None:
    state = {"a": weights(300, 300), "b": weights(300, 400)}
    stream = coded("dummy", state)
    (file := tmp_path / "sent").write_bytes(stream)
    parcel = Parcel(nodes_pb2.PartHeader(bytes=len(stream), coder="dummy"), file)
    have = by_hash({"a": state["a"]})
    with fetched(parcel, times=1, after=400_000) as fetch:
        fetch.without(have)
        header, *data = fetch
    came = b"".join(piece.data for piece in data)
    assert header.header.bytes == len(came) < len(stream) - 300 * 300 * 4 + 100
    assert header.header.sha256 == hashlib.sha256(came).digest()
    assert fetch.resumed == 1
    rebuilding = Rebuilding(rebuilt := io.BytesIO(), held=have)
    rebuilding.feed(came)
    rebuilding.finish()
    assert rebuilt.getvalue() == b"".join(model_of(state).file())
    assert [*tmp_path.iterdir()] == [file]


def test_a_part_that_is_given_up_before_it_is_begun_does_not_come(parcel: Parcel) -> None:
    with fetched(parcel, times=0, after=1 << 30) as fetch:
        fetch.cancel()
        with pytest.raises(NodeError, match="CANCELLED"):
            list(fetch)


def test_a_part_that_is_given_up_while_the_link_is_out_does_not_go_on(
    parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = grpc.channel_ready_future

    def out(channel: grpc.Channel) -> object:
        fetch.cancel()
        return ready(channel)

    monkeypatch.setattr(grpc, "channel_ready_future", out)
    with (
        fetched(parcel, times=1, after=400_000) as fetch,
        pytest.raises(NodeError, match="CANCELLED"),
    ):
        list(fetch)


def test_nobody_who_has_left_fetches_a_part() -> None:
    dialled, wanted = Dialled("edge", "127.0.0.1:1"), WANTED.set(lambda: False)
    try:
        with pytest.raises(NodeError, match="nobody waits"):
            dialled.part(Delivery())
    finally:
        WANTED.reset(wanted)
        dialled.close()


def test_too_many_hashes_are_refused(parcel: Parcel) -> None:
    parcel.header.coder = "dummy"
    with fetched(parcel, times=0, after=1 << 30) as fetch:
        fetch.without(bytes(32) for _ in range(MOST_HAVE + 1))
        with pytest.raises(NodeError, match=f"refused {MOST_HAVE + 1} hashes"):
            list(fetch)


def test_a_part_of_which_no_more_comes_is_given_up(parcel: Parcel) -> None:
    with fetched(parcel, times=1 << 30, after=200_000) as fetch:
        with pytest.raises(NodeError, match="UNAVAILABLE"):
            list(fetch)
        assert fetch.resumed <= IN_VAIN


class CutOff(nodes_pb2_grpc.DataServicer):
    """Sends the header of `parcel` alone so many `times`, then all of it."""

    def __init__(self, parcel: Parcel, times: int) -> None:
        self.parcel, self.left = parcel, times

    def DeliverPart(  # noqa: N802  gRPC's name
        self, request: Delivery, context: grpc.ServicerContext
    ) -> Iterator[nodes_pb2.PartPiece]:
        header, *pieces = self.parcel.pieces(request.offset)
        yield header
        if self.left:
            self.left -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut off")
        yield from pieces


@pytest.mark.parametrize("times", [IN_VAIN, IN_VAIN + 1])
def test_a_part_may_be_cut_off_in_vain_so_often(parcel: Parcel, times: int) -> None:
    server = grpc.server(ThreadPoolExecutor(1), options=CHANNEL_OPTIONS)
    nodes_pb2_grpc.add_DataServicer_to_server(CutOff(parcel, times), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    node = Dialled("edge", f"127.0.0.1:{port}")
    fetch = node.part(Delivery(span=nodes_pb2.Span(first=0, last=1)))
    with nullcontext() if times <= IN_VAIN else pytest.raises(NodeError, match="cut off"):
        _header, *data = fetch
        assert parcel.file is not None
        assert b"".join(piece.data for piece in data) == parcel.file.read_bytes()
    assert fetch.resumed == IN_VAIN
    node.close()
    server.stop(0).wait()
