"""Who watches a sweep: progress on stderr; Prometheus and a collector of traces, where asked."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from netem.spec import LinkSpec
from orchestrator.ask.sweep.cell import Cell
from orchestrator.cli.watch.progress import SweepProgress
from orchestrator.measure.exports.otlp import Attribute, Tracer, tracing
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.terminal import Plain
from orchestrator.results.clock import own_epoch_ns
from orchestrator.results.records import CellRecord, FrameRecord, ProofRecord
from splitbed.timeline import Stage


@contextmanager
def watching(metrics: str | None, otlp: str | None) -> Iterator[Watcher]:
    """What a sweep tells of itself; `metrics` is IP:PORT, `otlp` a collector's HTTP address.

    Raises UsageError for addresses that cannot be, MachineError for a port that is taken.
    """
    with ExitStack() as stack:
        progress = stack.enter_context(SweepProgress(Plain(stderr=True)))
        watchers: list[Watcher] = [progress]
        if metrics:
            # prometheus_client takes a while to import
            from orchestrator.measure.exports.telemetry import SweepTelemetry
            from splitbed.telemetry import serving

            stack.enter_context(serving(metrics))
            watchers.append(SweepTelemetry())
        if otlp:
            resource = {"service.version": version("splitbed")}
            watchers.append(Traced(stack.enter_context(tracing(otlp, resource, progress.note))))
        yield Several(watchers)


class Several(Watcher):
    """Tells each of several watchers."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def begin(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells that will be measured."""
        for watcher in self._watchers:
            watcher.begin(cells, folder, backend)

    def race(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells of which some will be measured."""
        for watcher in self._watchers:
            watcher.race(cells, folder, backend)

    def again(self, cells: Sequence[Cell]) -> None:
        """All were measured; these will be once more."""
        for watcher in self._watchers:
            watcher.again(cells)

    def note(self, words: str) -> None:
        """Something that the user may wait for, or wonder about."""
        for watcher in self._watchers:
            watcher.note(words)

    def waits(self) -> None:
        """Nothing goes on from here but what others ask for."""
        for watcher in self._watchers:
            watcher.waits()

    def answer(self, words: str) -> None:
        """A question of a race has another answer, or a surer one."""
        for watcher in self._watchers:
            watcher.answer(words)

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        for watcher in self._watchers:
            watcher.cell(cell)

    def proved(self, link: LinkSpec, proof: ProofRecord) -> None:
        """The link was measured."""
        for watcher in self._watchers:
            watcher.proved(link, proof)

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured."""
        for watcher in self._watchers:
            watcher.frame(frame, stages)

    def done(self, record: CellRecord) -> None:
        """A cell ended."""
        for watcher in self._watchers:
            watcher.done(record)

    def stopped(self, error: BaseException) -> None:
        """The sweep was stopped before its last cell."""
        for watcher in self._watchers:
            watcher.stopped(error)


class Traced(Watcher):
    """Exports the frames of a cell when it has ended, on the UE's clock."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._frames: list[Sequence[Stage]] = []

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        self._frames.clear()

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured."""
        self._frames.append(frame.stages)

    def done(self, record: CellRecord) -> None:
        """A cell ended."""
        frames, epoch_ns = self._frames, own_epoch_ns()
        if records := [*record.clocks.values()]:
            epoch_ns = records[0].ue_epoch_ns or epoch_ns
            frames = [*map(record.node_clocks.on_one, frames)]
        named: dict[str, Attribute] = {
            "split": record.split,
            "split_name": record.split_name,
            "codec": record.codec,
        }
        if record.precision:
            named["precision"] = record.precision
        told: dict[str, Attribute] = {"ue": record.ue, "bw_mbit": record.link.uplink.rate_mbit}
        self._tracer.frames(frames, epoch_ns, named | told, record.flow)
