"""The command trace: each policy over the same bandwidth trace, and the folder that it leaves.

judge codecs ──> hold all arms ──> rehearse each ──> for each policy: replay the trace
                                                     (choose, run, tell, choose, …)

trace.json     what was asked, the trace, conditions, arms, what was applied when, the rows
samples.jsonl  a line per frame, as it happens
trace.csv      a row per policy    trace.png  all of it over time
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from orchestrator.adapt.losses import least
from orchestrator.adapt.named import bandwidth_trace
from orchestrator.adapt.policies import PolicySetting, new_policy, policy_names
from orchestrator.adapt.rows import TraceRow, unsteadiness
from orchestrator.adapt.turns import Turns
from orchestrator.adapt.verdict import TraceAsked, judge_trace
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.links import queue_for
from orchestrator.ask.pace import paces
from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.conditions import conditions, now
from orchestrator.measure.dials.finding import check_found, dialled_cells, keep_dials
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.columns import csv_text
from orchestrator.results.judgement.verdict import Verdict
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.testbed.local import local_model
from orchestrator.testbed.site import checked_site
from orchestrator.testbed.testbed import testbed
from splitbed.codecs import codec_named
from splitbed.errors import SplitbedError, UsageError

TRACE_FILE, TABLE_FILE, PLOT_FILE = "trace.json", "trace.csv", "trace.png"
USUAL_POLICIES = "static:device,static:network,threshold,argmin,forecast,bandit"

_SHORT = {DEVICE_ANCHOR: "device", NETWORK_ANCHOR: "network"}
_QUEUE_MS, _LEAST_QUEUE = 100.0, 16


@dataclass(frozen=True)
class TraceOutcome:
    """What a trace leaves; `stopped` is what ended it before its last policy."""

    folder: RunFolder
    rows: list[TraceRow]
    verdict: Verdict
    stopped: BaseException | None


@dataclass(frozen=True)
class TraceOptions:
    """What a trace is asked beside what a sweep is; ``seconds`` None is the trace's length."""

    bw_trace: str
    policy: str = USUAL_POLICIES
    frames: int | None = None
    seconds: float | None = None


def run(config: SweepConfig, asked: TraceOptions, watcher: Watcher) -> TraceOutcome:
    """Measure every policy. Raises SplitbedError for what stops it before the first frame."""
    if config.out:
        check_free(config.out)
    trace = bandwidth_trace(asked.bw_trace)
    _check(config)
    links = {rate: _at(config, rate).links[0] for rate in sorted(set(trace.rates_mbit) - {0.0})}
    # the limits are those of the slowest
    slowest = _at(config, min(links))
    site = checked_site(slowest)
    site.check(links.values())
    with local_model(config) as local:
        cells, dials = dialled_cells(slowest, local.model, watcher.note)
        check_found(dials)
        names = policy_names(asked.policy, names_of(cells))
        with testbed(site, local.model, [(links[rate],) for rate in (max(links), *links)]) as bed:
            if trace.longest_outage_s and not bed.link.rates.holds:
                raise UsageError(
                    f"{trace.name} has outages, in which what is sent waits, and backend "
                    f"{bed.link.backend} cannot hold it: choose native or linkbox, or on machines "
                    "of their own nodes whose kernels have sch_netem"
                )
            folder = create(config.out, f"trace-{bed.model.name}")
            keep_dials(folder, dials)
            with folder.locked():
                told = f"{len(names)} policies, {len(cells)} arms"
                watcher.note(f"{trace.words}; {told}; run: {folder.path}")
                engine = Engine(config, bed, folder, watcher, trace.longest_outage_s)
                turns = Turns(engine, cells, trace, links, config.max_drop)
                return TraceRun(config, asked, turns).measure(names)


def _check(config: SweepConfig) -> None:
    for name in (*config.codec, *config.input_codec):
        if codec_named(name).sequential:
            raise UsageError(
                f"{name} codes a frame with the one before, which may be of another arm"
            )
    config.only_fp32("arms are splits and codecs of the model as it is")
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


def names_of(cells: Sequence[Cell]) -> dict[str, tuple[Configuration, ...]]:
    """What a static policy may call each arm.

    A split is its label or k:n-k, an anchor device or network; one with several codecs is all of
    them, or one as SPLIT/CODEC.
    """
    names: dict[str, list[Configuration]] = defaultdict(list)
    for one in (cell.configuration for cell in cells):
        for name in dict.fromkeys((_SHORT.get(one.split_name, one.split_name), one.split)):
            names[name].append(one)
    found: dict[str, tuple[Configuration, ...]] = {}
    for name, own in names.items():
        found |= {f"{name}/{one.codec}": (one,) for one in own if len(own) > 1}
        found[name] = tuple(own)
    return found


class TraceRun:
    """Gives each policy its turn, and writes down what came of all of them after each."""

    def __init__(self, config: SweepConfig, asked: TraceOptions, turns: Turns) -> None:
        self._config, self._asked, self._turns = config, asked, turns
        self._trace = turns.trace
        self._bed, self._folder = turns.engine.bed, turns.engine.folder
        self._facts = {
            "asked": config.model_dump(mode="json") | asdict(asked),
            "model": self._bed.model.facts.plain(),
            "trace": asdict(turns.trace),
            "conditions": conditions(self._bed.pair, self._bed.link.backend).plain(),
        }

    def measure(self, names: Sequence[str]) -> TraceOutcome:
        """Measure; what was measured before an interruption, or a failure, is kept."""
        stopped: BaseException | None = None
        turns, most_mbit = self._turns, max(self._trace.rates_mbit)
        called, seed = names_of(turns.cells), self._config.seed
        seconds = self._asked.seconds or self._trace.length_s
        try:
            self._write(names)
            turns.prove()
            turns.prepare()
            for name in names:
                self._bed.interruption.check()
                policy = new_policy(
                    name, PolicySetting(turns.fit, turns.arms, called, most_mbit, seed)
                )
                try:
                    turns.turn(name, policy, seconds, self._asked.frames)
                finally:
                    rows, _ = self._write(names)
                for row in rows:
                    if row.policy == name:
                        turns.engine.watcher.note(row.words)
            turns.prove()
        except (SplitbedError, KeyboardInterrupt) as error:
            stopped = self._why(error)
        rows, verdict = self._write(names, stopped)
        self._plot(rows)
        return TraceOutcome(self._folder, rows, verdict, stopped)

    def _why(self, error: BaseException) -> BaseException:
        """What stopped the run: nodes that an interruption ended are that interruption."""
        try:
            self._bed.interruption.check()
        except KeyboardInterrupt as interrupted:
            return interrupted
        return error

    def _write(
        self, names: Sequence[str], stopped: BaseException | None = None
    ) -> tuple[list[TraceRow], Verdict]:
        """Write all but the samples and the picture, over what was there; what it came to."""
        said = None if stopped is None else str(stopped) or "interrupted"
        turns, table = self._turns, self._turns.rows()
        asked = TraceAsked(names, self._trace, turns.links, turns.cells)
        verdict = judge_trace(asked, turns.ran, turns.proofs, said)
        verdict = replace(verdict, advice=tuple(self._advice(table) if verdict.valid else ()))
        rows = [row.plain() for row in table]
        facts = self._facts | {
            "arms": [arm.plain() | turns.losses.plain(arm.configuration) for arm in turns.arms],
            "proofs": [{"link": link.words, **proof.plain()} for link, proof in turns.proofs],
            "changes": {name: turn.changes for name, turn in turns.ran.items()},
            "rows": rows,
            "verdict": verdict.word,
            "reasons": verdict.reasons,
            "advice": verdict.advice,
            "ended": now(),
            "stopped": said,
        }
        self._folder.replace(TRACE_FILE, json.dumps(facts, indent=1, default=str) + "\n")
        self._folder.replace(TABLE_FILE, csv_text(TraceRow.__struct_fields__, rows))
        return table, verdict

    def _advice(self, rows: Sequence[TraceRow]) -> list[str]:
        """What took least, of all that is sure to be accurate enough, and what is not."""
        turns = self._turns
        called = names_of(turns.cells).items()
        unfit = [
            f"static:{name}"
            for name, meant in called
            if not all(turns.losses.is_fit(one) for one in meant)
        ]
        told = turns.losses.told([cell.configuration for cell in turns.cells])
        unsteady = unsteadiness(turns.arms, turns.ran.values())
        return [*least(rows, unfit, unsteady), *told]

    def _plot(self, rows: Sequence[TraceRow]) -> None:
        from orchestrator.adapt.plot import plot  # late: a second's work, which --help has not

        if ran := self._turns.ran:
            title = f"{self._bed.model.name}, {self._trace.words}"
            file = self._folder.path / PLOT_FILE
            plot(ran, rows, self._turns.arms, title, file)
