"""The command trace: each policy over the same bandwidth trace, and the folder that it leaves.

hold all splits ──> rehearse each ──> for each policy: replay the trace; choose, run, tell, …

trace.json     what was asked, the trace, conditions, splits, what was applied when, the rows
samples.jsonl  a line per frame, as it happens
trace.csv      a row per policy    trace.png  all of it over time
"""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.adapt.bandwidth import BandwidthTrace, bandwidth_trace
from orchestrator.adapt.policies import Arm, FrameOutcome, Policy, new_policy, policy_names
from orchestrator.adapt.replay import LinkReplay
from orchestrator.adapt.rows import COLUMNS, REHEARSAL, costs, policy_row
from orchestrator.ask.config import SweepConfig
from orchestrator.ask.configuration import DEVICE_ANCHOR, NETWORK_ANCHOR
from orchestrator.ask.grid import Cell, plan_cells
from orchestrator.ask.links import queue_for
from orchestrator.ask.pace import paces
from orchestrator.measure.calibration import calibrate
from orchestrator.measure.cell import LATE_WITH_LOSS, sample_of
from orchestrator.measure.conditions import conditions, now
from orchestrator.results.clock import on_ue_clock
from orchestrator.results.run_folder import (
    CALIBRATION_FILE,
    Record,
    RunFolder,
    check_free,
    create,
    csv_text,
)
from orchestrator.testbed.local import local_model
from orchestrator.testbed.parts import Parts
from orchestrator.testbed.testbed import Testbed, checked_site, testbed
from splitbed.codecs import codec_named
from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.timeline import Stage, Timeline

TRACE_FILE, TABLE_FILE, PLOT_FILE = "trace.json", "trace.csv", "trace.png"
USUAL_POLICIES = "static:device,static:network,threshold,argmin,bandit"

_REHEARSED = 4  # frames of each split; the first one is left out
_WORK_MS, _LATE = 30_000.0, 4.0
_QUEUE_MS, _LEAST_QUEUE = 100.0, 16


@dataclass(frozen=True)
class TraceOutcome:
    """What a trace leaves; `stopped` is what ended it before its last policy."""

    folder: RunFolder
    rows: list[dict[str, object]]
    stopped: BaseException | None


@dataclass(frozen=True)
class TraceOptions:
    """What a trace is asked beside what a sweep is; ``seconds`` None is the trace's length."""

    bw_trace: str
    policy: str = USUAL_POLICIES
    frames: int | None = None
    seconds: float | None = None


def run(config: SweepConfig, asked: TraceOptions, say: Callable[[str], None]) -> TraceOutcome:
    """Measure every policy. Raises SplitbedError for what stops it before the first frame."""
    if config.out:
        check_free(config.out)
    trace = bandwidth_trace(asked.bw_trace)
    _check(config)
    rates = sorted(set(trace.rates_mbit) - {0.0})
    links = {rate: _at(config, rate).links[0] for rate in rates}
    fastest = _at(config, max(links))
    site = checked_site(fastest)
    site.check(links.values())
    with local_model(config) as local:
        cells = plan_cells(fastest, local.model)
        names = policy_names(asked.policy, splits_of(cells))
        with testbed(site, local.model, [*fastest.links, *links.values()]) as bed:
            if trace.longest_outage_s and not bed.link.rates.holds:
                raise UsageError(
                    f"{trace.name} has outages, in which what is sent waits, and backend "
                    f"{bed.link.backend} cannot hold it: choose native or linkbox, or on machines "
                    "of their own nodes whose kernels have sch_netem"
                )
            folder = create(config.out, f"trace-{bed.model.name}")
            with folder.locked():
                told = f"{len(names)} policies, {len(cells)} splits"
                say(f"{trace.words}; {told}; run: {folder.path}")
                run = TraceRun(config, asked, trace, links, bed, folder, say)
                return run.measure(cells, names)


def _check(config: SweepConfig) -> None:
    if len(config.codec) > 1 or len(config.input_codec) > 1:
        raise UsageError("a trace holds each split with one codec: give --codec one")
    for name in (*config.codec, *config.input_codec):
        if codec_named(name).sequential:
            raise UsageError(
                f"{name} codes a frame with the one before, which may be of another split"
            )
    if config.ul.rate_mbit is not None:
        raise UsageError("--ul rate_mbit: the uplink's rate is the trace's")
    if len(config.links) > 1 or len(paces(config)) > 1:
        raise UsageError("a trace has one link and one UE: give one delay, jitter, loss, slow-down")


def _at(config: SweepConfig, rate_mbit: float) -> SweepConfig:
    """The sweep whose one link has the trace's rate; a queue of 100 ms, unless one was asked for.

    What waits in netem's queue leaves it as the earlier rate had planned, so it is to be short.
    """
    queue = config.queue_packets
    if "queue_packets" not in config.model_fields_set:
        held_ms = _QUEUE_MS + sum((*config.delay_ms, *config.jitter_ms))
        carried = queue_for(max(rate_mbit, config.dl.rate_mbit or 0), held_ms)
        queue = max(carried, _LEAST_QUEUE)
    return config.replaced(bw=(rate_mbit,), queue_packets=queue)


def splits_of(cells: Sequence[Cell]) -> dict[str, int]:
    """What a static policy may call each cut: its label or k:n-k; the anchors device, network."""
    names = {"device": DEVICE_ANCHOR, "network": NETWORK_ANCHOR}
    asked = [cell.configuration for cell in cells]
    by_label = {one.split_name: one.k for one in asked}
    short = {name: by_label[label] for name, label in names.items()}
    inner = {label: k for label, k in by_label.items() if label not in names.values()}
    return short | inner | {one.split: one.k for one in asked}


class TraceRun:
    """Runs each policy over the trace from its beginning; a lost frame ends that policy's turn."""

    def __init__(
        self,
        config: SweepConfig,
        asked: TraceOptions,
        trace: BandwidthTrace,
        links: Mapping[float, LinkSpec],
        bed: Testbed,
        folder: RunFolder,
        say: Callable[[str], None],
    ) -> None:
        self._config = config
        self._asked = asked
        self._trace = trace
        self._links = links
        self._bed = bed
        self._folder = folder
        self._say = say
        self._parts = Parts(bed.pair, bed.model, config)
        self._cells: dict[int, Cell] = {}
        self._arms: list[Arm] = []
        self._samples: dict[str, list[Record]] = defaultdict(list)
        self._applied: dict[str, BandwidthTrace] = {}
        self._changes: dict[str, list[tuple[float, float, float]]] = {}
        self._asking: Record = {}
        self._facts: Record = {
            "asked": config.model_dump(mode="json") | asdict(asked),
            "model": bed.model.facts,
            "trace": asdict(trace),
            "conditions": conditions(bed.pair, bed.link.backend),
        }

    def measure(self, cells: Sequence[Cell], names: Sequence[str]) -> TraceOutcome:
        """Measure; what was measured before an interruption, or a failure, is kept."""
        self._cells = {cell.configuration.k: cell for cell in cells}
        self._pace = cells[-1].configuration.pace
        stopped: BaseException | None = None
        splits = splits_of(cells)
        try:
            self._write()
            self._calibrate()
            # the device anchor comes last: the pace is measured on the part opened last
            self._parts.hold([cell.configuration for cell in cells])
            self._rehearse()
            most_mbit = max(self._trace.rates_mbit)
            for name in names:
                self._bed.interruption.check()
                seed = self._config.seed
                policy = new_policy(name, self._arms, splits, most_mbit=most_mbit, seed=seed)
                self._turn(name, policy)
        except (SplitbedError, KeyboardInterrupt) as error:
            stopped = self._why(error)
        return TraceOutcome(self._folder, self._finish(stopped), stopped)

    def _why(self, error: BaseException) -> BaseException:
        """What stopped the run: nodes that an interruption ended are that interruption."""
        try:
            self._bed.interruption.check()
        except KeyboardInterrupt as interrupted:
            return interrupted
        return error

    def _calibrate(self) -> None:
        cuts = [k for k, cell in self._cells.items() if cell.configuration.calibrated]
        if cuts:
            found = calibrate(self._config, self._bed.model, cuts, note=self._say)
            self._folder.replace(CALIBRATION_FILE, found.text())
            self._parts.ranges = found.ranges

    def _rehearse(self) -> None:
        """Run each split over the fastest link of the trace: what does it take beside the wire?"""
        self._say("rehearsing the splits")
        most_mbit = max(self._trace.rates_mbit)
        still = BandwidthTrace(REHEARSAL, (0.0,), (most_mbit,), float("inf"))
        self._applied[REHEARSAL] = still
        if clocks := self._bed.pair.clocks:
            clocks.begin()
        with LinkReplay(self._bed.link, still, self._links) as replay:
            self._bed.pair.warm_link(int(most_mbit * 1e3 / 8 * 200), self._timeout_s(0))
            with self._parts.paced(self._pace):
                for k in self._cells:
                    for frame in range(_REHEARSED):
                        sample = self._frame(REHEARSAL, frame, k, replay)
                        if frame:
                            self._samples[REHEARSAL].append(sample)
        bare = [self._arm(cell) for cell in self._cells.values()]
        known = costs(bare, self._samples[REHEARSAL], self._applied)
        fixed = {cost.arm.configuration.k: cost.fixed_ms for cost in known}
        self._arms = [self._arm(cell, fixed[k]) for k, cell in self._cells.items()]

    def _arm(self, cell: Cell, fixed_ms: float = 0.0) -> Arm:
        asked = cell.configuration
        mine = [sample for sample in self._samples[REHEARSAL] if sample["k"] == asked.k]
        up_bytes = int(statistics.median(sample["encoded_bytes"] for sample in mine))
        # the result travels in no time of the trace's where the downlink has a rate of its own
        back = asked.crosses and self._config.dl.rate_mbit is None
        down_bytes = int(statistics.median(s["result_bytes"] for s in mine)) if back else 0
        fastest = self._links[max(self._trace.rates_mbit)].uplink
        beside = [
            sample["uplink_ms"] - wire_ms(up_bytes, fastest) + fastest.delay_ms for sample in mine
        ]
        uplink_ms = max(statistics.median(beside), 0.0) if asked.crosses else 0.0
        return Arm(asked, up_bytes, down_bytes, fixed_ms, uplink_ms)

    def _turn(self, name: str, policy: Policy) -> None:
        """One policy over the trace; a frame that is lost ends it, and the nodes begin anew."""
        arms = {arm.configuration.k: arm for arm in self._arms}
        samples = self._samples[name]
        seconds = self._asked.seconds or self._trace.length_s
        replay = LinkReplay(self._bed.link, self._trace, self._links)
        try:
            with self._parts.paced(self._pace), replay:
                while replay.now_s < seconds and len(samples) < (self._asked.frames or math.inf):
                    k = policy.choose(replay.now_s)
                    sample = self._frame(name, len(samples), k, replay)
                    samples.append(sample)
                    self._bed.interruption.check()
                    replay.check()
                    met = arms[k].goodput_mbit(sample["encoded_bytes"], sample["uplink_ms"])
                    policy.tell(FrameOutcome(k, replay.now_s, sample["e2e_ms"], met))
        except NodeError as error:
            self._bed.interruption.check()
            if not replay.changes:
                raise  # nothing was asked of this policy: that stops the run
            self._lose(name, str(error))
        finally:
            self._changes[name] = replay.changes
            if replay.changes:
                self._applied[name] = replay.applied
            self._write()
        self._say(_words(self._rows()[-1]))

    def _frame(self, policy: str, number: int, k: int, replay: LinkReplay) -> Record:
        """Run one frame and write it down; its line of samples.jsonl."""
        asked = self._cells[k].configuration
        place = number % len(self._bed.model.inputs)
        clocks = self._bed.pair.clocks
        if clocks:
            clocks.read_if_due()
        self._asking = {
            "policy": policy,
            "k": k,
            "split": asked.split_name,
            "start_s": replay.now_s,
        }
        record = self._bed.pair.run_frame(number, place, self._timeout_s(k), k)
        clock = self._bed.pair.clock()
        sample = self._asking | {"input": place} | sample_of(record, clock)
        seen = [Stage(*stage) for stage in sample["stages"]]
        sample["uplink_ms"] = Timeline(on_ue_clock(seen, clock) if clock else seen).ms("uplink")
        self._folder.add_sample(sample)
        return sample

    def _timeout_s(self, k: int) -> float:
        if self._config.frame_timeout_s:
            return self._config.frame_timeout_s
        slowest = self._links[min(self._links)]
        wire = wire_ms(self._cells[k].crossing_bytes, slowest.uplink)
        lossy = slowest.uplink.loss_pct or slowest.downlink.loss_pct
        late = LATE_WITH_LOSS if lossy else _LATE
        out_ms = self._trace.longest_outage_s * 1e3
        return (_WORK_MS * self._pace.most + late * (wire + out_ms)) / 1e3

    def _lose(self, name: str, reason: str) -> None:
        """Write down the frame that did not come back, and bring both nodes up again."""
        lost = self._asking | {"error": reason}
        self._samples[name].append(lost)
        self._folder.add_sample(lost)
        self._say(f"{name}: {reason}")
        self._bed.pair.restart()
        self._parts.hold([cell.configuration for cell in self._cells.values()])

    def _rows(self) -> list[dict[str, object]]:
        every = [sample for samples in self._samples.values() for sample in samples]
        known = costs(self._arms, every, self._applied)
        return [
            policy_row(name, samples, self._applied[name], known)
            for name, samples in self._samples.items()
            if name != REHEARSAL and samples and name in self._applied
        ]

    def _write(self, stopped: BaseException | None = None) -> list[dict[str, object]]:
        """Write all but the samples and the picture, over what was there; the rows."""
        rows = self._rows()
        said = None if stopped is None else str(stopped) or "interrupted"
        facts = self._facts | {
            "splits": [asdict(arm) for arm in self._arms],
            "changes": self._changes,
            "rows": rows,
            "ended": now(),
            "stopped": said,
        }
        self._folder.replace(TRACE_FILE, json.dumps(facts, indent=1, default=str) + "\n")
        self._folder.replace(TABLE_FILE, csv_text(COLUMNS, rows))
        return rows

    def _finish(self, stopped: BaseException | None) -> list[dict[str, object]]:
        rows = self._write(stopped)
        from orchestrator.adapt.plot import plot  # late: a second's work, which --help has not

        ran = {name: s for name, s in self._samples.items() if name != REHEARSAL and s}
        if ran:
            title = f"{self._bed.model.name}, {self._trace.words}"
            plot(ran, self._applied, self._arms, title, self._folder.path / PLOT_FILE)
        return rows


def _words(row: Mapping[str, object]) -> str:
    """A row in a few words, when its policy has ended."""
    if not row["frames"]:
        return f"{row['policy']}: no frame"
    return (
        f"{row['policy']}: {row['frames']} frames, {row['lost']} lost, "
        f"mean {row['mean_ms']:.1f} ms, p95 {row['p95_ms']:.1f} ms, "
        f"{row['regret_pct']:+.1f} % against the oracle"
    )
