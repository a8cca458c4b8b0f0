"""Which weights a model needs fine first: those whose coarse values put its outputs off most.

Measured, on inputs of the validation partition: one weight coarse, all others fine.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from orchestrator.results.run_folder import RunFolder
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.increments.asked import Incremental
from orchestrator.transit.published import VALID
from splitbed.errors import UsageError
from splitbed.model_coders.increments import at, weights_of
from splitbed.model_data import ModelFile, read_model, write_model
from splitbed.tensors import Tensors

FRAMES = 10
GROUPS_FILE = "groups.json"
_GROUPS = TypeAdapter(list[list[Annotated[int, Field(ge=0, lt=1 << 16)]]])


def groups(
    asked: Incremental, scenario: AnchorScenario, folder: RunFolder, told: Callable[[str], None]
) -> list[list[int]]:
    """The weights that each update of a refinement is of, by their places; none: all at once.

    They are found once, and written down: updates are named by them. Raises UsageError for what
    is no such file.
    """
    if asked.by_layer == 1:
        return []
    file = folder.path / GROUPS_FILE
    if file.exists():
        try:
            return _GROUPS.validate_json(file.read_bytes())
        except ValidationError:
            raise UsageError(
                f"cannot resume {folder.path}: its {file.name} is damaged; have it from a backup,"
                " or start a new one"
            ) from None
    told("looking for the weights that outputs need most")
    whole = read_model(scenario.path)
    found = groups_by_need(scenario, whole, asked.bits, asked.by_layer, folder.path)
    folder.replace(GROUPS_FILE, json.dumps(found))
    return found


def groups_by_need(
    scenario: AnchorScenario, model: ModelFile, bits: Sequence[int], count: int, folder: Path
) -> list[list[int]]:
    """The weights' places in at most ``count`` groups of about as many values, most needed first.

    Needed is what puts outputs off most for each of its values at the fewest of ``bits``.
    ``folder`` has a model file meanwhile.
    """
    names = weights_of(model, bits[0])
    fine, coarse = (at(model, one, bits[0]) for one in (bits[-1], bits[0]))
    inputs = scenario.inputs(VALID)[:FRAMES]
    file = folder / f"tried.{model.form}"

    def outputs(state: Mapping[str, np.ndarray]) -> list[Tensors]:
        write_model(model.replaced(state), file)
        return [*scenario.outputs(file, inputs)]

    try:
        due = outputs(fine.state)
        off = [_off(outputs({**fine.state, name: coarse.state[name]}), due) for name in names]
    finally:
        file.unlink(missing_ok=True)
    sizes = [model.state[name].size for name in names]
    order = sorted(range(len(names)), key=lambda place: -off[place] / sizes[place])
    return grouped(order, sizes, count)


def grouped(order: Sequence[int], sizes: Sequence[int], count: int) -> list[list[int]]:
    """Places in their order, cut into at most ``count`` groups of about as many values."""
    groups, total, before, last = list[list[int]](), sum(sizes), 0, -1
    for place in order:
        # a weight is in the group in which the middle of it is
        number = int((before + sizes[place] / 2) * count / total)
        before += sizes[place]
        if number > last:
            groups.append([])
            last = number
        groups[-1].append(place)
    return groups


def _off(outputs: Sequence[Tensors], due: Sequence[Tensors]) -> float:
    """How far outputs are from those that are due: squares, of the squares that these have."""
    found = 0.0
    for one, other in zip(outputs, due, strict=True):
        for name, array in other.items():
            wanted, got = (np.asarray(each, np.float64) for each in (array, one[name]))
            if wanted.shape != got.shape:
                found += 1.0
            elif power := float(np.square(wanted).sum()):
                found += float(np.square(got - wanted).sum()) / power
    return found
