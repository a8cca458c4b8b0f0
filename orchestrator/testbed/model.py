"""The model of a sweep: one of the zoo or a file, stored so that both nodes can cut it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from orchestrator.ask.config import SweepConfig
from orchestrator.testbed.inputs import ModelInput, open_inputs
from splitbed.errors import UsageError
from splitbed.graphs.formats import format_of, load_graph
from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import StoredModel, extract, store
from splitbed.media.recipes import PictureRecipe, recipe_for
from splitbed.node.delivery import ModelInfo, info_of
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.zoo import ZOO, AnchorModel, Variant, anchor_model


@dataclass(frozen=True)
class SweptModel:
    """A graph on disk, with all that feeding it, reading it and repeating the run takes."""

    name: str
    stored: StoredModel
    task: str
    recipe: PictureRecipe | None
    named_splits: Mapping[str, str] | None
    inputs: tuple[ModelInput, ...]
    others: tuple[ModelInput, ...]
    """Those that were given and are not measured."""
    is_sequence: bool
    classes: tuple[str, ...]
    """Of the ground truth."""
    facts: dict[str, object]
    """For run.json: weights, sizes, hashes of model and inputs."""

    @property
    def graph(self) -> Graph:
        """Its layers and cuts."""
        return self.stored.graph

    @property
    def file_bytes(self) -> int:
        """What its file measures."""
        return cast(int, self.facts["bytes"])

    @property
    def channels_last(self) -> bool:
        """Whether maps have their channels last."""
        return self.graph.format == "tflite"

    @property
    def info(self) -> ModelInfo:
        """What the nodes must know of it."""
        return info_of(self.graph, self.task)


def load_model(config: SweepConfig, folder: Path) -> SweptModel:
    """Build or read the model of `config` and store it in `folder`.

    Raises UsageError for an unknown model, a file that is none, an input
    or weights that do not fit.
    """
    file, weights, anchor = _model_file(config, folder)
    graph = load_graph(file, config.shape or None)
    recipe = _recipe(graph, anchor)
    given = open_inputs(config, graph, recipe, anchor)
    inputs = given.measured(config.runs)
    for one in inputs:  # refuse it now, not in the middle of a sweep
        one.check()
    stored = store(graph, folder)
    task = _task(config, anchor)
    _check_runs(stored, task)
    name = anchor.name if anchor else file.stem
    facts: dict[str, object] = {
        "name": name,
        "weights": weights,
        "runtime": graph.format,
        "layers": graph.n,
        "parameters": anchor.parameters
        if anchor and config.width == 1
        else graph.cuts[0].edge_params,
        "macs": graph.cuts[0].edge_macs,
        "bytes": file.stat().st_size,
        **_hashes(file),
        "dataset": given.dataset.facts() if given.dataset else None,
        "inputs": [one.facts() for one in inputs],
    }
    return SweptModel(
        name=name,
        stored=stored,
        task=task,
        classes=given.dataset.classes if given.dataset else (),
        recipe=recipe,
        named_splits=anchor.named_splits if anchor else None,
        inputs=inputs,
        others=tuple(given.every[len(inputs) :]),
        is_sequence=given.is_sequence,
        facts=facts,
    )


def _task(config: SweepConfig, anchor: AnchorModel | None) -> str:
    if anchor is not None and config.task not in (None, anchor.task):
        raise UsageError(f"--task {config.task} is for a file: {anchor.name} does {anchor.task}")
    if config.task not in (None, *TASKS):
        raise UsageError(f"no task is called {config.task!r}: choose {', '.join(TASKS)}")
    return anchor.task if anchor else config.task or "tensors"


def _check_runs(stored: StoredModel, task: str) -> None:
    """Refuse what cannot be run, or read, before a link and two nodes are brought up for it."""
    _, whole = extract(stored, 0)
    session = PartSession(whole.path, whole.inputs, whole.outputs, whole.passthrough, 0)
    whole.remove()
    with session:
        if task in ("classification", "image"):  # said of a file, which need not be one
            TASKS[task].decode(session.run(session.zeros()), whole.inputs)


def load_graph_of(config: SweepConfig, folder: Path) -> tuple[Graph, AnchorModel | None]:
    """The graph alone, and the anchor model that it is of; raises as :func:`load_model` does."""
    file, _, anchor = _model_file(config, folder)
    return load_graph(file, config.shape or None), anchor


def _model_file(config: SweepConfig, folder: Path) -> tuple[Path, str, AnchorModel | None]:
    """The model's file, what its weights are, and the anchor model that it is of."""
    path = Path(config.model)
    if config.model in ZOO or not (path.suffix.lower() in (".onnx", ".tflite") or path.exists()):
        anchor = anchor_model(config.model)
        variant = _variant(config, anchor)
        built, weights = anchor.build(variant)
        file = folder / f"{anchor.name}.{variant.format}"
        file.write_bytes(built)
        return file, weights, anchor
    if config.weights or config.width != 1:
        option = f"--weights {config.weights}" if config.weights else f"--width {config.width:g}"
        raise UsageError(f"{option} is for a model of the zoo; {config.model} has its own")
    if config.runtime not in (None, form := format_of(path)):
        raise UsageError(f"--runtime {config.runtime} cannot run {path}, which is of format {form}")
    return path, "the file's own", None


def _variant(config: SweepConfig, anchor: AnchorModel) -> Variant:
    model_format = config.runtime or anchor.formats[0]
    if model_format not in anchor.formats:
        raise UsageError(
            f"--runtime {model_format}: {anchor.name} comes as {', '.join(anchor.formats)}"
        )
    if config.width not in anchor.widths:
        known = ", ".join(f"{width:g}" for width in anchor.widths)
        raise UsageError(f"--width {config.width:g}: {anchor.name} comes in {known}")
    return Variant(model_format, config.seed, config.weights, config.width)


def _recipe(graph: Graph, anchor: AnchorModel | None) -> PictureRecipe | None:
    if anchor:
        return anchor.picture.laid_out_for(graph.inputs[0])
    return recipe_for(graph.inputs[0]) if len(graph.inputs) == 1 else None


def _hashes(file: Path) -> dict[str, str]:
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        # md5 because clause 2 asks for it; it protects nothing
        md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    return {"sha256": sha256, "md5": md5.hexdigest()}
