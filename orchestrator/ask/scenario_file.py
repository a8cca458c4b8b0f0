"""Scenarios of clause 10 as YAML files: the template of clause 3, filled in, and what to run."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.options import Source, Splits
from splitbed.checked import Frozen, one_line, text_named, yaml_mapping
from splitbed.errors import UsageError
from splitbed.extensions import Extensible

HEADINGS = {
    "motivation": "Motivation and use case relevance",
    "description": "Description of the scenario",
    "members": "Supporting companies and 3GPP members",
    "anchor_model": "Anchor AI/ML DNN model",
    "testbed": "Testbed architecture and anchors",
    "factors": "Test configuration factors, constraints and settings",
    "metrics": "Feasibility/performance evaluation metrics",
    "dataset": "Test dataset and scripts",
    "conditions": "Detailed test conditions",
    "interoperability": "Interoperability considerations",
    "external_performance": "External performance data",
}
"""Field of a scenario -> heading of the template (clause 3)."""


class Verification(Frozen):
    """What `orchestrate verify` is to check first."""

    split: Splits = "all"


class Quantisation(Frozen):
    """What the sweep's model is held against (clause 9.4): itself, pruned and in 8 bits."""

    sequences: tuple[Source, ...] = Field(min_length=1)
    """Inputs whose precision is told, one by one."""
    prune: tuple[Annotated[int, Field(ge=0, le=99)], ...] = Field((0,), min_length=1)
    """Percent of each weight, the least in magnitude; a version each, the first is swept, too."""
    calibration: Source | None = None
    """Inputs that ranges are taken from; else photographs that come with scikit-image."""
    frames: int = Field(100, ge=1, le=10_000)
    """Of the calibration, at most."""


class Scenario(Frozen):
    """One scenario: texts for the template, and the options of what it runs."""

    clause: str
    name: str
    motivation: str = ""
    description: str = ""
    members: str = ""
    anchor_model: str = ""
    testbed: str = ""
    factors: str = ""
    metrics: str = ""
    dataset: str = ""
    conditions: str = ""
    interoperability: str = ""
    external_performance: str = ""
    verify: Verification | None = None
    annotations: Path | None = None
    also: tuple[str, ...] = ()
    """Scenarios that belong to this one, by their names: they run after it, in its folder."""
    sweep: dict[str, object] = Field(default_factory=dict)
    quantisation: Quantisation | None = None
    """Beside `sweep`: other versions of its model, and the sweep of one of them."""
    model_sweep: dict[str, object] = Field(default_factory=dict)
    """In place of `sweep`: the options of a model sweep, of a scenario of models in transit."""
    increments: dict[str, object] = Field(default_factory=dict)
    """In place of both: models, bits and links, of a scenario of models that come in increments."""
    federated: dict[str, object] = Field(default_factory=dict)
    """In place of all: UEs, links and coders of federated averaging (clause 9.3)."""

    @model_validator(mode="after")
    def _runs_one_of_them(self) -> Self:
        if sum(map(bool, (self.sweep, self.model_sweep, self.increments, self.federated))) != 1:
            raise ValueError(
                "give one of sweep:, model-sweep:, increments: and federated:, with options"
            )
        beside = self.verify or self.annotations or self.also or self.quantisation
        if not self.sweep and beside:
            raise ValueError("verify:, annotations:, also: and quantisation: go with sweep:")
        return self

    def config(self) -> SweepConfig:
        """The sweep that it asks for. Raises UsageError."""
        asked = sweep_config({key.replace("-", "_"): value for key, value in self.sweep.items()})
        if loads := [load.words for load in asked.loads if load.offered]:
            raise UsageError(
                f"the scenario {self.name} asks for the load {loads[0]}, and its tables are of "
                "frames that come one at a time: leave load:, or give it to a sweep"
            )
        return asked

    def markdown(self) -> str:
        """The filled-in template."""
        told = [f"# {self.clause} {self.name}\n"]
        for field, heading in HEADINGS.items():
            if text := getattr(self, field).strip():
                told.append(f"## {heading}\n\n{text}\n")
        return "\n".join(told)


SCENARIOS: Extensible[Traversable] = Extensible(
    "splitbed.scenarios",
    "scenario",
    {
        Path(item.name).stem: item
        for item in files("orchestrator.scenarios").iterdir()
        if item.name.endswith(".yaml")
    },
    kind="file of importlib.resources",
    needs=("read_text",),
)
"""YAML files by their clause or name; of installed packages, too."""


def scenario_text(name: str) -> str:
    """The YAML of a scenario: one that comes along, by its clause, or a file."""
    return text_named(name, SCENARIOS, "scenario")


def load_scenario(name: str) -> Scenario:
    """The scenario called `name`, or in the file `name`; UsageError for what is none."""
    content = yaml_mapping(scenario_text(name), f"the scenario {name}")
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"the scenario {name} cannot be run: {one_line(error)}") from None
