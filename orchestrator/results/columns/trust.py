"""The columns of a row on how far its times can be trusted: the end of the second block."""

from typing import Annotated

from orchestrator.ask.flow import UPLINK
from orchestrator.results.columns import Column
from orchestrator.results.columns.accuracy import AccuracyColumns
from orchestrator.results.columns.main import NO_FRAME, Count, Number

NOT_COUNTED = "the kernel does not tell, the nodes are elsewhere, or the cell failed"
MEASURED = "the cell was measured"

Text = str | None


class TrustColumns(AccuracyColumns, frozen=True, kw_only=True):
    """Intervals of its times, what was at work on the machine, whether they are predicted."""

    e2e_low_ms: Annotated[
        Number,
        Column("lower end of the median's interval; of a range, the fastest", "ms", NO_FRAME),
    ] = None
    e2e_high_ms: Annotated[
        Number, Column("upper end of it; of a range, the slowest", "ms", NO_FRAME)
    ] = None
    e2e_coverage_pct: Annotated[
        Number,
        Column(
            "in how many cases such an interval holds the median, by its frames' ranks",
            "%",
            "a range: fewer frames than 6, or 2 to 4 blocks",
        ),
    ] = None
    e2e_covers: Annotated[
        Text,
        Column(
            "what the interval is over: the frames of this run; of 2 to 4 blocks, the range of "
            "their medians; from 5 on, runs",
            empty=NO_FRAME,
        ),
    ] = None
    blocks: Annotated[int, Column("in how many blocks it was measured")] = 0
    disturbed: Annotated[
        str, Column("what else on the machine may have changed its times; else nothing")
    ] = ""
    measured: Annotated[
        int,
        Column(
            "how often it was: again where disturbed or failed; the last without a fault counts"
        ),
    ] = 1
    others_pct: Annotated[
        Number,
        Column(
            "of all processors' time, what other processes than the run's used", "%", NOT_COUNTED
        ),
    ] = None
    steal_pct: Annotated[
        Number, Column("what a hypervisor gave to other machines of it", "%", NOT_COUNTED)
    ] = None
    pressure_pct: Annotated[
        Number,
        Column("of the cell's time, how long a task waited for a processor", "%", NOT_COUNTED),
    ] = None
    load_average: Annotated[Number, Column("load at its end, over a minute", empty=NOT_COUNTED)] = (
        None
    )
    cpu_mhz: Annotated[Number, Column("frequency of the processors, MHz", empty=NOT_COUNTED)] = None
    preemptions: Annotated[
        Count, Column("how often a node's thread had to leave a processor", empty=NOT_COUNTED)
    ] = None

    measured_on: Annotated[
        str,
        Column("its machine, in a run on several: rows of one alone are compared; else nothing"),
    ] = ""

    predicted: Annotated[
        bool,
        Column("whether the cell was not measured: its e2e_predicted_ms rests on all that was"),
    ] = False
    e2e_predicted_low_ms: Annotated[
        Number, Column("lower end of the prediction's interval of 90 %", "ms", MEASURED)
    ] = None
    e2e_predicted_high_ms: Annotated[Number, Column("upper end of it", "ms", MEASURED)] = None
    flow: Annotated[str, Column("which node does what with a frame (flows.md)")] = UPLINK
