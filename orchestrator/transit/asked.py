"""What a model sweep is asked: coders of a model, links, and the parameters of clause 2.1.2.2.

A model is one of ours, with an input that judges it, or what a published scenario gives.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from orchestrator.ask.numbers import Words
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.options import MIN_FRAMES
from orchestrator.transit.published import scenario_named
from splitbed.checked import Frozen, one_line
from splitbed.errors import UsageError
from splitbed.model_coders import DUMMY, coder_named
from splitbed.model_coders.published import Options, coder_class, is_class

OWN = "splitbed"
"""The scenario of a model of ours: its task and its dataset."""
MOST_RUNS = 1000
"""Deliveries over each link."""
_OF_FILES = ("model", "input", "weights", "calibration")


class ModelSweep(Frozen):
    """Coders of one model; with ``config``, which says the model and the links, of ours.

    Names are those of Table 2.1.2.2-1.
    """

    coder_name: Words = (DUMMY,)
    scenario_name: str = OWN
    data_set_name: str = ""
    model_name: str = ""
    enc_cfg_file_name: Path | None = None
    unique_tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$", max_length=100)] = ""
    out_dir: Path | None = None
    data_dir: Path = Path()
    batch_size: int = Field(1, ge=1, le=10_000)
    workers: int = Field(0, ge=0, le=1024)
    disable_progress_bar: bool = False
    eval_compression: bool = True
    eval_anchor: bool = True
    download_only: bool = False
    runs: int = Field(1, ge=1, le=MOST_RUNS)
    have: Path | None = None
    offline: bool = False
    config: SweepConfig | None = None

    @model_validator(mode="after")
    def _can_be_coded(self) -> Self:
        for name in self.coder_name:
            _ = coder_class(name) if is_class(name) else coder_named(name)
        if self.enc_cfg_file_name and not self.enc_cfg_file_name.is_file():
            raise UsageError(f"--enc-cfg-file-name {self.enc_cfg_file_name}: there is no such file")
        if self.have and not self.have.is_file():
            raise UsageError(f"--have {self.have}: there is no such file")
        if self.have and (self.offline or self.config is None):
            raise UsageError(
                f"--have {self.have} is what the UE has already of a model of ours, which is sent "
                "over a link: leave it, or --offline"
            )
        if self.have and (classes := [*filter(is_class, self.coder_name)]):
            raise UsageError(
                f"--have {self.have}: the class {classes[0]} codes all of a model: leave either"
            )
        return self

    def options(self, coder: str) -> Options:
        """What is forwarded to the scenario, and to a coder."""
        return Options(
            coder_name=coder,
            scenario_name=self.scenario_name,
            data_set_name=self.data_set_name,
            model_name=self.model_name,
            enc_cfg_file_name=str(self.enc_cfg_file_name) if self.enc_cfg_file_name else None,
            unique_tag=self.unique_tag,
            data_dir=str(self.data_dir),
            batch_size=self.batch_size,
            workers=self.workers,
            disable_progress_bar=self.disable_progress_bar,
        )


def model_sweep(options: Mapping[str, object]) -> ModelSweep:
    """What is asked, checked: options of its own, and of a sweep the model, links and nodes.

    Raises UsageError for values that cannot be, naming each.
    """
    given = {name: value for name, value in options.items() if value is not None}
    asked = {name: given.pop(name) for name in [*given] if name in ModelSweep.model_fields}
    if "coder_name" not in asked and not asked.get("download_only"):
        raise UsageError("no coder is named: give --coder int8, or a list (orchestrate coders)")
    asked["model_name"] = given.get("model", "")
    if asked.get("scenario_name", OWN) != OWN:
        scenario_named(str(asked["scenario_name"]))
        if others := given.keys() - {"model"}:
            raise UsageError(
                f"--{min(others).replace('_', '-')} is for a model of ours, which is sent over a "
                f"link: the scenario {asked['scenario_name']} has a model and data of its own"
            )
    else:
        sweep = given | {"input": asked.get("data_set_name")}
        asked["config"] = config = whole_model_config(sweep, Path(str(asked.get("data_dir", "."))))
        asked |= {"model_name": config.model, "data_set_name": config.input or ""}
    try:
        return ModelSweep.model_validate(asked)
    except ValidationError as error:
        typed = {name: f"--{name.replace('_', '-')} {value}" for name, value in asked.items()}
        raise UsageError(one_line(error, typed)) from None


def whole_model_config(given: Mapping[str, object], folder: Path = Path()) -> SweepConfig:
    """Model, input, links and nodes, as of a sweep with a frame of each input.

    Files may be in ``folder``. Raises UsageError.
    """
    sweep = {name: value for name, value in given.items() if value is not None}
    sweep["split"] = "single"
    for name in _OF_FILES:
        if (file := folder / str(sweep.get(name))).exists():
            sweep[name] = str(file)
    frames = sweep_config(sweep).accuracy_frames
    return sweep_config(sweep | {"runs": max(frames, MIN_FRAMES)})
