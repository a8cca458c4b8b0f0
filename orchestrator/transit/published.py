"""The interfaces of clause 2.1.2.4 and 2.1.2.5: what is written for the published scripts fits in.

A model is whatever a scenario's ``get_model`` gives; as modules of torch do, it tells its named
tensors by ``state_dict``, and takes others by ``load_state_dict``.
"""

import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from splitbed.errors import UsageError
from splitbed.extensions import Extensible
from splitbed.tensors import Tensors

PARTITIONS = TEST, VALID = "test", "valid"
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Model(Protocol):
    """A model with named tensors."""

    def state_dict(self) -> Mapping[str, ArrayLike]:
        """Its tensors by name; whoever writes into one changes the model."""

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> object:
        """Have these instead."""


@dataclass
class Options:
    """What is forwarded to scenarios and coders: the parameters of Table 2.1.2.2-1, S and C.

    A coder has ``file_names["bit"]``, the bitstream, ``file_names["dec"]``, the decoded model, and
    the scenario besides.
    """

    coder_name: str
    scenario_name: str
    data_set_name: str
    model_name: str
    enc_cfg_file_name: str | None
    unique_tag: str
    data_dir: str
    batch_size: int
    workers: int
    disable_progress_bar: bool
    file_names: dict[str, str] = field(default_factory=dict)
    scenario: "Scenario | None" = None


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


class Coder(Protocol):
    """A coder of model data (Figure 2.1.2.5-1)."""

    def encode(self, model: Model) -> None:
        """Write the tensors of ``model`` to the file ``opts.file_names["bit"]``."""

    def decode(self, rec_model: Model) -> None:
        """Read that file into the tensors of ``rec_model``."""


class ScenarioKind(Protocol):
    """The class of a scenario."""

    def __call__(self, opts: Options) -> Scenario:
        """One that is configured so."""


class CoderKind(Protocol):
    """The class of a coder."""

    def __call__(self, opts: Options) -> Coder:
        """One that is configured so."""


SCENARIOS: Extensible[ScenarioKind] = Extensible(
    "splitbed.model_scenarios",
    "scenario of models in transit",
    {},
    kind="Scenario of clause 2.1.2.4",
    needs=("get_model", "download_data_and_models", "get_perf"),
)
"""Those of installed packages, by name."""


def is_class(name: str) -> bool:
    """Whether a name is that of a class, ``MODULE:CLASS``."""
    return _CLASS.fullmatch(name) is not None


def scenario_named(name: str) -> ScenarioKind:
    """A scenario's class: one of an installed package, or ``MODULE:CLASS``. Raises UsageError."""
    if is_class(name):
        return cast(ScenarioKind, _loaded(name, "scenario", SCENARIOS.needs))
    return SCENARIOS.named(name, or_else=", or give MODULE:CLASS")


def coder_class(name: str) -> CoderKind:
    """The coder's class ``MODULE:CLASS``. Raises UsageError."""
    return cast(CoderKind, _loaded(name, "coder", ("encode", "decode")))


def _loaded(name: str, what: str, needs: tuple[str, ...]) -> object:
    module, _, word = name.partition(":")
    if str(Path.cwd()) not in sys.path:  # as for scripts that are started where they lie
        sys.path.append(str(Path.cwd()))
    try:
        found: object = getattr(importlib.import_module(module), word)
    except Exception as error:  # a user's module may raise anything
        raise UsageError(f"cannot import the {what} {name}: {error}") from error
    if missing := [one for one in needs if not hasattr(found, one)]:
        raise UsageError(f"{name} is no {what} of clause 2.1.2: it lacks {', '.join(missing)}")
    return found


def state_of(model: Model) -> Tensors:
    """Its tensors as arrays."""
    return {name: np.asarray(tensor) for name, tensor in model.state_dict().items()}


def size_of(model: Model) -> int:
    """Bytes of its tensors, uncompressed (clause 10.1.7)."""
    return sum(array.nbytes for array in state_of(model).values())
