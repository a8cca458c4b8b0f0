"""Clients of the Open Inference Protocol: what a UE node answers them, and what it refuses."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event, Semaphore
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.ask.load import Load
from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.node.config import Limits
from splitbed.node.model_info import ModelInfo
from splitbed.node.stations.queues import Queues
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import inference_pb2 as oip
from splitbed.v1 import nodes_pb2
from splitbed.v1.inference_pb2_grpc import GRPCInferenceServiceStub
from splitbed.wire import max_abs_diff, whole_tensors
from splitbed.workers.wanted import check_wanted
from tests.node.loopback import SIDE, Splits, loopback_pair
from tests.shared_machine import HANG_S, until
from ue_node.inference.service import InferenceService

SHAPE = (1, 3, SIDE, SIDE)
ANSWER_S = 20.0


@contextmanager
def client(splits: Splits) -> Iterator[Any]:
    """What calls the UE's node; its methods are set when it is made."""
    with grpc.insecure_channel(splits.pair.ue.infer) as channel:
        yield GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair"), clients=True) as both:
        (splits := Splits(*both)).load(3)
        splits.parts.assign(splits.last, clients=True)
        yield splits


@pytest.fixture
def ue(served: Splits) -> Iterator[Any]:
    with client(served) as stub:
        yield stub


def picture(seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def asking(array: npt.NDArray[np.generic], **changed: object) -> oip.ModelInferRequest:
    """For what the model makes of a picture."""
    request = oip.ModelInferRequest(model_name="small", id="mine")
    request.inputs.add(name="image", datatype="FP32", shape=array.shape)
    request.raw_input_contents.append(array.tobytes())
    request.MergeFrom(oip.ModelInferRequest(**changed))  # type: ignore[arg-type]
    return request


def output(answer: oip.ModelInferResponse) -> npt.NDArray[np.float32]:
    [told] = answer.outputs
    assert (told.name, told.datatype, [*told.shape]) == ("scores", "FP32", [1, 8, 1, 1])
    return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(told.shape)


def is_right(
    answer: oip.ModelInferResponse, served: Splits, array: npt.NDArray[np.float32]
) -> bool:
    """Whether it is what the whole model makes of the picture, here."""
    whole = served.model.part(Span(0, served.model.graph.n))
    with served.model.session(whole, 1) as session:
        expected = session.run({"image": array})
    return max_abs_diff({"scores": output(answer)}, expected) < 1e-3


def test_a_client_gets_what_the_whole_model_makes_of_its_tensors(ue: Any, served: Splits) -> None:
    answer = ue.ModelInfer(asking(picture(1)), timeout=ANSWER_S)
    assert (answer.model_name, answer.model_version, answer.id) == ("small", "1", "mine")
    assert is_right(answer, served, picture(1))


def test_typed_contents_are_as_good_as_raw_ones(ue: Any) -> None:
    typed = asking(picture(2))
    del typed.raw_input_contents[:]
    typed.inputs[0].contents.fp32_contents.extend(picture(2).ravel().tolist())
    told = [ue.ModelInfer(one, timeout=ANSWER_S) for one in (typed, asking(picture(2)))]
    assert np.array_equal(output(told[0]), output(told[1]))


def test_metadata_tell_what_to_send_and_what_comes(ue: Any) -> None:
    assert ue.ServerLive(oip.ServerLiveRequest()).live
    assert ue.ServerReady(oip.ServerReadyRequest()).ready
    assert ue.ServerMetadata(oip.ServerMetadataRequest()).name == "splitbed"
    model = ue.ModelMetadata(oip.ModelMetadataRequest(name="small"))
    assert (model.name, [*model.versions], model.platform) == ("small", ["1"], "splitbed_onnx")
    [takes], [gives] = model.inputs, model.outputs
    assert (takes.name, takes.datatype, (*takes.shape,)) == ("image", "FP32", SHAPE)
    assert (gives.name, gives.datatype, [*gives.shape]) == ("scores", "FP32", [1, 8, 1, 1])


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("small", "", True), ("small", "1", True), ("small", "2", False), ("large", "", False)],
)
def test_a_model_is_ready_by_its_name(ue: Any, name: str, version: str, ready: bool) -> None:
    asked = oip.ModelReadyRequest(name=name, version=version)
    assert ue.ModelReady(asked).ready == ready


def test_only_the_outputs_that_are_asked_for_come(ue: Any) -> None:
    Wanted = oip.ModelInferRequest.InferRequestedOutputTensor  # noqa: N806  a message's type
    answer = ue.ModelInfer(asking(picture(1), outputs=[Wanted(name="scores")]), timeout=ANSWER_S)
    assert [one.name for one in answer.outputs] == ["scores"]
    with pytest.raises(grpc.RpcError, match="refused to give the output 'boxes'"):
        ue.ModelInfer(asking(picture(1), outputs=[Wanted(name="boxes")]), timeout=ANSWER_S)


def _with(**changed: Any) -> oip.ModelInferRequest:
    """Whose one input is otherwise."""
    request = asking(picture(1))
    for key, value in changed.items():
        if key == "shape":
            request.inputs[0].shape[:] = value
        elif key == "raw":
            del request.raw_input_contents[:]
            request.raw_input_contents.extend(value)
        elif key == "values":
            request.inputs[0].contents.fp32_contents.extend(value)
        else:
            setattr(request.inputs[0], key, value)
    return request


REFUSED = {
    "too many outputs": (asking(picture(1), outputs=[{}] * 4097), "4097 outputs: at most 4096"),
    "another model": (asking(picture(1), model_name="large"), "no model 'large'"),
    "another version": (asking(picture(1), model_version="2"), "of version '2'"),
    "another shape": (_with(shape=[1, 3, SIDE, SIDE - 1]), "expected image"),
    "another rank": (_with(shape=[3, SIDE, SIDE]), "expected image"),
    "a negative size": (_with(shape=[-1, 3, SIDE, SIDE]), "impossible shape"),
    "two gigabytes": (_with(shape=[1, 3, 1 << 14, 1 << 14]), "the limit|expected image"),
    "beyond any memory": (_with(shape=[1 << 62, 4]), "over the limit"),
    "another datatype": (_with(datatype="FP64"), "expected image"),
    "no such datatype": (_with(datatype="BYTES"), "datatype 'BYTES'"),
    "another name": (_with(name="picture"), "expected image"),
    "too few bytes": (_with(raw=[b"1234"]), "4 bytes, and FP32"),
    "no contents": (_with(raw=[]), "0 values in fp32_contents"),
    "contents of another": (_with(raw=[b"", b""]), "2 raw contents of 1 inputs"),
    "raw and typed ones": (_with(values=[1.0]), "no typed contents beside"),
    "too many values": (_with(raw=[], values=[1.0] * 1000), "1000 values in fp32_contents"),
    "no input": (oip.ModelInferRequest(model_name="small"), "nothing; expected image"),
    "a parameter": (
        asking(picture(1), parameters={"sequence_id": oip.InferParameter(int64_param=1)}),
        "with parameters",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_and_the_next_request_is_fine(ue: Any, case: str) -> None:
    request, why = REFUSED[case]
    with pytest.raises(grpc.RpcError, match=why) as refused:
        ue.ModelInfer(request, timeout=ANSWER_S)
    code: grpc.StatusCode = refused.value.code()
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert output(ue.ModelInfer(asking(picture(1)), timeout=ANSWER_S)).any()


def test_several_clients_at_once_get_each_what_is_theirs(served: Splits) -> None:
    def ask(seed: int) -> oip.ModelInferResponse:
        with client(served) as own:
            answer: oip.ModelInferResponse = own.ModelInfer(asking(picture(seed)), timeout=ANSWER_S)
        return answer

    with ThreadPoolExecutor(4) as threads:
        for seed, answer in enumerate(threads.map(ask, range(8))):
            assert is_right(answer, served, picture(seed))


def test_the_ue_says_how_many_it_has_answered(served: Splits) -> None:
    ue = served.pair.nodes["ue"]
    before = ue.ended_frames()
    with client(served) as own:
        for seed in range(3):
            own.ModelInfer(asking(picture(seed)), timeout=ANSWER_S)
    after = ue.ended_frames()
    assert before is not None
    assert after == (before[0] + 3, before[1])


def test_without_a_split_nothing_is_ready(tmp_path: Path) -> None:
    with loopback_pair(tmp_path, clients=True) as both, client(splits := Splits(*both)) as ue:
        assert ue.ServerLive(oip.ServerLiveRequest()).live
        assert not ue.ServerReady(oip.ServerReadyRequest()).ready
        for layers in (0, 2):  # nothing is assigned, then what a sweep assigns
            if layers:
                splits.load(layers)
            assert not ue.ServerReady(oip.ServerReadyRequest()).ready
            with pytest.raises(grpc.RpcError, match="no split is here for clients"):
                ue.ModelInfer(asking(picture(1)), timeout=ANSWER_S)
        assert splits.run(1).frame == 1
        splits.parts.assign(splits.last, clients=True)
        assert ue.ServerReady(oip.ServerReadyRequest()).ready


def test_requests_under_way_are_finished_when_the_split_is_taken_back(served: Splits) -> None:
    def ask(seed: int) -> bool:
        """Until it is refused; whether all before were right."""
        with client(served) as own:
            try:
                while np.array_equal(output(own.ModelInfer(asking(picture(seed)))), expected[seed]):
                    begun.release()
            except grpc.RpcError as error:
                return "clients" in str(error)
        return False

    begun, expected = Semaphore(0), list[npt.NDArray[np.float32]]()
    usual = served.last
    served.parts.assign(last := replace(usual, load=Load(in_flight=2)), clients=True)
    try:
        with client(served) as own:
            for seed in range(4):
                answer = own.ModelInfer(asking(picture(seed)), timeout=ANSWER_S)
                assert is_right(answer, served, picture(seed))
                expected.append(output(answer))
        with ThreadPoolExecutor(4) as threads:
            asking_on = [threads.submit(ask, seed) for seed in range(4)]
            for _ in range(8):
                assert begun.acquire(timeout=HANG_S)
            served.parts.assign(last, keep=[served.parts.assignment(last)])
            until(lambda: served.pair.nodes["ue"].frames() == 0)
            assert all(one.result(HANG_S) for one in asking_on)
    finally:
        served.parts.assign(usual, clients=True)


class Caller:
    """Of a call in this process; he may give up."""

    def __init__(self) -> None:
        self._told: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._told.append(callback)
        return True

    def is_active(self) -> bool:
        return bool(self._told)

    def peer(self) -> str:
        return "here"

    def abort(self, _code: grpc.StatusCode, words: str) -> None:
        raise NodeError(words)

    def give_up(self) -> None:
        told, self._told = self._told, []
        for one in told:
            one()


class Held:
    """A split, the frames of which wait until they are let go."""

    def __init__(self) -> None:
        image, scores = (
            TensorInfo("image", "FP32", SHAPE),
            TensorInfo("scores", "FP32", (1, 8, 1, 1)),
        )
        model = ModelInfo(6, (image,), (scores,), "tensors", "onnx", "small")
        self.served = SimpleNamespace(model=model, queues=Queues(in_flight=2, most=2))
        self.frames, self.begun, self.let_go = self, Semaphore(0), Event()
        self.asked = Barrier(2)
        self.ended = 0

    def infer(self, _served: object, _tensors: Tensors) -> nodes_pb2.FrameRecord:
        self.begun.release()
        assert self.let_go.wait(HANG_S)
        check_wanted()
        self.asked.wait(HANG_S)  # neither is answered, and gone, before the other has asked
        scores = np.zeros((1, 8, 1, 1), np.float32)
        return nodes_pb2.FrameRecord(result=whole_tensors({"scores": scores}))

    def cancel(self) -> None:
        self.ended += 1


@pytest.mark.parametrize("leaving", [1, 2])
def test_frames_under_way_go_to_their_end_while_anybody_wants_one_of_them(leaving: int) -> None:
    held, callers = Held(), [Caller(), Caller()]
    service: Any = InferenceService(held, Limits())  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(service.ModelInfer, asking(picture(0)), one) for one in callers]
        for _ in callers:
            assert held.begun.acquire(timeout=HANG_S)
        for one in callers[:leaving]:
            one.give_up()
        held.let_go.set()
        if leaving < len(callers):
            assert all(one.result(HANG_S).outputs for one in asked)
        else:
            assert all("given up" in str(one.exception(HANG_S)) for one in asked)
    assert held.ended == (leaving == len(callers))  # who waits for a silent node is let go


def test_a_request_for_outputs_that_there_are_not_costs_no_frame() -> None:
    held = Held()
    service: Any = InferenceService(held, Limits())  # type: ignore[arg-type]
    wanted = [oip.ModelInferRequest.InferRequestedOutputTensor(name="boxes")]
    with pytest.raises(NodeError, match="refused to give the output 'boxes'"):
        service.ModelInfer(asking(picture(0), outputs=wanted), Caller())
    assert not held.begun.acquire(blocking=False)


def test_who_gives_up_leaves_the_requests_under_way_with_his_alone(served: Splits) -> None:
    last = served.last
    served.parts.assign(replace(last, load=Load(in_flight=4)), clients=True)
    try:
        with client(served) as impatient, client(served) as patient:
            asked = [impatient.ModelInfer.future(asking(picture(0))) for _ in range(4)]
            kept = [patient.ModelInfer.future(asking(picture(seed))) for seed in range(4)]
            for one in asked:
                one.cancel()
            for seed, one in enumerate(kept):
                assert is_right(one.result(ANSWER_S), served, picture(seed))
    finally:
        served.parts.assign(last, clients=True)
