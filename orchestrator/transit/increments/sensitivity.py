"""Which weights a model needs fine first: those whose coarse values put its outputs off most.

Measured, on inputs of the validation partition: one weight coarse, all others fine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.published import VALID
from splitbed.model_coders.increments import at, weights_of
from splitbed.model_data import ModelFile, write_model
from splitbed.tensors import Tensors

FRAMES = 10


def groups_by_need(
    scenario: AnchorScenario, model: ModelFile, bits: Sequence[int], count: int, folder: Path
) -> list[list[int]]:
    """The weights' places in at most ``count`` groups of about as many values, most needed first.

    Needed is what puts outputs off most for each of its values at the fewest of ``bits``.
    ``folder`` has a model file meanwhile.
    """
    names = weights_of(model)
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
