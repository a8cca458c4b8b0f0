"""Coders of a model over links: what arrived on the UE, how long that took, and what it reaches."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.measure.arriving import Arrival, Arriving
from orchestrator.measure.conditions import conditions
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.testbed import Testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.row import ModelRow
from splitbed.errors import NodeError
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
        """A row for each link, of a coder whose row without one is given, and its model here."""
        try:
            coded = self.ready(row.coder_name)
            memory = self._arriving.memory(rebuilt)
        except NodeError as error:
            self._bed.interruption.check()
            yield from (self.failed(row, link, error) for link in self._links)
            return
        row = replace(row, model_peak_bytes=memory)
        perf: float | None = None
        for link in self._links:
            try:
                crossed = self.over(replace(row, ue_perf=perf), link, coded)
            except NodeError as error:
                crossed = self.broken(row, link, error)
                coded = self.ready(row.coder_name)
            perf = crossed.ue_perf if perf is None else perf
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
        return _row(row, arrival)

    def failed(self, row: _Row, link: LinkSpec, error: NodeError) -> _Row:
        """The row of what could not be sent."""
        return replace(_over(row, link), ue_perf=None, valid=False, fault=str(error))

    def broken(self, row: _Row, link: LinkSpec, error: NodeError) -> _Row:
        """The same, and nodes that are as new."""
        self._arriving.restart()
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
        }
        self._folder.append(CELLS_FILE, json.dumps(told).encode())


def _row(row: _Row, arrival: Arrival) -> _Row:
    received, decoded = arrival.received, arrival.received.decoded
    fault = next((proof.fault for proof in arrival.proofs if proof.fault), "")
    if decoded.sha256.hex() != row.rec_sha256:
        fault = "the UE rebuilt another model than was rebuilt where it was encoded"
    elif row.ue_perf != row.rec_perf:
        fault = "the same model reaches something else on the UE than where it was encoded"
    return replace(
        _over(row, arrival.link),
        link_mbit=arrival.proofs[0].downlink_mbit,
        encode_ms=arrival.coded.encode_ms,
        link_ms=received.link_ms,
        link_bound_ms=wire_ms(arrival.coded.bytes, arrival.link.downlink),
        decode_ms=decoded.decode_ms,
        decode_tail_ms=received.receive_ms - received.link_ms,
        open_ms=arrival.open_ms,
        first_inference_ms=arrival.first_ms,
        startup_ms=arrival.startup_ms,
        decoder_peak_bytes=decoded.peak_bytes,
        resumed=received.resumed,
        valid=row.valid and not fault,
        fault=row.fault or fault,
    )


def _over(row: _Row, link: LinkSpec) -> _Row:
    down = link.downlink
    return replace(row, bw_mbit=down.rate_mbit, delay_ms=down.delay_ms, loss_pct=down.loss_pct)
