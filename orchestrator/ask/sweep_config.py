"""What a sweep is asked to do: the options of `orchestrate sweep`, or the same as YAML."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from netem.spec import LinkSpec
from orchestrator.ask.flow import UPLINK, check_flow, flow_named
from orchestrator.ask.links import LinkOptions, OwnShape
from orchestrator.ask.load import LEAST_TOLD, MOST_IN_FLIGHT, MOST_QUEUE, Drop, Load, load_named
from orchestrator.ask.load.edge_work import MOST_WORKERS, EdgeWork, edge_work
from orchestrator.ask.numbers import Codecs, Seconds, Words, comma_list, comma_words
from orchestrator.ask.target import Target, target_of
from orchestrator.ask.topology import MOST_UES, Namespaces, Topology, load_topology
from splitbed.checked import one_line, read_yaml
from splitbed.codecs import RAW
from splitbed.errors import UsageError, did_you_mean
from splitbed.node.config import LEAST_CPUS, MOST_CPUS

MIN_FRAMES, MAX_FRAMES = 3, 9
"""Of a cell that ends when its frames are enough, where nothing else is asked."""
RACE_FRAMES = 6
"""The most of a cell in a race: no fewer have an interval."""
MAX_DROP = 0.01
"""Of the metric: what loses more is not recommended."""
_SWEPT = ("bw", "delay_ms", "jitter_ms", "loss_pct", "link")
_ALSO = {"bandwidth": "bw", "rate": "bw", "latency": "delay_ms", "frames": "runs"}


def _split(value: object) -> object:
    if isinstance(value, int) or (
        isinstance(value, list) and any(isinstance(item, int) for item in value)
    ):
        # YAML 1.1 reads 3:30 as a number of base 60
        raise ValueError("should be text: quote it, as in split: '12:131'")
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _shapes(value: object) -> object:
    """``NAME=1x3x300x300``, several after commas; or a mapping of lists."""
    if not isinstance(value, str):
        return value
    pairs = [word.rpartition("=") for word in comma_words(value)]
    if not all(name for name, _, _ in pairs):
        raise ValueError("should name the input, as in image=1x3x300x300")
    return {name.strip(): sizes.strip().split("x") for name, _, sizes in pairs}


Splits = Annotated[str, BeforeValidator(_split)]
Frames = Annotated[int, Field(ge=MIN_FRAMES, le=100_000)]
Counts = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MOST_UES)], ...],
    BeforeValidator(comma_list),
    Field(min_length=1),
]
Source = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, Path) else v)]
Slowdowns = Annotated[
    tuple[Annotated[float, Field(ge=1, le=1000)], ...], BeforeValidator(comma_list)
]
Shares = Annotated[
    tuple[Annotated[float, Field(ge=LEAST_CPUS, le=MOST_CPUS)], ...], BeforeValidator(comma_list)
]


class SweepConfig(LinkOptions):
    """One sweep. The fields are the options of the command, with `_` for `-`."""

    model: str
    split: Splits = "named"
    flow: str = UPLINK
    heads: Words | None = None
    ues: Counts | None = None
    private_layers: int | None = Field(None, ge=1, le=1_000_000)
    accuracy_frames: int = Field(100, ge=1, le=100_000)
    max_drop: float = Field(MAX_DROP, ge=0, allow_inf_nan=False)
    runs: Frames | None = None
    min_runs: Frames | None = None
    max_runs: Frames | None = None
    blocks: int = Field(1, ge=1, le=1000)
    budget: Seconds | None = None
    until_sure: bool = False
    warmup: int = Field(1, ge=0, le=1000)
    ue_threads: int = Field(0, ge=0, le=1024)
    edge_threads: int = Field(0, ge=0, le=1024)
    codec: Codecs = (RAW,)
    input_codec: Codecs = (RAW,)
    output_codec: Codecs = (RAW,)
    target_drop: float | None = Field(None, ge=0, allow_inf_nan=False)
    target_kbit: float | None = Field(None, gt=0, allow_inf_nan=False)
    calibration: Source | None = None
    ue_slowdown: Slowdowns | None = None
    ue_cpu: Shares | None = None
    ue_profile: Words | None = None
    load: Words = ("closed",)
    in_flight: int = Field(1, ge=1, le=MOST_IN_FLIGHT)
    queue: int | None = Field(None, ge=1, le=MOST_QUEUE)
    drop: Drop | None = None
    deadline_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    edge_workers: int = Field(1, ge=1, le=MOST_WORKERS)
    batch: str | None = None
    edge_queue: int | None = Field(None, ge=1, le=MOST_QUEUE)
    task: str | None = None
    fps: float = Field(30.0, gt=0, le=1000)
    input: Source | None = None
    weights: Path | None = None
    width: float = 1.0
    runtime: str | None = None
    delivery: bool = True
    part_coder: str = ""
    device_model: Path | None = None
    profile: bool = True
    shape: Annotated[dict[str, tuple[int, ...]], BeforeValidator(_shapes)] = Field(
        default_factory=dict
    )
    seed: int = Field(0, ge=0, lt=2**63)
    frame_timeout_s: float | None = Field(None, gt=0, le=86_400)
    link_backend: str = "auto"
    topology: Path | None = None
    out: Path | None = None

    @model_validator(mode="after")
    def _can_be_measured(self) -> Self:
        if self.runs and (self.min_runs or self.max_runs):
            raise UsageError(
                f"--runs {self.runs} is exactly so many frames: give it, or --min-runs and "
                "--max-runs, not both"
            )
        if self.least_runs > self.most_runs:
            raise UsageError(
                f"--min-runs {self.min_runs} is more than --max-runs {self.max_runs}: give fewer"
            )
        if self.part_coder:
            self._check_part_coder()
        if self.device_model and (self.flow != UPLINK or self.races):
            why = self._race if self.races else f"--flow {self.flow}"
            raise UsageError(
                f"--device-model {self.device_model} is measured in the flow uplink, and neither "
                f"profiled nor predicted: leave {why}"
            )
        self._check_flow()
        self._check_loads()
        _ = self.target
        named = self.place.ues if isinstance(self.place, Namespaces) else ()
        self.edge_work.check(
            offered=any(load.offered for load in self.loads),
            several=max(self.ues or (len(named),)) > 1,
        )
        if self.races and self.blocks > 1:
            raise UsageError(
                f"{self._race} leaves cells out, --blocks {self.blocks} measures each so often: "
                "give one of them"
            )
        if self.races and not self.profile:
            raise UsageError(
                f"{self._race} chooses by what a profile predicts: give no --no-profile"
            )
        return self

    @cached_property
    def place(self) -> Topology:
        """The topology that it runs in, which has what its flow needs; UsageError for any other."""
        flow = flow_named(self.flow)
        found = load_topology(self.topology, "pair" if flow.paired else self.flow)
        check_flow(self.flow, found.names, {one.ends for one in found.links.values()}, found.name)
        return found

    @property
    def shared(self) -> bool:
        """Whether the links of its flow are one."""
        return isinstance(self.place, Namespaces) and self.place.shared

    @cached_property
    def flow_links(self) -> tuple[tuple[LinkSpec, ...], ...]:
        """For each link that is asked for, once, all of the flow, in its order; UsageError."""
        found = dict.fromkeys(map(self.over, self.links))
        usual = [LinkOptions.model_fields[name].default for name in _SWEPT]
        if len(found) < len(self.links) and usual != [getattr(self, name) for name in _SWEPT]:
            raise UsageError(
                f"what is swept makes {len(self.links)} links, of which {len(found)} are left by "
                f"what {' and '.join(self.own_shapes)} have of their own: give as many, or less of "
                "that"
            )
        return tuple(found)

    def over(self, link: LinkSpec) -> tuple[LinkSpec, ...]:
        """All links of the flow, in its order, where others are as this one; UsageError."""
        return tuple(own.over(link, name) for name, own in self.own_shapes.items())

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """Every load that is asked for, once; UsageError."""
        return tuple(dict.fromkeys(map(self.load_named, self.load)))

    def load_named(self, word: str) -> Load:
        """A load, with what else is asked of all; UsageError."""
        return load_named(word, self.in_flight, self.queue, self.drop, self.deadline_ms)

    @cached_property
    def traces(self) -> dict[str, str]:
        """What is kept of each trace, its UEs' own with them, by the word that asks for it."""
        ues = self.place.ues.values() if isinstance(self.place, Namespaces) else ()
        words = (*self.load, *(one.load for one in ues if one.load))
        texts = {word: self.load_named(word).trace_text for word in words}
        return {word: text for word, text in texts.items() if text}

    @cached_property
    def own_shapes(self) -> dict[str, OwnShape]:
        """What each link of the flow has of its own, in its order; UsageError.

        An option goes before the topology's file.
        """
        names = {one.ends: name for name, one in self.place.links.items()}
        of_flow = [names[ends] for ends in flow_named(self.flow).links]
        for name in self.link_of:
            if name not in of_flow:
                meant = did_you_mean(name, of_flow, otherwise=";")
                raise UsageError(
                    f"--link-of {name}: the flow {self.flow} has no such link in the topology "
                    f"{self.place.name}{meant} its links are {', '.join(of_flow)}"
                )
        if self.link_of and self.shared:
            raise UsageError(
                f"--link-of {next(iter(self.link_of))}: the links of {self.place.name} are one, "
                "which has what is swept: leave it"
            )
        found = {name: self.place.links[name].shape for name in of_flow}
        return found | {name: found[name].but(asked) for name, asked in self.link_of.items()}

    def _check_part_coder(self) -> None:
        # late, since few sweeps code parts
        from splitbed.model_coders import coder_named

        coder_named(self.part_coder)
        if not self.delivery:
            raise UsageError(
                f"--part-coder {self.part_coder} codes parts that are delivered: give --delivery"
            )
        if flow_named(self.flow).besides:
            raise UsageError(
                f"--part-coder {self.part_coder}: the flow {self.flow} delivers heads, and what "
                "they lose is not judged: give another flow, or none"
            )

    def _check_flow(self) -> None:
        flow = flow_named(self.flow)
        if not flow.codes_outputs and self.output_codec != (RAW,):
            raise UsageError(
                "--output-codec codes what a whole model gives, and in the flow "
                f"{self.flow} results cross instead: give it with --flow call"
            )
        if self.shared and len(flow.users) == 1:
            raise UsageError(
                f"--topology {self.topology}: what comes from the edge shares a link, and in the "
                f"flow {self.flow} it comes to one user: leave shared, or give --flow multi-head"
            )
        if self.races and self.shared:
            raise UsageError(
                f"{self._race} predicts links that nobody shares, and those of {self.place.name} "
                "are one: leave it"
            )
        if self.heads and not flow.besides:
            raise UsageError(
                f"--heads says what each of several users gets, and the flow {self.flow} has one: "
                "give it with --flow multi-head"
            )
        if self.private_layers is not None and self.flow != UPLINK:
            first = flow.node_of(1)
            why = f"the first are on {first}" if first != "ue" else f"there are {flow.parts} parts"
            raise UsageError(
                "--private-layers leaves the first layers on the UE, all others on the edge, and "
                f"in the flow {self.flow} {why}: give it with --flow uplink"
            )

    def _check_loads(self) -> None:
        if not (offered := [load for load in self.loads if load.offered]):
            return
        load, flow = offered[0], flow_named(self.flow)
        if flow.users != (flow.source,):
            raise UsageError(
                f"--flow {self.flow}: what becomes of frames under a load is told where they "
                "begin, and in that flow they end elsewhere: give --flow uplink, downlink or chain"
            )
        few = [one for one in offered if one.open and one.frames(self.runs) < LEAST_TOLD]
        if few:
            raise UsageError(
                f"--load {few[0].words}: {LEAST_TOLD} frames are the least to tell whether it is "
                f"sustained, and it has {few[0].frames(self.runs)}: give more by --runs or in the "
                "trace"
            )
        if self.races:
            raise UsageError(
                f"--load {load.words}: {self._race} predicts frames that come one at a time: leave "
                "one of them"
            )
        if self.min_runs or self.max_runs:
            raise UsageError(
                f"--load {load.words} has as many frames as it was drawn with, whether or not they "
                "agree: give --runs, not --min-runs and --max-runs"
            )

    @cached_property
    def edge_work(self) -> EdgeWork:
        """How the edge shares its work; UsageError for a batch that cannot be."""
        return edge_work(self.edge_workers, self.batch, self.edge_queue)

    @cached_property
    def target(self) -> Target | None:
        """What open numbers of codecs are searched for, if anything is; UsageError."""
        codecs = (*self.codec, *self.input_codec, *self.output_codec)
        return target_of(self.target_drop, self.target_kbit, codecs)

    @property
    def _race(self) -> str:
        return "--until-sure" if self.budget is None else "--budget"

    @property
    def races(self) -> bool:
        """Whether it is to measure no more than its answers take."""
        return self.budget is not None or self.until_sure

    @property
    def least_runs(self) -> int:
        """The fewest frames of a cell, and how many of the inputs are measured."""
        return self.runs or self.min_runs or MIN_FRAMES

    @property
    def most_runs(self) -> int:
        """The most frames of a cell."""
        usual = RACE_FRAMES if self.races else MAX_FRAMES
        return self.runs or self.max_runs or max(usual, self.least_runs)


def sweep_config(options: Mapping[str, object], file: Path | None = None) -> SweepConfig:
    """A checked sweep of the options given, over those of a YAML file.

    Raises UsageError for unknown keys and for values that cannot be, naming each.
    """
    asked = {**(read_yaml(file) if file else {}), **options}
    for key in asked:
        if key not in SweepConfig.model_fields:
            meant = did_you_mean(_ALSO.get(key, key), SweepConfig.model_fields, otherwise=";")
            raise UsageError(f"a sweep has no option {key!r}{meant} see `orchestrate sweep --help`")
    if (asked.get("budget") or asked.get("until_sure")) and asked.get("delivery") is None:
        asked["delivery"] = False  # over a slow link it takes minutes, and answers nothing
    target = asked.get("target_drop")
    if isinstance(target, int | float) and asked.get("max_drop") is None:
        asked["max_drop"] = max(MAX_DROP, target)  # what is asked for is not too much
    if "model" not in asked:
        raise UsageError("no model is named: give --model NAME (orchestrate models) or FILE")
    try:
        return SweepConfig.model_validate(asked)
    except ValidationError as error:
        typed = {name: _typed(name, value) for name, value in asked.items()}
        raise UsageError(one_line(error, typed)) from None


def _typed(name: str, value: object) -> str:
    """The option as a command has it."""
    words = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"--{name.replace('_', '-')} {words}"
