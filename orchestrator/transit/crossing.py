"""A model in transit: encoded on the edge, over the proved link, decoded, opened and run on the UE.

    edge: encode ─▲─ link ─▼─ UE: decode as it comes, open, first inference, all other inputs

It travels as the part of all layers, as parts do for a sweep.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING
from orchestrator.measure.cell import proved
from orchestrator.measure.time_limits import allowed_s, window_bytes
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import ProofRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.loading.assignments import assignment_messages
from orchestrator.testbed.loading.loader import Loader, Placed
from orchestrator.testbed.testbed import Testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.row import ModelRow
from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.tensors import Tensors
from splitbed.timeline import Stage, Timeline
from splitbed.v1 import nodes_pb2
from splitbed.wire import tensors_of

CELLS_FILE = "cells.jsonl"
INFER_S = 60.0
_Row = TypeVar("_Row", bound=ModelRow)


@dataclass(frozen=True)
class _Start:
    """What the UE said of a delivery, of opening the model, and of its first inference."""

    received: nodes_pb2.PartReceived
    open_ms: float
    first_ms: float

    @property
    def startup_ms(self) -> float:
        """From the request to the first result."""
        return self.received.receive_ms + self.open_ms + self.first_ms


class Crossing:
    """Takes models over every link of a testbed; raw records go to ``folder``."""

    def __init__(self, bed: Testbed, scenario: AnchorScenario, folder: RunFolder) -> None:
        self._bed, self._scenario, self._folder = bed, scenario, folder
        config = scenario.config
        self._links = config.links
        self._loader = Loader(
            bed.pair, bed.model, {"ue": config.ue_threads, "edge": config.edge_threads}
        )
        self._numbers = 0

    def run(self, row: ModelRow) -> Iterator[ModelRow]:
        """A row for each link, of a coder whose row without one is given."""
        try:
            coded = self.ready(row.coder_name)
        except NodeError as error:
            self._bed.interruption.check()
            yield from (self.failed(row, link, error) for link in self._links)
            return
        perf: float | None = None
        for link in self._links:
            try:
                crossed = self.over(replace(row, ue_perf=perf), link, coded)
            except NodeError as error:
                crossed = self.broken(row, link, error)
                coded = self.ready(row.coder_name)
            perf = crossed.ue_perf if perf is None else perf
            yield crossed

    @property
    def _placed(self) -> Placed:
        return self._bed.pair.user, Span(0, self._bed.model.graph.n)

    def ready(self, coder: str) -> nodes_pb2.CodedPart:
        """What the edge says of the coder's bitstream, which it has ready. Raises NodeError."""
        self._loader.coder = coder
        ready = self._loader.load([self._placed], 0, fetched=[self._placed])
        return ready[self._placed].coded[0]

    def failed(self, row: _Row, link: LinkSpec, error: NodeError) -> _Row:
        """The row of what could not be sent."""
        return replace(_over(row, link), ue_perf=None, valid=False, fault=str(error))

    def broken(self, row: _Row, link: LinkSpec, error: NodeError) -> _Row:
        """The same, and nodes that are as new."""
        self._bed.interruption.check()
        self._bed.pair.restart()
        return self.failed(row, link, error)

    def infer(self) -> None:
        """Run the first input through the model that the UE has. Raises NodeError."""
        self._bed.pair.run_frame(0, 0, INFER_S, self._numbers)
        self._bed.interruption.check()

    def over(
        self,
        row: _Row,
        link: LinkSpec,
        coded: nodes_pb2.CodedPart,
        during: AbstractContextManager[None] | None = None,
    ) -> _Row:
        """The row over a link of what is ready; `during` is open while it is on its way.

        Raises NodeError.
        """
        bed, down = self._bed, link.downlink
        bed.shape([link])
        timeout_s = allowed_s(wire_ms(coded.bytes, down), lossy=bool(down.loss_pct))
        opening = min(coded.bytes, window_bytes(link, hop="downlink"))
        bed.pair.warm_link({"downlink": opening}, timeout_s)
        before = proved(bed, Watcher(), [link])
        start = self._started(link, timeout_s, during or nullcontext())
        if row.ue_perf is None:
            row = replace(row, ue_perf=self._performance(timeout_s))
        proofs = *before, *proved(bed, Watcher(), [link])
        self._keep(row, link, proofs, start, coded)
        return _row(row, link, proofs, start, coded)

    def _started(
        self, link: LinkSpec, timeout_s: float, during: AbstractContextManager[None]
    ) -> _Start:
        with during:
            received = self._loader.deliver(self._placed, timeout_s)
        loaded = self._loader.open(self._placed[0], warmup=0)
        n = self._bed.model.graph.n
        asked = Configuration(n, n, DEVICE_ANCHOR, NOTHING, link)
        self._numbers += 1
        self._bed.pair.assign(assignment_messages(self._numbers, asked, self._bed.model, {}), ())
        said = self._bed.pair.run_frame(0, 0, timeout_s, self._numbers)
        stages = [Stage(one.name, one.start_ns, one.end_ns) for one in said.stages]
        return _Start(received, loaded.load_ms, Timeline(stages).e2e_ms)

    def _performance(self, timeout_s: float) -> float:
        """What the model that the UE has reaches on all inputs."""
        results: dict[int, Tensors] = {}
        for place in range(len(self._bed.model.inputs)):
            said = self._bed.pair.run_frame(place, place, timeout_s, self._numbers)
            results[place] = tensors_of(said.result)
            self._bed.interruption.check()
        return self._scenario.judged(results)

    def _keep(
        self,
        row: ModelRow,
        link: LinkSpec,
        proofs: Sequence[ProofRecord],
        start: _Start,
        coded: nodes_pb2.CodedPart,
    ) -> None:
        told = {
            "coder": row.coder_name,
            "link": link.model_dump(mode="json"),
            "proofs": [proof.plain() for proof in proofs],
            "encoded": {"bytes": coded.bytes, "encode_ms": coded.encode_ms},
            "receive_ms": start.received.receive_ms,
            "link_ms": start.received.link_ms,
            "decode_ms": start.received.decoded.decode_ms,
            "open_ms": start.open_ms,
            "first_inference_ms": start.first_ms,
        }
        self._folder.append(CELLS_FILE, json.dumps(told).encode())


def _row(
    row: _Row,
    link: LinkSpec,
    proofs: Sequence[ProofRecord],
    start: _Start,
    coded: nodes_pb2.CodedPart,
) -> _Row:
    received, decoded = start.received, start.received.decoded
    fault = next((proof.fault for proof in proofs if proof.fault), "")
    if decoded.sha256.hex() != row.rec_sha256:
        fault = "the UE rebuilt another model than was rebuilt where it was encoded"
    elif row.ue_perf != row.rec_perf:
        fault = "the same model reaches something else on the UE than where it was encoded"
    return replace(
        _over(row, link),
        link_mbit=proofs[0].downlink_mbit,
        encode_ms=coded.encode_ms,
        link_ms=received.link_ms,
        link_bound_ms=wire_ms(coded.bytes, link.downlink),
        decode_ms=decoded.decode_ms,
        decode_tail_ms=received.receive_ms - received.link_ms,
        open_ms=start.open_ms,
        first_inference_ms=start.first_ms,
        startup_ms=start.startup_ms,
        decoder_peak_bytes=decoded.peak_bytes,
        resumed=received.resumed,
        valid=row.valid and not fault,
        fault=row.fault or fault,
    )


def _over(row: _Row, link: LinkSpec) -> _Row:
    down = link.downlink
    return replace(row, bw_mbit=down.rate_mbit, delay_ms=down.delay_ms, loss_pct=down.loss_pct)
