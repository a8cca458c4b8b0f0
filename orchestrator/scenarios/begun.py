"""A scenario begun: checked as a whole, and written into a folder, which says what is run there."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml

from orchestrator.ask.scenario_file import Scenario, load_scenario
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.offline.infer import check_annotations
from orchestrator.results.reading import SWEEP_FOLDER
from orchestrator.results.run_folder import SCENARIO_FILE, check_free, runs_folder
from orchestrator.scenarios.federated import clause_9_3
from orchestrator.scenarios.quantisation import run as quantisation
from orchestrator.scenarios.transit import increments, models
from orchestrator.testbed.site import prepared
from splitbed.errors import UsageError
from splitbed.graphs.splits import resolve
from splitbed.media.files import write_new

TEMPLATE_FILE = "scenario.md"
OF_ONE_MODEL = ("split", "weights", "width", "runtime", "codec")


def begin(
    name: str, options: Mapping[str, object], annotations: Path | None, out: Path | None
) -> Path:
    """Write what will be run into a new folder: the scenario called `name`, `options` over its own.

    Raises UsageError for a scenario, options or a folder that cannot be.
    """
    scenario = load_scenario(name)
    # what a user says of pictures, links and the UE is meant for all; of splits and codecs, not
    common = {key: value for key, value in options.items() if key not in OF_ONE_MODEL}
    others = [_checked(other, common, None) for other in scenario.also]
    names = {folder_of(other) for other in scenario.also} - {SWEEP_FOLDER}
    if any(other.also for other in others) or len(names) < len(others):
        raise UsageError(f"the scenario {name}: what it runs `also` has no others, nor equal names")
    merged = _checked(name, options, annotations)
    stem = f"scenario-{merged.clause}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    folder = out or runs_folder() / stem
    check_free(folder)
    _write(merged, folder)
    for name_, other in zip(scenario.also, others, strict=True):
        _write(other, folder / folder_of(name_))
    return folder


def _checked(name: str, options: Mapping[str, object], annotations: Path | None) -> Scenario:
    """The scenario with `options` over its own. Raises UsageError for what cannot be run."""
    scenario = load_scenario(name)
    if not scenario.sweep:
        if annotations:
            raise UsageError("--annotations is for scenarios that find key points")
        if scenario.federated:
            return clause_9_3.checked(scenario, options)
        if scenario.increments:
            return increments.checked(scenario, options)
        return models.checked(scenario, options)
    if "coder_name" in options:
        raise UsageError(
            f"--coder is for scenarios that send a whole model, as 10.1: the scenario"
            f" {scenario.clause} splits one; give --codec for what crosses"
        )
    given = {key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    changed: dict[str, object] = {"sweep": scenario.sweep | given}
    if scenario.quantisation and "input" in given:
        changed |= quantisation.of_other_input(scenario.quantisation, scenario.sweep | given)
    if annotations:
        changed["annotations"] = annotations
    merged = scenario.replaced(**changed)
    config = merged.config()
    with prepared(config) as ready:  # refuse it now, not after the first hundred pictures
        local = ready.local
        plan_cells(config, local.model)
        if merged.verify:
            resolve(local.model.graph, merged.verify.split, local.model.named_splits)
        for one in local.inputs:
            one.check()
        if merged.annotations:
            check_annotations(merged.annotations, local)
        if merged.quantisation:
            quantisation.check(merged.quantisation, config, local)
    return merged


def folder_of(name: str) -> str:
    """What the folder of a scenario that belongs to another is called."""
    return Path(name).name.removesuffix(".yaml")


def _write(merged: Scenario, folder: Path) -> None:
    text = yaml.safe_dump(merged.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    write_new(folder / SCENARIO_FILE, text)
    write_new(folder / TEMPLATE_FILE, f"{merged.markdown()}\n{_what_was_run(merged)}")


def _what_was_run(scenario: Scenario) -> str:
    """The options, which may be others than those that the texts were written for."""
    asked = scenario.model_dump(
        mode="json",
        include={
            *("verify", "annotations", "sweep", "quantisation", "model_sweep", "increments"),
            "federated",
        },
        exclude_defaults=True,
    )
    return f"## What was run\n\n```yaml\n{yaml.safe_dump(asked, sort_keys=False)}```\n"


def check(folder: Path) -> None:
    """Refuse now what cannot be gone on with; UsageError."""
    begun(folder)


def in_transit(folder: Path) -> bool:
    """Whether the scenario begun there sends a whole model. Raises UsageError."""
    return bool(begun(folder).model_sweep)


def in_increments(folder: Path) -> bool:
    """Whether the scenario begun there sends models in increments. Raises UsageError."""
    return bool(begun(folder).increments)


def is_federated(folder: Path) -> bool:
    """Whether the scenario begun there trains a model. Raises UsageError."""
    return bool(begun(folder).federated)


def begun(folder: Path) -> Scenario:
    """The scenario that was begun there. Raises UsageError."""
    if not (folder / SCENARIO_FILE).is_file():
        raise UsageError(f"cannot go on with {folder}: no scenario was begun there")
    return load_scenario(str(folder / SCENARIO_FILE))
