"""A run as programs have it: its rows, its frames, its verdict, a table and a picture."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.reports.export import with_all_columns
from orchestrator.reports.table import sweep_table
from orchestrator.results.archive import extract
from orchestrator.results.judgement.anchors import compared
from orchestrator.results.judgement.choice import Best, Choice, choices
from orchestrator.results.judgement.verdict import Verdict, advised, judge_run
from orchestrator.results.reading import Reading, read_folder, sweep_folder
from orchestrator.results.records import CellRecord
from orchestrator.results.rows import COLUMNS, Row
from orchestrator.results.run_folder import RunFolder
from orchestrator.results.statistics.energy import frame_mj
from orchestrator.results.statistics.spent import cpu_ms, crossed_bytes
from splitbed.errors import MachineError, UsageError
from splitbed.timeline import STAGES, Timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_COLUMNS = {"bw": ("bw_mbit",), "split": ("split", "split_name")}
"""Options of a sweep whose column has another name, or that two columns tell."""

_BY_NODE = (
    *("cpu_ms", "voluntary_switches", "involuntary_switches", "rss_bytes"),
    *("sent_bytes", "received_bytes", "modelled_mj"),
)
"""What a frame has by node."""


@dataclass(frozen=True)
class Frame:
    """One frame that was measured: where, its times in ms, what crossed in bytes.

    By node: encoded tensors that it sent and received; where frames came one at a time, what it
    computed, its context switches since the frame before, the memory (RSS) that it had as the frame
    left it, and its energy in mJ by the run's model of it, where there is one.
    """

    split: str
    split_name: str
    codec: str
    precision: str
    link: str
    ue: str
    number: int
    e2e_ms: float
    stages_ms: Mapping[str, float]
    encoded_bytes: int
    result_bytes: int
    max_abs_diff: float | None
    cpu_ms: Mapping[str, float]
    voluntary_switches: Mapping[str, int]
    involuntary_switches: Mapping[str, int]
    rss_bytes: Mapping[str, int]
    sent_bytes: Mapping[str, int]
    received_bytes: Mapping[str, int]
    modelled_mj: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """A sweep's run on disk, read when it is asked for. Raises UsageError where it is damaged."""

    folder: Path
    _held: "TemporaryDirectory[str] | None" = field(default=None, repr=False, compare=False)

    @property
    def rows(self) -> Sequence[Row]:
        """A row of summary.csv for each cell, in the order of the grid."""
        return tuple(self._reading.rows)

    @cached_property
    def frames(self) -> Sequence[Frame]:
        """Every frame that counts, cell by cell."""
        return tuple(frame for cell in self._reading.cells for frame in self._frames(cell))

    @cached_property
    def verdict(self) -> Verdict:
        """VALID or not, with reasons and advice; a run that has not ended is not."""
        run = self._reading.run
        if run.verdict is None:
            return judge_run(self.rows, run.cells_asked, "the run has not ended")
        return Verdict(run.verdict == "VALID", run.reasons, advised(run, self.rows))

    @property
    def choices(self) -> Sequence[Choice]:
        """What to choose over each link and at each pace of the UE, and how sure that is."""
        return choices(self.rows)

    def best(self, *, max_drop: float | None = None, **where: object) -> Best:
        """The row to choose, as advice chooses it, with what cannot be told from it.

        `where` names columns and what they hold, as ``bw=20`` or ``split="1:5"``; `max_drop` is
        the accuracy that a codec may cost, by default what the run was asked; infinity allows
        whatever was lost. Raises UsageError where no row is left, and where rows over several
        links, or at several paces of the UE, are: no one choice holds for these.
        """
        asked = {_COLUMNS.get(name, (name,)): value for name, value in where.items()}
        if unknown := [name for names in asked for name in names if name not in COLUMNS]:
            raise UsageError(f"best: rows have no column {', '.join(unknown)}")
        table = self._reading.rows
        if max_drop is not None:
            table = compared([replace(row, max_drop=max_drop) for row in table])
        found = [row for row in table if _is(row, asked)]
        drop = "" if max_drop is None else f", max_drop={max_drop:g}"
        words = ", ".join(f"{name}={value!r}" for name, value in where.items()) + drop
        by = f"{words and ' by '}{words}"
        conditions = dict.fromkeys(row.conditions for row in found)
        if len(conditions) > 1:
            under = "; ".join(one.words for one in conditions)
            raise UsageError(
                f"best: several links, paces or loads of {self.folder} are left{by} ({under}), "
                "each with a best of its own: name one by bw=, link=, ue= or load=, or see choices"
            )
        # the choices under other conditions are compared at once with this one
        others = [row for row in table if row.conditions not in conditions]
        for choice in choices([*found, *others]):
            if choice.best and choice.conditions in conditions:
                return Best(choice.best, choice.rivals)
        raise UsageError(f"best: no valid row of {self.folder} is left{by}")

    def to_pandas(self, *, frames: bool = False) -> "DataFrame":
        """The rows as a table of pandas, or every frame. Raises MachineError without pandas."""
        try:
            from pandas import DataFrame
        except ImportError:
            raise MachineError(
                "to_pandas: pandas is not installed; repair: pip install 'splitbed[pandas]'"
            ) from None
        if frames:
            return DataFrame(map(_flat, self.frames))
        return DataFrame([with_all_columns(row) for row in self.rows])

    def plot(self) -> "Figure":
        """Where the time of every split goes, a panel for each link and pace of the UE."""
        from orchestrator.reports.picture import run_picture  # matplotlib takes a while to import

        return run_picture(self.rows)

    def _repr_html_(self) -> str:
        """The table, where a notebook displays the run."""
        verdict = escape("; ".join((self.verdict.word, *self.verdict.reasons)))
        table = sweep_table(self.rows).html() if self.rows else "<p>no cell has ended</p>"
        return f"{table}<p>{verdict}</p>"

    @cached_property
    def _reading(self) -> Reading:
        return read_folder(self.folder)

    def _frames(self, cell: CellRecord) -> Iterator[Frame]:
        frames = self._reading.frames_of(cell)
        timelines = self._reading.timelines_of(cell)
        powers = self._reading.run.power
        for place, (frame, timeline) in enumerate(zip(frames, timelines, strict=True)):
            crossed = crossed_bytes(cell.flow, [frame])
            prints = frame.footprints or {}
            yield Frame(
                split=cell.split,
                split_name=cell.split_name,
                codec=cell.codec,
                precision=cell.precision,
                link=cell.link_words,
                ue=cell.ue,
                number=place,
                e2e_ms=timeline.e2e_ms,
                stages_ms={name: timeline.ms(name) for name in _stages(timeline)},
                encoded_bytes=frame.encoded_bytes,
                result_bytes=frame.result_bytes,
                max_abs_diff=frame.max_abs_diff,
                cpu_ms={node: sum(of.values()) for node, of in cpu_ms([frame]).items()},
                voluntary_switches={node: one.voluntary_switches for node, one in prints.items()},
                involuntary_switches={
                    node: one.involuntary_switches for node, one in prints.items()
                },
                rss_bytes={
                    node: one.rss_bytes for node, one in prints.items() if one.rss_bytes is not None
                },
                sent_bytes={node: sent for node, (sent, _) in crossed.items()},
                received_bytes={node: received for node, (_, received) in crossed.items()},
                modelled_mj=frame_mj(cell, frame, timeline, powers),
            )


def open_run(path: str | Path) -> Run:
    """The run in a folder, or in an archive of `orchestrate pack`.

    Of the folder of a scenario, or of a replay, its sweep. Raises UsageError for what is none.
    """
    path = Path(path)
    if path.is_file():
        held = TemporaryDirectory(prefix="splitbed-archive-")
        extract(path, Path(held.name))
        run = Run(Path(held.name), held)
    else:
        run = Run(sweep_folder(path))
    RunFolder(run.folder).read_run()  # refuse it now
    return run


def _stages(timeline: Timeline) -> Iterable[str]:
    """The usual stages, and those that its flow has besides."""
    return dict.fromkeys((*STAGES, *(stage.name for stage in timeline.stages)))


def _flat(frame: Frame) -> dict[str, object]:
    """What is by stage as part1_ms, what is by node as ue_cpu_ms."""
    told = dict(vars(frame))
    told |= {f"{name}_ms": ms for name, ms in told.pop("stages_ms").items()}
    for name in _BY_NODE:
        told |= {f"{node}_{name}": value for node, value in told.pop(name).items()}
    return told


def _is(row: Row, asked: Mapping[tuple[str, ...], object]) -> bool:
    if not row.valid or row.e2e_ms is None:
        return False
    return all(any(getattr(row, name) == value for name in names) for names, value in asked.items())
