"""Scenarios as the published scripts have them (clause 2.1.2.4): what is written for those fits in.

A model is whatever a scenario's ``get_model`` gives; as modules of torch do, it tells its named
tensors by ``state_dict``, and takes others by ``load_state_dict``.
"""

from typing import Protocol, cast

import numpy as np

from splitbed.extensions import Extensible
from splitbed.model_coders.published import Model, Options, is_class, loaded
from splitbed.tensors import Tensors

PARTITIONS = TEST, VALID = "test", "valid"


class Scenario(Protocol):
    """A scenario: an anchor model, and how well it does (Figure 2.1.2.4-1)."""

    @property
    def metric_name(self) -> str:
        """The performance metric, as results name it."""

    def get_model(self, pre_trained: bool) -> Model:
        """The anchor model, or one of the same layout whose tensors mean nothing yet."""

    def download_data_and_models(self) -> None:
        """Have models and datasets here, unless they are."""

    def get_perf(
        self, model: Model, partition: str, enforce_higher_is_better: bool = False
    ) -> tuple[float, float]:
        """Performance on the partition ``test`` or ``valid``, and the seconds that it took."""


class ScenarioKind(Protocol):
    """The class of a scenario."""

    def __call__(self, opts: Options) -> Scenario:
        """One that is configured so."""


SCENARIOS: Extensible[ScenarioKind] = Extensible(
    "splitbed.model_scenarios",
    "scenario of models in transit",
    {},
    kind="Scenario of clause 2.1.2.4",
    needs=("get_model", "download_data_and_models", "get_perf"),
)
"""Those of installed packages, by name."""


def scenario_named(name: str) -> ScenarioKind:
    """A scenario's class: one of an installed package, or ``MODULE:CLASS``. Raises UsageError."""
    if is_class(name):
        return cast(ScenarioKind, loaded(name, "scenario", SCENARIOS.needs))
    return SCENARIOS.named(name, or_else=", or give MODULE:CLASS")


def state_of(model: Model) -> Tensors:
    """Its tensors as arrays."""
    return {name: np.asarray(tensor) for name, tensor in model.state_dict().items()}


def size_of(model: Model) -> int:
    """Bytes of its tensors, uncompressed (clause 10.1.7)."""
    return sum(array.nbytes for array in state_of(model).values())
