"""The options of a sweep, as a command line or YAML has them, and what each means."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from orchestrator.ask.devices import Power, power_of
from orchestrator.ask.flow import UPLINK, check_flow, flow_named
from orchestrator.ask.links import LinkOptions
from orchestrator.ask.load import MOST_IN_FLIGHT, MOST_QUEUE, Drop, Load, load_named
from orchestrator.ask.load.edge_work import MOST_WORKERS, EdgeWork, edge_work
from orchestrator.ask.numbers import Codecs, Seconds, Words, comma_list, comma_words
from orchestrator.ask.precision import FP32, Precisions
from orchestrator.ask.target import Target, target_of
from orchestrator.ask.topology import MOST_UES, Namespaces, Topology, load_topology
from splitbed.codecs import RAW
from splitbed.node.config import LEAST_CPUS, MOST_CPUS
from splitbed.runtime.provider import provider_of

MIN_FRAMES, MAX_FRAMES = 3, 9
"""Of a cell that ends when its frames are enough, where nothing else is asked."""
RACE_FRAMES = 6
"""The most of a cell in a race: no fewer have an interval."""
MAX_DROP = 0.01
"""Of the metric: what loses more is not recommended."""


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


def _powers(value: object) -> object:
    """``ue=PROFILE``, several after commas; or a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in comma_words(value)]
    if not all(name and profile for name, _, profile in pairs):
        raise ValueError("should name node and profile, as in ue=phone.yaml")
    return {name.strip(): profile.strip() for name, _, profile in pairs}


ProviderWords = Annotated[str, BeforeValidator(lambda value: str(provider_of(value)))]
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


class SweepOptions(LinkOptions):
    """What can be asked of a sweep. The fields are the options of the command, with `_` for `-`."""

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
    ue_provider: ProviderWords | None = None
    edge_provider: ProviderWords | None = None
    ue_precision: Precisions = (FP32,)
    edge_precision: Precisions = (FP32,)
    codec: Codecs = (RAW,)
    input_codec: Codecs = (RAW,)
    output_codec: Codecs = (RAW,)
    target_drop: float | None = Field(None, ge=0, allow_inf_nan=False)
    target_kbit: float | None = Field(None, gt=0, allow_inf_nan=False)
    calibration: Source | None = None
    ue_slowdown: Slowdowns | None = None
    ue_cpu: Shares | None = None
    ue_profile: Words | None = None
    power: Annotated[dict[Literal["ue", "edge"], str], BeforeValidator(_powers)] = Field(
        default_factory=dict
    )
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

    @cached_property
    def edge_work(self) -> EdgeWork:
        """How the edge shares its work; UsageError for a batch that cannot be."""
        return edge_work(self.edge_workers, self.batch, self.edge_queue)

    @property
    def precise(self) -> str:
        """The options that ask for another precision than the model's, as typed; else nothing."""
        asked = {"--ue-precision": self.ue_precision, "--edge-precision": self.edge_precision}
        return " ".join(f"{name} {','.join(of)}" for name, of in asked.items() if {*of} != {FP32})

    @cached_property
    def target(self) -> Target | None:
        """What open numbers of codecs are searched for, if anything is; UsageError."""
        codecs = (*self.codec, *self.input_codec, *self.output_codec)
        return target_of(self.target_drop, self.target_kbit, codecs)

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """Every load that is asked for, once; UsageError."""
        return tuple(dict.fromkeys(map(self.load_named, self.load)))

    def load_named(self, word: str) -> Load:
        """A load, with what else is asked of all; UsageError."""
        return load_named(word, self.in_flight, self.queue, self.drop, self.deadline_ms)

    @cached_property
    def powers(self) -> dict[str, Power]:
        """What UEs, or nodes of the network, take by a model; UsageError for what is none."""
        return {kind: power_of(profile) for kind, profile in self.power.items()}

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
