"""Coders of a model over links: what arrived on the UE, how long that took, and what it reaches."""

import json
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.measure.arriving import Arrival, Arriving
from orchestrator.measure.conditions import conditions
from orchestrator.results.judgement.disturbance import busy_by
from orchestrator.results.judgement.validity import MIN_OVER_BOUND
from orchestrator.results.records import segment_of
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.testbed import Testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.row import ModelRow
from splitbed.errors import NodeError
from splitbed.timeline import clock_id
from splitbed.v1 import nodes_pb2

CELLS_FILE, CONDITIONS_FILE = "cells.jsonl", "conditions.json"
_Row = TypeVar("_Row", bound=ModelRow)


class Crossing:
    """Takes models over every link of a testbed; raw records go to ``folder``."""

    def __init__(self, bed: Testbed, scenario: AnchorScenario, folder: RunFolder) -> None:
        self._bed, self._scenario, self._folder = bed, scenario, folder
        config = scenario.config
        self._links = [first for first, *_ in config.flow_links]
        facts = conditions(bed.pair, bed.link.backend)
        folder.replace(CONDITIONS_FILE, facts.json(indent=2))
        self._arriving = Arriving(bed, {"ue": config.ue_threads, "edge": config.edge_threads})

    def run(self, row: ModelRow, rebuilt: Path) -> Iterator[ModelRow]:
        """A row for each link, of a coder whose row without one is given, and its model here.

        What goes wrong over one link is in its row.
        """
        coded: nodes_pb2.CodedPart | None = None
        for link in self._links:
            try:
                if coded is None:
                    coded = self.ready(row.coder_name)
                if row.model_peak_bytes is None:
                    row = replace(row, model_peak_bytes=self._arriving.memory(rebuilt))
                crossed = self.over(row, link, coded)
                row = replace(row, ue_perf=crossed.ue_perf)
            except NodeError as error:
                coded, crossed = None, self.broken(row, link, error)
            yield crossed

    def ready(self, coder: str) -> nodes_pb2.CodedPart:
        """What the edge says of the coder's bitstream, which it has ready. Raises NodeError."""
        return self._arriving.ready(coder)

    def over(
        self,
        row: _Row,
        link: LinkSpec,
        coded: nodes_pb2.CodedPart,
        during: AbstractContextManager[None] | None = None,
    ) -> _Row:
        """The row over a link of what is ready; `during` is open while it is on its way.

        The UE's model is judged where the row does not say yet what it reaches. Raises NodeError.
        """
        arrival = self._arriving.over(link, coded, during)
        if row.ue_perf is None:
            places = range(len(self._bed.model.inputs))
            results = {place: self._arriving.infer(place) for place in places}
            row = replace(row, ue_perf=self._scenario.judged(results))
        self._keep(row, arrival)
        here = self._bed.pair.ue.clock == clock_id()
        return row_of(row, arrival, here=here)

    def failed(self, row: _Row, link: LinkSpec, error: NodeError) -> _Row:
        """The row of what could not be sent."""
        return replace(_over(row, link), ue_perf=None, valid=False, fault=str(error))

    def broken(self, row: _Row, link: LinkSpec, error: NodeError) -> _Row:
        """The same, and nodes that are as new before anything is :meth:`ready` on them."""
        self._arriving.give_up()
        return self.failed(row, link, error)

    def infer(self) -> None:
        """Run the first input through the model that the UE has. Raises NodeError."""
        self._arriving.infer()

    def _keep(self, row: ModelRow, arrival: Arrival) -> None:
        received = arrival.received
        told = {
            "coder": row.coder_name,
            "link": arrival.link.model_dump(mode="json"),
            "proofs": [proof.plain() for proof in arrival.proofs],
            "encoded": {"bytes": arrival.coded.bytes, "encode_ms": arrival.coded.encode_ms},
            "receive_ms": received.receive_ms,
            "link_ms": received.link_ms,
            "decode_ms": received.decoded.decode_ms,
            "open_ms": arrival.open_ms,
            "first_inference_ms": arrival.first_ms,
            "machine": arrival.machine.plain(),
        }
        self._folder.append(CELLS_FILE, json.dumps(told).encode())


def row_of(row: _Row, arrival: Arrival, *, here: bool) -> _Row:
    """The row with what arrived over a link; `here`: the UE is on the machine that judged it."""
    received, decoded = arrival.received, arrival.received.decoded
    bytes_ms = wire_ms(arrival.coded.bytes, arrival.link.downlink, *segment_of(arrival.proofs))
    bound_ms = arrival.link.uplink.delay_ms + bytes_ms
    fault, remarks = _judged(row, arrival, bound_ms, here=here)
    return replace(
        _over(row, arrival.link),
        link_down_mbit=arrival.proofs[0].downlink_mbit,
        encode_ms=arrival.coded.encode_ms,
        link_ms=received.link_ms,
        link_bound_ms=bound_ms,
        decode_ms=decoded.decode_ms,
        decode_tail_ms=received.receive_ms - received.link_ms,
        open_ms=arrival.open_ms,
        first_inference_ms=arrival.first_ms,
        startup_ms=arrival.startup_ms,
        decoder_peak_bytes=decoded.peak_bytes,
        resumed=received.resumed,
        disturbed="; ".join(busy_by(arrival.machine)),
        remark="; ".join(remarks),
        valid=row.valid and not fault,
        fault=row.fault or fault,
    )


def _judged(
    row: ModelRow, arrival: Arrival, bound_ms: float, *, here: bool
) -> tuple[str, list[str]]:
    """What is wrong with it, and what it says of itself."""
    received, remarks = arrival.received, list[str]()
    fault = next((proof.fault for proof in arrival.proofs if proof.fault), "")
    if received.link_ms < MIN_OVER_BOUND * bound_ms:
        fault = "it came faster than physics: the link was not as asked"
    if received.decoded.sha256.hex() != row.rec_sha256:
        fault = "the UE rebuilt another model than was rebuilt where it was encoded"
    elif not _equal(row.ue_perf, row.rec_perf):
        differs = "the same model reaches something else on the UE than where it was encoded"
        if here:
            fault = differs
        else:
            remarks.append(f"{differs}, which is another machine")
    if _unknown(row.rec_perf) or _unknown(row.ue_perf):
        remarks.append("nothing in its inputs judges it")
    if received.resumed:
        remarks.append("it was cut off, and its times are longer for it")
    return fault, remarks


def _equal(one: float | None, other: float | None) -> bool:
    """Whether they are; what nothing judged may be anything."""
    return one == other or _unknown(one) or _unknown(other)


def _unknown(value: float | None) -> bool:
    return value is not None and math.isnan(value)


def _over(row: _Row, link: LinkSpec) -> _Row:
    down = link.downlink
    return replace(row, bw_mbit=down.rate_mbit, delay_ms=down.delay_ms, loss_pct=down.loss_pct)
