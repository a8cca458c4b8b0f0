"""Models over links: each delivery is measured, judged on the UE, and written down."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic

from msgspec.structs import replace

from netem.spec import LinkSpec
from orchestrator.measure.arriving import Arriving
from orchestrator.measure.conditions import conditions
from orchestrator.measure.racing.again import MOST_IN_VAIN
from orchestrator.testbed.testbed import Testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.delivery import Delivery, delivered
from orchestrator.transit.journal import Journal
from orchestrator.transit.outcome import Told
from orchestrator.transit.row import AnyRow
from splitbed.errors import NodeError
from splitbed.model_coders.published import is_class
from splitbed.model_data import ModelFile
from splitbed.timeline import clock_id
from splitbed.v1 import nodes_pb2


class Crossing(Generic[AnyRow]):
    """Takes models over every link of a testbed; deliveries go to ``journal``.

    With ``have``, a model that the UE has already, as each coder makes it: what that lacks.
    """

    def __init__(
        self,
        bed: Testbed,
        scenario: AnchorScenario,
        journal: Journal[AnyRow],
        have: ModelFile | None = None,
    ) -> None:
        self._bed, self.scenario, self.journal = bed, scenario, journal
        config = scenario.config
        self._links = [first for first, *_ in config.flow_links]
        journal.under(conditions(bed.pair, bed.link.backend))
        threads = {"ue": config.ue_threads, "edge": config.edge_threads}
        self._arriving = Arriving(bed, threads, have)
        self._here = bed.pair.ue.clock == clock_id()
        self._ready: tuple[str, nodes_pb2.CodedPart] | None = None
        came = [one for one in journal.deliveries.values() if one.error is None]
        self._perf = {one.coder: one.ue_perf for one in came}
        self._peak_bytes = {one.coder: one.model_peak_bytes for one in came}

    def run(self, coder: str, rebuilt: Path, count: int) -> None:
        """So many deliveries over every link, of a coder that made `rebuilt` where it encoded.

        Those that ended before are left out. What goes wrong with one is in its record.
        """
        ended = self.journal.ended
        for number in range(count):
            for link in self._links:
                if (coder, link.words, number) not in ended:
                    self.once(coder, link, number, rebuilt)

    def once(self, coder: str, link: LinkSpec, number: int, rebuilt: Path) -> None:
        """One of these."""
        try:
            self.ready(coder, rebuilt)
            one = self.over(coder, link, number)
        except NodeError as error:
            one = self.broken(coder, link, number, error)
        self.journal.add(one)

    def ready(self, coder: str, rebuilt: Path) -> None:
        """Have the edge have the coder's bitstream ready. Raises NodeError.

        At the coder's first one the UE has run what it makes, the file `rebuilt` if that is still
        there, for the memory of it.
        """
        if self._ready is None or self._ready[0] != coder:
            self._ready = None
            self._ready = coder, self._made_ready(coder, rebuilt)
        if self._peak_bytes.get(coder) is None and rebuilt.is_file():
            self._peak_bytes[coder] = self._arriving.memory(rebuilt)

    def _made_ready(self, coder: str, rebuilt: Path) -> nodes_pb2.CodedPart:
        if not is_class(coder):
            return self._arriving.ready(coder)
        encode_s = self.journal.here[coder].enc_time or 0.0
        return self._arriving.ready_here(coder, rebuilt.with_suffix(".bit"), encode_s * 1e3)

    def over(
        self,
        coder: str,
        link: LinkSpec,
        number: int = 0,
        during: AbstractContextManager[None] | None = None,
    ) -> Delivery:
        """What is ready, delivered over a link; `during` is open while it is on its way.

        The UE's model is judged at the coder's first one. Raises NodeError.
        """
        assert self._ready is not None
        arrival = self._arriving.over(link, self._ready[1], during)
        if coder not in self._perf:
            places = range(len(self._bed.model.inputs))
            results = {place: self._arriving.infer(place) for place in places}
            self._perf[coder] = self.scenario.judged(results)
        one = delivered(coder, arrival, self._perf[coder], here=self._here, number=number)
        return replace(one, model_peak_bytes=self._peak_bytes.get(coder))

    def broken(self, coder: str, link: LinkSpec, number: int, error: NodeError) -> Delivery:
        """One that failed; nodes are as new before anything is :meth:`ready` on them."""
        self._ready = None
        self._arriving.give_up()
        return Delivery(coder=coder, link=link, number=number, error=str(error))

    def infer(self) -> None:
        """Run the first input through the model that the UE has. Raises NodeError."""
        self._arriving.infer()

    def again(self, rebuilt: Mapping[str, Path], told: Told) -> None:
        """Deliver once more what was disturbed, by coder the model that it makes."""

        def once(one: Delivery) -> None:
            self.once(one.coder, one.link, one.number, rebuilt[one.coder])

        once_more(self.journal, once, told)


def once_more(journal: Journal[AnyRow], once: Callable[[Delivery], None], told: Told) -> None:
    """Have `once` measure again what was disturbed, until MOST_IN_VAIN in a row are once more."""
    in_vain, doubtful = 0, journal.doubtful
    if doubtful:
        told(f"delivering once more what was disturbed: {len(doubtful)}")
    for one in doubtful:
        if not journal.deliveries[one.key].is_doubtful:
            continue  # a better one came with another
        once(one)
        in_vain = in_vain + 1 if journal.deliveries[one.key].is_doubtful else 0
        if in_vain == MOST_IN_VAIN:
            told("the machine stays as busy: what was disturbed is not delivered again")
            return
