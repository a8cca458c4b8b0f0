"""Both nodes' profiles, for programs."""

from pathlib import Path
from typing import Unpack

from orchestrator.api.asking import config_of
from orchestrator.api.options import Place
from orchestrator.api.options.words import ProfileWords
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.profiling.taking import take_profile
from orchestrator.results.profile import Profile
from orchestrator.testbed.site import prepared
from orchestrator.testbed.testbed import testbed
from splitbed.media.files import check_new, write_new


@spelled_out(ProfileWords)
def profile(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    out: Place | None = None,
    **options: Unpack[ProfileWords],
) -> Profile:
    """Time the model and each of its layers on both nodes; `orchestrate profile` says more.

    `out` is a CSV to write, with a row per cut. Raises UsageError, MachineError and NodeError.
    """
    file = None if out is None else Path(out)
    check_new(file)
    taken, _, _ = run_profile(config_of(model_file(model, example_inputs), options))
    if file:
        write_new(file, taken.csv())
    return taken


def run_profile(config: SweepConfig) -> tuple[Profile, str, str]:
    """The profile, the model's name, and what its weights are."""
    with (
        prepared(config) as ready,
        testbed(ready.site, ready.local.model, config.flow_links) as bed,
    ):
        taken = take_profile(config, bed.model, bed.pair)
        return taken, bed.model.name, bed.model.facts.weights
