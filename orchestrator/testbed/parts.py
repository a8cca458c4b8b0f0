"""What is loaded on the pair: part 2 on the edge, part 1 brought to the UE and opened there.

Beside them the codec that both nodes use, and the pace of the UE.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from netem.spec import LinkSpec
from orchestrator.ask.config import SweepConfig
from orchestrator.ask.grid import Cell
from orchestrator.ask.pace import Pace
from orchestrator.results.run_folder import Record
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.pair import Pair
from splitbed.codecs.stage import Range
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_message


class Parts:
    """Loads cuts on a pair, each once; with delivery, part 1 crosses every link that is measured.

    ``ranges`` are those of the calibration, ``full_ms`` what the UE takes for the whole model.
    Every method raises NodeError.
    """

    def __init__(self, pair: Pair, model: SweptModel, config: SweepConfig) -> None:
        self._pair = pair
        self._model = model
        self._config = config
        self.ranges: Mapping[str, Range] = {}
        self.full_ms: float | None = None
        self._layers: int | None = None
        self._facts: Record = {}
        self._opened = False
        self._delivered: dict[LinkSpec, Record] = {}
        self._slowed: dict[Pace, Record] = {}

    def forget(self) -> None:
        """The nodes were restarted: nothing is loaded."""
        self._layers = None

    def load(self, layers: int) -> Record:
        """Cut and load, unless the cell before was of the same cut."""
        if self._layers == layers:
            return self._facts
        self._layers = None
        self._delivered.clear()
        self._slowed.clear()
        warmup, threads = self._config.warmup, (self._config.ue_threads, self._config.edge_threads)
        if self._config.delivery:
            edge = self._pair.load_edge(layers, threads=threads[1], warmup=warmup)
            load_ms = edge.load_ms
        else:
            ue, edge = self._pair.load(layers, threads=threads, warmup=warmup)
            load_ms = max(ue.load_ms, edge.load_ms)
        self._layers, self._opened = layers, not self._config.delivery
        self._facts = {
            "part1_bytes": edge.part1_bytes,
            "part2_bytes": edge.part_bytes,
            "load_ms": load_ms,
        }
        return self._facts

    def hold(self, cells: Sequence[Cell]) -> None:
        """Have the cuts of all ``cells`` open at once, each with its codec, without delivery."""
        self._layers = None
        threads = (self._config.ue_threads, self._config.edge_threads)
        for place, cell in enumerate(cells):
            self._pair.load(cell.cut.k, threads=threads, warmup=self._config.warmup, hold=place > 0)
            if cell.crosses:
                self.use_codec(cell)

    def deliver(self, link: LinkSpec, timeout_s: float) -> Record:
        """Send part 1 to the UE over the link as it is now, and open it there if it is another.

        A link that it has crossed already is not taken twice: codec and pace change nothing.
        """
        if not self._config.delivery or self._layers is None:
            return {}
        if link in self._delivered:
            return self._delivered[link]
        received = self._pair.receive_part(self._layers, timeout_s)
        if received.changed or not self._opened:
            ue = self._pair.open_part(self._config.ue_threads, self._config.warmup)
            self._facts["load_ms"] = max(ue.load_ms, self._facts["load_ms"])
            self._opened = True
        facts = {"part1_delivery_ms": received.receive_ms, "load_ms": self._facts["load_ms"]}
        self._delivered[link] = facts
        return facts

    def use_codec(self, cell: Cell) -> None:
        """Let both nodes use the cell's codec, as new."""
        picture = cell.cut.k == 0 and self._model.recipe
        self._pair.use_codec(
            nodes_pb2.CodecRequest(
                codec=cell.codec,
                layers=cell.cut.k,
                channels_last=self._model.channels_last,
                picture=recipe_message(picture) if picture else None,
                ranges=[
                    nodes_pb2.ChannelRanges(
                        tensor=tensor.name,
                        low=self.ranges[tensor.name].low.tolist(),
                        high=self.ranges[tensor.name].high.tolist(),
                    )
                    for tensor in cell.cut.tensors
                    if tensor.name in self.ranges
                ],
            )
        )

    @contextmanager
    def paced(self, cell: Cell) -> Iterator[Record]:
        """Slow the UE for what happens inside; gives what that was measured to do to part 1.

        Raises UsageError for a device that the UE cannot stand in for.
        """
        if not cell.pace.limits:
            yield {}
            return
        if cell.pace in self._slowed:
            # the same limit for every codec and link, or their rows could not be compared
            again = self._request(cell.pace)
            again.cpus = self._slowed[cell.pace]["ue_cpus"]
            self._pair.limit_ue(again, cell.pace.most)
        else:
            self._slowed[cell.pace] = self._measured(cell.pace)
        try:
            yield self._slowed[cell.pace]
        finally:
            self._pair.limit_ue(nodes_pb2.LimitRequest(slowdown=1), 1)

    def _request(self, pace: Pace) -> nodes_pb2.LimitRequest:
        return pace.request(cast(int, self._model.facts["macs"]), self.full_ms)

    def _measured(self, pace: Pace) -> Record:
        request = self._request(pace)
        request.measure = True
        limited = self._pair.limit_ue(request, max(pace.most, request.slowdown))
        facts: Record = {"ue_cpus": limited.cpus}
        if limited.HasField("full_ms") and limited.full_ms > 0:
            facts["ue_slowdown"] = limited.limited_ms / limited.full_ms
        return facts
