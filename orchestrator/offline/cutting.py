"""The parts of a cut as model files of their own, and what crosses it as arrays of numpy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.results.run_folder import check_free
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import LocalModel
from splitbed.errors import UsageError
from splitbed.graphs.parts import extract, write_portable
from splitbed.graphs.splits import Split, resolve
from splitbed.tensors import Tensors


@dataclass(frozen=True)
class CutFiles:
    """Both parts; `around` names tensors that part 2 takes and part 1 is fed: these go around it.

    `crossing` has a file for each input, with an array for each tensor that crosses.
    """

    part1: Path
    part2: Path
    around: tuple[str, ...]
    crossing: tuple[Path, ...]


def one_cut(config: SweepConfig, local: LocalModel) -> Split:
    """The one cut that `config` names. Raises UsageError for several, or for an anchor."""
    graph = local.model.graph
    found = resolve(graph, config.split, local.model.named_splits)
    if len(found) != 1:
        raise UsageError(
            f"--split {config.split} means {len(found)} cuts: name one of them "
            f"('orchestrate splits {config.model}' lists them)"
        )
    if found[0].k in (0, graph.n):
        crossing = "the input" if found[0].k == 0 else "the result"
        raise UsageError(
            f"--split {config.split} is no cut within the model, as nothing but {crossing} "
            f"crosses: name a cut from {graph.cuts[1].name} to {graph.cuts[graph.n - 1].name}"
        )
    return found[0]


def cut(
    config: SweepConfig, local: LocalModel, inputs: Sequence[ModelInput], out: Path
) -> CutFiles:
    """Write both parts into the new folder `out`, and for each input what crosses, as NAME.npz.

    The parts are named as the model is. Raises UsageError for what is no cut, or cannot be written.
    """
    check_free(out)
    split = one_cut(config, local)
    part1, part2 = extract(local.model.stored, split.k)
    stem, suffix = local.model.name, local.model.graph.format
    first, second = (out / f"{stem}_part{number}.{suffix}" for number in (1, 2))
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_portable(part1, first)
        write_portable(part2, second)
        part2.remove()
        crossing = [_written(out, one, tensors) for one, tensors in crossings(local, split, inputs)]
    except OSError as error:
        raise UsageError(f"--out {out}: cannot write the parts: {error.strerror}") from None
    return CutFiles(first, second, part1.passthrough, tuple(crossing))


def crossings(
    local: LocalModel, split: Split, inputs: Sequence[ModelInput]
) -> Iterator[tuple[ModelInput, Tensors]]:
    """What crosses the cut for each input."""
    if not inputs:
        return
    part1, part2 = extract(local.model.stored, split.k)
    part2.remove()
    with local.session(part1) as session:
        for one in inputs:
            yield one, session.run(one.tensors)


def _written(out: Path, given: ModelInput, tensors: Tensors) -> Path:
    file = out / f"{given.name.replace('/', '_')}.npz"
    with file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **tensors)
    return file
