"""What a sweep is asked to do: the options of `orchestrate sweep`, or the same as YAML."""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from netem.profiles import PROFILES
from netem.spec import LinkSpec, Shape
from splitbed.checked import Frozen, one_line, read_yaml
from splitbed.errors import UsageError

MIN_FRAMES = 3
MAX_QUEUE_PACKETS = 1_000_000
GRID_OPTIONS = ("bw", "delay_ms", "jitter_ms", "loss_pct", "queue_packets", "ul", "dl")


def _comma_list(value: Any) -> Any:
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, bool) for number in numbers):
        raise ValueError("should be numbers")
    return numbers if isinstance(value, int | float) else value


def _split(value: Any) -> Any:
    if isinstance(value, int) or (
        isinstance(value, list) and any(isinstance(item, int) for item in value)
    ):
        # YAML 1.1 reads 3:30 as a number of base 60
        raise ValueError("should be text: quote it, as in split: '12:131'")
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _key_values(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in value.split(",") if word.strip()]
    return {key.strip().replace("-", "_"): number.strip() for key, _, number in pairs}


def _shapes(value: Any) -> Any:
    """``NAME=1x3x300x300``, several after commas; or a mapping of lists."""
    if not isinstance(value, str):
        return value
    pairs = [word.rpartition("=") for word in value.split(",") if word.strip()]
    if not all(name for name, _, _ in pairs):
        raise ValueError("should name the input, as in image=1x3x300x300")
    return {name.strip(): sizes.strip().split("x") for name, _, sizes in pairs}


Splits = Annotated[str, BeforeValidator(_split)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_comma_list), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(_comma_list), Field(min_length=1)]


Source = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, Path) else v)]
Slowdowns = Annotated[
    tuple[Annotated[float, Field(ge=1, le=1000)], ...], BeforeValidator(_comma_list)
]
Shares = Annotated[
    tuple[Annotated[float, Field(ge=0.001, le=1024)], ...], BeforeValidator(_comma_list)
]


class Override(Frozen):
    """What one direction has of its own; the rest it takes from the swept values."""

    rate_mbit: float | None = None
    delay_ms: float | None = None
    jitter_ms: float | None = None
    loss_pct: float | None = None
    queue_packets: int | None = None


OverrideOption = Annotated[Override, BeforeValidator(_key_values)]


class SweepConfig(Frozen):
    """One sweep. The fields are the options of the command, with `_` for `-`."""

    model: str
    split: Splits = "named"
    bw: Numbers = (5.0, 20.0, 100.0)
    delay_ms: Numbers = (0.0,)
    jitter_ms: Numbers = (0.0,)
    loss_pct: Numbers = (0.0,)
    link: Words | None = None
    queue_packets: int = Field(1000, ge=1, le=MAX_QUEUE_PACKETS)
    ul: OverrideOption = Override()
    dl: OverrideOption = Override()
    runs: int = Field(5, ge=MIN_FRAMES, le=100_000)
    warmup: int = Field(1, ge=0, le=1000)
    ue_threads: int = Field(0, ge=0, le=1024)
    edge_threads: int = Field(0, ge=0, le=1024)
    codec: Words = ("raw",)
    input_codec: Words = ("raw",)
    calibration: Source | None = None
    ue_slowdown: Slowdowns | None = None
    ue_cpu: Shares | None = None
    ue_profile: Words | None = None
    task: str | None = None
    fps: float = Field(30.0, gt=0, le=1000)
    input: Source | None = None
    weights: Path | None = None
    width: float = 1.0
    runtime: Literal["onnx", "tflite"] | None = None
    delivery: bool = True
    profile: bool = True
    shape: Annotated[dict[str, tuple[int, ...]], BeforeValidator(_shapes)] = Field(
        default_factory=dict
    )
    seed: int = Field(0, ge=0, lt=2**63)
    frame_timeout_s: float | None = Field(None, gt=0, le=86_400)
    link_backend: str = "auto"
    topology: Path | None = None
    out: Path | None = None

    def links(self) -> list[LinkSpec]:
        """Every link of the grid, once; UsageError for one that cannot be."""
        return list(dict.fromkeys(self._profiles() if self.link else self._grid()))

    def _profiles(self) -> Iterator[LinkSpec]:
        fields = type(self).model_fields
        if clash := [name for name in GRID_OPTIONS if getattr(self, name) != fields[name].default]:
            options = ", ".join(clash)
            raise UsageError(f"link profiles are whole links: give --link, or {options}, not both")
        for name in self.link or ():
            if name not in PROFILES:
                raise UsageError(
                    f"no link profile is called {name!r}: choose {', '.join(PROFILES)}"
                )
            yield PROFILES[name]

    def _grid(self) -> Iterator[LinkSpec]:
        grid = product(self.bw, self.delay_ms, self.jitter_ms, self.loss_pct)
        for rate_mbit, delay_ms, jitter_ms, loss_pct in grid:
            swept = {
                "rate_mbit": rate_mbit,
                "delay_ms": delay_ms,
                "jitter_ms": jitter_ms,
                "loss_pct": loss_pct,
                "queue_packets": self.queue_packets,
            }
            yield LinkSpec(
                uplink=_shape("uplink", swept, self.ul), downlink=_shape("downlink", swept, self.dl)
            )


def _shape(direction: str, swept: dict[str, float], own: Override) -> Shape:
    try:
        return Shape.model_validate({**swept, **own.model_dump(exclude_none=True)})
    except ValidationError as error:
        raise UsageError(f"no {direction} can be shaped like that: {one_line(error)}") from None


def sweep_config(options: dict[str, Any], file: Path | None = None) -> SweepConfig:
    """A checked sweep of the options given, over those of a YAML file.

    Raises UsageError for unknown keys and for values that cannot be, naming each.
    """
    asked = {**(read_yaml(file) if file else {}), **options}
    for key in asked:
        if key not in SweepConfig.model_fields:
            close = get_close_matches(key, SweepConfig.model_fields, n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"a sweep has no option {key!r}{meant} See `orchestrate sweep --help`")
    if "model" not in asked:
        raise UsageError("no model is named: give --model NAME (orchestrate models) or FILE")
    try:
        config = SweepConfig.model_validate(asked)
    except ValidationError as error:
        raise UsageError(f"this sweep cannot be run: {one_line(error)}") from None
    config.links()
    return config
