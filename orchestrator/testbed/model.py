"""The model of a sweep: one of the zoo or a file, stored so that both nodes can cut it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.results.facts import DatasetFacts, DeviceFacts, InputFacts, ModelFacts
from orchestrator.testbed.inputs import ModelInput, open_inputs
from orchestrator.testbed.model_file import (
    graph_of,
    model_file,
    strangers_graph,
    whole_model,
)
from splitbed.codecs import codec_named
from splitbed.codecs.coder import Coder
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError
from splitbed.flow import DEVICE, Span
from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import Part, StoredModel, extract, extract_part, store
from splitbed.graphs.splits import resolve
from splitbed.media.files import hash_file
from splitbed.media.recipes import (
    PictureRecipe,
    Recipe,
    SoundRecipe,
    TokenRecipe,
    image_recipe,
    recipe_for,
)
from splitbed.media.text.tokens import takes_tokens
from splitbed.node.model_info import ModelInfo, info_of
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.zoo import AnchorModel

SAID_OF_FILES = (
    "classification", "image", "next-token", "ranking", "super-resolution", "transcript",
    "translation",
)  # fmt: skip
"""Tasks of files, whose outputs need not be what is said."""


Fitted = tuple[int, str, str]
"""A cut, a stage as ``Setting.tables`` has it, and a tensor: one may cross several cuts."""


@dataclass(frozen=True)
class Known:
    """What was found of calibration frames, for codecs of all cuts."""

    ranges: Mapping[str, Range] = field(default_factory=dict)
    tables: Mapping[Fitted, bytes] = field(default_factory=dict)
    unfitted: Mapping[Fitted, str] = field(default_factory=dict)

    def at(
        self, k: int, channels_last: bool = False, picture: PictureRecipe | None = None
    ) -> Setting:
        """What a codec is told of the cut after `k` layers."""
        return Setting(
            self.ranges,
            channels_last,
            picture,
            tables={key[1:]: table for key, table in self.tables.items() if key[0] == k},
            unfitted={key[1:]: why for key, why in self.unfitted.items() if key[0] == k},
        )


@dataclass(frozen=True)
class SweptModel:
    """A graph on disk, with all that feeding it, reading it and repeating the run takes."""

    name: str
    stored: StoredModel
    task: str
    recipe: Recipe | None
    named_splits: Mapping[str, str] | None
    inputs: tuple[ModelInput, ...]
    others: tuple[ModelInput, ...]
    """Those that were given and are not measured."""
    calibration: Sequence[Sequence[ModelInput]]
    """Of each source, those that codecs are to be calibrated on, where any were given."""
    siblings: Sequence[Sequence[ModelInput]]
    """Else those of each dataset like the input's, where that was generated."""
    is_sequence: bool
    rate_hz: float | None
    """How fast the inputs follow one another, where that is known."""
    classes: tuple[str, ...]
    """Of the ground truth."""
    runtime: str
    """What runs its parts."""
    facts: ModelFacts
    """For run.json: weights, sizes, hashes of model and inputs."""
    versions: dict[Span, StoredModel] = field(default_factory=dict)
    """Layers in files of their own: of another precision, once made; what the device anchor is."""
    unmade: dict[Span, str] = field(default_factory=dict)
    """Why others cannot be."""

    @property
    def graph(self) -> Graph:
        """Its layers and cuts."""
        return self.stored.graph

    @property
    def file_bytes(self) -> int:
        """What its file measures."""
        return self.facts.bytes or 0

    @property
    def channels_last(self) -> bool:
        """Whether maps have their channels last."""
        return self.graph.format == "tflite"

    @property
    def info(self) -> ModelInfo:
        """What the nodes must know of it."""
        return info_of(self.graph, self.task, self.runtime, self.name)

    def work(self, span: tuple[int, int]) -> int:
        """What these layers multiply and accumulate; of a model that does not, their number."""
        cuts, (first, last) = self.graph.cuts, span
        return cuts[last].ue_macs - cuts[first].ue_macs if cuts[-1].ue_macs else last - first

    def needed(self, span: tuple[int, int], outputs: Sequence[int]) -> float:
        """The share of that which these outputs need, as a head makes them: 1 where all are."""
        own = [k for k in range(*span) if k in self.graph.layers_for(outputs)]
        work = sum(self.work((k, k + 1)) for k in own)
        return work / self.work(span) if self.work(span) else len(own) / (span[1] - span[0])

    def split_name(self, k: int) -> str:
        """A cut by the name that the model has for it, else as k:n-k."""
        found = resolve(self.graph, "named", self.named_splits) if self.named_splits else []
        return next((one.label for one in found if one.k == k), self.graph.cuts[k].name)

    def part(self, span: Span) -> Part:
        """The part of these layers, or of their version; UsageError for one that is not made."""
        own = self.version(span) if span.version else None
        return extract_part(self.stored, *span[:3], own)

    def version(self, span: Span) -> StoredModel:
        """The file of these layers in their version; UsageError with the reason for none."""
        if span not in self.versions:
            why = self.unmade.get(span, "it was not asked for before the nodes were prepared")
            raise UsageError(
                f"cannot run the layers {span.first} to {span.last} in {span.version}: {why}"
            )
        return self.versions[span]

    def session(self, part: Part, threads: int) -> PartSession:
        """A session on one of its parts, whose file is not needed afterwards."""
        return _session(part, threads, self.runtime)

    def picture_at(self, k: int) -> PictureRecipe | None:
        """How what crosses a cut is a picture: the input, the one output; None for what is none."""
        if k == 0:
            return self.recipe if isinstance(self.recipe, PictureRecipe) else None
        outputs = self.graph.outputs
        return image_recipe(outputs[0]) if k == self.graph.n and len(outputs) == 1 else None

    def coder(self, k: int, codec: str, known: Known) -> Coder:
        """A codec, new, bound to what crosses a cut: of cut 0, the input. Raises UsageError."""
        setting = known.at(k, self.channels_last, self.picture_at(k))
        return codec_named(codec).bind(self.graph.cuts[k].tensors, setting)


def load_model(config: SweepConfig, folder: Path) -> SweptModel:
    """Build or read the model of `config` and store it in `folder`.

    Raises UsageError for an unknown model, a file that is none, an input
    or weights that do not fit.
    """
    file, weights, anchor = model_file(config, folder, config.seed)
    graph = graph_of(file, config, anchor)
    recipe = _recipe(graph, anchor, config)
    given = open_inputs(config, graph, recipe, anchor)
    inputs = given.measured(config.least_runs)
    for one in inputs:  # refuse it now, not in the middle of a sweep
        one.check()
    stored = store(graph, folder)
    task = _task(config, anchor)
    runtime = config.runtime or graph.format
    replaced = anchor is not None and whole_model(config, anchor) is not None
    _check_runs(stored, task, runtime, said=replaced)
    device = _device(config.device_model, graph, folder) if config.device_model else None
    if device is not None:
        _check_runs(device, task, runtime)
    facts = structs.replace(
        _facts(config, file, weights, graph, anchor),
        runtime=runtime,
        device=_device_facts(config.device_model) if config.device_model else None,
        dataset=DatasetFacts.from_plain(given.dataset.facts()) if given.dataset else None,
        inputs=tuple(InputFacts.from_plain(one.facts()) for one in inputs),
    )
    return SweptModel(
        name=facts.name,
        stored=stored,
        task=task,
        classes=given.dataset.classes if given.dataset else (),
        recipe=recipe,
        named_splits=anchor.named_splits if anchor else None,
        inputs=inputs,
        others=tuple(given.every[len(inputs) :]),
        calibration=given.calibration,
        siblings=given.siblings,
        is_sequence=given.is_sequence,
        rate_hz=given.dataset.rate_hz if given.dataset else None,
        runtime=runtime,
        facts=facts,
        versions={Span(0, graph.n, version=DEVICE): device} if device else {},
    )


def _facts(
    config: SweepConfig, file: Path, weights: str, graph: Graph, anchor: AnchorModel | None
) -> ModelFacts:
    """What is to be said of the model itself."""
    whole, hashes = graph.cuts[0], hash_file(file)
    # with other outputs, what the file holds is counted: batch norm is folded there
    counted = config.width == 1 and not (config.weights and anchor and anchor.any_outputs)
    return ModelFacts(
        name=anchor.name if anchor else file.stem,
        weights=", ".join(filter(None, (weights, graph.conversion))),
        layers=graph.n,
        parameters=anchor.parameters if anchor and counted else whole.edge_params,
        macs=whole.edge_macs,
        bytes=file.stat().st_size,
        sha256=hashes["sha256"],
        md5=hashes["md5"],
        drawing=tuple(graph.drawing),
        conversion=graph.conversion,
    )


def _task(config: SweepConfig, anchor: AnchorModel | None) -> str:
    if anchor is not None and config.task not in (None, anchor.task):
        raise UsageError(f"--task {config.task} is for a file: {anchor.name} does {anchor.task}")
    if config.task not in (None, *TASKS):
        raise UsageError(f"no task is called {config.task!r}: choose {', '.join(TASKS)}")
    return anchor.task if anchor else config.task or "tensors"


def _check_runs(stored: StoredModel, task: str, runtime: str, *, said: bool = False) -> None:
    """Refuse what cannot be run, or read, before a link and two nodes are brought up for it.

    ``said`` is whether a file only says that it does the ``task``.
    """
    _, whole = extract(stored, 0)
    with _session(whole, 0, runtime) as session:
        if said or task in SAID_OF_FILES:
            TASKS[task].decode(session.run(session.made_up()), whole.inputs)


def _session(part: Part, threads: int, runtime: str) -> PartSession:
    session = PartSession(part.path, part.inputs, part.outputs, part.passthrough, threads, runtime)
    part.remove()
    return session


def _recipe(graph: Graph, anchor: AnchorModel | None, config: SweepConfig) -> Recipe | None:
    if anchor:
        return anchor.recipe.made_for(graph.inputs[0]) if anchor.recipe else None
    if config.input and takes_tokens(graph.inputs):
        return TokenRecipe(graph.inputs[0].shape[-1])
    if config.task == "transcript" and len(graph.inputs) == 1:
        return SoundRecipe(graph.inputs[0].shape[-1])
    return recipe_for(graph.inputs[0]) if len(graph.inputs) == 1 else None


def _device(file: Path, whole: Graph, folder: Path) -> StoredModel:
    """The model in ``file``; UsageError unless it takes and gives what the whole one does."""
    shapes = {info.name: info.shape for info in whole.inputs}
    try:
        graph = strangers_graph(file, shapes)
    except UsageError as error:
        why = f"does not take what the model takes: {error}"
        raise UsageError(f"--device-model {file} {why}") from None
    for which in ("format", "inputs", "outputs"):
        if getattr(graph, which) != getattr(whole, which):
            raise UsageError(
                f"--device-model {file} has other {which} than the model has: give one that takes "
                f"and gives the same tensors, as a file of format {whole.format}"
            )
    return store(graph, folder / "device")


def _device_facts(file: Path) -> DeviceFacts:
    return DeviceFacts(name=file.stem, bytes=file.stat().st_size, **hash_file(file))
