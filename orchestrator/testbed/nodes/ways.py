"""Ways that frames go, as the nodes were told, and frames that go them."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, count
from queue import SimpleQueue
from threading import Thread
from typing import Generic, Protocol, Self, TypeVar

import grpc

from orchestrator.ask.load.edge_work import ALONE, EdgeWork
from orchestrator.testbed.loading.assignments import Answered, check_tables, together
from orchestrator.testbed.loading.patience import Answers, Patience
from orchestrator.testbed.loading.sharing import at_node
from orchestrator.testbed.nodes.node import ANSWER_S, Node
from splitbed.errors import NodeError
from splitbed.node.model_info import ModelInfo
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc

_Reply = TypeVar("_Reply")


class Asks(Protocol):
    """Asks a node, whoever else it waits for."""

    def __call__(self, name: str, ask: Callable[[Node], _Reply], what: str) -> _Reply:
        """What the node answers; NodeError where one died, hung or refused."""


class Ways:
    """What the `nodes` do with frames of a `model`, and what these come to.

    Frames begin at a `source` where they were given no way yet; of a `crowd` they meet at the edge.
    Every method raises NodeError when a node died, hung or refused.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        ask: Asks,
        model: ModelInfo,
        source: str,
        *,
        crowd: bool,
    ) -> None:
        self._nodes, self._ask, self._model = nodes, ask, model
        self._source, self._crowd = source, crowd
        self._given: dict[int, Sequence[nodes_pb2.Assignment]] = {}
        """Those that frames go, one to each user, by the number of the first."""
        self._numbers = count(1)
        """Of frames: nodes know them by numbers that only rise, whoever counts anew."""

    def assign(
        self,
        ways: Sequence[nodes_pb2.Assignment],
        keep: Collection[int],
        work: EdgeWork = ALONE,
    ) -> float | None:
        """Tell every node what it does with frames on the `ways` that they go, codecs as new.

        These are known by the number of the first, and so are those to `keep`. Nodes of the network
        share their `work` among frames that meet there; gives how far parts that are run on frames
        together are off from each alone, None where none is.
        """
        self._given = {first: others for first, others in self._given.items() if first in keep}
        self._given[ways[0].number] = ways
        numbers = [one.number for one in chain(*self._given.values())]
        offs: list[float] = []
        for one in ways:
            one.keep.extend(numbers)
            answers = self._assign(one, work)
            offs += [answer.together_off for answer in answers if answer.HasField("together_off")]
        return max(offs, default=None)

    def _assign(
        self, assignment: nodes_pb2.Assignment, work: EdgeWork
    ) -> Iterator[nodes_pb2.Assigned]:
        codecs = ", ".join(one.gives for one in assignment.stations if one.gives)
        for name in dict.fromkeys(station.node for station in assignment.stations):
            told = at_node(assignment, name, work, crowd=self._crowd)
            with self._nodes[name].asked(f"use {codecs or 'no codec'}"):
                stub = rpc.StationsStub(self._nodes[name].channel)
                answer: nodes_pb2.Assigned = stub.Assign(told, timeout=ANSWER_S)
            check_tables(told, answer)
            yield answer

    def source_of(self, assignment: int) -> str:
        """The node where frames of an assignment begin."""
        ways = self._given.get(assignment)
        return ways[0].stations[0].node if ways else self._source

    def run_alone(self, frame: int, input_: int, assignment: int) -> nodes_pb2.FrameRecord:
        """As :meth:`run_frame`, of one station, which has the time that it takes."""
        number = next(self._numbers)
        request = nodes_pb2.FrameRequest(frame=number, input=input_, assignment=assignment)

        def run(node: Node) -> nodes_pb2.FrameRecord:
            return Patience(node).answer(rpc.StationsStub(node.channel).RunFrame.future(request))

        record = self._ask(self.source_of(assignment), run, f"run frame {frame}")
        record.frame = frame
        return record

    def run_next(self, input_: int, timeout_s: float, assignment: int) -> nodes_pb2.FrameRecord:
        """Take one input through as the frame that is next, from several threads at once.

        Of an assignment whose frames end where they begin; one that has these has no others.
        """
        request = nodes_pb2.FrameRequest(input=input_, assignment=assignment)
        return self._ask(
            self.source_of(assignment),
            lambda node: rpc.StationsStub(node.channel).RunFrame(request, timeout=timeout_s),
            f"run a frame in {timeout_s:.0f} s",
        )

    def run_frame(
        self, frame: int, input_: int, timeout_s: float, assignment: int
    ) -> nodes_pb2.FrameRecord:
        """Take one input through the stations of an assignment, as the caller's `frame`.

        May be called from several threads, each with an assignment of its own.
        """
        number, source = next(self._numbers), self.source_of(assignment)
        ways, what = self._given.get(assignment, ()), f"run frame {frame} in {timeout_s:.0f} s"
        request = nodes_pb2.FrameRequest(
            frame=number,
            input=input_,
            assignment=assignment,
            others=[one.number for one in ways[1:]],
        )
        with ExitStack() as stack:
            waiting = [
                (one, stack.enter_context(self._awaited(one, number, timeout_s)))
                for one in ways
                if one.stations[-1].node != source
            ]
            began = self._ask(
                source,
                lambda node: rpc.StationsStub(node.channel).RunFrame(request, timeout=timeout_s),
                what,
            )
            told = [
                (one, self._ask(one.stations[-1].node, _answer(it), what)) for one, it in waiting
            ]
        record = together(told, self._model) if told else began
        record.frame = frame
        return record

    def offer(
        self, request: nodes_pb2.OfferRequest, still_s: float
    ) -> Generator[nodes_pb2.Outcome, None, None]:
        """Have frames begin as they are due, numbered anew; what became of each, as it is known.

        Given up where nothing moves for `still_s`. May be called from several threads, each with an
        assignment of its own. Of a frame that ends elsewhere its source knows that it did, and the
        node where it ended what was done with it.
        """
        request.first = next(self._numbers)
        for _ in request.due_ns or range(request.frames):
            next(self._numbers)  # those of its frames
        source = self._nodes[self.source_of(request.assignment)]
        ways = self._given[request.assignment]
        request.others.extend(one.number for one in ways[1:])
        with ExitStack() as stack:
            ends = [
                stack.enter_context(closing(_End(self._nodes[node], one, self._ask, still_s)))
                for one in ways
                if (node := one.stations[-1].node) != source.side
            ]
            told = Patience(source, still_s).each(rpc.StationsStub(source.channel).Offer(request))
            stack.enter_context(closing(told))
            while some := self._ask(source.side, lambda _: next(told, None), "run a load"):
                for outcome in some.outcomes:
                    if outcome.outcome == "ok" and ends:
                        told_of = [one.record_of(outcome.frame) for one in ends]
                        outcome.record.CopyFrom(together(told_of, self._model))
                    yield outcome

    @contextmanager
    def _awaited(
        self, way: nodes_pb2.Assignment, frame: int, timeout_s: float
    ) -> "Iterator[grpc.Future[nodes_pb2.FrameRecord]]":
        request = nodes_pb2.AwaitRequest(frame=frame, assignment=way.number)
        stub = rpc.StationsStub(self._nodes[way.stations[-1].node].channel)
        waiting = stub.AwaitFrame.future(request, timeout=timeout_s)
        try:
            yield waiting
        finally:
            waiting.cancel()  # or it would wait for a frame that never comes


class _End:
    """What a node says of the frames of a load that end there, asked for from now on."""

    def __init__(self, node: Node, way: nodes_pb2.Assignment, ask: Asks, still_s: float) -> None:
        self._node, self._way, self._ask = node, way, ask
        self._patience = Patience(node, still_s)
        request = nodes_pb2.TakeRequest(assignment=way.number)
        self._call = _Ahead[nodes_pb2.FrameRecords](
            rpc.StationsStub(node.channel).TakeFrames(request)
        )
        self._told: dict[int, nodes_pb2.FrameRecord] = {}

    def record_of(self, frame: int) -> Answered:
        """That of a frame which has ended there."""
        while (found := self._told.pop(frame, None)) is None:
            some = self._ask(
                self._node.side, lambda _: self._patience.next(self._call), f"tell of frame {frame}"
            )
            if some is None:
                raise NodeError(f"the {self._node.side} node told nothing of frame {frame}")
            self._told.update({one.frame: one for one in some.records})
        return self._way, found

    def close(self) -> None:
        """Ask for no more."""
        self._call.cancel()


class _Ahead(Generic[_Reply]):
    """Answers of a call, which are read as they come, whether or not anybody asks for them.

    A node that nobody reads from goes no further: of frames that are lost on another way nobody
    asks where they ended.
    """

    def __init__(self, call: Answers[_Reply]) -> None:
        self._call = call
        self._came = SimpleQueue[_Reply | grpc.RpcError | None]()
        Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Reply:
        one = self._came.get()
        if one is None or isinstance(one, grpc.RpcError):
            self._came.put(one)  # nothing comes behind it
            raise one or StopIteration
        return one

    def cancel(self) -> bool | None:
        """Read no more."""
        return self._call.cancel()

    def _read(self) -> None:
        try:
            for one in self._call:
                self._came.put(one)
            self._came.put(None)
        except grpc.RpcError as error:
            self._came.put(error)


def _answer(future: "grpc.Future[_Reply]") -> Callable[[Node], _Reply]:
    """What was asked of a node already."""
    return lambda _: future.result()
