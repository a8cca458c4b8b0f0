"""Where the profile of a plan is from: an earlier one, or both nodes now; the UE's may be told."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.profiling.taking import take_profile
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.benchmark_csv import ue_profile
from orchestrator.results.profile import Profile
from orchestrator.results.run_folder import PROFILE_FILE
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.site import Site
from orchestrator.testbed.testbed import testbed
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.media.files import text_in


def read_nodes(place: Path) -> Profile:
    """The profile in a run's or a plan's folder, or in a file of `orchestrate profile --json`."""
    file = place / PROFILE_FILE if place.is_dir() else place
    try:
        return Profile.model_validate_json(text_in(file))
    except (OSError, ValueError):
        raise UsageError(
            f"--profile {place} holds no profile: give the folder of a sweep or a plan, or what "
            "`orchestrate profile --json` printed; --budget and --until-sure leave none"
        ) from None


def take_nodes(config: SweepConfig, site: Site, model: SweptModel, watcher: Watcher) -> Profile:
    """Profile the nodes, and the parts of the cuts that are planned."""
    watcher.note("profiling the nodes")
    with testbed(site, model, config.flow_links) as bed:
        return take_profile(config, bed.model, bed.pair)


def with_told_ue(profile: Profile, file: Path | None, graph: Callable[[], Graph]) -> Profile:
    """The same with the UE of `benchmark_model`'s CSV, if one is given. Raises UsageError."""
    if file is None:
        return profile
    if profile.n != (n := graph().n):
        raise UsageError(
            f"the profile is of another model: it has {profile.n} layers, this one has {n}; give "
            "a profile of this one, or none"
        )
    return profile.replaced(ue=ue_profile(file, graph(), profile.edge.layers))
